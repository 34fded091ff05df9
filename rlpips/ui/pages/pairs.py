"""The page "Many pairs": which of a visitor's attacked pairs fool LPIPS and not R-LPIPS? Its contents come with its tab.

The browser keeps the rows, judges, sorts, filters and draws them (assets/viewer/pairs.js); the server matches, measures, and writes files.
"""

import html
import json
import logging
import secrets
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips import paths
from rlpips.data import images
from rlpips.pairs import example
from rlpips.pairs.values import RANGES
from rlpips.ui.components import masthead, modules
from rlpips.ui.components.events import PRIVATE
from rlpips.ui.components.status import status_line
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import inspect, pairs_run
from rlpips.ui.pages.duel_controls import BACKBONES, METRICS
from rlpips.ui.pages.pairs_run import message, names_of, piece_of
from rlpips.ui.runtime import address, device, files, limits, pair_files, session, work
from rlpips.ui.runtime.address import Choice, Choices, Key
from rlpips.ui.runtime.pair_files import EYE_PAIRS, MAX_PAIRS, MAX_SIDE, Chosen, Match, Measured
from rlpips.ui.runtime.queue import QUEUE, Client
from rlpips.ui.runtime.session import Update

log = logging.getLogger(__name__)

VALUES = [("recognised", "recognised"), *((each.title, each.name) for each in RANGES.values())]
ROLES = [("originals, then attacked", False), ("attacked, then originals", True)]
BOUNDS = (
    f"At most {MAX_PAIRS} pairs a run, {limits.FILE_BYTES // limits.MEGABYTE} MB a file, {limits.UPLOAD_PARTS} files and "
    f"{limits.UPLOAD_BYTES // limits.MEGABYTE} MB an upload, {device.DEADLINE_S:.0f} s; larger than {MAX_SIDE} pixels a side, a pair is reduced. "
    f"FLIP, the model of the eye, is asked about at most {EYE_PAIRS} pairs a run."
)
_HELP = "Choose pictures, a zip, or arrays (.npy, .npz, .pt, .safetensors). What belongs together is shown before anything is measured."
_NAMES = (
    "Names match without words like <b>adv</b> and <b>orig</b>; a CSV of two columns among the files says it otherwise."
)
_OPENING = (
    "Done: a recorded example, 24 pairs. Choose files of your own: pictures, a zip, or arrays (.npy, .npz, .pt, .safetensors). What "
    "belongs together is shown before anything is measured."
)
_SHOWN = 12  # matched pairs that are listed
_KEPT_S = 60 * 60  # for how long files can be written of what was measured
# Old numbers must not stand beside a new input as if they were its own: the browser dims them at once.
_CHANGED_JS = "() => ({ run: String(Math.random()), state: 'changed' })"
_SAVE_JS = """(made) => {
  if (made?.file?.url) Object.assign(document.createElement('a'), { href: made.file.url, download: made.file.orig_name }).click();
  return null;
}"""


KEYS = (
    Key("metrics", "pairs-metrics", Choices(pairs_run.METRICS, [name for _, name in METRICS])),
    Key("backbone", "pairs-backbone", Choice("alex", [name for _, name in BACKBONES])),
)
_ASKED_JS = "(filled) => [filled, location.hash.startsWith('#pairs') ? location.hash : '']"


def fill(settings: dict[str, Any]) -> list[Any]:
    """The values of what an address sets."""
    return [list(settings["metrics"]), settings["backbone"]]


