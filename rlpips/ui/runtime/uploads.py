"""Read visitors' files, a few at a time, each in a process that is ended when it takes too long: a file may be made to."""

import json
import math
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rlpips import paths
from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.ui.runtime.queue import Client, Queue

AT_ONCE = 2
LIMIT_S = 10.0  # for one file; the largest pictures take about 2 s

_QUEUE = Queue(longest=40, at_once=AT_ONCE)


def read_picture(client: Client, path: str, max_side: int = images.LARGEST_SIDE) -> Picture:
    """A visitor's file as `images.read_picture` reads it, after those of others who came first.

    ValueError with a sentence for the visitor: for a picture that cannot be read, and for one that takes longer than `LIMIT_S`.
    """
    with _turn(client):
        return _read_picture(path, max_side)


def check_trace(client: Client, path: str) -> None:
    """ValueError with a sentence for a visitor's file that `Trace.load` cannot read; this process is spared the attempt."""
    with _turn(client), _decoder() as decoder:
        decoder.check_trace(Path(path))


@contextmanager
def _turn(client: Client) -> Iterator[None]:
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
    """The process of `rlpips.ui.runtime.decoder`, which starts with the first file, and again after it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def read_picture(self, path: Path, max_side: int) -> Picture:
        """The picture in a file; ValueError."""
        answer, data = self._answer({"path": str(path), "side": max_side})
        pixels = np.frombuffer(data, np.uint8).reshape(answer["shape"])
        return Picture(pixels, tuple(answer["notes"]), images.name_of(path), tuple(answer["size"]))

    def check_trace(self, path: Path) -> None:
        """ValueError unless the file is a trace."""
        self._answer({"path": str(path)})

    def _answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The answer to a request, and the bytes that follow it; ValueError for a refusal, and if there is no answer."""
        process = self._process = self._process or _start()
        ended = threading.Event()
        limit = threading.Timer(LIMIT_S, lambda: (ended.set(), process.kill()))
        limit.start()
        try:
            answer, data = _ask(process, request)
        except (OSError, EOFError) as error:  # it is gone
            process.kill()
            process.wait()
            self._process = None
            reason = (
                f"takes longer than {LIMIT_S:.0f} s to read" if ended.is_set() else "cannot be read: its decoder failed"
            )
            raise ValueError(f"{Path(request['path']).name} {reason}. Save it again, and try that.") from error
        finally:
            limit.cancel()
        if "refusal" in answer:
            raise ValueError(answer["refusal"])
        return answer, data


def _ask(process: subprocess.Popen, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise EOFError
    answer = json.loads(line)
    size = math.prod(answer.get("shape", [0]))
    data = process.stdout.read(size)
    if len(data) < size:
        raise EOFError
    return answer, data


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
