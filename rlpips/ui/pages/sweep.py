"""The live part of the Robustness page: an eps sweep on a picture of the visitor, whose results come one by one."""

import html
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.evaluate import tables
from rlpips.ui.components.chart import SWEEPS, chart, chart_value
from rlpips.ui.components.events import PRIVATE, chosen
from rlpips.ui.components.samples import SAMPLES, thumbnail
from rlpips.ui.components.status import status_line
from rlpips.ui.pages import robustness_text
from rlpips.ui.pages.duel_controls import NORMS
from rlpips.ui.runtime import device, session, uploads, work
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import Client
from rlpips.ui.runtime.session import Run, Update
from rlpips.zoo import catalog

# All that need no download.
METRICS = [(card.title, name) for name, card in catalog.CATALOG.items() if "alex" in card.heads or not card.has_network]
PATCHES = [16, 32, 64]

# The attack on one budget is not cut in the middle; on a slow machine it takes a few seconds.
STOPPING = "(text) => (text.startsWith('Running') ? 'Running: stops after this measurement…' : text)"
_HELP = (
    "Choose a picture and press Run. Small squares are cut out of it, each is distorted in two ways, and one of the "
    "two is attacked."
)
_EMPTY = "Nothing measured yet: press Run."


def build() -> None:
    """Lay out the live part in the current Blocks."""
    state = gr.State()
    selected = gr.State(str(SAMPLES[0].path) if SAMPLES else None)
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            grid = gr.Gallery(
                [(thumbnail(sample.picture().pixels), sample.title) for sample in SAMPLES],
                elem_id="sweep-samples", label="Picture", columns=4, height="auto", format="png",
                allow_preview=False, selected_index=0, object_fit="cover",
                interactive=False, buttons=[], show_label=False,
            )  # fmt: skip
            upload = gr.File(label="or your own picture", height=64, elem_id="sweep-upload", elem_classes="upload")
            metrics = gr.CheckboxGroup(
                METRICS, value=["lpips", "rlpips-linf"], label="Metrics, each attacked itself", elem_id="sweep-metrics"
            )
            with gr.Row():
                norm = gr.Radio(NORMS, value="linf", label="Norm", elem_id="sweep-norm", min_width=80)
                patches = gr.Dropdown(PATCHES, value=PATCHES[0], label="Patches", elem_id="sweep-patches", min_width=80)
            with gr.Row():
                run = gr.Button("Run", variant="primary", elem_id="sweep-run", min_width=80)
                stop = gr.Button("Stop", elem_id="sweep-stop", min_width=80)
            status = status_line(_HELP, "sweep-status")
        with gr.Row(elem_classes="two"):
            charts = [chart(title, f"sweep-{key}", _EMPTY) for key, title in SWEEPS.items()]

    grid.select(_select, None, [selected, upload], **PRIVATE)
    upload.change(_uploaded, [upload, selected], [grid, status], **PRIVATE)
    inputs = [selected, upload, metrics, norm, patches]
    session.connect(run, stop, updates, inputs, [*charts, status, state])
    stop.click(None, status, status, js=STOPPING, **PRIVATE)


def _select(event: gr.SelectData) -> tuple:
    sample = chosen(event, SAMPLES)
    return (gr.skip(), gr.skip()) if sample is None else (str(sample.path), None)  # in place of the visitor's picture


def _uploaded(request: gr.Request, path: str | None, selected: str) -> tuple:
    """The visitor's picture is used as long as there is one."""
    if not path:
        index = next((index for index, sample in enumerate(SAMPLES) if str(sample.path) == selected), None)
        return gr.Gallery(selected_index=index), gr.skip()
    grid = gr.Gallery(selected_index=None)
    try:
        notes = uploads.read_picture(Client.of(request), path).notes
    except ValueError as error:  # it stays selected, so that Run does not silently take another picture
        gr.Warning(html.escape(str(error)))
        return grid, html.escape(f"Refused: {error}")
    return grid, html.escape(" ".join(["Loading done: your picture is chosen.", *notes]))


def updates(
    client: Client, selected: str | None, upload: str | None, metrics: list[str] | None, norm: str, patches: int
) -> Generator[Update]:
    """A sweep, from loading to the last result. ValueError for values that cannot be."""
    names = tuple(name for _, name in METRICS if name in (metrics or ()))
    if not names:
        raise ValueError("Choose at least one metric to measure.")
    if not (upload or selected):
        raise ValueError("Choose a picture first.")

    def prepare() -> "SweepRun":
        picture = uploads.read_picture(client, upload) if upload else images.read_picture(Path(selected or ""))
        return SweepRun(picture, names, norm, patches)

    yield from session.updates(client, Loading(names, "alex"), prepare)


class SweepRun(Run):
    """Collects results in the form in which `rlpips.evaluate` stores them, and draws them."""

    def __init__(self, picture: Picture, metrics: tuple[str, ...], norm: str, patches: int):
        from rlpips.evaluate.standard import LIVE_EPS

        super().__init__(picture.notes)
        self._picture, self._norm, self._patches = picture, norm, patches
        self._budgets = LIVE_EPS[norm]
        self._count, self._total = 0, len(metrics) * len(self._budgets)
        self._results: dict[str, Any] = {name: {"attacked": {norm: []}} for name in metrics}
        self._seconds = device.stopwatch()

    def steps(self) -> Generator[Update]:
        self._seconds = device.stopwatch()
        yield self._progress()
        with closing(work.sweep(self._picture.pixels, tuple(self._results), self._norm, self._patches)) as steps:
            for name, result in steps:
                self._add(name, result)
                if self._count < self._total:
                    yield self._progress()

    def result(self) -> Update:
        state = "Done" if self._count == self._total else "Stopped"
        text = f"{state}: {self._count} of {self._total} measured on {self._patches} patches of {self._picture.name}"
        return Update(f"{text} in {self._seconds():.1f} s.", self._charts())

    def _add(self, name: str, result: dict) -> None:
        if "eps" in result:
            self._results[name]["attacked"][self._norm].append(result)
            self._count += 1
        else:
            self._results[name]["natural"] = result

    def _charts(self) -> list[dict]:
        from rlpips.evaluate import charts

        return [
            chart_value(
                charts.sweep(self._results, self._norm, key, self._budgets),
                f"{self._picture.name}: {robustness_text.sweep(self._results, self._norm, key)}",
            )
            for key in SWEEPS
        ]

    def _progress(self) -> Update:
        """The budget and the metric measured now, and how long the rest may take."""
        names = list(self._results)
        budget, name = self._budgets[self._count // len(names)], names[self._count % len(names)]
        now = f"{tables.budget(self._norm, budget)}, {catalog.card(name).title}, {self._count + 1} of {self._total}"
        text = f"Running: {now}."
        if self._count:
            text += f" About {self._seconds() / self._count * (self._total - self._count):.0f} s left."
        return Update(text, self._charts(), progress=(self._count, self._total))
