"""FLIP for the page, measured in a process of its own (see `flip_process`), for one visitor at a time."""

import json
import logging
import math
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rlpips import paths
from rlpips.metrics import eye
from rlpips.traces.schema import Eye
from rlpips.traces.trace import Trace

if TYPE_CHECKING:  # it imports torch
    from rlpips.engine.eye import Flip

log = logging.getLogger(__name__)

LARGEST = 512 * 512  # pixels: there the ten comparisons of a duel take some 3 s, at 1024×1024 nearly a minute
TOO_LARGE = "FLIP, the model of the eye, takes too long for pictures of more than 512×512 pixels, and is left out."
FAILED = "FLIP, the model of the eye, failed here; the server's log says how."

_TURN = threading.Lock()


def look(trace: Trace) -> Iterator[Eye | str | None]:
    """Ask FLIP about the last pictures of a trace: yields None after each comparison, and last the `Eye`, or a sentence that says why
    there is none. To close the generator ends the process."""
    height, width = trace.reference.shape[:2]
    if not eye.is_installed():
        yield eye.MISSING
    elif height * width > LARGEST:
        yield TOO_LARGE
    else:
        try:
            yield from _look(trace)
        except (OSError, EOFError) as error:  # the process is gone
            log.error("FLIP was not measured.", exc_info=error)
            yield FAILED


def distances(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """What FLIP finds of pairs of pictures, each uint8 (H, W, 3); none where it is not installed, or fails."""
    if not eye.is_installed():
        return []
    try:
        with _TURN, process() as flip:
            return [flip(x, y)[0] for x, y in pairs]
    except (OSError, EOFError) as error:
        log.error("FLIP was not measured.", exc_info=error)
        return []


def _look(trace):
    from rlpips.engine import eye as engine

    while not _TURN.acquire(timeout=0.1):
        yield None
    try:
        with process() as flip:
            known = _known_copies(trace.reference.tobytes(), trace.reference.shape)
            yield from engine.look(trace.reference, trace.adversarial, flip, known)
    finally:
        _TURN.release()


@lru_cache(maxsize=32)  # the same picture is attacked again and again
def _known_copies(data, shape):
    """What is measured of a picture's JPEG copies, {severity: distance}, to be added to."""
    return {}


@contextmanager
def process() -> "Iterator[Flip]":
    """`rlpips.metrics.eye.flip` in a process of its own, which starts with the first call and ends with the context; EOFError or OSError if
    it fails."""
    started: list[subprocess.Popen] = []

    def flip(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        if not started:
            command = [sys.executable, "-m", "rlpips.ui.runtime.flip_process"]
            started.append(subprocess.Popen(command, cwd=paths.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        process = started[0]
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"shape": x.shape}).encode() + b"\n" + x.tobytes() + y.tobytes())
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise EOFError("The process of FLIP has ended.")
        answer = json.loads(line)
        size = 4 * math.prod(answer["shape"])
        data = process.stdout.read(size)
        if len(data) < size:
            raise EOFError("The process of FLIP has ended.")
        return answer["distance"], np.frombuffer(data, np.float32).reshape(answer["shape"])

    try:
        yield flip
    finally:
        for process in started:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what is left for it to read
                    pipe.close()  # type: ignore[union-attr]
            process.wait()
