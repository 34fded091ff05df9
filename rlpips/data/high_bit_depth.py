"""Pictures of more than 8 bits a colour, rounded to 8.

Pillow has modes for grey of 16 bits, but of deep colours it keeps the upper bytes. The lower ones come from a second reading,
in the raw mode of the other byte order.
"""

import sys
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF 6.0
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # N: the machine's own


class Refused(ValueError):
    """Our own refusal, raised while Pillow decodes; its sentence reaches the user as it is."""


class Depth(NamedTuple):
    """How a file holds its values."""

    bits: int = 16  # of a value above 8 bits
    white_is_zero: bool = False
    raw_mode: str = ""  # in which Pillow unpacks the file

    @property
    def colours(self) -> bool:
        """Whether colours, not only grey, have 16 bits."""
        return ";16" in self.raw_mode and self.raw_mode.startswith(("RGB", "CMYK"))

    @property
    def low_raw_mode(self) -> str:
        """The raw mode for the lower bytes of deep colours."""
        return self.raw_mode.replace("RGBa", "RGBA")[:-1] + _OTHER_ORDER[self.raw_mode[-1]]


def depth_of(image: Image.Image) -> Depth:
    """The depth of a file that was opened and not loaded."""
    tags = getattr(image, "tag_v2", {})  # of TIFF
    bits = tags.get(_BITS_PER_SAMPLE, 16)
    bits = bits[0] if isinstance(bits, tuple) and len(bits) == 1 else bits
    tiles = getattr(image, "tile", [])
    args: Any = tiles[0].args if tiles else ""
    raw_mode = args[0] if isinstance(args, tuple) and args else args
    return Depth(
        bits if isinstance(bits, int) and 8 < bits < 16 else 16,
        tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
        raw_mode if isinstance(raw_mode, str) else "",
    )


def keep_both_bytes(image: Image.Image, depth: Depth) -> None:
    """Let Pillow unpack as they are values of 16 bits that it would change."""
    if depth.raw_mode == "LA;16B":  # grey and transparency: its four bytes fill one pixel RGBA
        _unpack_as(image, "RGBA")
    elif depth.raw_mode.startswith("RGBa;16"):  # colours multiplied by their opacity
        _unpack_as(image, depth.raw_mode.replace("a", "A"))


def low_bytes(image: Image.Image, depth: Depth) -> Image.Image:
    """Let `image`, opened once more, hold the lower bytes."""
    _unpack_as(image, depth.low_raw_mode)
    image.load()
    return image


def _unpack_as(image: Image.Image, raw_mode: str) -> None:
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))
        for tile in image.tile  # type: ignore[attr-defined]
    ]


def round_colours(high: Image.Image, low: Image.Image, depth: Depth) -> Image.Image:
    """Colours of 16 bits, 256 high + low, rounded to 8; pixels of the colour that a PNG calls clear become transparent."""
    upper, lower = np.asarray(high), np.asarray(low)
    levels = _round(upper, lower)
    image = Image.frombytes("RGBa" if depth.raw_mode.startswith("RGBa") else high.mode, high.size, levels.tobytes())
    if isinstance(clear := high.info.get("transparency"), tuple):
        same = (upper == np.array(clear) >> 8) & (lower == np.array(clear) & 255)
        image.putalpha(Image.fromarray(np.where(same.all(2), 0, 255).astype(np.uint8)))
    return image


def round_grey_with_alpha(image: Image.Image) -> Image.Image:
    """Grey and transparency of 16 bits, which `keep_both_bytes` put into RGBA, as "LA" of 8."""
    four = np.asarray(image)
    return Image.fromarray(np.ascontiguousarray(_round(four[..., ::2], four[..., 1::2])), "LA")


def _round(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    # (256 h + l) / 257 = h + (l - h) / 257, which is at most 255 / 257 away from h.
    up, down = (lower > upper) & (lower - upper > 128), (upper > lower) & (upper - lower > 128)
    return (upper + up - down).astype(np.uint8)


def round_grey(image: Image.Image, depth: Depth, name: str) -> Image.Image:
    """Grey of 9 to 16 bits (which Pillow may hold in 32) or float in [0, 1], as "L", or as "LA" if a PNG has a clear value."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        bad = values[~((values >= 0) & (values <= 1))]  # NaN too
        if bad.size:
            raise Refused(f"{name} holds the value {float(bad[0]):.4g}; floats must be in [0, 1].")
        levels = np.rint(255 * values).astype(np.uint8)
        return Image.fromarray(255 - levels if depth.white_is_zero else levels)
    if values.min() < 0 or values.max() > 65535:
        raise Refused(f"{name} holds more than 16 bits a pixel; save it with 8 or 16.")
    brightest = 2**depth.bits - 1
    table = np.rint(np.arange(65536).clip(0, brightest) * 255 / brightest).astype(np.uint8)
    grey = Image.fromarray((255 - table if depth.white_is_zero else table)[values])
    if isinstance(clear := image.info.get("transparency"), int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey
