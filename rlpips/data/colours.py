"""Convert the colours of a picture from its ICC profile to sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms, features

_ALIKE = 3  # of 255 levels: profiles that differ less from sRGB are sRGB
_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}  # of a profile -> the mode of pictures
_UNFIT = "Its colour profile is damaged or does not fit it; colours were taken as they are."


def to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, str | None]:
    """The picture ("L", "RGB" or "CMYK") in sRGB, with a note if its colours were converted or the profile cannot be used."""
    if not features.check("littlecms2"):
        return image, "Its colour profile was not used, as this build of Pillow cannot; colours were taken as they are."
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _SPACES[source.profile.xcolor_space.strip()]
        description = ImageCms.getProfileDescription(source)
        if image.mode == "L" and mode == "RGB":
            image = image.convert("RGB")
        if image.mode != mode or source.profile.device_class not in ("scnr", "mntr", "prtr", "spac"):
            return image, _UNFIT
        if description.lower().startswith("srgb"):
            return image, None
        target = ImageCms.createProfile("sRGB")
        # Relative colorimetric: white becomes white, and colours inside sRGB stay what they are.
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        # The library's quick tables for grey are up to 10 levels wrong where it is dark.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(source, target, mode, "RGB", intent, flags)
        if mode != "CMYK":
            grid = _grid(mode)
            converted = np.asarray(ImageCms.applyTransform(grid, transform)).astype(int)
            if np.abs(converted - np.asarray(grid.convert("RGB"))).max() <= _ALIKE:
                return image, None
        converted_image = ImageCms.applyTransform(image, transform)
    except Exception:  # a damaged profile can make the library raise nearly anything
        return image, _UNFIT
    name = "".join(letter for letter in description if letter.isprintable()).strip()[:60]
    return converted_image or image, f"Colours were converted from {name or 'another profile'} to sRGB."


def _grid(mode: str) -> Image.Image:
    """Colours from all over the cube, or all greys."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3))
