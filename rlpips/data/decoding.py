"""Decode a file or PIL image to 8-bit pixels, within limits, as files may come from strangers.

What a file asks for is checked in its header before anything is decoded, a large JPEG is decoded at a fraction of its size, and
conversions work on strips of rows, so that they hold little memory. Every failure is a ValueError with a sentence for the user.
"""

import io
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from rlpips.data import colours, file_types, high_bit_depth, limits

SMALLEST_SIDE = 32  # in fewer pixels AlexNet's last layers have no positions left
MAX_MEGAPIXELS = limits.MAX_MEGAPIXELS
_STRIP_PIXELS = 1 << 20
_LONGEST_EXIF = 1 << 16  # as JPEG allows; Pillow may need as many bytes as its square

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

FileSource: TypeAlias = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO


class Decoded(NamedTuple):
    """A picture as it was decoded."""

    pixels: np.ndarray  # uint8 (H, W, 3)
    notes: tuple[str, ...]  # sentences about what was changed
    size: tuple[int, int]  # (height, width) before it was downscaled


def decode_file(source: FileSource, max_side: int) -> Decoded:
    """Decode a path, bytes or a binary file; see `rlpips.data.images.read_picture`."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode_stream(io.BytesIO(source), "The picture", max_side)
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        name = Path(name).name if isinstance(name, str) else "The picture"
        data = source.read(int(limits.MAX_FILE_MB * 1e6) + 1)
        if not isinstance(data, bytes):
            raise ValueError(f"Expected a binary file; reading {name} gives {type(data).__name__}.")
        return _decode_stream(io.BytesIO(data), name, max_side)
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


def decode_image(image: Image.Image, name: str, max_side: int) -> Decoded:
    """Convert a PIL image, which is not changed. `name` is for the sentences of errors."""
    if (data := _unread_bytes(image)) is not None:
        return _decode_stream(io.BytesIO(data), name, max_side)
    limits.check_pixels(*image.size, name)
    return _convert(image, high_bit_depth.depth_of(image), None, name, max_side)


def _unread_bytes(image: Image.Image) -> bytes | None:
    """The file of an image that was opened and not decoded yet, as Pillow would not decode it with the same care."""
    file = getattr(image, "fp", None)
    if file is None or not getattr(image, "tile", None) or image.tell():
        return None
    try:
        place = file.tell()
        file.seek(0)
        data = file.read(int(limits.MAX_FILE_MB * 1e6) + 1)
        file.seek(place)
        same = _open(io.BytesIO(data))
    except Exception:  # a closed file, or one of another format: Pillow will say so
        return None
    return data if (same.format, same.size, same.mode) == (image.format, image.size, image.mode) else None


def _open(stream: BinaryIO) -> Image.Image:
    Image.init()
    stream.seek(0)
    return Image.open(stream, formats=[format for format in file_types.FORMATS if format in Image.OPEN])


def _decode_stream(stream: BinaryIO, name: str, max_side: int) -> Decoded:
    length = stream.seek(0, os.SEEK_END)
    limits.check_file_size(length, name)
    stream.seek(0)
    head = stream.read(512)
    if not head:
        raise ValueError(f"{name} is empty (0 bytes).")
    file_types.check(head, stream, length, name)
    try:
        image = _open(stream)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} has more than {MAX_MEGAPIXELS} megapixels, which is too large.") from error
    except Exception as error:  # a damaged header can make decoders raise nearly anything
        raise ValueError(file_types.describe(head, stream, length, name)) from error
    file_types.check_opened(image, head, name)
    depth = high_bit_depth.depth_of(image)
    limits.check_opened(image, name, depth.colours)
    try:
        animated = getattr(image, "is_animated", False) and image.format != "MPO"  # MPO: a photo with its preview
    except Exception:  # damage after the first frame, which is not read
        animated = False
    if image.format in ("JPEG", "MPO", "PPM"):
        place = stream.tell()
        stream.seek(0)
        if image.format != "PPM":
            limits.check_scans(stream.read(), image.size, name)
        elif image.tile[0].codec_name == "ppm_plain":  # type: ignore[attr-defined]
            limits.check_comments(stream.read(), name)
        stream.seek(place)
    decoded = _convert(image, depth, stream, name, max_side)
    return (
        decoded._replace(notes=("It has several frames; the first one is used.", *decoded.notes))
        if animated
        else decoded
    )


def _convert(
    image: Image.Image, depth: high_bit_depth.Depth, stream: BinaryIO | None, name: str, max_side: int
) -> Decoded:
    """Convert an image, opened from `stream` and not loaded yet if there is one."""
    width, height = image.size
    scale = min(1, max_side / max(width, height))
    if min(width, height) < SMALLEST_SIDE:
        raise ValueError(f"{name} has {width}×{height} pixels; a picture needs at least {SMALLEST_SIDE} a side.")
    size = round(width * scale), round(height * scale)
    if min(size) < SMALLEST_SIDE:
        raise ValueError(
            f"{name} is too long and narrow: {width}×{height} pixels. Scaled to {max_side} on the long side, it has "
            f"fewer than {SMALLEST_SIDE} on the other."
        )
    notes = []
    try:
        low = None
        if stream is not None:
            high_bit_depth.keep_both_bytes(image, depth)
            # JPEG can be decoded at 1/2, 1/4 or 1/8; twice the final size leaves room for a good filter.
            image.draft(None, (2 * size[0], 2 * size[1]))
        image.load()
        if stream is not None and depth.colours:
            low = high_bit_depth.low_bytes(_open(stream), depth)
        orientation = _orientation(image)  # after loading, because Pillow itself turns TIFF upright
        small = _shrink(image, low, depth, name, size)
        alpha = small.getchannel("A") if small.mode == "RGBA" else None
        if small.mode == "RGBA":
            small = small.convert("RGB")
        if isinstance(profile := image.info.get("icc_profile"), bytes) and small.mode != "LAB":
            grey = image.mode[0] in "1LIF" and image.mode != "LAB"
            small, note = colours.to_srgb(small.convert("L") if grey else small, profile)
            notes += [note] if note else []
        if alpha and alpha.getextrema() != (255, 255):
            white = Image.new("RGB", small.size, "white")
            white.paste(small, mask=alpha)
            small = white
            notes.append("Transparency was laid on white.")
        if image.mode == "CMYK":
            notes.append("Print colours (CMYK) were converted to screen colours (RGB).")
        if depth.colours or depth.raw_mode == "LA;16B" or image.mode.startswith("I"):
            notes.append(f"{depth.bits} bits a colour were scaled to 8.")
        if orientation in _UPRIGHT:
            small = small.transpose(_UPRIGHT[orientation])
        pixels = np.array(small.convert("RGB"))
    except high_bit_depth.Refused:
        raise
    except Exception as error:  # damaged data can make decoders raise nearly anything
        raise ValueError(f"{name} is damaged, incomplete, or of a kind that cannot be read.") from error
    if orientation >= 5:  # the stored picture lies on its side
        width, height = height, width
    if scale < 1:
        notes.append(f"Downscaled from {width}×{height} to {pixels.shape[1]}×{pixels.shape[0]} pixels.")
    return Decoded(pixels, tuple(notes), (height, width))


def _shrink(
    image: Image.Image, low: Image.Image | None, depth: high_bit_depth.Depth, name: str, size: tuple[int, int]
) -> Image.Image:
    """The image in 8 bits a colour and `size` (width, height), in a mode of colours, or RGBA."""
    width, height = image.size
    # Averages of whole pixels, down to twice the size, and then a good filter: Pillow's `reducing_gap` on strips.
    factor = max(1, int(min(width / size[0], height / size[1]) / 2))
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    whole = None
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        part = _eight_bits(image.crop(box), low and low.crop(box), depth, name)
        if part.mode == "RGBA" and (width, height) != size:
            part = part.convert("RGBa")  # transparent colours must not bleed
        part = part.reduce(factor) if factor > 1 else part
        if whole is None:
            whole = Image.new(part.mode, (-(-width // factor), -(-height // factor)))
        whole.paste(part, (0, top // factor))
    assert whole is not None
    if whole.size != size:
        whole = whole.resize(size, Image.Resampling.LANCZOS, (0, 0, width / factor, height / factor))
    return whole.convert("RGBA") if whole.mode == "RGBa" else whole


def _eight_bits(part: Image.Image, low: Image.Image | None, depth: high_bit_depth.Depth, name: str) -> Image.Image:
    """A strip in a mode that filters may average."""
    if low is not None:
        part = high_bit_depth.round_colours(part, low, depth)
    elif depth.raw_mode == "LA;16B":
        part = high_bit_depth.round_grey_with_alpha(part)
    elif part.mode.startswith(("I", "F")):
        part = high_bit_depth.round_grey(part, depth, name)
    if part.mode == "La":
        part = part.convert("LA")
    if part.mode == "RGBa" or part.has_transparency_data:
        return part if part.mode in ("RGBA", "RGBa") else part.convert("RGBA")
    if part.mode == "1":
        return part.convert("L")
    return part if part.mode in ("L", "RGB", "CMYK", "YCbCr", "LAB") else part.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, in place of anything else, as files may hold texts or fractions there."""
    try:
        if len(image.info.get("exif", b"")) > _LONGEST_EXIF:
            return 1
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF is no reason to refuse the picture
        return 1
    return value if type(value) is int and value in _UPRIGHT else 1
