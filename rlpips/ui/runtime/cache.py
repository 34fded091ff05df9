"""Finished runs, so that the same request is answered at once: in a class all press Run on the same picture."""

import dataclasses
import hashlib
import json
import os
import threading
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from rlpips.ui.runtime import files


def key(request: Any, name: str) -> str | None:
    """The key of a request, a dataclass, and of the picture's name, which the answer shows.

    The names of metrics and backbone stand for their weights, which do not change while the server runs. A metric that has no name in the
    catalogue has no key, and neither has its request.
    """
    if not all(isinstance(metric, str) for metric in getattr(request, "metrics", ())):
        return None
    digest = hashlib.sha256(name.encode())
    for field in dataclasses.fields(request):
        value = getattr(request, field.name)
        if isinstance(value, np.ndarray):
            value = value.shape, value.dtype.str, hashlib.sha256(value.tobytes()).hexdigest()
        digest.update(repr((field.name, value)).encode())
    return digest.hexdigest()


class _Entry(NamedTuple):
    message: bytes  # as JSON: as objects the thousands of numbers of a message take several times as much memory
    text: str
    paths: list[str]  # of the files that the message names
    size: int  # bytes of message and files


class FinishedRuns:
    """(viewer message, text) of finished runs, at most `limit` bytes; the least recently used goes first.

    The pictures of a message are files, which count. A run whose files were deleted meanwhile is forgotten.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the least recently used first

    @property
    def size(self) -> int:
        """How many bytes all of it takes."""
        return sum(entry.size for entry in self._entries.values())

    def get(self, key: str) -> tuple[dict, str] | None:
        """(message, text), whose files count as used now; None if there is no such run."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            try:
                for path in entry.paths:
                    os.utime(path)  # the files unused for longest are deleted first
            except FileNotFoundError:
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
        return json.loads(entry.message), entry.text

    def put(self, key: str, message: dict, text: str) -> None:
        """Store a complete message, for as long as there is room."""
        paths = list(files.paths(message))
        try:
            data = json.dumps(message).encode()
            size = len(data) + sum(os.path.getsize(path) for path in paths)
        except FileNotFoundError:  # deleted already, where there is little room
            return
        if size > self._limit:
            return
        with self._lock:
            self._entries[key] = _Entry(data, text, paths, size)
            self._entries.move_to_end(key)
            while self.size > self._limit:
                self._entries.popitem(last=False)
