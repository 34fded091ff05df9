"""The Gallery page: recorded duels from precomputed/; choosing one opens it on the Duel page, without torch."""

import html
import json
import secrets
import zipfile
from io import BytesIO
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from rlpips.trace import Trace
from rlpips.ui import files
from rlpips.ui.samples import thumbnail

FOLDER = Path(__file__).resolve().parents[2] / "precomputed"
OPENING = "astronaut-away-linf-4.zip"
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
NOTE = """<p>Recorded duels, made by <code>python -m rlpips.precompute</code>. Choose one to open it on the Duel page; or open a
trace that you saved there (<i>Download</i>, then <i>trace</i>).</p>"""


def recorded() -> list[Path]:
    """The recorded traces, in the order they are shown."""
    return sorted(FOLDER.glob("*.zip"))


def message(path: Path) -> dict:
    """The viewer message that shows a recorded trace."""
    return files.whole(secrets.token_hex(4), "recorded", Trace.load(path))


def opening() -> dict | None:
    """What the page opens with."""
    path = FOLDER / OPENING
    return message(path) if path.exists() else None


def build(shown, status, pages, duel):
    """Lay the page out; a choice goes to the viewer `shown` and its `status`, and brings the tab `duel` of `pages` up."""
    paths = recorded()
    gr.HTML(NOTE)
    cards = gr.Gallery(
        [_card(path) for path in paths], elem_id="recorded", label="Recorded duels", columns=5, height="auto",
        format="png", allow_preview=False, object_fit="cover", interactive=False, buttons=[], show_label=False,
    )  # fmt: skip
    saved = gr.File(label="A saved trace", height=64, elem_id="saved-trace", elem_classes="upload")

    def open_recorded(event: gr.SelectData):
        path = paths[event.index]
        return message(path), f"Done: a recorded duel, {html.escape(_caption(_meta(path)))}.", gr.Tabs(selected=duel)

    def open_saved(path):
        try:
            found = message(Path(path))
        except ValueError as error:
            gr.Warning(html.escape(str(error)))
            return gr.skip(), gr.skip(), gr.skip()
        return found, f"Done: a saved trace, {html.escape(_caption(found['meta']))}.", gr.Tabs(selected=duel)

    cards.select(open_recorded, None, [shown, status, pages], **PRIVATE)
    saved.upload(open_saved, saved, [shown, status, pages], **PRIVATE)


def _meta(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("trace.json"))["meta"]


def _card(path):
    with zipfile.ZipFile(path) as archive:
        meta = _meta(path)
        picture = np.array(Image.open(BytesIO(archive.read(meta["start"] or meta["reference"]))).convert("RGB"))
    return thumbnail(picture, 220), _caption(meta)


def _caption(meta):
    budget = f"l∞ {meta['eps'] * 255:.3g}/255" if meta["norm"] == "linf" else f"l2 {meta['eps']:.3g}"
    verb = {"away": "pushed away", "toward": "pulled toward"}[meta["objective"]]
    return f"{meta['name'].replace('_', ' ')}, {verb}, {budget}, {meta['steps']} steps"
