"""Decode a file or PIL image to 8-bit pixels, within limits, as files may come from strangers.

The size is checked in the header before anything is decoded, and a large JPEG is decoded at a fraction of its size. Every
failure is a ValueError with a sentence for the user.
"""

import io
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

SMALLEST_SIDE = 32  # in fewer pixels AlexNet's last layers have no positions left
MAX_MEGAPIXELS = 50  # a phone's largest; decoded, 150 MB

# Only formats of pixels with bounded decoders. Pillow would start Ghostscript for EPS, for instance.
_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")

# EXIF orientation -> the operation that turns the picture upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # the EXIF tag
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF 6.0

FileSource: TypeAlias = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO


class Decoded(NamedTuple):
    """A picture as it was decoded."""

    pixels: np.ndarray  # uint8 (H, W, 3)
    notes: tuple[str, ...]  # sentences about what was changed
    size: tuple[int, int]  # (height, width) before it was downscaled


class _Refused(ValueError):
    """Our own refusal, raised while Pillow decodes; its sentence reaches the user as it is."""


def decode_file(source: FileSource, max_side: int) -> Decoded:
    """Decode a path, bytes or a binary file ; see `rlpips.data.images.read_picture`."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode_stream(io.BytesIO(source), "The picture", max_side)
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        name = Path(name).name if isinstance(name, str) else "The picture"
        return _decode_stream(io.BytesIO(source.read()), name, max_side)
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            "Expected a picture: a path, bytes, a binary file, a PIL image, an array or a tensor; "
            f"got {type(source).__name__}."
        )
    path = Path(source)
    try:
        if not path.is_file():  # a folder, or a device, which may never end
            raise ValueError(f"There is no picture file called {path.name}.")
        with path.open("rb") as stream:
            return _decode_stream(stream, path.name, max_side)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be opened.") from error


def _decode_stream(stream: BinaryIO, name: str, max_side: int) -> Decoded:
    head = stream.read(512)
    stream.seek(0)
    if not head:
        raise ValueError(f"{name} is empty (0 bytes).")
    Image.init()
    try:
        image = Image.open(stream, formats=[format for format in _FORMATS if format in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} has more than {MAX_MEGAPIXELS} megapixels, which is too large.") from error
    except Exception as error:  # a damaged header can make decoders raise nearly anything
        raise ValueError(_describe_file(head, name)) from error
    try:
        animated = getattr(image, "is_animated", False) and image.format != "MPO"  # MPO: a photo with its preview
    except Exception:  # damage after the first frame, which is not read
        animated = False
    decoded = decode_image(image, name, max_side, copy=False, low=_low_bytes(image, stream))
    return (
        decoded._replace(notes=("It has several frames; the first one is used.", *decoded.notes))
        if animated
        else decoded
    )


def decode_image(
    image: Image.Image, name: str, max_side: int, copy: bool = True, low: Image.Image | None = None
) -> Decoded:
    """Convert a PIL image.

    Without `copy`, decoding may change `image` itself. `name` is for the sentences of errors. `low` are the lower bytes of colours
    of 16 bits, of which `image` has the upper ones.
    """
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * 1e6:
        raise ValueError(
            f"{name} has {width}×{height} pixels, {width * height / 1e6:.0f} megapixels; "
            f"at most {MAX_MEGAPIXELS} can be read."
        )
    scale = min(1, max_side / max(width, height))
    if min(width, height) < SMALLEST_SIDE:
        raise ValueError(f"{name} has {width}×{height} pixels; a picture needs at least {SMALLEST_SIDE} a side.")
    if round(min(width, height) * scale) < SMALLEST_SIDE:
        raise ValueError(
            f"{name} is too long and narrow: {width}×{height} pixels. Scaled to {max_side} on the long side, it has "
            f"fewer than {SMALLEST_SIDE} on the other."
        )
    notes = []
    try:
        sixteen_bits = ";16" in str(getattr(image, "tile", ""))  # Pillow keeps the upper byte of each colour
        brightest, white_is_zero = _grey_scale(image)
        if copy:
            image = image.copy()
        # JPEG can be decoded at 1/2, 1/4 or 1/8; twice the final size leaves room for a good filter.
        image.draft(None, (round(2 * width * scale), round(2 * height * scale)))
        image.load()
        if low is not None:
            image = _round_colours(image, low)
        orientation = _orientation(image)  # after loading, because Pillow itself turns TIFF upright
        if image.mode.startswith(("I", "F")):
            sixteen_bits = image.mode != "F"
            values, transparent = np.asarray(image), image.info.get("transparency")  # of PNG: the value of clear pixels
            image = Image.fromarray(_grey_levels(values, name, brightest, white_is_zero))
            if sixteen_bits and isinstance(transparent, int):
                image.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
                image = image.convert("RGBA")
        elif image.has_transparency_data and image.mode != "RGBA":
            image = image.convert("RGBA")
        elif image.mode in ("P", "1"):  # the filter must not average palette entries
            image = image.convert("RGB")
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        if image.mode == "RGBA" and (alpha := image.getchannel("A")).getextrema() != (255, 255):
            white = Image.new("RGB", image.size, "white")
            white.paste(image, mask=alpha)
            image = white
            notes.append("Transparency was laid on white.")
        if image.mode == "CMYK":
            notes.append("Print colours (CMYK) were converted to screen colours (RGB).")
        if sixteen_bits:
            notes.append(f"{brightest.bit_length()} bits a colour were scaled to 8.")
        if orientation in _UPRIGHT:
            image = image.transpose(_UPRIGHT[orientation])
        pixels = np.array(image.convert("RGB"))
    except _Refused:
        raise
    except Exception as error:  # damaged data can make decoders raise nearly anything
        raise ValueError(f"{name} is damaged, incomplete, or of a kind that cannot be read.") from error
    if orientation >= 5:  # the stored picture lies on its side
        width, height = height, width
    if scale < 1:
        notes.append(f"Downscaled from {width}×{height} to {pixels.shape[1]}×{pixels.shape[0]} pixels.")
    return Decoded(pixels, tuple(notes), (height, width))


_LOWER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}  # the mode in which Pillow keeps the other byte of each colour


def _low_bytes(image: Image.Image, stream: BinaryIO) -> Image.Image | None:
    """The lower bytes of a PNG with colours of 16 bits, not decoded yet; None for another picture. Pillow keeps the upper bytes."""
    tiles = getattr(image, "tile", [])  # of files alone
    if image.format != "PNG" or len(tiles) != 1 or str(tiles[0].args) not in _LOWER:
        return None
    place = stream.tell()
    stream.seek(0)
    low = Image.open(io.BytesIO(stream.read()), formats=["PNG"])
    stream.seek(place)
    low.tile = [tile._replace(args=_LOWER[str(tile.args)]) for tile in low.tile]  # type: ignore[attr-defined]
    return low


def _round_colours(high: Image.Image, low: Image.Image) -> Image.Image:
    """Colours of 16 bits, 256 high + low, rounded to 8; pixels of the colour that a PNG calls clear become transparent."""
    upper, lower = np.asarray(high), np.asarray(low)
    # (256 h + l) / 257 = h + (l - h) / 257, which is at most 255 / 257 away from h.
    levels = upper + ((lower > upper) & (lower - upper > 128)) - ((upper > lower) & (upper - lower > 128))
    image = Image.fromarray(levels.astype(np.uint8))
    if isinstance(clear := high.info.get("transparency"), tuple):
        same = (upper == np.array(clear) >> 8) & (lower == np.array(clear) & 255)
        image.putalpha(Image.fromarray(np.where(same.all(2), 0, 255).astype(np.uint8)))
    if "exif" in high.info:
        image.info["exif"] = high.info["exif"]
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, in place of anything else, as files may hold texts or fractions there."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF is no reason to refuse the picture
        return 1
    return value if type(value) is int and value in _UPRIGHT else 1


def _grey_scale(image: Image.Image) -> tuple[int, bool]:
    """(the brightest value that the file's bits can hold, whether 0 is white), for grey of more than 8 bits."""
    tags = getattr(image, "tag_v2", {})  # of TIFF
    bits = tags.get(_BITS_PER_SAMPLE, 16)
    bits = bits[0] if isinstance(bits, tuple) and len(bits) == 1 else bits
    return (2**bits - 1 if isinstance(bits, int) and 8 < bits < 16 else 65535), tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _grey_levels(values: np.ndarray, name: str, brightest: int, white_is_zero: bool) -> np.ndarray:
    """Convert grey of 9 to 16 bits (which Pillow may hold in 32) or float in [0, 1] to uint8."""
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # NaN fails too
            raise _Refused(f"{name} holds values from {low:.4g} to {high:.4g}; floats must be in [0, 1].")
        return np.rint(255 * values).astype(np.uint8)
    if values.min() < 0 or values.max() > 65535:
        raise _Refused(f"{name} holds more than 16 bits a pixel; save it with 8 or 16.")
    levels = np.rint(np.arange(65536).clip(0, brightest) * 255 / brightest).astype(np.uint8)
    return (255 - levels if white_is_zero else levels)[values]


def _describe_file(head: bytes, name: str) -> str:
    """Why a file cannot be read as a picture, from its first bytes."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return f"{name} is a drawing (SVG), not a picture made of pixels; save it as PNG."
    if start.startswith(b"%pdf"):
        return f"{name} is a PDF document, not a picture; save the picture in it as PNG or JPEG."
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return f"{name} is a HEIC photo, which cannot be read here; save it as JPEG or PNG."
    if head.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", b"II*", b"MM\0*", b"RIFF")):
        return f"{name} begins like a picture, but is damaged."
    return f"{name} is not a picture that can be read here; PNG, JPEG, WebP, GIF, BMP and TIFF can."
