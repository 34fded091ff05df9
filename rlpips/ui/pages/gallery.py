"""The Gallery page: recorded duels from precomputed/; choosing one opens it on the Duel page, without torch."""

import html
import json
import logging
import secrets
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from rlpips import paths
from rlpips.evaluate import tables
from rlpips.traces.trace import Trace
from rlpips.ui.components import masthead
from rlpips.ui.components.events import PRIVATE, chosen
from rlpips.ui.components.samples import thumbnail
from rlpips.ui.pages import duel_address
from rlpips.ui.pages.duel import Duel
from rlpips.ui.runtime import address, cache, files, messages, session, uploads
from rlpips.ui.runtime.address import Choice, Key
from rlpips.ui.runtime.queue import Client

log = logging.getLogger(__name__)

OPENING = paths.OPENING
_OPENED = cache.FinishedRuns(64 * 1024**2)  # the messages of recorded duels, by file
RECORDED, SAVED = "a recorded duel", "a saved trace"
NOTE = """<p>Recorded duels, made by <code>python -m rlpips.precompute</code>. Choose one to open it on the Duel page; or
open a trace that you saved, of a duel or of a pair (<i>Download</i>, then <i>The whole trace</i>).</p>"""
DAMAGED = "<p>{} of the recorded duels cannot be read: {}. Please install this project's files again.</p>"
MISSING = "<p>The recorded duels are missing. Please install this project's files again.</p>"


def keys() -> list[Key]:
    """The key of the page's address: the file of a recorded duel without its ending, which opens on the Duel page."""
    return [Key("entry", "recorded", Choice("", ("", *(path.stem for path in _paths()))))]


def entry(texts: Any) -> Path | None:
    """The recorded duel that an address of this page names."""
    name = address.read(keys(), texts if isinstance(texts, Mapping) else {})[0]["entry"]
    path = paths.PRECOMPUTED / f"{name}.zip"
    return path if name and duel_address.of_recorded(path) else None


def recorded() -> list[Path]:
    """The recorded traces, in the order of the page, without those that cannot be read."""
    return [path for path in _paths() if _card(path)]


def _paths() -> list[Path]:
    return sorted(paths.PRECOMPUTED.glob("*.zip"))


def message(path: Path) -> dict:
    """The viewer message that shows a saved trace; ValueError if the file is none."""
    if not path.is_relative_to(paths.PRECOMPUTED):
        # A visitor's file is offered for download as a new one, without anything else that may be in it; ours as it is.
        return messages.whole(secrets.token_hex(4), "recorded", Trace.load(path))
    key = f"{path} {path.stat().st_mtime_ns} {files.folder()}"
    if found := _OPENED.get(key):  # in a class all open the same link
        return {**found[0], "run": secrets.token_hex(4)}
    content = messages.whole(secrets.token_hex(4), "recorded", Trace.load(path), path.read_bytes())
    _OPENED.put(key, content, "")
    return content


def opening() -> dict | None:
    """The viewer message that the page opens with; None if its file cannot be read, with the reason in the log."""
    try:
        return message(paths.PRECOMPUTED / OPENING)
    except (ValueError, OSError) as error:
        log.error("The page opens without a recorded duel, %s: %s", OPENING, error)
        return None


