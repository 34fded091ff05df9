"""An address from which the page fetches what every channel answers at one step of a trace that the server keeps as a file:
viewer/differences/DIGEST/STEP/TRUNK, the digest that of the trace's file. `rlpips.engine.differences` describes the answer."""

import hashlib
import threading
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips import paths
from rlpips.traces.trace import Trace
from rlpips.ui.runtime import files, work

SUFFIX = ".differences"  # of a recorded trace's last step, beside it
_ONE_BY_ONE = threading.Lock()  # it takes its turn between two steps of whoever has the device


def _answer(request: Request) -> Response:
    digest, step, trunk = (request.path_params[key] for key in ("digest", "step", "trunk"))
    if not (trace := files.stored(digest, "trace.zip")):
        return PlainTextResponse(files.GONE, 404)
    try:
        with _ONE_BY_ONE:
            data = _differences(trace, step, trunk)
    except ValueError as error:
        return PlainTextResponse(str(error), 422)
    return Response(data, media_type="application/octet-stream", headers={"Cache-Control": "max-age=3600"})


@lru_cache(maxsize=16)  # half a megabyte each at 256×256
def _differences(path: Path, step: int, trunk: int) -> bytes:
    trace = Trace.load(path)
    step = max(known for known in trace.keyframes if known <= step)
    recorded = _recorded().get(path.parent.name)
    if recorded and trunk == 0 and step == trace.keyframes[-1]:
        return recorded.read_bytes()
    return work.differences(trace, step, trunk)


@lru_cache(maxsize=1)
def _recorded() -> dict[str, Path]:
    """The files that are computed beforehand, by the digest of their traces."""
    beside = ((path.with_suffix(".zip"), path) for path in paths.PRECOMPUTED.glob(f"*{SUFFIX}"))
    return {hashlib.sha256(trace.read_bytes()).hexdigest(): path for trace, path in beside if trace.is_file()}


ROUTE = Route("/viewer/differences/{digest}/{step:int}/{trunk:int}", _answer)
