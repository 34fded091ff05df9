"""Which kinds of file are read, and sentences that say what another one is."""

from typing import BinaryIO

from PIL import Image

from rlpips.data import limits, tiff

# Only formats of pixels with bounded decoders. Pillow would start Ghostscript for EPS, for instance.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
# fmt: off
ENDINGS = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".pnm", ".avif",
)
# fmt: on

_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_RAW = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")  # ORF, RW2, RAF, X3F, MRW
_BMP_COMPRESSIONS = {
    1: "with run-length compression",
    2: "with run-length compression",
    4: "that holds a JPEG",
    5: "that holds a PNG",
}


def check(head: bytes, stream: BinaryIO, length: int, name: str) -> None:
    """ValueError for a file of `length` bytes that begins with `head` and must not be opened by Pillow."""
    sentence = None
    if head.startswith(_RAW) or head[4:12] == b"ftypcrx " or head[6:14] == b"HEAPCCDR" or head[8:11] == b"CR\2":
        sentence = tiff.raw_sentence(name)  # CR3, CRW, CR2
    elif head.startswith(b"MM\0+"):
        sentence = f"{name} is a big-endian BigTIFF, which cannot be read here; save it as PNG or as an ordinary TIFF."
    elif head.startswith(tiff.BEGINNINGS):
        tiff.check(stream, length, name)
    elif head.startswith(b"BM") and (kind := _BMP_COMPRESSIONS.get(_bmp_compression(head))):
        sentence = f"{name} is a BMP {kind}, which cannot be read here; save it as PNG."
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        limits.check_webp(head, name)
    elif head.startswith(b"GIF8"):
        stream.seek(0)
        limits.check_gif(stream.read(), name)
    if sentence:
        raise ValueError(sentence)


def check_opened(image: Image.Image, head: bytes, name: str) -> None:
    """ValueError for a BMP whose palette of greys makes Pillow mistake its depth."""
    mistaken = (("1", 4), ("1", 8), ("L", 1), ("L", 4))
    if image.format == "BMP" and (image.mode, head[28 if head[14] >= 40 else 24]) in mistaken:
        raise ValueError(f"{name} is a BMP with an unusual palette, which cannot be read here; save it as PNG.")


def describe(head: bytes, stream: BinaryIO, length: int, name: str) -> str:
    """Why a file of `length` bytes that begins with `head` cannot be opened as a picture."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return f"{name} is a drawing (SVG), not a picture made of pixels; save it as PNG."
    if start.startswith(b"%pdf"):
        return f"{name} is a PDF document, not a picture; save the picture in it as PNG or JPEG."
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return f"{name} is a HEIC photo, which cannot be read here; save it as JPEG or PNG."
    if head.startswith(tiff.BEGINNINGS) and (kind := tiff.unknown_kind(stream, length)):
        return f"{name} is a TIFF of a kind that cannot be read here ({kind}); save it as PNG."
    if head.startswith(b"BM") and _known_bmp(head):
        return f"{name} is a BMP of a kind that cannot be read here; save it as PNG."
    if head.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", b"RIFF", *tiff.BEGINNINGS)):
        return f"{name} begins like a picture, but is damaged."
    return f"{name} is not a picture that can be read here; PNG, JPEG, WebP, GIF, BMP and TIFF can."


def _bmp_compression(head: bytes) -> int:
    return int.from_bytes(head[30:34], "little") if head[14:15] >= b"\x28" else 0


def _known_bmp(head: bytes) -> bool:
    """Whether a BMP's header is whole and makes sense."""
    size = int.from_bytes(head[14:18], "little")
    planes, bits = (22, 24) if size == 12 else (26, 28)
    return (
        12 <= size <= 124
        and len(head) >= 14 + size
        and head[planes] == 1
        and head[bits] in (1, 2, 4, 8, 16, 24, 32, 64)
    )
