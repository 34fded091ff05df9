"""The sample pictures of assets/samples/, free to ship (see assets/CREDITS.md)."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from rlpips import paths
from rlpips.data import images


@dataclass(frozen=True)
class Sample:
    """One picture that comes with the app."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")

    def picture(self) -> images.Picture:
        """Its pixels, uint8 (H, W, 3)."""
        return images.read_picture(self.path)


# The astronaut first: it is what the page opens with.
SAMPLES = sorted(
    (Sample(path) for path in paths.SAMPLES.glob("*.png")), key=lambda each: (each.name != "astronaut", each.name)
)


def chosen_js(grid) -> str:
    """For the event of a button: its first input becomes the place of the thumbnail that is chosen in a `gr.Gallery` as the
    visitor sees it, -1 for none. To hear of the choice when it is made would take longer than to press the button."""
    thumbnails = f"[...document.querySelectorAll('#{grid.elem_id} .thumbnail-item')]"
    return f"(_, ...others) => [{thumbnails}.findIndex((each) => each.matches('.selected')), ...others]"


def chosen(place, paths, otherwise):
    """Which of the paths that the server has for a grid is meant by the place that a browser names; `otherwise` for -1, none.
    ValueError for what no browser of ours says."""
    if place == -1:
        return otherwise
    if type(place) is not int or not 0 <= place < len(paths):
        raise ValueError(f"Choose a picture first; there is none at place {place!r} of {len(paths)}.")
    return paths[place]


def thumbnail(pixels, side=112) -> Image.Image:
    """The middle square of uint8 (H, W, 3), small."""
    height, width = pixels.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    return Image.fromarray(images.resize(pixels[top : top + edge, left : left + edge], (side, side)))
