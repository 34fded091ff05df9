"""The pictures that one side of the pairs holds: those of a folder, a zip or a list by their names in it, or stacks of them in arrays."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from rlpips.data import file_types, images
from rlpips.pairs import arrays, values
from rlpips.pairs.arrays import Stack
from rlpips.pairs.inputs import Problem
from rlpips.pairs.sources import Archive, ArraySource, FileSource, ObjectSource, Source, ZippedSource

_JUNK = ("thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db")


@dataclass
class Collection:
    """The pictures of a folder, a zip or a list, by their names in it."""

    label: str
    sources: dict[str, Source] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    order: list[str] | None = None  # of a list, whose order means something: names, of what is not read, too


def open_side(given: Any, name: str) -> Collection | dict[str, Stack]:
    """What one side holds: pictures, or stacks of them in one file. `name` is for arrays at hand, which have none."""
    if isinstance(given, (list, tuple)):
        return _open_list(given)
    if isinstance(given, (Image.Image, images.Picture, bytes)):
        return Collection("a picture", {"picture": ObjectSource(images.name_of(given), given)})
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        if path.is_dir():
            return _open_folder(path)
        if not path.exists():
            raise ValueError(f"There is no file or folder called {path.name}.")
        if path.suffix.lower() in arrays.ENDINGS:
            return arrays.stacks_of(path)
        if path.suffix.lower() == ".zip":
            return _open_zip(path)
        if path.suffix.lower() in file_types.ENDINGS:
            return Collection(path.name, {path.name: FileSource(path.name, path.absolute().parent)})
        raise ValueError(
            f"{path.name} is of a kind that is not read here; pairs come as folders, zips, pictures, CSV, "
            f"{', '.join(arrays.ENDINGS)}."
        )
    if hasattr(given, "shape") and hasattr(given, "dtype"):
        return {"": Stack(name, given, tuple(given.shape))}
    raise ValueError(f"Expected pictures: a path, a list, an array or a tensor; got {type(given).__name__}.")


def _open_list(given: Sequence[Any]) -> Collection:
    collection, order = Collection(f"{len(given)} pictures"), []
    paths = all(isinstance(each, (str, os.PathLike)) for each in given)
    folder = Path(os.path.commonpath([Path(each).absolute().parent for each in given])) if given and paths else Path()
    for place, each in enumerate(given):
        name = Path(each).absolute().relative_to(folder).as_posix() if paths else str(place)
        order.append(name)
        if not paths:
            collection.sources[name] = _item(each, place)
        elif PurePosixPath(name).suffix.lower() in file_types.ENDINGS and not _is_junk(Path(name).name):
            collection.sources[name] = FileSource(name, folder)
        elif not _is_junk(Path(name).name):
            collection.problems.append(Problem(name, _not_a_picture(name)))
    collection.order = order
    return collection


def _item(given: Any, place: int) -> Source:
    """One of a list."""
    if hasattr(given, "shape") and hasattr(given, "detach"):  # a tensor (3, H, W)
        return _single(f"picture {place}", given)
    if isinstance(given, (str, os.PathLike)):
        return FileSource(Path(given).name, Path(given).absolute().parent)
    return ObjectSource(f"{images.name_of(given)} {place}", given)


def _single(name: str, tensor: Any) -> ArraySource:
    stack = Stack(name, tensor, tuple(tensor.shape))
    try:
        stack.range = values.recognise(stack.span())
    except ValueError as error:
        raise ValueError(f"{name} {error}.") from error
    return ArraySource(stack, 0)


def _open_folder(folder: Path) -> Collection:
    whole = folder.absolute()
    collection = Collection(whole.name)
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        for file in sorted(files):
            name = Path(place, file).relative_to(folder).as_posix()
            _sort_in(collection, name, lambda name: FileSource(name, whole))
    return _nonempty(collection, f"{folder.name or folder} has no pictures.")


def _open_zip(path: Path) -> Collection:
    collection, archive = Collection(path.name), Archive(path)
    for entry in sorted(archive.zip.namelist()):
        if not entry.endswith("/"):
            _sort_in(collection, entry, lambda name: ZippedSource(name, archive))
    return _nonempty(collection, f"{path.name} has no pictures.")


def _sort_in(collection: Collection, name: str, make: Any) -> None:
    if any(_is_junk(part) for part in PurePosixPath(name).parts):
        return
    if PurePosixPath(name).suffix.lower() in file_types.ENDINGS:
        collection.sources[name] = make(name)
    else:
        collection.problems.append(Problem(name, _not_a_picture(name)))


def _nonempty(collection: Collection, sentence: str) -> Collection:
    if collection.sources:
        return collection
    others = [problem.name for problem in collection.problems]
    raise ValueError(
        sentence + (f" It has {len(others)} files of other kinds, {others[0]} the first." if others else "")
    )


def _is_junk(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind: hidden files, `._*`, `Thumbs.db`."""
    return name.startswith(".") or name.casefold() in _JUNK


def _not_a_picture(name: str) -> str:
    kind = PurePosixPath(name).suffix or "no ending"
    return f"Not a kind of picture that is read here ({kind})."
