"""A process that answers questions about visitors' files, and is ended when an answer takes too long: a file may be made to."""

import json
import math
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from rlpips import paths


class Child:
    """`python -m MODULE`, started with the first question, and again after it was ended. Not for several threads at once.

    It reads lines of JSON. To each it answers with a line: {"refusal"}, or whatever it has to say; a "shape", and a "dtype" other than
    uint8, announce the bytes of an array, which follow.
    """

    def __init__(self, module: str):
        self._module = module
        self._process: subprocess.Popen | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is there; a new one knows nothing of what the last one was told."""
        return self._process is not None

    def ask(self, request: dict[str, Any], name: str, limit_s: float) -> tuple[dict[str, Any], bytes]:
        """The answer to a request, and the bytes that follow it; ValueError for a refusal, and if there is none within
        so many seconds. `name` is the file of which sentences speak."""
        process = self._process = self._process or self._start()
        ended = threading.Event()
        limit = threading.Timer(limit_s, lambda: (ended.set(), process.kill()))
        limit.start()
        try:
            answer, data = _ask(process, request)
        except (OSError, EOFError) as error:  # it is gone
            self.end()
            late = f"takes longer than {limit_s:.0f} s to read"
            reason = late if ended.is_set() else "cannot be read: its decoder failed"
            raise ValueError(f"{name} {reason}. Save it again, and try that.") from error
        finally:
            limit.cancel()
        if "refusal" in answer:
            raise ValueError(answer["refusal"])
        return answer, data

    def end(self) -> None:
        """End it, if it is there."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not sent cannot be
                    pipe.close()  # type: ignore[union-attr]

    def _start(self) -> subprocess.Popen:
        # One thread: the pools of others would count against the process's bound on memory.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", self._module],
            cwd=paths.ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def _ask(process: subprocess.Popen, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise EOFError
    answer = json.loads(line)
    size = math.prod(answer.get("shape", [0])) * (4 if answer.get("dtype") == "float32" else 1)
    data = process.stdout.read(size)
    if len(data) < size:
        raise EOFError
    return answer, data
