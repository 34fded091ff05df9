"""An address for what is taken from a trace that the server keeps as a file: viewer/export/DIGEST/STEP/KIND, the digest that of the trace's
file. KIND is one of `KINDS`, or map-SCALE-LANE-METRIC.png. Needs no torch: a recorded trace can be taken home at once."""

import re
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips.traces.trace import Trace
from rlpips.ui.runtime import files
from rlpips.zoo import references

_ONE_BY_ONE = (
    threading.Lock()
)  # matplotlib's settings are the process's, and a figure takes as long as a few steps of an attack
_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "py": "text/x-python; charset=utf-8",
    "bib": "application/x-bibtex; charset=utf-8",
    "zip": "application/zip",
}


def _figure(name: str, kind: str) -> Callable[[Trace, int], bytes]:
    def draw(trace: Trace, _: int) -> bytes:
        from rlpips.traces import figures  # matplotlib is slow to import

        return figures.image(getattr(figures, name)(trace), kind)

    return draw


def _maps(scale: str, kind: str) -> Callable[[Trace, int], bytes]:
    def draw(trace: Trace, step: int) -> bytes:
        from rlpips.traces import figures

        return figures.image(figures.maps(trace, step, scale), kind)

    return draw


def _text(method: str) -> Callable[[Trace, int], bytes]:
    return lambda trace, _: getattr(trace, method)().encode()


# {what an address calls it: (what is added to the trace's name, what makes it of a trace and a step)}
KINDS: dict[str, tuple[str, Callable[[Trace, int], bytes]]] = {
    **{f"curves.{kind}": (f"_curves.{kind}", _figure("curves", kind)) for kind in ("svg", "png", "pdf")},
    **{f"overview.{kind}": (f"_overview.{kind}", _figure("overview", kind)) for kind in ("png", "pdf")},
    **{
        f"maps-{scale}.{kind}": (f"_step{{step}}_maps-{scale}.{kind}", _maps(scale, kind))
        for scale in ("own", "common", "log")
        for kind in ("png", "pdf")
    },
    "steps.csv": ("_steps.csv", _text("to_csv")),
    "again.py": (".py", _text("to_python")),
    "papers.bib": (".bib", _text("to_bibtex")),
}
_MOST = 60  # lanes times metrics in a figure; a stranger's trace may have thousands
_MAP = re.compile(r"map-(own|common|log)-(\d{1,2})-(\d{1,2})\.png")


def export(trace: Trace, step: int, kind: str) -> tuple[str, bytes]:
    """(file name, bytes) of one kind of what is taken from a trace, at the last picture up to a step. KeyError for another kind, ValueError
    for a map that there is not, and for a trace of more than a figure holds."""
    if len(trace.lanes) * len(trace.metrics) > _MOST and kind.endswith(("png", "svg", "pdf")):
        raise ValueError(f"A figure here has at most {_MOST} lanes times metrics; this trace is larger.")
    if match := _MAP.fullmatch(kind):
        from rlpips.traces import figures

        scale, lane, metric = match[1], int(match[2]), int(match[3])
        data = figures.image(figures.maps(trace, step, scale, [lane], [metric]), "png")
        lanes = "_".join(re.sub(r"[^\w\-]+", "-", each) for each in (trace.lanes[lane], trace.metrics[metric]))
        return f"{trace.stem}_step{_shown(trace, step)}_map-{lanes}-{scale}.png", data
    ending, make = KINDS[kind]
    return trace.stem + ending.format(step=_shown(trace, step)), make(trace, step)


def _shown(trace: Trace, step: int) -> int:
    return max(known for known in trace.keyframes if known <= step)


@lru_cache(maxsize=32)
def _exported(path: Path, step: int, kind: str) -> tuple[str, bytes]:
    return export(Trace.load(path), step, kind)


def _answer(request: Request) -> Response:
    digest, step, kind = (request.path_params[key] for key in ("digest", "step", "kind"))
    if not (path := files.stored(digest, "trace.zip")):
        return PlainTextResponse(files.GONE, 404)
    try:
        if kind == "trace.zip":  # as it is: it is stored under a name that is no visitor's
            return _file(f"{Trace.load(path).stem}.trace.zip", path.read_bytes())
        with _ONE_BY_ONE:
            name, data = _exported(path, step, kind)
    except KeyError:
        return PlainTextResponse("There is no such file of a trace.", 404)
    except ValueError as error:
        return PlainTextResponse(str(error), 422)
    return _file(name, data)


def _papers(_: Request) -> Response:
    """The BibTeX of all papers that the page names."""
    return _file("rlpips-papers.bib", references.bibtex(references.REFERENCES).encode())


def _file(name: str, data: bytes) -> Response:
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "max-age=3600",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)


ROUTES = [Route("/viewer/export/papers.bib", _papers), Route("/viewer/export/{digest}/{step:int}/{kind}", _answer)]
