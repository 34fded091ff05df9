"""Pictures in arrays: `.npy`, `.npz`, `.pt`, `.safetensors`, and arrays and tensors at hand, as a stack of N pictures."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlpips.data.images import SMALLEST_SIDE
from rlpips.pairs import values
from rlpips.pairs.matching import read_name

ENDINGS = (".npy", ".npz", ".pt", ".pth", ".safetensors")
MAX_GB = 16  # that a `.npz` may unpack to, as it is held in memory; the other kinds are read where they lie
_CHUNK = 1 << 24  # values looked at together


class _Refused(ValueError):
    """A sentence of ours, as opposed to what a reader of files says."""


class Stack:
    """N pictures in one array: (N, 3, H, W), (N, H, W, 3), grey with one channel, or one picture (3, H, W) or (H, W, 3).

    `array` is a numpy array, a tensor, or what safetensors reads slices from. `range` is the name of the range of its values
    (`rlpips.pairs.values`), to be set before pictures are taken. ValueError for another shape.
    """

    def __init__(self, name: str, array: Any, shape: tuple[int, ...], file: Path | None = None):
        self.name, self.range, self.file = name, "", file
        self._array, self._single = array, len(shape) == 3
        shape = (1, *shape) if self._single else shape
        first, last = shape[1] in (1, 3), shape[-1] in (1, 3)
        if len(shape) != 4 or not (first or last) or not all(shape):
            raise ValueError(
                f"{name} has the shape {tuple(shape)}; pictures are (N, 3, H, W) or (N, H, W, 3), all of one size."
            )
        self._channels_first = first and not (last and shape[-1] == 3)
        height, width = shape[2:] if self._channels_first else shape[1:3]
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f"{name} holds pictures of {width}×{height} pixels; a picture needs at least {SMALLEST_SIDE} a side."
            )
        self.size = height, width
        self._length = shape[0]

    def __len__(self) -> int:
        return self._length

    def span(self) -> values.Span:
        """The dtype and the least and greatest value of all pictures. ValueError for values that cannot be pixels."""
        step = max(1, _CHUNK // (3 * self.size[0] * self.size[1]))
        parts = [values.span_of(self._rows(start, start + step), self.name) for start in range(0, len(self), step)]
        return values.Span(parts[0].dtype, min(part.low for part in parts), max(part.high for part in parts))

    def picture(self, index: int) -> np.ndarray:
        """One picture (H, W, 3), uint8, or float32 in [0, 1]."""
        return values.to_unit(self._rows(index, index + 1)[0], self.range)

    def _rows(self, start: int, stop: int) -> np.ndarray:
        """(n, H, W, 3), as they are written."""
        part = self._array[start:stop] if not self._single else self._array[:]
        part = _numpy(part)
        part = part[None] if self._single else part
        part = np.moveaxis(part, 1, -1) if self._channels_first else part
        return np.repeat(part, 3, -1) if part.shape[-1] == 1 else part


def stacks_of(path: Path) -> dict[str, Stack]:
    """The stacks in a file, by their names in it. Arrays that can be no pictures, such as labels, are passed over. ValueError with a
    sentence for a file that cannot be read or holds no pictures."""
    kind = path.suffix.lower()
    try:
        found = list(_READERS[kind](path))
    except (_Refused, MemoryError):
        raise
    except Exception as error:  # damaged files make readers raise nearly anything
        why = ""
        if kind in (".pt", ".pth"):
            why = " It must hold tensors, alone or in a dict, list or tuple; objects of other classes are not loaded, as that could run code."
        raise ValueError(f"{path.name} is damaged or cannot be read as {kind}.{why}") from error
    stacks, refusals = {}, []
    for key, array, shape in found:
        if len(shape) == 5 and shape[0] == 2:  # originals and attacked pictures on one another
            found += [(f"{key}[{place}]", array[place], shape[1:]) for place in (0, 1)]
            continue
        if len(shape) < 3:
            continue
        try:
            stacks[key] = Stack(f"{path.name}[{key}]" if key else path.name, array, shape, path.absolute())
        except ValueError as error:
            refusals.append(str(error))
    if not stacks:
        raise ValueError(refusals[0] if refusals else f"{path.name} holds no pictures, only {_listed(found)}.")
    return stacks


def split(name: str, stacks: dict[str, Stack]) -> tuple[Stack, list[Stack], str]:
    """Of the stacks in one file the originals, the attacked ones, and a sentence about how they were told apart. ValueError where that is
    not clear."""
    roles = {key: read_name(key).role for key in stacks}
    clean = [key for key in stacks if roles[key] == "clean"]
    attacked = [key for key in stacks if roles[key] == "attacked"]
    silent = [key for key in stacks if not roles[key]]
    if attacked and not clean:
        clean = silent
    elif clean and not attacked:
        attacked = silent
    if len(clean) == 1 and attacked:
        return stacks[clean[0]], [stacks[key] for key in attacked], f"{name}: {clean[0]} has the originals."
    if len(stacks) == 2 and not clean:
        first, second = stacks
        return (
            stacks[first],
            [stacks[second]],
            f"{name}: its first array ({first}) is taken as the originals, its second ({second}) as the attacked pictures.",
        )
    raise ValueError(
        f"{name} holds {', '.join(stacks)}; one array of originals and one of attacked pictures are needed, "
        "called clean and adv, say, or in two files."
    )


def _numpy(part: Any) -> np.ndarray:
    if isinstance(part, np.ndarray):
        return part
    part = part.detach().cpu()
    return (part.float() if part.is_floating_point() else part).numpy()


def _npy(path: Path) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    yield "", array, array.shape


def _npz(path: Path) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_GB * 1e9:
        raise _Refused(f"{path.name} unpacks to {size / 1e9:.0f} GB; at most {MAX_GB} are read. Save it as .npy.")
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            yield key, (array := arrays[key]), array.shape


def _pt(path: Path) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    import torch

    mapped = zipfile.is_zipfile(path)  # older files cannot be read where they lie
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    if isinstance(content, torch.Tensor):
        content = {"": content}
    elif isinstance(content, (list, tuple)):
        content = {str(place): each for place, each in enumerate(content)}
    if not isinstance(content, dict):
        raise _Refused(f"{path.name} holds a {type(content).__name__}; tensors are needed.")
    for key, each in content.items():
        if isinstance(each, (torch.Tensor, np.ndarray)):
            yield str(key), each, tuple(each.shape)


def _safetensors(path: Path) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    from safetensors import safe_open

    file = safe_open(path, framework="pt")
    for key in file.keys():  # noqa: SIM118  # it is no dict
        part = file.get_slice(key)
        yield key, part, tuple(part.get_shape())


_READERS = {".npy": _npy, ".npz": _npz, ".pt": _pt, ".pth": _pt, ".safetensors": _safetensors}


def _listed(found: list[tuple[str, Any, tuple[int, ...]]]) -> str:
    return ", ".join(f"{key or 'an array'} of shape {shape}" for key, _, shape in found) or "nothing"
