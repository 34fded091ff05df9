"""The Inspect page: a pair of the visitor's pictures, attacked elsewhere perhaps, under every metric."""

import html
import json
import logging
import secrets
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from rlpips import paths
from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.traces.schema import Eye
from rlpips.traces.trace import Trace
from rlpips.ui.components import masthead
from rlpips.ui.components.events import PRIVATE
from rlpips.ui.components.status import status_line
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import gallery
from rlpips.ui.pages.duel import Duel
from rlpips.ui.pages.duel_controls import BACKBONES, metrics_on
from rlpips.ui.runtime import address, device, files, flip, messages, session, uploads, work
from rlpips.ui.runtime.address import Choice, Key
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import Client
from rlpips.ui.runtime.session import Run, Update
from rlpips.zoo import catalog

log = logging.getLogger(__name__)

METRICS = ("lpips", "rlpips-linf", "rlpips-l2")
# One more, for those who ask for it: some need weights that are not shipped, or much time.
ALSO = [("none", "none"), *((card.title, name) for name, card in catalog.CATALOG.items() if name not in METRICS)]
_HELP = "Choose an original and a changed picture of the same size. PNG keeps every bit; JPEG and lossy WebP do not."
_OPENING = f"Done: a recorded example, the astronaut before and after an attack on LPIPS within 4/255. {_HELP}"
# The page without a result. Gradio passes over a value that equals the one before.
_EMPTY_JS = f"() => [{{ run: String(Math.random()), state: 'empty' }}, {json.dumps(_HELP)}]"
# Shows a result only beside the inputs it belongs to: others may have been chosen while it was computed.
_IS_OF_INPUTS = (
    "result.inputs.every((input, index) => input === ([first?.path, second?.path, backbone, also][index] ?? null))"
)
_SHOW_JS = f"""(result, status, first, second, backbone, also) =>
  {_IS_OF_INPUTS} ? [result.message, status] : ({_EMPTY_JS})()"""
# The same for what comes late of a result; else the viewer keeps its value, which Gradio passes over.
_LATE_JS = f"""(message, result, first, second, backbone, also, shown) =>
  message?.run === result.message.run && {_IS_OF_INPUTS} ? message : shown"""


KEYS = (
    Key("pair", "pair-example", Choice("", ("", "example")), press="pair-example"),
    Key("backbone", "pair-backbone", Choice("alex", [name for _, name in BACKBONES])),
    Key("also", "pair-also", Choice("none", [name for _, name in ALSO])),
)
_ASKED_JS = "(filled) => [filled, location.hash.startsWith('#inspect') ? location.hash : '']"
_TELL_JS = """() => document.dispatchEvent(
  new CustomEvent('page-controls', { detail: { page: 'inspect', entries: [['pair', '%s']] } }))"""


def fill(settings: dict[str, Any]) -> list[Any]:
    """The values of what an address sets."""
    return [settings["backbone"], settings["also"]]


