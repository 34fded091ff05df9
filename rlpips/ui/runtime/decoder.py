"""A process that reads visitors' files for the page: `python -m rlpips.ui.runtime.decoder`, which `uploads` starts and may end.

Every line of its input is the JSON {"path", "side"} of a picture or {"path"} of a trace. It writes a line of JSON: {"refusal"}; or
for a picture {"shape", "notes", "size"} and then the bytes of its pixels; or for a trace {}.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlpips.data import decoding
from rlpips.traces.trace import Trace

_MEMORY = 1_500_000_000  # bytes of addresses, several times what the largest picture takes
_NICE = 10  # of the two, the run that somebody watches goes first


def main() -> None:
    """Answer until the input ends."""
    _bound()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        path, pixels = Path(request["path"]), b""
        try:
            answer, pixels = _read(path, request.get("side"))
        except ValueError as error:
            answer = {"refusal": str(error)}
        except OSError:
            answer = {"refusal": f"{path.name} cannot be opened."}
        except MemoryError:
            answer = {"refusal": f"{path.name} takes too much memory to read."}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)
        sys.stdout.buffer.flush()


def _read(path: Path, side: int | None) -> tuple[dict[str, Any], bytes]:
    if side is None:
        Trace.load(path)
        return {}, b""
    picture = decoding.decode_file(path, side)
    return {"shape": picture.pixels.shape, "notes": picture.notes, "size": picture.size}, picture.pixels.tobytes()


def _bound() -> None:
    """Limit this process, where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        os.nice(_NICE)


if __name__ == "__main__":
    main()
