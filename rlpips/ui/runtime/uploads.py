"""Read visitors' files, a few at a time, each in a process that is ended when it takes too long: a file may be made to."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.ui.runtime.child import Child
from rlpips.ui.runtime.queue import Client, Queue

AT_ONCE = 2
LIMIT_S = 10.0  # for one file; the largest pictures take about 2 s

_QUEUE = Queue(longest=40, at_once=AT_ONCE)


def read_picture(client: Client, path: str, max_side: int = images.LARGEST_SIDE) -> Picture:
    """A visitor's file as `images.read_picture` reads it, after those of others who came first.

    ValueError with a sentence for the visitor: for a picture that cannot be read, and for one that takes longer than `LIMIT_S`.
    """
    with turn(client):
        return _read_picture(path, max_side)


def check_trace(client: Client, path: str) -> None:
    """ValueError with a sentence for a visitor's file that `Trace.load` cannot read; this process is spared the attempt."""
    with turn(client), _decoder() as decoder:
        decoder.check_trace(Path(path))


@contextmanager
def turn(client: Client) -> Iterator[None]:
    """A place among those whose files are read, when it is free."""
    with _QUEUE.join(client) as place:
        for _ in place.turn():  # others have theirs read
            pass
        yield


@contextmanager
def _decoder() -> Iterator["_Decoder"]:
    decoder = _idle.get()
    try:
        yield decoder
    finally:
        _idle.put(decoder)


@lru_cache(maxsize=8)  # the same picture is read when it comes and for every run; every upload has a path of its own
def _read_picture(path: str, max_side: int) -> Picture:
    with _decoder() as decoder:
        return decoder.read_picture(Path(path), max_side)


class _Decoder:
    """The process of `rlpips.ui.runtime.decoder`."""

    def __init__(self) -> None:
        self._child = Child("rlpips.ui.runtime.decoder")

    def read_picture(self, path: Path, max_side: int) -> Picture:
        """The picture in a file; ValueError."""
        answer, data = self._child.ask({"path": str(path), "side": max_side}, path.name, LIMIT_S)
        pixels = np.frombuffer(data, np.uint8).reshape(answer["shape"])
        return Picture(pixels, tuple(answer["notes"]), images.name_of(path), tuple(answer["size"]))

    def check_trace(self, path: Path) -> None:
        """ValueError unless the file is a trace."""
        self._child.ask({"path": str(path)}, path.name, LIMIT_S)


_idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
for _ in range(AT_ONCE):
    _idle.put(_Decoder())
