"""The trace viewer: one `gr.HTML` whose markup and script, and whose style, live in assets/viewer/.

Everything it shows is computed in the browser from a trace given as plain JSON (`rlpips.traces.schema`), in which
every file is a Gradio FileData dict; `rlpips.ui.runtime.files` makes it. Nothing here needs torch.
"""

import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rlpips import paths
from rlpips.ui.components import modules

STYLES = (
    "viewer.css", "column.css", "eye.css", "verdict.css", "inside.css", "narrow.css", "wide.css", "projector.css",
    "touch.css", "printed.css",
)  # fmt: skip

_CLASS = "rv-host"
# One sheet for all viewers. As `css_template` it would be in the page once for each of them, and Gradio would write it anew with every
# value. It is as strong as an id: no rule of Gradio's is stronger.
_SHEET = f":is(.{_CLASS}, #{_CLASS}) {{ {''.join((paths.VIEWER / name).read_text('utf-8') for name in STYLES)} }}"
_KEPT = modules.kept(_SHEET.encode(), "text/css")


async def _sheet(request: Request) -> Response:
    return _KEPT.answer(request.headers)


HEAD = '<link rel="stylesheet" href="viewer/sheet">'  # for `launch`
ROUTE = Route("/viewer/sheet", _sheet)


def viewer(value: dict | None = None, empty: str = "", **kw) -> gr.HTML:
    """The viewer of traces and pairs.

    Args:
        value: what to show first: a message of `rlpips.ui.runtime.files`, or None for a quiet placeholder.
            Later values may be whole traces or the pieces of a running one.
        empty: what the placeholder says.
        **kw: passed on to `gr.HTML`, such as `visible` or `elem_id` ("viewer" unless given).

    A factory and not a subclass: subclassing a Gradio component writes a .pyi file beside the source.
    """
    return gr.HTML(
        value,
        html_template=(paths.VIEWER / "viewer.html").read_text("utf-8"),
        js_on_load=modules.load("viewer.js"),
        apply_default_css=False,
        empty=empty,
        elem_classes=_CLASS,
        **{"elem_id": "viewer", **kw},
    )
