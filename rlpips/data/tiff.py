"""Look into a TIFF before it is decoded: what it is, and whether Pillow would read it wrongly or without bound.

A camera's raw file is often a TIFF that begins with a thumbnail. Pillow reads the values of all tags, and many tags may point to
the same bytes. Every refusal is a ValueError with a sentence for the user.
"""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from rlpips.data import limits

BEGINNINGS = (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"II+\0", b"MM\0+")  # as Pillow accepts, and big-endian BigTIFF

# Tags of TIFF 6.0, TIFF/EP and DNG, and values of them
_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
_STRIPS, _STRIP_BYTES, _PLANES, _TILE_WIDTH, _TILE_LENGTH, _TILES, _TILE_BYTES = 273, 279, 284, 322, 323, 324, 325
_SUB_DIRECTORIES, _INKS, _SAMPLE_FORMAT, _DNG_VERSION = 330, 332, 339, 50706
_EXIF, _GPS, _INTEROPERABILITY = 34665, 34853, 40965  # directories that Pillow reads too
_UNCOMPRESSED, _OLD_JPEG, _JPEG = 1, 6, 7
_WHITE_IS_ZERO, _YCBCR, _SENSOR, _LINEAR_SENSOR = 0, 6, 32803, 34892
_SIGNED, _FLOAT, _SEPARATE, _NOT_CMYK = 2, 3, 2, 2

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "u1", 3: "u2", 4: "u4", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}  # types of whole numbers
_MOST_DIRECTORIES = 32


class _Directory(NamedTuple):
    place: int
    numbers: dict[int, list[int]]  # of each tag; none for texts and fractions
    size: int  # bytes that the values of all tags take
    next: int

    def first(self, tag: int, missing: int = 0) -> int:
        return self.numbers[tag][0] if self.numbers.get(tag) else missing

    def all(self, *tags: int) -> list[int]:
        return next((self.numbers[tag] for tag in tags if self.numbers.get(tag)), [])

    @property
    def area(self) -> int:
        return self.first(_WIDTH) * self.first(_LENGTH)


def check(stream: BinaryIO, length: int, name: str) -> None:
    """ValueError for a TIFF of `length` bytes that holds no finished picture first, or that would be read wrongly."""
    directories = _directories(stream, length)
    if not directories:
        return  # Pillow will say that it is damaged
    if sum(each.size for each in directories) > 2 * length:
        raise ValueError(f"{name} is damaged: its tags need more bytes than it has.")
    first = directories[0]
    if _DNG_VERSION in first.numbers or any(
        each.first(_PHOTOMETRIC) in (_SENSOR, _LINEAR_SENSOR) for each in directories
    ):
        raise ValueError(raw_sentence(name))
    larger = any(each.area > first.area for each in directories if each.place in first.all(_SUB_DIRECTORIES))
    if first.first(_SUBFILE_TYPE) & 1 or first.first(_OLD_SUBFILE_TYPE) == 2 or larger:
        raise ValueError(
            f"{name} begins with a thumbnail, as cameras' raw files do; develop it and save it as PNG or TIFF."
        )
    if kind := _misread(first):
        raise ValueError(f"{name} is a TIFF {kind}, which cannot be read here; save it as PNG.")
    limits.check_pixels(first.first(_TILE_WIDTH), first.first(_TILE_LENGTH), name, "a tile of a TIFF")
    if first.first(_COMPRESSION) == _JPEG and not _plain_jpegs(first, stream, length):
        raise ValueError(f"{name} is a TIFF with an unusual JPEG in it, which cannot be read here; save it as PNG.")


def raw_sentence(name: str) -> str:
    """The sentence for a camera's raw file."""
    return f"{name} is a camera's raw file, not a picture yet; develop it and save it as PNG or TIFF."