def build(tab: gr.Tab, pages: gr.Tabs, duel: Duel) -> list[Any]:
    """Lay out the page in the current Blocks; a recorded example opens with `tab`. It also compares the visitor's two pictures of the
    page `duel`. Returns what an address sets."""
    is_filled, (original, attacked) = gr.State(False), _example()
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            first = gr.File(original, label="Original", height=64, elem_id="pair-first", elem_classes="upload")
            second = gr.File(attacked, label="Changed picture", height=64, elem_id="pair-second", elem_classes="upload")
            with gr.Row():
                backbone = gr.Dropdown(BACKBONES, value="alex", label="Backbone", elem_id="pair-backbone", min_width=90)
                also = gr.Dropdown(ALSO, value="none", label="One metric more", elem_id="pair-also", min_width=90)
            with gr.Column(elem_classes="stays"):
                with gr.Row():
                    compare = gr.Button("Compare", variant="primary", elem_id="compare", min_width=80)
                    example = gr.Button("Example", elem_id="pair-example", min_width=80)
                resize = gr.Button("Resize the changed picture and compare", visible="hidden", elem_id="pair-resize")
                status = status_line(_HELP, "pair-status")
        view = viewer(None, empty="Choose two pictures and press Compare.", elem_id="pair-viewer")

        # Of all components the one whose files get addresses.
        result, completed = (gr.HTML(html_template="", visible="hidden") for _ in range(2))
        state = gr.State(time_to_live=2 * device.DEADLINE_S)

    inputs, outputs = [first, second, backbone, also], [result, resize, status, state]
    changes = [field.change for field in inputs]
    # By the browser, at once: old numbers must not stand beside a new input.
    gr.on(changes, None, None, [view, status], js=_EMPTY_JS, **PRIVATE)
    gr.on(changes, lambda: gr.Button(visible="hidden"), None, resize, **PRIVATE)
    asked = gr.Textbox(visible=False)  # what the address says as the tab opens
    tab.select(_fill, [is_filled, asked], [is_filled, view, status], js=_ASKED_JS, **PRIVATE)
    given = duel.compare.click(_given, duel.mine, [pages, is_filled, first, second], **PRIVATE)
    for comparison in (
        given.then(_compare, inputs, outputs, **PRIVATE),
        compare.click(_compare, inputs, outputs, **PRIVATE),
        example.click(_example, None, [first, second], **PRIVATE).then(_compare, inputs, outputs, **PRIVATE),
        resize.click(_resize_and_compare, inputs, outputs, **PRIVATE),
    ):
        shown = comparison.then(None, [result, status, *inputs], [view, status], js=_SHOW_JS, **PRIVATE)
        late = shown.then(rest, state, [completed, state], trigger_mode="multiple", **PRIVATE)
        late.then(None, [completed, result, *inputs, view], view, js=_LATE_JS, **PRIVATE)

    masthead.tell("inspect", {"backbone": backbone, "also": also})
    example.click(None, None, None, js=_TELL_JS % "example", **PRIVATE)
    gr.on(
        [first.upload, first.clear, second.upload, second.clear, duel.compare.click],
        None,
        None,
        js=_TELL_JS % "",
        **PRIVATE,
    )
    return [backbone, also]


def _given(mine: list[str]) -> tuple:
    """(tabs, whether the page is filled, original, changed picture) for the visitor's two pictures of the Duel."""
    if len(mine) < 2:
        return (gr.skip(),) * 4
    return gr.Tabs(selected="inspect"), True, *mine[:2]


def _fill(is_filled: bool, hash: str = "") -> tuple:
    """(whether it is filled, view message, status): the example as it is recorded, once a visit, unless the address asks for something else."""
    settings, _ = address.read(KEYS, address.texts_of(hash))
    try:
        message = None if is_filled or address.write(KEYS, settings) else gallery.message(paths.PAIR)
    except (ValueError, OSError) as error:
        log.error("The page opens without a recorded pair: %s", error)
        message = None
    return (True, message, html.escape(_OPENING)) if message else (True, gr.skip(), gr.skip())


def _example() -> list[str | None]:
    """The original and the attacked picture of the recorded example, as files; None each if it cannot be read."""
    try:
        trace = Trace.load(paths.PAIR)
    except (ValueError, OSError) as error:
        log.error("There is no recorded pair: %s", error)
        return [None, None]
    pictures = (("original.png", trace.reference), ("attacked.png", trace.adversarial[0]))
    return [files.put(name, images.png_bytes(pixels))["path"] for name, pixels in pictures]


def _compare(
    request: gr.Request, first: str | None, second: str | None, backbone: str, also: str = "none"
) -> Iterator[tuple]:
    yield from _outputs(request, first, second, backbone, also)


def _resize_and_compare(
    request: gr.Request, first: str | None, second: str | None, backbone: str, also: str = "none"
) -> Iterator[tuple]:
    yield from _outputs(request, first, second, backbone, also, resize=True)


def _outputs(
    request: gr.Request, first: str | None, second: str | None, backbone: str, also: str, resize: bool = False
) -> Iterator[tuple]:
    """Yields ({"message": for the viewer, "inputs": what it belongs to}, the resize button, status, what `rest` needs)."""
    metrics = metrics_on(METRICS, backbone) + ((also,) if also != "none" else ())
    both = updates(Client.of(request), first, second, metrics, backbone, resize)
    with closing(session.guarded(both)) as messages:
        for update in messages:
            # After a refusal the numbers of other pictures must not stand beside these.
            message = _placeholder() if update.refused else None
            message, button = update.content or (message, gr.Button(visible="hidden"))
            result = gr.skip() if message is None else {"message": message, "inputs": [first, second, backbone, also]}
            yield result, button, update.as_html(), update.state


