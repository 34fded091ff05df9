"""The sample pictures in assets/samples/, which are free to ship (see assets/CREDITS.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from rlpips import paths
from rlpips.data import images


@dataclass(frozen=True)
class Sample:
    """A picture that comes with the app."""

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


# The astronaut first: the page opens with it.
SAMPLES = sorted(
    (Sample(path) for path in paths.SAMPLES.glob("*.png")), key=lambda sample: (sample.name != "astronaut", sample.name)
)


def picked_js(grid: gr.Gallery) -> str:
    """JavaScript for the click of a button: its first input becomes the place of the selected thumbnail in a grid, -1 for none.

    The browser knows it at once; to tell the server when it is selected would take longer than to press the button.
    """
    thumbnails = f"[...document.querySelectorAll('#{grid.elem_id} .thumbnail-item')]"
    return f"(_, ...others) => [{thumbnails}.findIndex((each) => each.matches('.selected')), ...others]"


def pick(place: Any, paths: Sequence[str], otherwise: str | None) -> str | None:
    """The path at a place that a browser sends, among the paths of a grid; `otherwise` for -1, none.

    ValueError for any other value.
    """
    if place == -1:
        return otherwise
    if type(place) is not int or not 0 <= place < len(paths):
        raise ValueError(f"Choose a picture first; there is none at place {place!r} of {len(paths)}.")
    return paths[place]


def thumbnail(pixels: np.ndarray, side: int = 112) -> Image.Image:
    """The middle square of uint8 (H, W, 3), scaled to `side` pixels."""
    height, width = pixels.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    return Image.fromarray(images.resize(pixels[top : top + edge, left : left + edge], (side, side)))
