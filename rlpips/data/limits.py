"""How much a picture file may ask for, checked before it is decoded, as files may come from strangers.

Reading any accepted file takes at most about 400 MB and 3 seconds. Every refusal is a ValueError with a sentence for the user.
"""

import re

from PIL import Image

MAX_MEGAPIXELS = 50  # a phone's largest
MAX_FILE_MB = 300
_MAX_JPEG_MB = 100  # decoding one takes 30 ns a byte, and 50 megapixels of the best quality have 60 MB

# Megapixels that 400 MB hold: decoders keep 4 bytes a pixel, and more for what they work on.
_MEGAPIXELS = {"WEBP": 20, "AVIF": 16, "TIFF": 40}
_DEEP_MEGAPIXELS = {"PNG": 36, "TIFF": 24}  # colours of 16 bits are read twice
_CMYK_JPEG_MEGAPIXELS = 32  # a progressive one keeps 8 bytes a pixel
_SLOW_MEGAPIXELS = 1  # of PPM that Pillow reads in Python: texts, and values up to another number than 255

# Each scan of a JPEG works on all of its pixels. Encoders write 10 for colours, 18 for CMYK.
_MAX_SCANS = 64
_MAX_SCAN_MEGAPIXELS = 600

_MAX_COMMENTS = 1000  # of a PPM written as text, or blocks of 255 bytes of a GIF

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)  # in coded data 0 and D0 to D7 follow FF too
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def check_file_size(length: int, name: str) -> None:
    """ValueError for a file of too many bytes."""
    if length > MAX_FILE_MB * 1e6:
        raise ValueError(f"{name} has {length / 1e6:.0f} MB; at most {MAX_FILE_MB} can be read.")


def check_pixels(width: int, height: int, name: str, kind: str = "", most: float = MAX_MEGAPIXELS) -> None:
    """ValueError for more than `most` megapixels."""
    megapixels = width * height / 1e6
    if megapixels > most:
        raise ValueError(
            f"{name} has {width}×{height} pixels, {megapixels:.4g} megapixels; "
            f"at most {most:.4g} can be read{' from ' if kind else ''}{kind}."
        )


def check_webp(head: bytes, name: str) -> None:
    """`check_pixels` for the first bytes of a WebP file, as opening one already takes memory for its pixels."""
    kind = head[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        sides = int.from_bytes(head[21:25], "little")
        width, height = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    check_pixels(width, height, name, "WebP", _MEGAPIXELS["WEBP"])


def check_opened(image: Image.Image, name: str, deep: bool) -> None:
    """`check_pixels` for an opened file by its format; `deep` says that its colours have 16 bits."""
    format = "JPEG" if image.format == "MPO" else image.format or ""
    kind, most = format, _MEGAPIXELS.get(format, MAX_MEGAPIXELS)
    if deep and format in _DEEP_MEGAPIXELS:
        kind, most = f"{format} with 16 bits a colour", _DEEP_MEGAPIXELS[format]
    elif format == "JPEG" and image.mode == "CMYK":
        kind, most = "CMYK JPEG", _CMYK_JPEG_MEGAPIXELS
    elif format == "PPM" and image.tile[0].codec_name != "raw":  # type: ignore[attr-defined]
        kind, most = "PPM of this kind", _SLOW_MEGAPIXELS
    check_pixels(*image.size, name, kind, most)


def check_comments(data: bytes, name: str) -> None:
    """ValueError for a PPM of many comments: Pillow copies the text at each of them."""
    if data.count(b"#") > _MAX_COMMENTS:
        raise ValueError(f"{name} is a PPM of more than {_MAX_COMMENTS} comments; save it as PNG.")


def check_gif(data: bytes, name: str) -> None:
    """ValueError for a GIF of long comments up to its second frame: Pillow copies the text at each block of it."""
    place, frames, comments = 13 + _gif_table(data[10:11]), 0, 0
    while frames < 2 and (kind := data[place : place + 1]) in (b"!", b","):
        comment = data[place : place + 2] == b"!\xfe"
        frames += kind == b","
        place += 2 if kind == b"!" else 11 + _gif_table(data[place + 9 : place + 10])
        while size := int.from_bytes(data[place : place + 1]):
            place += 1 + size
            comments += comment
        place += 1
    if comments > _MAX_COMMENTS:
        raise ValueError(f"{name} is a GIF of too long comments; save it as PNG.")


def _gif_table(flags: bytes) -> int:
    """The bytes of the colour table that a GIF's flags announce."""
    bits = int.from_bytes(flags)
    return 3 << (bits & 7) + 1 if bits & 128 else 0


def check_scans(data: bytes, size: tuple[int, int], name: str) -> None:
    """ValueError for a JPEG of `size` (width, height) that would take long: of too many bytes or scans."""
    if len(data) > _MAX_JPEG_MB * 1e6:
        raise ValueError(f"{name} has {len(data) / 1e6:.0f} MB; at most {_MAX_JPEG_MB} can be read from JPEG.")
    scans = count_scans(data)
    most = min(_MAX_SCANS, int(_MAX_SCAN_MEGAPIXELS * 1e6 / (size[0] * size[1])))
    if scans > most:
        raise ValueError(
            f"{name} is a JPEG of {scans} scans; at most {most} can be read of {size[0]}×{size[1]} pixels. "
            "Save it again as an ordinary JPEG or PNG."
        )


def count_scans(data: bytes) -> int:
    """The number of scans of the first JPEG in `data`."""
    scans, place = 0, 2
    while (marker := _MARKER.search(data, place)) and marker[1][0] != _END_OF_IMAGE:
        place = marker.end()
        scans += marker[1][0] == _START_OF_SCAN
        if marker[1][0] >= 0xC0 and marker[1][0] != 0xD8:  # markers below, and another start, have no body
            place += int.from_bytes(data[place : place + 2], "big")
    return scans