def unknown_kind(stream: BinaryIO, length: int) -> str | None:
    """What a TIFF that Pillow does not know is; None if it is damaged."""
    directories = _directories(stream, length)
    if not directories or not directories[0].area:
        return None
    first = directories[0]
    offsets, counts = first.all(_STRIPS, _TILES), first.all(_STRIP_BYTES, _TILE_BYTES)
    whole = offsets and len(offsets) == len(counts) and all(a + b <= length for a, b in zip(offsets, counts))
    bits = first.all(_BITS) or [1]
    if not whole or not all(0 < each <= 64 for each in bits):
        return None
    numbers = {_SIGNED: "signed", _FLOAT: "float"}.get(first.first(_SAMPLE_FORMAT), "unsigned")
    values = f"{len(bits)} values" if len(bits) > 1 else "1 value"
    return f"{values} a pixel of {max(bits)} bits, {numbers}, compression {first.first(_COMPRESSION, _UNCOMPRESSED)}"


def _misread(first: _Directory) -> str | None:
    """What makes Pillow read a TIFF wrongly, if anything."""
    bits, compression = max(first.all(_BITS), default=1), first.first(_COMPRESSION, _UNCOMPRESSED)
    if compression == _OLD_JPEG:
        return "with JPEG compression of the old kind"
    if first.first(_INKS) == _NOT_CMYK:
        return "of inks other than CMYK"
    if _SIGNED in first.all(_SAMPLE_FORMAT) and bits <= 16:
        return "of signed numbers"
    if compression == _UNCOMPRESSED and first.first(_PHOTOMETRIC) == _YCBCR and len(first.all(_BITS)) > 1:
        return "of YCbCr without compression"
    if first.first(_PLANES) == _SEPARATE and len(first.all(_BITS)) > 1 and bits > 8:
        return "of separate planes of 16 bits"
    return None


def _plain_jpegs(first: _Directory, stream: BinaryIO, length: int) -> bool:
    """Whether no JPEG of a strip has more scans than colours, and strips share no bytes: so work has a bound."""
    offsets, counts = first.all(_STRIPS, _TILES), first.all(_STRIP_BYTES, _TILE_BYTES)
    if len(offsets) != len(counts) or sum(counts) > length or min(offsets + counts, default=0) < 0:
        return False
    for offset, count in zip(offsets, counts):
        stream.seek(offset)
        if limits.count_scans(stream.read(count)) > 4:
            return False
    return True


def _directories(stream: BinaryIO, length: int) -> list[_Directory]:
    """The first directory, those inside it and those after it, as far as they can be read; none if the first cannot."""
    stream.seek(0)
    head = stream.read(16)
    big, order = head[2:3] == b"+", "<" if head[:2] == b"II" else ">"
    if len(head) < 16:
        return []
    directories: list[_Directory] = []
    todo = [struct.unpack(order + "Q", head[8:16])[0] if big else struct.unpack(order + "L", head[4:8])[0]]
    while todo and len(directories) < _MOST_DIRECTORIES:
        place = todo.pop(0)
        if not 0 < place < length or place in (each.place for each in directories):
            continue
        directory = _read(stream, place, length, order, big)
        if directory is None:
            continue
        directories.append(directory)
        for tag in (_SUB_DIRECTORIES, _EXIF, _GPS, _INTEROPERABILITY):
            todo += directory.all(tag)[:_MOST_DIRECTORIES]
        todo.append(directory.next)
    return directories


def _read(stream: BinaryIO, place: int, length: int, order: str, big: bool) -> _Directory | None:
    entry, inline, counter = (order + "HHQ8s", 8, order + "Q") if big else (order + "HHL4s", 4, order + "H")
    stream.seek(place)
    try:
        entries = struct.unpack(counter, stream.read(struct.calcsize(counter)))[0]
        table = stream.read(min(entries, length) * struct.calcsize(entry))
        tags = list(struct.iter_unpack(entry, table))
        following = struct.unpack(counter.replace("H", "L"), stream.read(inline))[0]
    except struct.error:
        return None
    numbers: dict[int, list[int]] = {}
    total = 0
    for tag, kind, count, value in tags:
        size = count * _SIZES.get(kind, 0)
        total += size
        numbers.setdefault(tag, [])
        if kind in _WHOLE and size <= length:
            if size > inline:
                stream.seek(struct.unpack(order + ("Q" if big else "L"), value)[0] & (2**63 - 1))
                value = stream.read(size)
            if len(value) >= size and total <= 2 * length:
                numbers[tag] = np.frombuffer(value[:size], order + _WHOLE[kind]).tolist()
    return _Directory(place, numbers, total, following)
