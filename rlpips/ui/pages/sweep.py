"""The live part of the Robustness page: an eps sweep on a picture of the visitor's, whose results come one by one."""

import html
import traceback
from pathlib import Path

import gradio as gr

from rlpips.data import images
from rlpips.evaluate import tables
from rlpips.ui.components.chart import SWEEPS, chart, drawn
from rlpips.ui.components.samples import SAMPLES, thumbnail
from rlpips.ui.pages import robustness_text as words
from rlpips.ui.pages.duel_controls import NORMS
from rlpips.ui.runtime import jobs as engine
from rlpips.zoo import catalog

METRICS = [(catalog.card(name).title, name) for name in ("lpips", "rlpips-linf", "rlpips-l2")]
PATCHES = [16, 32, 64]
LARGEST = 1024  # pixels a side; larger pictures are scaled down

REFUSED = "refused"
FAILED = "Refused: the server could not do this. Fewer patches may help."
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
# An attack on one budget is not cut in the middle: on a slow machine that takes a few seconds.
STOPPING = "(said) => (said.startsWith('Running') ? 'Running: stops after this measurement…' : said)"
_HELP = (
    "Choose a picture and press Run. Small squares are cut out of it, each is distorted in two ways, and one of the "
    "two is attacked."
)
_EMPTY = "Nothing measured yet: press Run."


def build():
    """Lay the live part out in the Blocks at hand."""
    live = gr.State()  # the `_Live` sweep, so that Stop can say what there is; REFUSED; None before there is one
    picked = gr.State(str(SAMPLES[0].path) if SAMPLES else None)
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            pictures = gr.Gallery(
                [(thumbnail(sample.picture().pixels), sample.title) for sample in SAMPLES],
                elem_id="sweep-samples", label="Picture", columns=4, height="auto", format="png",
                allow_preview=False, selected_index=0, object_fit="cover",
                interactive=False, buttons=[], show_label=False,
            )  # fmt: skip
            upload = gr.File(label="or your own picture", height=64, elem_id="sweep-upload", elem_classes="upload")
            against = gr.CheckboxGroup(
                METRICS, value=["lpips", "rlpips-linf"], label="Metrics, each attacked itself", elem_id="sweep-metrics"
            )
            with gr.Row():
                norm = gr.Dropdown(NORMS, value="linf", label="Norm", elem_id="sweep-norm", min_width=80)
                patches = gr.Dropdown(PATCHES, value=PATCHES[0], label="Patches", elem_id="sweep-patches", min_width=80)
            with gr.Row():
                run = gr.Button("Run", variant="primary", elem_id="sweep-run", min_width=80)
                stop = gr.Button("Stop", elem_id="sweep-stop", min_width=80)
            status = gr.HTML(
                _HELP, elem_id="sweep-status", elem_classes="status",
                html_template='<div role="status" aria-live="polite">${value}</div>'
            )  # fmt: skip
        with gr.Row(elem_classes="two"):
            shown = [chart(title, f"sweep-{key}", _EMPTY) for key, title in SWEEPS.items()]

    pictures.select(_pick, None, [picked, upload], **PRIVATE)
    upload.change(_uploaded, [upload, picked], [pictures, status], **PRIVATE)
    run.click(None, None, status, js="() => 'Running: waiting for a turn…'", **PRIVATE)  # at once, by the browser
    sweep = run.click(
        _sweep, [picked, upload, against, norm, patches], [*shown, status, live], **engine.UNLIMITED, **PRIVATE
    )
    sweep.then(_stopped, live, [*shown, status, live], **PRIVATE)
    stop.click(None, cancels=[sweep], api_visibility="private")
    stop.click(None, status, status, js=STOPPING, **PRIVATE)


def _pick(event: gr.SelectData):
    return str(SAMPLES[event.index].path), None  # instead of the visitor's own


def _uploaded(path, picked):
    """The visitor's picture is taken as long as there is one."""
    if not path:
        chosen = next((index for index, sample in enumerate(SAMPLES) if str(sample.path) == picked), None)
        return gr.Gallery(selected_index=chosen), gr.skip()
    none = gr.Gallery(selected_index=None)
    try:
        notes = images.read_picture(Path(path), LARGEST).notes
        return none, _line(" ".join(["Loading done: your picture is chosen.", *notes]))
    except ValueError as error:  # it stays chosen, so that Run does not silently take another picture
        gr.Warning(_line(error))
        return none, _line(f"Refused: {error}")