def build(head: gr.HTML, pages: gr.Tabs, duel: Duel) -> None:
    """Lay out the page; a click on a card shows it on the page `duel`, whose controls it sets, and selects its tab of `pages`."""
    readable = recorded()
    gr.HTML(NOTE + _fault(readable))
    cards = gr.Gallery(
        list(filter(None, map(_card, readable))), elem_id="recorded", label="Recorded duels", columns=5, height="auto",
        format="png", allow_preview=False, object_fit="cover", interactive=False, buttons=[], show_label=False,
    )  # fmt: skip
    saved = gr.File(label="A saved trace", height=64, elem_id="saved-trace", elem_classes="upload")

    def shown(path: Path | None, mine: list[str], opened: tuple) -> tuple:
        view, status, tabs = opened
        if path is None or not isinstance(view, dict) or "meta" not in view:
            return tabs, gr.skip(), *duel.nothing
        settings, known = settings_of(path, view["meta"])
        texts = address.write(duel_address.KEYS, settings) if settings else None
        fill = duel.fill(settings, mine) if settings else duel.nothing[2:]
        return tabs, masthead.answer(texts=texts, shown=known, isNew=True, moved="duel"), view, status, *fill

    def open_recorded(event: gr.SelectData, mine: list[str]) -> tuple:
        path = chosen(event, readable)
        return shown(path, mine, _open(path, RECORDED, "duel"))

    def open_saved(request: gr.Request, path: str | None, mine: list[str]) -> tuple:
        file = Path(path) if path else None
        return shown(file, mine, _open(file, SAVED, "duel", Client.of(request)))

    outputs = [pages, head, *duel.outputs]
    cards.select(open_recorded, duel.mine, outputs, **PRIVATE)
    saved.upload(open_saved, [saved, duel.mine], outputs, **PRIVATE)


def settings_of(path: Path, meta: dict) -> tuple[duel_address.Settings | None, bool]:
    """(the settings of a trace as far as the page has controls for them, whether these are all); None if it is no duel."""
    if settings := duel_address.of_recorded(path) if path.parent == paths.PRECOMPUTED else None:
        return settings, True
    if meta["objective"] not in ("away", "toward"):
        return None, False
    trace = Trace.load(path)
    picture = duel_address.picture_of(trace.name, trace.reference)
    settings, faults = duel_address.of_trace(
        meta, picture, duel_address.pushed(picture, trace.start if meta["start"] else None)
    )
    return settings, not faults and duel_address.MINE not in (settings["picture"], settings["push"])


def _fault(readable: list[Path]) -> str:
    """A sentence on recordings that are missing or damaged; none if all is well."""
    names = [path.name for path in _paths() if path not in readable]
    if names:
        return DAMAGED.format(len(names), html.escape(", ".join(names)))
    return "" if readable else MISSING


def _open(path: Path | None, kind: str, duel: str, visitor: Client | None = None) -> tuple:
    """(viewer message, status, tabs) that show a trace, a file of the `visitor` perhaps, or a warning and nothing else."""
    try:
        if path is None:
            raise ValueError("Choose a trace first.")
        if visitor:
            uploads.check_trace(visitor, str(path))
        content = message(path)
        return content, status_of(content, kind), gr.Tabs(selected=duel)
    except ValueError as error:
        gr.Warning(html.escape(str(error)))
    except Exception as error:
        gr.Warning(session.fault(error))
    return gr.skip(), gr.skip(), gr.skip()


def status_of(content: dict, kind: str) -> str:
    """The status line, as HTML, beside a viewer message that shows a trace."""
    return f"Done: {kind}, {html.escape(_caption(content['meta']))}."


@lru_cache
def _card(path: Path) -> tuple[Image.Image, str] | None:
    """(thumbnail, caption) of a recorded trace, for which little of its file is read; None if that cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read("trace.json"))["meta"]
            picture = np.array(Image.open(BytesIO(archive.read(meta["start"] or meta["reference"]))).convert("RGB"))
        return thumbnail(picture, 220), _caption(meta)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError) as error:
        log.error("The gallery leaves out %s: %s", path.name, error)
        return None


def _caption(meta: dict) -> str:
    name = meta["name"].replace("_", " ")
    if meta["objective"] == "pair":
        return f"{name}, two pictures compared"
    if meta["objective"] == "fool":
        return f"{name}, {' against '.join(attack['title'] for attack in meta['receipt']['attacks'])}"
    budget = tables.budget(meta["norm"], meta["eps"])
    verb = {"away": "pushed away", "toward": "pulled toward"}[meta["objective"]]
    return f"{name}, {verb}, {budget}, {meta['steps']} steps"
