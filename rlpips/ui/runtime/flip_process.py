"""A process that measures FLIP for the page: `python -m rlpips.ui.runtime.flip_process`, which `flip` starts and ends.

FLIP holds Python's lock while it measures, so in the page's own process every visitor would wait. Every line of the input is the JSON
{"shape"} of two pictures, whose bytes follow. It writes a line {"distance", "shape"}, then the bytes of the map, float32.
"""

import json
import math
import os
import sys
from contextlib import suppress

import numpy as np

from rlpips.metrics.eye import flip

_NICE = 10  # of the two, the run that somebody watches goes first


def main() -> None:
    """Answer until the input ends."""
    with suppress(AttributeError, OSError):
        os.nice(_NICE)
    for line in sys.stdin.buffer:
        shape = json.loads(line)["shape"]
        x, y = (np.frombuffer(sys.stdin.buffer.read(math.prod(shape)), np.uint8).reshape(shape) for _ in range(2))
        distance, errors = flip(x, y)
        answer = json.dumps({"distance": distance, "shape": errors.shape}).encode()
        sys.stdout.buffer.write(answer + b"\n" + errors.astype(np.float32).tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
