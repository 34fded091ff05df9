"""From a file or PIL image to 8-bit pixels, with what a stranger's file may hold kept in bounds.

Size is judged by the header before anything is decoded, and a large JPEG is decoded small. Every failure is a
ValueError with a sentence for the person who brought the file.
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

SMALLEST_SIDE = 32  # below it AlexNet's last layers have nothing to look at
MAX_MEGAPIXELS = 50  # a phone's largest; decoded, 150 MB

# Only formats of pixels with bounded decoders: Pillow would hand EPS to Ghostscript, for instance.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")

# EXIF orientation -> what sets the picture upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION = 0x0112

SIXTEEN_TO_EIGHT = np.rint(np.arange(65536) / 257).astype(np.uint8)


class _Refused(ValueError):
    """A sentence of our own, from amid the decoding."""


def decode_file(source, max_side: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Path, bytes or binary file -> (pixels uint8 (H, W, 3), notes); see `rlpips.data.images.read_picture`."""
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
        if not path.is_file():  # folders, and devices that never end
            raise ValueError(f"There is no picture file called {path.name}.")
        with path.open("rb") as stream:
            return _decode_stream(stream, path.name, max_side)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be opened.") from error


def _decode_stream(stream, name, max_side):
    head = stream.read(512)
    stream.seek(0)
    if not head:
        raise ValueError(f"{name} is empty (0 bytes).")
    Image.init()
    try:
        image = Image.open(stream, formats=[format for format in FORMATS if format in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} has more than {MAX_MEGAPIXELS} megapixels, which is too large.") from error
    except Exception as error:  # decoders raise nearly anything at a damaged header
        raise ValueError(_what_it_is(head, name)) from error
    notes = ()
    try:
        if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photo with its preview
            notes = ("It has several frames; the first one is used.",)
    except Exception:
        pass  # what follows the first frame is damaged and is not needed
    pixels, more = decode_image(image, name, max_side, keep=False)
    return pixels, notes + more


def decode_image(image: Image.Image, name: str, max_side: int, keep: bool = True) -> tuple[np.ndarray, tuple[str, ...]]:
    """A PIL image -> (pixels uint8 (H, W, 3), notes); `keep` leaves `image` alone, `name` is for errors."""
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
            f"{name} is too long and narrow: {width}×{height} pixels, scaled to {max_side} on the long side "
            f"they leave less than {SMALLEST_SIDE} on the other."
        )
    notes = []
    try:
        sixteen_bits = ";16" in str(getattr(image, "tile", ""))  # Pillow keeps the upper bytes of colours
        if keep:
            image = image.copy()
        # JPEG can be decoded at 1/2, 1/4 or 1/8; twice what is needed leaves room for a good filter
        image.draft(None, (round(2 * width * scale), round(2 * height * scale)))
        image.load()
        orientation = _orientation(image)  # after loading, since Pillow sets TIFF upright by itself
        if image.mode.startswith(("I", "F")):
            sixteen_bits = image.mode != "F"
            image = Image.fromarray(_grey_levels(np.asarray(image), name))
        elif image.has_transparency_data and image.mode != "RGBA":
            image = image.convert("RGBA")
        elif image.mode in ("P", "1"):  # palette entries must not be averaged
            image = image.convert("RGB")
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] < 255:
            white = Image.new("RGB", image.size, "white")
            white.paste(image, mask=image.getchannel("A"))
            image = white
            notes.append("Transparency was laid on white.")
        if image.mode == "CMYK":
            notes.append("Print colours (CMYK) were converted to screen colours (RGB).")
        if sixteen_bits:
            notes.append("16 bits a colour were scaled to 8.")
        if orientation in UPRIGHT:
            image = image.transpose(UPRIGHT[orientation])
        pixels = np.array(image.convert("RGB"))
    except _Refused:
        raise
    except Exception as error:  # decoders raise nearly anything at damaged data
        raise ValueError(f"{name} is damaged, incomplete, or of a kind that cannot be read.") from error
    if scale < 1:
        if orientation >= 5:  # it lay on its side
            width, height = height, width
        notes.append(f"Downscaled from {width}×{height} to {pixels.shape[1]}×{pixels.shape[0]} pixels.")
    return pixels, tuple(notes)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF is no reason to refuse the picture
        return 1


def _grey_levels(values: np.ndarray, name: str) -> np.ndarray:
    """Grey of 16 bits (which Pillow may hold in 32) or float in [0, 1] -> uint8."""
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not (0 <= low and high <= 1):  # also when one is NaN
            raise _Refused(f"{name} holds values from {low:.4g} to {high:.4g}; floats must be in [0, 1].")
        return np.rint(255 * values).astype(np.uint8)
    if values.min() < 0 or values.max() > 65535:
        raise _Refused(f"{name} holds more than 16 bits a pixel; save it with 8 or 16.")
    return SIXTEEN_TO_EIGHT[values]


def _what_it_is(head: bytes, name: str) -> str:
    """Why a file is no picture that can be read here, guessed from its first bytes."""
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