class _Live:
    """A sweep under way: its results as far as they go, in the form in which `rlpips.evaluate` stores them."""

    def __init__(self, metrics, norm, budgets):
        self.norm, self.budgets = norm, budgets
        self.done, self.total, self.ended = 0, len(metrics) * len(budgets), False
        self.results = {name: {"attacked": {norm: []}} for name in metrics}
        self.clock = engine.clock()

    def add(self, name, found):
        if "eps" in found:
            self.results[name]["attacked"][self.norm].append(found)
            self.done += 1
        else:
            self.results[name]["natural"] = found

    def charts(self):
        from rlpips.evaluate import charts

        of = (self.results, self.norm)
        return [drawn(charts.sweep(*of, key, self.budgets), words.sweep(*of, key)) for key in SWEEPS]

    def progress(self):
        """What is measured now, how far it is, and how long the rest may take."""
        names = list(self.results)
        budget, name = self.budgets[self.done // len(names)], names[self.done % len(names)]
        rest = self.clock() / self.done * (self.total - self.done) if self.done else None
        return (
            f"Running: {tables.budget(self.norm, budget)}, {words.title(name)}, {self.done + 1} of {self.total}."
            + (f" About {rest:.0f} s left." if rest else "")
            + f'<progress max="{self.total}" value="{self.done}" aria-label="Measured so far"></progress>'
        )


def _line(text):
    return html.escape(str(text))


def _sweep(*said):
    """Run's work: yields (both charts, status, live sweep) from loading to the last result."""
    try:
        yield from _results(*said)
    except ValueError as error:
        gr.Warning(_line(error))
        yield gr.skip(), gr.skip(), _line(f"Refused: {error}"), REFUSED
    except Exception:  # a full GPU, say: the visitor is told, the host finds the reason in the log
        traceback.print_exc()
        yield gr.skip(), gr.skip(), FAILED, REFUSED


def _results(picked, upload, metrics, norm, patches):
    metrics = tuple(name for _, name in METRICS if name in (metrics or ()))
    if not metrics:
        raise ValueError("Choose at least one metric to measure.")
    loading = engine.Loading(metrics, "alex")
    while loading.busy():
        yield gr.skip(), gr.skip(), _line(loading.text), None
    loading.result()
    from rlpips.evaluate.standard import EPS

    picture = images.read_picture(Path(upload or picked), LARGEST)
    with engine.LINE.join() as place:
        for words in place.turn():
            yield gr.skip(), gr.skip(), words, None
        yield from _measured(picture, _Live(metrics, norm, EPS[norm]), metrics, norm, patches)


def _measured(picture, live, metrics, norm, patches):
    notes = list(picture.notes)
    yield *live.charts(), live.progress(), live
    steps = engine.sweep(picture.pixels, metrics, norm, patches)
    for name, found in steps:
        live.add(name, found)
        if live.done == live.total:
            break
        if live.clock() > engine.DEADLINE_S:
            notes.append(f"It was ended after {engine.DEADLINE_S:.0f} s, so that others get their turn.")
            break
        yield *live.charts(), live.progress(), live
    steps.close()
    live.ended = True
    state = "Done" if live.done == live.total else "Stopped"
    said = (
        f"{state}: {live.done} of {live.total} measured on {patches} patches of {picture.name} in {live.clock():.1f} s."
    )
    yield *live.charts(), _line(" ".join([said, *notes])), live


def _stopped(live):
    """After the sweep, however it ended: show and say what there is where Stop has cut it off."""
    skip = gr.skip()
    if live == REFUSED or (live and live.ended):
        return skip, skip, skip, None
    if not live or not live.done:
        return skip, skip, "Stopped: before the first result.", None
    said = f"Stopped: {live.done} of {live.total} measured in {live.clock():.1f} s."
    return *live.charts(), said, None  # what was under way has been measured, too
