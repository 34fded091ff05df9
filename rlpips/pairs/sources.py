"""Where one picture of a pair comes from. A source is small and loads its picture when it is measured, so that any number of pairs
takes little memory."""

import io
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rlpips.data import images, limits, zips
from rlpips.pairs.arrays import Stack

_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")


@dataclass(frozen=True)
class Loaded:
    """A picture as it is measured: uint8, or float32 in [0, 1], (H, W, 3); its (height, width) before it was reduced; and
    sentences about what was changed."""

    pixels: np.ndarray
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """One picture. ValueError from `load`, with a sentence for the user, if it cannot be read."""

    @property
    def name(self) -> str:
        """Its name in tables."""

    @property
    def stamp(self) -> str:
        """What tells, without reading it, that it is still the same picture."""

    def load(self, max_side: int) -> Loaded:
        """Read it, reduced to at most `max_side` pixels a side."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A picture file, by its path within a folder."""

    name: str
    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / self.name

    @property
    def stamp(self) -> str:
        return stamp_of(self.path)

    def load(self, max_side: int) -> Loaded:
        return _loaded(images.read_picture(self.path, max_side), self.name)


class Archive:
    """An open zip, from which pictures are read without unpacking it to a disk."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(f"{path.name} is not a zip that can be read.") from error
        self._lock = threading.Lock()

    def read(self, entry: str) -> bytes:
        """The bytes of an entry. ValueError with a sentence."""
        try:
            with self._lock:
                return zips.unpack(self.zip, entry, int(limits.MAX_FILE_MB * 1e6))
        except zips.Refused as error:
            raise ValueError(f"{entry} in {self.path.name} cannot be read: {error}.") from error
        except RuntimeError as error:  # zipfile's word for a password
            raise ValueError(f"{entry} in {self.path.name} is locked with a password.") from error
        except Exception as error:  # damaged archives make it raise nearly anything
            raise ValueError(f"{entry} in {self.path.name} is damaged.") from error


@dataclass(frozen=True, slots=True)
class ZippedSource:
    """A picture in a zip."""

    name: str
    archive: Archive

    @property
    def stamp(self) -> str:
        return f"{stamp_of(self.archive.path)} {self.archive.zip.getinfo(self.name).CRC}"

    def load(self, max_side: int) -> Loaded:
        file = _NamedBytes(self.archive.read(self.name))
        file.name = self.name
        return _loaded(images.read_picture(file, max_side), self.name)


class _NamedBytes(io.BytesIO):
    name = ""  # sentences about it begin with this


@dataclass(frozen=True, slots=True)
class ArraySource:
    """A picture of a stack."""

    stack: Stack = field(repr=False)
    index: int

    @property
    def name(self) -> str:
        return f"{self.stack.name}[{self.index}]"

    @property
    def stamp(self) -> str:
        return f"{stamp_of(self.stack.file) if self.stack.file else ''} {self.name} {self.stack.range}"

    def load(self, max_side: int) -> Loaded:
        pixels, size = self.stack.picture(self.index), self.stack.size
        if max(size) <= max_side:
            return Loaded(pixels, size)
        scale = max_side / max(size)
        height, width = (max(1, round(side * scale)) for side in size)
        pixels = images.resize(np.ascontiguousarray(images.levels(pixels)), (height, width))
        return Loaded(pixels, size, (f"Downscaled from {size[1]}×{size[0]} to {width}×{height} pixels.",))


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """A picture at hand: a PIL image, an array, bytes, or a `Picture`."""

    name: str
    picture: Any = field(repr=False)
    stamp: str = ""

    def load(self, max_side: int) -> Loaded:
        return _loaded(images.read_picture(self.picture, max_side), self.name)


def _loaded(picture: images.Picture, name: str) -> Loaded:
    notes = picture.notes
    if name.lower().endswith(_LOSSY):
        notes = (*notes, "A JPEG keeps little of a perturbation that was saved in it.")
    return Loaded(picture.pixels, picture.size, notes)


def stamp_of(path: Path) -> str:
    """What changes when a file does. OSError if it is gone."""
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"