def rest(state: session.Rest | Run | str | None) -> Iterator[tuple]:
    """Yields (the message that completes a comparison, None)."""
    yield gr.skip(), None
    with closing(session.rest(state)) as updates:
        for update in updates:
            if update.content is not None:
                yield update.content, gr.skip()


def updates(
    client: Client, first: str | None, second: str | None, metrics: tuple[str, ...], backbone: str, resize: bool = False
) -> Generator[Update]:
    """A comparison, from loading to the distances. ValueError for pictures that cannot be read."""
    if not first or not second:
        raise ValueError("Two pictures are needed: an original and a changed one.")
    x, y = (uploads.read_picture(client, path) for path in (first, second))
    if x.size != y.size and x.pixels.shape == y.pixels.shape:
        raise ValueError(
            f"The files differ in size ({_by(x.size)} and {_by(y.size)}), and only after both were reduced to {_by(x.pixels.shape)} "
            "would they match. Make them the same size first."
        )
    pixels, notes = y.pixels, [f"{picture.name}: {note}" for picture in (x, y) for note in picture.notes]
    height, width = x.pixels.shape[:2]
    if x.size != (height, width):
        notes.append(
            "The numbers are those of the reduced pictures: reducing changes them, and can remove a perturbation."
        )
    if pixels.shape != x.pixels.shape:
        if not resize:
            yield _different_sizes(x, y)
            return
        pixels = images.resize(pixels, (height, width))
        notes.append(f"The changed picture was resized to {width}×{height}.")
    loading = Loading(metrics, backbone)
    yield from session.updates(client, loading, lambda: _PairRun(x, pixels, metrics, backbone, notes))


def _placeholder() -> dict:
    """The message that empties the viewer."""
    return {"run": secrets.token_hex(4), "state": "empty"}


def _different_sizes(x: Picture, y: Picture) -> Update:
    """A refusal that offers to resize the second picture."""
    first, second = (_by(picture.size) for picture in (x, y))
    text = (
        f"Refused: the pictures differ in size ({first} and {second}), and the metrics compare position by position. "
        "Resizing changes the picture and can remove a perturbation; the numbers are then those of the resized picture."
    )
    return Update(
        text,
        (_placeholder(), gr.Button(f"Resize {_by(y.pixels.shape)} to {_by(x.pixels.shape)} and compare", visible=True)),
    )


def _by(size: tuple[int, ...]) -> str:
    """(height, width, …) as people write it."""
    return f"{size[1]}×{size[0]}"


class _PairRun(Run):
    """Compares two pictures of one size, `second` uint8 (H, W, 3)."""

    def __init__(self, first: Picture, second: np.ndarray, metrics: tuple[str, ...], backbone: str, notes: list[str]):
        super().__init__(notes)
        self._first, self._second, self._metrics, self._backbone = first, second, metrics, backbone
        self._id = secrets.token_hex(4)
        self._trace: Trace | None = None
        self._eye: Eye | str | None = None
        self._seconds = 0.0

    def steps(self) -> Generator[Update]:
        seconds = device.stopwatch()
        yield Update("Running: comparing the two pictures…")
        trace = work.pair(self._first.pixels, self._second, self._metrics, self._backbone)
        self._trace = replace(trace, name=self._first.name)
        self._seconds = seconds()

    def result(self) -> Update:
        if self._trace is None:
            return Update(session.NOTHING_YET)
        content = self._message(), gr.Button(visible="hidden")
        return Update(f"Done: measured in {self._seconds:.1f} s.", content, partial=True)

    def rest(self) -> Generator[Update]:
        """What a model of the eye says."""
        assert self._trace is not None
        with closing(flip.look(self._trace)) as looks:
            for self._eye in looks:
                yield Update("")
        yield Update("", self._message())

    def _message(self):
        assert self._trace is not None
        return messages.whole(self._id, "done", self._trace, eye=self._eye)
