"""Finished duels, so that the same request is answered at once: in a class all press Run on the same picture."""

import hashlib
import json
import os
import threading
from collections import OrderedDict

import numpy as np


def key(asked: dict, name: str) -> str:
    """What stands for a request: arguments for `rlpips.attack_steps`, and the picture's name, which the answer shows.

    The names of metrics and backbone stand for their weights, which do not change while the server runs.
    """
    digest = hashlib.sha256(name.encode())
    for what, value in sorted(asked.items()):
        if isinstance(value, np.ndarray):
            value = value.shape, value.dtype.str, hashlib.sha256(np.ascontiguousarray(value)).hexdigest()
        digest.update(repr((what, value)).encode())
    return digest.hexdigest()


class Remembered:
    """(viewer message, words) of finished duels; the least recently used goes, so that all take at most `most` bytes.

    The pictures of a message are files, which count. Old files may be swept away: such a duel is forgotten.
    """

    def __init__(self, most: int):
        self._most = most
        self._lock = threading.Lock()
        # key -> (message as JSON, words, paths of its files, bytes), the least recently used first. As JSON, since the
        # thousands of numbers of a message take several times as much as objects.
        self._kept = OrderedDict()

    @property
    def size(self) -> int:
        """How many bytes all of it takes."""
        return sum(size for *_, size in self._kept.values())

    def get(self, key: str):
        """(message, words), whose files are then as good as new; None if there is no such duel."""
        with self._lock:
            message, words, paths, _ = self._kept.get(key, (None, None, (), 0))
            try:
                for path in paths:
                    os.utime(path)  # their age counts from their last use
            except FileNotFoundError:
                del self._kept[key]
                return None
            if not message:
                return None
            self._kept.move_to_end(key)
        return json.loads(message), words

    def put(self, key: str, message: dict, words: str) -> None:
        """Keep a complete message, for as long as there is room."""
        paths = list(_paths(message))
        try:
            packed = json.dumps(message).encode()
            size = len(packed) + sum(os.path.getsize(path) for path in paths)
        except FileNotFoundError:  # swept away already, where there is little room
            return
        if size > self._most:
            return
        with self._lock:
            self._kept[key] = packed, words, paths, size
            self._kept.move_to_end(key)
            while self.size > self._most:
                self._kept.popitem(last=False)


def _paths(value):
    """The paths of all files in a message, as Gradio's FileData dicts."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _paths(each)