def build(tab: gr.Tab) -> list[Any]:
    """Lay out the page in the current Blocks; an example opens with `tab`. Returns what an address sets."""
    is_filled = gr.State(False)
    state, kept = gr.State(time_to_live=2 * device.DEADLINE_S), gr.State(time_to_live=_KEPT_S)
    several: dict[str, Any] = {"file_count": "multiple", "height": 64, "elem_classes": "upload"}
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            first = gr.File(label="Originals, or both kinds", elem_id="pairs-first", **several)
            second = gr.File(label="Attacked pictures, if apart", elem_id="pairs-second", **several)
            gr.HTML(f"{_NAMES} {html.escape(BOUNDS)}", elem_classes="hint", elem_id="pairs-bounds")
            ours = gr.Button("Take the example's files", elem_id="pairs-example", size="sm")
            with gr.Row():
                run = gr.Button("Measure", variant="primary", elem_id="pairs-run", min_width=80)
                stop = gr.Button("Stop", elem_id="pairs-stop", min_width=80)
            status = status_line(_HELP, "pairs-status")
            with gr.Accordion("More", open=False, elem_id="pairs-more"):
                metrics = gr.Dropdown(
                    METRICS, value=list(pairs_run.METRICS), multiselect=True, elem_id="pairs-metrics",
                    label="Metrics; the verdicts are about the first two",
                )  # fmt: skip
                backbone = gr.Dropdown(BACKBONES, value="alex", label="Backbone", elem_id="pairs-backbone")
                values = gr.Dropdown(VALUES, value="recognised", label="Values in arrays", elem_id="pairs-values")
                eye = gr.Checkbox(True, label="Ask FLIP, a model of the eye", elem_id="pairs-eye")
                swap = gr.Radio(ROLES, value=False, label="The files hold", elem_id="pairs-swap")
        view = gr.HTML(
            None, elem_id="pairs", html_template=_text("pairs.html"), css_template=_text("pairs.css"),
            js_on_load=modules.load("pairs.js", events=("opened", "asked")), apply_default_css=False,
        )  # fmt: skip
    opened = status_line("", "pairs-opened")
    pair = viewer(None, empty="Choose a pair in the table or in the scatter: it opens here.", elem_id="pairs-viewer")
    made = gr.HTML(html_template="", visible="hidden")  # of all components the one whose files get addresses
    rest = gr.State(time_to_live=2 * device.DEADLINE_S)
    result, completed = (gr.HTML(html_template="", visible="hidden") for _ in range(2))

    asked = gr.Textbox(visible=False)  # what the address says as the tab opens
    tab.select(_fill, [is_filled, asked], [is_filled, view, kept, status], js=_ASKED_JS, **PRIVATE)
    chosen = [first, second, values, swap]
    gr.on([each.change for each in (*chosen, metrics, backbone, eye)], None, None, view, js=_CHANGED_JS, **PRIVATE)
    gr.on([each.change for each in chosen], _match, chosen, [view, status], trigger_mode="always_last", **PRIVATE)
    ours.click(_example, None, [first, second], **PRIVATE)
    session.connect(run, stop, _updates, [*chosen, metrics, backbone, eye], [view, kept, status, state])
    shown = view.opened(_open, kept, [result, opened, rest], trigger_mode="always_last", **PRIVATE)
    shown = shown.then(None, result, pair, js="(message) => message", **PRIVATE)
    late = shown.then(inspect.rest, rest, [completed, rest], trigger_mode="multiple", **PRIVATE)
    late.then(None, completed, pair, js="(message) => message", **PRIVATE)
    written = view.asked(_write, kept, [made, status], **PRIVATE)
    written.then(None, made, made, js=_SAVE_JS, **PRIVATE)
    masthead.tell("pairs", {"metrics": metrics, "backbone": backbone})
    return [metrics, backbone]


def _text(name: str) -> str:
    return (paths.VIEWER / name).read_text("utf-8")


# ---- what was chosen, and what belongs together


def choice(first: Any, second: Any, values: str, swap: bool) -> Chosen:
    """What the fields say. ValueError if no files are chosen, or for a range that there is none of."""
    if not first and not second:
        raise ValueError("Choose files first, or press Example.")
    if values != "recognised" and values not in RANGES:
        raise ValueError(f"The values in arrays are one of {', '.join(RANGES)}; got {values!r}.")
    return Chosen(tuple(first or ()), tuple(second or ()), None if values == "recognised" else values, bool(swap))


def _match(request: gr.Request, first: Any, second: Any, values: str, swap: bool) -> tuple:
    """(view message, status): what belongs together."""
    head: dict[str, Any] = {"run": secrets.token_hex(4), "state": "matched"}
    if not first and not second:
        return {**head, "match": None}, html.escape(_HELP)
    try:
        chosen = choice(first, second, values, swap)
        with pair_files.opened(Client.of(request), chosen) as opened:
            match = opened.match()
    except ValueError as error:
        return {**head, "match": None}, html.escape(f"Refused: {error}")
    except Exception as error:
        return {**head, "match": None}, session.fault(error)
    text = f"Loading done: {len(match.pairs)} pairs belong together{_and_more(match)}. Press Measure."
    return {**head, "match": json.dumps(_match_json(chosen, match))}, html.escape(text)


def _and_more(match: Match) -> str:
    return f"; {match.more} more are not measured, as a run takes {MAX_PAIRS}" if match.more else ""


def _match_json(chosen: Chosen, match: Match) -> dict[str, Any]:
    return {
        "files": names_of(chosen),
        "count": len(match.pairs),
        "pairs": match.pairs[:_SHOWN],
        "problems": [[each.name, each.reason] for each in match.problems],
        "notes": match.notes,
    }


