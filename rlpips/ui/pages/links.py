"""Addresses and thumbnails: what they say is shown at once where it is recorded; else the controls are set, and Run makes it."""

import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from rlpips.ui.components import masthead
from rlpips.ui.components.events import PRIVATE
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import duel_address, gallery
from rlpips.ui.pages.duel import Duel
from rlpips.ui.runtime import address
from rlpips.ui.runtime.address import Key

TABS = {
    "duel": "Duel", "judge": "You be the judge", "inspect": "Inspect a pair", "pairs": "Many pairs", "robustness": "Robustness",
    "classifier": "Fool a classifier", "gallery": "Gallery", "how": "How it works",
}  # fmt: skip
_EMPTY = "This duel is not recorded: press Run to see it."
_OWN = "A link holds no picture of your own: choose it again."


class Page(NamedTuple):
    """A page whose controls have addresses: its keys, what an address sets, and the values for that beside a value for each key."""

    keys: Sequence[Key]
    outputs: Sequence[Any]
    fill: Callable[[dict[str, Any]], Sequence[Any]]


def connect(head: gr.HTML, pages: gr.Tabs, duel: Duel, others: Mapping[str, Page]) -> None:
    """Let the head's script open addresses, and the thumbnails of the Duel their recorded duels.

    others  the pages but the Duel whose controls have addresses, by name
    """
    here = [head, *duel.outputs]

    def open_link(event: gr.EventData, mine: list[str]) -> tuple:
        page, texts, faults = (getattr(event, name, None) for name in ("page", "texts", "faults"))
        page = page if page in TABS else "duel"
        says, shown, updates = opened(page, texts, faults, mine, duel)
        fills = {name: [gr.skip()] * len(other.outputs) for name, other in others.items()}
        if page in others:
            says, shown, fills[page] = filled(others[page], texts, faults)
        if page == "gallery" and (path := gallery.entry(texts)):
            page = "duel"
            shown, updates = of_file(path, mine, duel)
            shown = {**shown, "moved": page}
        reply = masthead.answer(count=getattr(event, "count", None), says=says, **shown)
        selects = getattr(event, "selects", None) or "moved" in shown
        tabs = gr.Tabs(selected=page) if selects else gr.skip()
        return tabs, reply, *updates, *itertools.chain(*fills.values())

    def pick(event: gr.EventData, mine: list[str], strip: list[str]) -> tuple:
        path = picked(getattr(event, "place", None), getattr(event, "texts", None), strip)
        count = getattr(event, "count", None)
        if path is None:
            return masthead.answer(count=count), *duel.nothing
        shown, updates = of_file(path, mine, duel)
        return masthead.answer(count=count, isNew=True, **shown), *updates

    there = [output for other in others.values() for output in other.outputs]
    head.open(open_link, duel.mine, [pages, *here, *there], trigger_mode="multiple", **PRIVATE)
    head.pick(pick, [duel.mine, duel.strip], here, trigger_mode="multiple", **PRIVATE)


def opened(page: str, texts: Any, faults: Any, mine: list[str], duel: Duel) -> tuple[str, dict[str, Any], list]:
    """(a note for the visitor, what the head's script has to know, updates for `duel.outputs`) for what an address says."""
    faults = [*faults] if isinstance(faults, list) else []
    if page != "duel" or not isinstance(texts, Mapping):
        return address.sentence(faults), {}, duel.nothing
    settings, more = address.read(duel_address.KEYS, texts)
    note = address.sentence([*faults, *more])
    if duel_address.MINE in (settings["picture"], settings["push"]) and not mine:
        note = f"{note} {_OWN}".strip()
    path = duel_address.recorded(settings)
    if path:
        return note, *of_file(path, mine, duel)
    empty = {"run": secrets.token_hex(4), "state": "empty", "says": _EMPTY}
    return note, {"texts": _texts(settings), "shown": False}, [empty, gr.skip(), *duel.fill(settings, mine)]


def filled(page: Page, texts: Any, faults: Any) -> tuple[str, dict[str, Any], list[Any]]:
    """(a note for the visitor, what the head's script has to know, values for the page's outputs) for what an address says."""
    values, more = address.read(page.keys, texts if isinstance(texts, Mapping) else {})
    note = address.sentence([*(faults if isinstance(faults, list) else []), *more])
    if values.get("picture") == duel_address.MINE:
        note = f"{note} {_OWN}".strip()
    if not isinstance(texts, Mapping):
        return note, {}, [gr.skip()] * len(page.outputs)
    updates = [*page.fill(values)]
    shown = next(({"run": each["run"]} for each in updates if isinstance(each, dict) and "run" in each), {})
    return note, {"texts": address.write(page.keys, values), **shown}, updates


def picked(place: Any, texts: Any, strip: list[str]) -> Path | None:
    """The recorded duel that a thumbnail opens beside these settings: the one that they make; or, as long as they are nobody's own,
    another one of the same picture. None for a picture that has none."""
    names = {str(sample.path): sample.name for sample in SAMPLES}
    if type(place) is not int or not 0 <= place < len(strip) or strip[place] not in names:
        return None
    settings, _ = address.read(duel_address.KEYS, texts if isinstance(texts, Mapping) else {})
    settings["picture"] = names[strip[place]]
    if path := duel_address.recorded(settings):
        return path
    if not duel_address.is_untouched(settings):
        return None
    return duel_address.recorded_of(settings["picture"], settings["objective"])


def of_file(path: Path, mine: list[str], duel: Duel) -> tuple[dict[str, Any], list]:
    """(what the head's script has to know, updates for `duel.outputs`) that show a recorded duel with its settings."""
    settings = duel_address.of_recorded(path)
    assert settings is not None  # it was found by them
    content = gallery.message(path)
    return (
        {"texts": _texts(settings), "shown": True, "run": content["run"]},
        [content, gallery.status_of(content, gallery.RECORDED), *duel.fill(settings, mine)],
    )


def _texts(settings: duel_address.Settings) -> dict[str, str]:
    return address.write(duel_address.KEYS, settings)
