"""The head of the page: its name, Copy link and QR code, the list of keys; and the script that keeps the page's address."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips.ui.components import modules
from rlpips.ui.components.events import PRIVATE

LONGEST_LINK = 1500  # characters; a QR code of more is too fine for a camera across a room
_KEYS = {
    "Ctrl Enter": "Run",
    "← →": "the next step, on the scrubber or on a picture; the next thumbnail or tab",
    "Home, End": "the first step and the last, on the scrubber",
    "+ −": "zoom, on a picture; then the arrows move it",
    "F": "the picture alone in the whole window, and back; also the button in its corner",
    "P": "the projector: large, in the whole window, and back; there ← → step, the space bar plays, and 0 to 5 show the maps",
    "Escape": "no zoom; back from one picture or the projector",
    "0, 1 to 5": "maps of all layers together, or of one",
    "Page Down, Page Up": "in the lesson: on, and back, as → and ← do; Escape leaves it",
    "j, k": "the next pair and the one before, in Many pairs",
    "?": "this list",
}
_TELL_JS = """(...values) => {
  const [page, ...keys] = %s;
  const entries = keys.map((key, place) => [key, values[place]]);
  document.dispatchEvent(new CustomEvent('page-controls', { detail: { page, entries } }));
}"""
_MARKUP = """<a class="skip" href="#run">Skip to Run</a>
<header><h1>{title}</h1><p>{tagline}</p><div class="tools">
<button type="button" id="copy-link"><span aria-live="polite">Copy link</span></button>
<button type="button" id="qr">QR code</button><button type="button" id="keys" aria-label="List of keys">?</button>
<div class="languages" role="group" aria-label="Language" translate="no"></div></div></header>
<div class="notice" hidden><p role="status"></p><button type="button" aria-label="Close this note">Close</button></div>
<dialog id="qr-dialog" aria-label="QR code of this page"><img alt="QR code of the address below"><p class="qr-link"></p>
<p class="qr-note" hidden>This address leads to this computer only: other devices cannot open it.</p>
<form method="dialog"><button>Close</button></form></dialog>
<dialog id="keys-dialog" aria-label="List of keys"><h2>Keys</h2><dl>{keys}</dl><form method="dialog"><button>Close</button></form></dialog>"""


def masthead(title: str, tagline: str, **script: Any) -> gr.HTML:
    """The head. `script` goes to assets/viewer/address.js; the component has its events `open` and `pick`, and takes an `answer`."""
    keys = "".join(f"<dt>{key}</dt><dd>{what}</dd>" for key, what in _KEYS.items())
    return gr.HTML(
        None, html_template=_MARKUP.format(title=title, tagline=tagline, keys=keys), elem_id="masthead", apply_default_css=False,
        js_on_load=modules.load("address.js", events=("open", "pick")), **script,
    )  # fmt: skip


def tell(page: str, fields: Mapping[str, Any], events: Sequence[Any] = (), after: Sequence[Any] = ()) -> None:
    """Let the page's address follow the controls of a page, each beside its key: at these events, or at every change, and after
    what other events, `after`, have brought."""
    told = dict(fn=None, inputs=[*fields.values()], js=_TELL_JS % json.dumps([page, *fields]), trigger_mode="multiple")
    gr.on([*events] or [field.change for field in fields.values()], **told, **PRIVATE)
    for event in after:
        event.then(**told, **PRIVATE)


def answer(**values: Any) -> dict[str, Any]:
    """A value for the head; Gradio passes over one that equals the one before."""
    return {"id": secrets.token_hex(4), **values}


async def _qr(request: Request) -> Response:
    """The QR code of a link as SVG."""
    link = request.query_params.get("link", "")
    if len(link) > LONGEST_LINK or not re.match(r"https?://", link):
        return PlainTextResponse(f"The QR code is for a link of at most {LONGEST_LINK} characters.", 400)
    import segno

    image = BytesIO()
    segno.make_qr(link, error="l").save(image, kind="svg", border=4, omitsize=True, light="#fff", xmldecl=False)
    return Response(image.getvalue(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


ROUTE = Route("/viewer/qr", _qr)