def _example() -> tuple[Any, None]:
    """The pictures of recorded attacks in one zip, for the first field."""
    try:
        return [files.put(example.NAME, example.archive())["path"]], None
    except (ValueError, OSError) as error:
        log.error("There is no example of many pairs: %s", error)
        gr.Warning("The recorded attacks cannot be read. Please install this project's files again.")
        return gr.skip(), None


def _fill(is_filled: bool, hash: str = "") -> tuple:
    """(whether it is filled, view message, what files are written of, status): the example as it is stored, once a visit, unless the
    address asks for other metrics."""
    settings, _ = address.read(KEYS, address.texts_of(hash))
    if is_filled or address.write(KEYS, settings):
        return True, gr.skip(), gr.skip(), gr.skip()
    try:
        return True, *_stored(), html.escape(_OPENING)
    except (ValueError, OSError, KeyError, TypeError) as error:
        log.error("The page opens without an example of many pairs: %s", error)
        return True, gr.skip(), gr.skip(), html.escape(_HELP)


def _stored() -> tuple[dict[str, Any], Measured]:
    """What a run on the example's pictures has shown; needs no torch."""
    stored, pictures = example.stored(), example.pictures()
    chosen = Chosen((files.put(example.NAME, example.archive())["path"],))
    metrics = tuple(stored.receipt["metrics"])
    measured = Measured(chosen, metrics, stored.receipt["backbone"], example.NAME, stored.receipt)
    measured.rows = list(enumerate(stored.rows))
    strips = [pair_files.strip(pictures[row["clean"]], pictures[row["attacked"]]) for row in stored.rows]
    pieces = [piece_of(measured.rows, strips, metrics)]
    return message(secrets.token_hex(4), "recorded", measured, len(stored.rows), stored.ladder, pieces), measured


def _updates(
    client: Client, first: Any, second: Any, values: str, swap: bool, metrics: list[str], backbone: str, eye: bool
) -> Iterator[Update]:
    """Measure what the fields say. ValueError as from `choice` and `pairs_run.updates`."""
    yield from pairs_run.updates(client, choice(first, second, values, swap), metrics, backbone, bool(eye))


# ---- one of them, and files


def _open(request: gr.Request, event: gr.EventData, measured: Measured | None) -> Iterator[tuple]:
    """Yields (viewer message, status, what `inspect.rest` needs) of the pair that was chosen."""
    with closing(session.guarded(_pair(Client.of(request), measured, getattr(event, "place", None)))) as updates:
        for update in updates:
            content = update.content[0] if update.content else None
            yield content or gr.skip(), update.as_html(), update.state


def _pair(client: Client, measured: Measured | None, place: Any) -> Generator[Update]:
    if measured is None:
        raise ValueError("These pairs are no longer kept here. Press Measure again.")
    row = next((row for each, row in measured.rows if each == place and type(place) is int), None)
    if row is None:
        raise ValueError("There is no such pair.")
    yield Update(f"Loading {row['pair']}…")
    with pair_files.opened(client, measured.chosen) as opened:
        pictures = opened.pair(place, row["clean"], row["attacked"]).load(MAX_SIDE)[:2]
    names = ("original.png", "attacked.png")
    stored = [files.put(name, images.png_bytes(images.levels(each.pixels))) for name, each in zip(names, pictures)]
    both = inspect.updates(client, *(each["path"] for each in stored), measured.metrics, measured.backbone)
    with closing(both) as updates:
        for update in updates:
            if update.content:
                update.content[0]["meta"]["name"] = row["pair"]
            yield update


def _write(request: gr.Request, event: gr.EventData, measured: Measured | None) -> Iterator[tuple]:
    """Yields ({"file"} for the browser to save, status)."""
    kind, threshold = getattr(event, "kind", None), getattr(event, "threshold", None)
    with closing(session.guarded(_file(Client.of(request), measured, kind, threshold))) as updates:
        for update in updates:
            yield update.content or gr.skip(), update.as_html()


def _file(client: Client, measured: Measured | None, kind: Any, threshold: Any) -> Generator[Update]:
    if measured is None or not measured.rows:
        raise ValueError("There is nothing to write here. Press Measure first.")
    if kind not in pair_files.FILES or type(threshold) is not int or not 1 <= threshold <= 99:
        raise ValueError("There is no such file.")
    yield Update("Running: writing the file…")
    with QUEUE.join(client) as place:
        for text in place.turn():
            yield Update(text)
        name, data = work.pairs_file(kind, measured, threshold)
    # No visitor's file name in an address.
    name = "-".join(["pairs", str(len(measured.rows)), *measured.metrics[:2]]) + Path(name).suffix
    content = {"run": secrets.token_hex(4), "file": files.put(name, data)}
    yield Update(f"Done: wrote {name}, {max(1, len(data) // 1000)} kB.", content)
