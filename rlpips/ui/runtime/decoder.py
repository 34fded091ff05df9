"""A process that decodes pictures for the page: `python -m rlpips.ui.runtime.decoder`, which `pictures` starts and may end.

For every line of its input, the JSON {"path", "side"}, it writes a line of JSON, {"refusal"} or {"shape", "notes", "size"}, and
after the latter the bytes of the pixels.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from rlpips.data import decoding

_MEMORY = 1_500_000_000  # bytes of addresses, several times what the largest picture takes
_NICE = 5  # of the two, the run that somebody watches goes first


def main() -> None:
    """Answer until the input ends."""
    _bound()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            picture = decoding.decode_file(Path(request["path"]), request["side"])
            answer = {"shape": picture.pixels.shape, "notes": picture.notes, "size": picture.size}
            pixels = picture.pixels.tobytes()
        except ValueError as error:
            answer, pixels = {"refusal": str(error)}, b""
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)
        sys.stdout.buffer.flush()


def _bound() -> None:
    """Limit this process, where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        os.nice(_NICE)


if __name__ == "__main__":
    main()
