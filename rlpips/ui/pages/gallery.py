"""The Gallery page: recorded duels from precomputed/; choosing one opens it on the Duel page, without torch."""

import html
import json
import secrets
import traceback
import zipfile
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from rlpips import paths
from rlpips.traces.trace import Trace
from rlpips.ui.components.samples import thumbnail
from rlpips.ui.runtime import files

OPENING = "astronaut-away-linf-4.zip"
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
NOTE = """<p>Recorded duels, made by <code>python -m rlpips.precompute</code>. Choose one to open it on the Duel page; or
open a trace that you saved, of a duel or of a pair (<i>Download</i>, then <i>trace</i>).</p>"""


def recorded() -> list[Path]:
    """The recorded traces, in the order they are shown; one that cannot be read is left out, as the log will say."""
    return [path for path in sorted(paths.PRECOMPUTED.glob("*.zip")) if _card(path)]


def message(path: Path) -> dict:
    """The viewer message that shows a saved trace; ValueError where it is none."""
    # A stranger's file is offered anew, without what else may be in it; ours as it is.
    saved = path.read_bytes() if path.parent == paths.PRECOMPUTED else None
    return files.whole(secrets.token_hex(4), "recorded", Trace.load(path), saved)


def opening() -> dict | None:
    """What the page opens with; None where that cannot be read."""
    try:
        return message(paths.PRECOMPUTED / OPENING)
    except (ValueError, OSError):
        return None


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
        return _opened(paths[event.index], "a recorded duel", duel)

    def open_saved(path):
        return _opened(Path(path), "a saved trace", duel)

    cards.select(open_recorded, None, [shown, status, pages], **PRIVATE)
    saved.upload(open_saved, saved, [shown, status, pages], **PRIVATE)


def _opened(path, kind, duel):
    """(viewer message, status, tabs) that show a trace, or a warning and nothing else."""
    try:
        found = message(path)
        return found, f"Done: {kind}, {html.escape(_caption(found['meta']))}.", gr.Tabs(selected=duel)
    except ValueError as error:
        gr.Warning(html.escape(str(error)))
    except Exception:  # a full disk, say: the visitor is told, the host finds the reason in the log
        traceback.print_exc()
        gr.Warning("The server could not open this trace.")
    return gr.skip(), gr.skip(), gr.skip()


@lru_cache
def _card(path):
    """(thumbnail, caption) of a recorded trace, of which only this much is read; None where that cannot be."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read("trace.json"))["meta"]
            picture = np.array(Image.open(BytesIO(archive.read(meta["start"] or meta["reference"]))).convert("RGB"))
        return thumbnail(picture, 220), _caption(meta)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError) as error:
        print(f"Left out of the gallery: {path.name} ({error})")
        return None


def _caption(meta):
    name = meta["name"].replace("_", " ")
    if meta["objective"] == "pair":
        return f"{name}, two pictures compared"
    if meta["objective"] == "fool":
        return f"{name}, {' against '.join(attack['title'] for attack in meta['receipt']['attacks'])}"
    budget = f"l∞ {meta['eps'] * 255:.3g}/255" if meta["norm"] == "linf" else f"l2 {meta['eps']:.3g}"
    verb = {"away": "pushed away", "toward": "pulled toward"}[meta["objective"]]
    return f"{name}, {verb}, {budget}, {meta['steps']} steps"
