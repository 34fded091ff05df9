"""Read visitors' pictures, a few at a time, each in a process that is ended when it takes too long: a file may be made to."""

import json
import os
import queue
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np

from rlpips import paths
from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.ui.runtime.queue import Client, Queue

AT_ONCE = 2
LIMIT_S = 10.0  # for one picture; the largest take about 2 s

_QUEUE = Queue(longest=40, at_once=AT_ONCE)


def read(client: Client, path: str, max_side: int = images.LARGEST_SIDE) -> Picture:
    """A visitor's file as `images.read_picture` reads it, after those of others who came first.

    ValueError with a sentence for the visitor: for a picture that cannot be read, and for one that takes longer than `LIMIT_S`.
    """
    with _QUEUE.join(client) as place:
        for _ in place.turn():  # others read theirs
            pass
        return _read(path, max_side)


@lru_cache(maxsize=8)  # the same picture is read when it comes and for every run; every upload has a path of its own
def _read(path: str, max_side: int) -> Picture:
    decoder = _idle.get()
    try:
        return decoder.read(Path(path), max_side)
    finally:
        _idle.put(decoder)


class _Decoder:
    """The process of `rlpips.ui.runtime.decoder`, which starts with the first picture, and again after it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def read(self, path: Path, max_side: int) -> Picture:
        process = self._process = self._process or _start()
        ended = threading.Event()
        limit = threading.Timer(LIMIT_S, lambda: (ended.set(), process.kill()))
        limit.start()
        try:
            return self._ask(process, path, max_side)
        except (OSError, EOFError) as error:  # it is gone
            process.kill()
            process.wait()
            self._process = None
            reason = (
                f"takes longer than {LIMIT_S:.0f} s to read" if ended.is_set() else "cannot be read: its decoder failed"
            )
            raise ValueError(f"{path.name} {reason}. Save it again as PNG, and try that.") from error
        finally:
            limit.cancel()

    def _ask(self, process: subprocess.Popen, path: Path, max_side: int) -> Picture:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"path": str(path), "side": max_side}).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise EOFError
        answer = json.loads(line)
        if "refusal" in answer:
            raise ValueError(answer["refusal"])
        height, width, _ = answer["shape"]
        data = process.stdout.read(3 * height * width)
        if len(data) < 3 * height * width:
            raise EOFError
        pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        return Picture(pixels, tuple(answer["notes"]), images.name_of(path), tuple(answer["size"]))


def _start() -> subprocess.Popen:
    # One thread: the pools of others would count against the process's bound on memory.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "rlpips.ui.runtime.decoder"]
    return subprocess.Popen(
        command,
        cwd=paths.ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


_idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
for _ in range(AT_ONCE):
    _idle.put(_Decoder())
