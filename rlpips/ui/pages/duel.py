"""The Duel page: choose a picture and an attack, press Run, and see the same change get two verdicts."""

import html
from collections.abc import Generator
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from rlpips.data.images import Picture
from rlpips.traces.trace import Trace
from rlpips.ui.components import drawer, masthead
from rlpips.ui.components.events import PRIVATE, refusing
from rlpips.ui.components.samples import SAMPLES, pick, picked_js, thumbnail
from rlpips.ui.components.status import status_line
from rlpips.ui.components.story import offer
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import duel_controls, inside
from rlpips.ui.pages.duel_address import Settings
from rlpips.ui.pages.duel_controls import Controls
from rlpips.ui.runtime import device, flip, session, uploads, work
from rlpips.ui.runtime.attack_run import AttackRun
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import Client
from rlpips.validation import check_choice

# The budget in both conventions, or what a flow is, computed in the browser while the slider moves.
BUDGET_JS = """(eps, norm) => {
  if (norm === 'flow') return `moves pixels instead of changing them, each by at most ${eps} px`;
  const unit = norm === 'linf' ? eps / 255 : eps;
  const number = (x) => Number(x.toPrecision(3)).toString();
  return (norm === 'linf' ? `${eps}/255 = ` : 'l2 norm ')
    + `${number(unit)} on [0, 1], ${number(2 * unit)} on [−1, 1]`;
}"""
BUDGET = "4/255 = 0.0157 on [0, 1], 0.0314 on [−1, 1]"  # for the values that the page opens with

# Attacks the visitor's pair: the second picture is pushed, and Run does it when the control has its value.
ATTACK_JS = """() => {
  setTimeout(() => document.querySelector('#run').click(), 100);
  return 'mine';
}"""

_SAMPLES = [str(sample.path) for sample in SAMPLES]


class Duel(NamedTuple):
    """The parts of the page that another one needs to show a duel here, with its settings."""

    view: gr.HTML
    status: gr.HTML
    grid: gr.Gallery
    fields: dict[str, Any]  # the control of each key of the page's address but "picture"
    mine: gr.State
    strip: gr.State
    compare: gr.Button  # the visitor's two pictures, on the page Inspect

    @property
    def outputs(self) -> list[Any]:
        """What an event sets to show a duel: viewer, status, and what `fill` has a value for."""
        return [self.view, self.status, self.grid, *self.fields.values()]

    @property
    def nothing(self) -> list[Any]:
        """The values for `outputs` that change nothing."""
        return [gr.skip()] * len(self.outputs)

    def fill(self, settings: Settings, mine: list[str]) -> list[Any]:
        """The values that set the picture and the controls, beside the visitor's own pictures."""
        names = [sample.name for sample in SAMPLES]
        place = len(mine) + names.index(settings["picture"]) if settings["picture"] in names else 0 if mine else None
        values = {name: settings[name] for name in self.fields} | {"side": int(settings["side"])}
        values["eps"] = _eps_slider(settings["norm"], settings["eps"])
        return [gr.Gallery(selected_index=place), *values.values()]


def build(opening: dict | None) -> Duel:
    """Lay out the page in the current Blocks; `opening` is the first viewer message."""
    # The run, some megabytes, which Gradio would otherwise store for an hour after the tab is closed.
    state = gr.State(time_to_live=2 * device.DEADLINE_S)
    # Paths of the visitor's pictures and of those in the strip of thumbnails; and the place of the selected one in the strip.
    mine, strip, place = gr.State([]), gr.State(_SAMPLES), gr.Number(visible=False, precision=0)
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes=["controls", "drawer"]):
            drawer.head()
            offer()
            grid = gr.Gallery(
                _sample_cards(), elem_id="samples", label="Picture", columns=5, height="auto", format="png",
                allow_preview=False, selected_index=0, object_fit="cover", interactive=False, buttons=[], show_label=False,
            )  # fmt: skip
            upload = gr.File(
                label="or your own picture, or a pair",
                file_count="multiple",
                height=64,
                elem_id="upload",
                elem_classes="upload",
            )
            with gr.Column(visible=False, elem_id="pair-ask") as ask:
                gr.HTML("You chose two pictures. What is to be done with them?", elem_classes="hint")
                with gr.Row():
                    attack = gr.Button("Attack the second", size="sm", elem_id="pair-attack", min_width=80)
                    compare = gr.Button("Compare them", size="sm", elem_id="pair-compare", min_width=80)
            # Before the settings: it stays in sight, and few stops from the start of the page.
            with gr.Column(elem_classes="stays"):
                with gr.Row():
                    drawer.opener()
                    run = gr.Button("Run", variant="primary", elem_id="run", min_width=80)
                    stop = gr.Button("Stop", elem_id="stop", min_width=80)
                gr.HTML('<p role="status"></p>', elem_id="changed", elem_classes="changed")
                status = status_line("Loading the network… The recorded duel can be explored meanwhile.", "status")
            objective = gr.Radio(duel_controls.OBJECTIVES, value="away", label="Attack", elem_id="objective")
            with gr.Row():
                norm = gr.Dropdown(duel_controls.THREATS, value="linf", label="Norm", elem_id="norm", min_width=70)
                candidate = gr.Dropdown(
                    duel_controls.CANDIDATES, value="itself", label="What is pushed", elem_id="candidate",
                    min_width=130, scale=2,
                )  # fmt: skip
            eps = _eps_slider("linf", elem_id="eps")
            budget = gr.HTML(BUDGET, elem_id="budget", elem_classes="hint")
            steps = gr.Slider(1, device.MAX_STEPS, value=duel_controls.STEPS, step=1, label="Steps", elem_id="steps")
            with gr.Row():
                first = gr.Dropdown(
                    duel_controls.METRICS, value="lpips", label="Against", elem_id="metric-0", min_width=90
                )
                second = gr.Dropdown(
                    duel_controls.METRICS, value="rlpips-linf", label="and", elem_id="metric-1", min_width=90
                )
            with gr.Row():
                backbone = gr.Dropdown(
                    duel_controls.DUEL_BACKBONES, value="alex", label="Backbone", elem_id="backbone", min_width=90
                )
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed", min_width=90)
            with gr.Accordion("More", open=False, elem_id="more"):
                schedule = gr.Dropdown(
                    duel_controls.SCHEDULES, value="cosine", label="Sizes of the steps", elem_id="schedule"
                )
                step_size = gr.Number(
                    0, label="One size for all, in eps's unit (0: as above)", minimum=0, elem_id="step-size"
                )
                restarts = gr.Slider(1, device.MAX_RESTARTS, value=1, step=1, label="Restarts", elem_id="restarts")
                size = gr.Dropdown(duel_controls.SIZES, value=256, label="Longest side of your picture", elem_id="size")
                precision = gr.Radio(duel_controls.PRECISIONS, value="auto", label="Precision", elem_id="precision")
        view = viewer(
            opening,
            empty="The recorded duel cannot be read; please install this project's files again. Or choose a picture and press Run.",
            scores=inside.known_scores(),
        )

    upload.change(_uploaded, upload, [grid, strip, mine, candidate, status, ask], **PRIVATE)
    attack.click(None, None, candidate, js=ATTACK_JS, **PRIVATE)
    # Of the visitor, not of a link, which sets all of them.
    objective.input(_candidate_for, [objective, candidate], candidate, **PRIVATE)
    # Not `input`: Gradio fires it when a dropdown loses the focus, and eps would be lost.
    norm.select(refusing(_eps_slider), norm, eps, **PRIVATE)
    gr.on(
        [eps.change, norm.change],
        None,
        [eps, norm],
        budget,
        js=BUDGET_JS,
        trigger_mode="always_last",
        api_visibility="private",
    )

    controls = Controls(
        place, mine, upload, objective, norm, candidate, eps, steps, first, second, seed, step_size, restarts, backbone, size,
        precision, schedule,
    )  # fmt: skip
    session.connect(run, stop, _updates, [*controls, strip], [view, status, state], js=picked_js(grid))
    inside.connect_yours(stop, _verdict, [view, status, state])
    fields = dict(
        objective=objective, norm=norm, push=candidate, eps=eps, steps=steps, a=first, b=second, backbone=backbone, seed=seed,
        schedule=schedule, stepsize=step_size, restarts=restarts, side=size, precision=precision,
    )  # fmt: skip
    masthead.tell("duel", fields)
    return Duel(view, status, grid, fields, mine, strip, compare)


def _sample_cards() -> list[tuple[Image.Image, str]]:
    return [_card(sample.picture()) for sample in SAMPLES]


def _card(picture: Picture) -> tuple[Image.Image, str]:
    return thumbnail(picture.pixels), picture.name.replace("_", " ")


def _uploaded(request: gr.Request, paths: list[str] | None) -> tuple:
    """The visitor's pictures go first in the strip; a pair may be attacked, its second picture pushed, or compared."""
    if not paths:
        return (
            gr.Gallery(_sample_cards(), selected_index=0),
            _SAMPLES,
            [],
            "itself",
            gr.skip(),
            gr.Column(visible=False),
        )
    mine = paths[:2]
    candidate = "mine" if len(mine) > 1 else "itself"
    try:
        chosen = [uploads.read_picture(Client.of(request), path) for path in mine]
    except ValueError as error:  # it stays selected, so that Run does not silently attack another picture
        gr.Warning(html.escape(str(error)))
        grid = gr.Gallery(_sample_cards(), selected_index=None)
        return grid, _SAMPLES, mine, candidate, html.escape(f"Refused: {error}"), gr.Column(visible=False)
    notes = [" ".join(picture.notes) for picture in chosen]
    if len(paths) > 2:
        notes.append("Only the first two of your pictures are used.")
    strip = [*mine, *_SAMPLES]
    text = " ".join(["Loading done: your picture is chosen.", *filter(None, notes)])
    cards = [*map(_card, chosen), *_sample_cards()]
    ask = gr.Column(visible=len(mine) > 1)
    return gr.Gallery(cards, selected_index=0), strip, mine, candidate, html.escape(text), ask


def _candidate_for(objective: str, candidate: str) -> str:
    """A picture to pull toward the reference has to differ from it; the picture to push away usually is the reference."""
    if objective == "toward":
        return "blur" if candidate == "itself" else candidate
    return "itself" if candidate in [name for _, name in duel_controls.COPIES] else candidate


def _eps_slider(norm: str, value: float | None = None, **kw: Any) -> gr.Slider:
    check_choice("Norm", norm, duel_controls.BUDGETS)
    budget = duel_controls.BUDGETS[norm]
    value = budget.default if value is None else value
    return gr.Slider(budget.low, budget.high, value=value, step=budget.step, label=budget.label, **kw)


def _updates(client: Client, *values: Any) -> Generator[session.Update]:
    """A run for the values of the page's controls, whose first one is a place in the strip, and for the paths of the strip."""
    controls, strip = Controls(*values[:-1]), values[-1]
    selected = pick(controls.selected, strip, otherwise=next(iter(controls.mine), None))
    if selected is None and not controls.upload:
        raise ValueError("Choose a picture first.")
    step_size = controls.step_size or None  # the field cannot stay empty: Gradio fills in 0 when it is shown
    yield from updates(client, controls._replace(selected=selected, step_size=step_size))


def updates(client: Client, controls: Controls) -> Generator[session.Update]:
    """A duel, from loading to the complete trace. ValueError for values that cannot be."""
    loading = Loading((controls.first, controls.second), controls.backbone)
    yield from session.updates(client, loading, lambda: _prepare(client, controls))


def _prepare(client: Client, controls: Controls) -> AttackRun:
    request, name, notes = duel_controls.read(client, controls)
    return AttackRun(request, name, notes, work.duel, _verdict, work.duel_ruler, flip.look)


def _verdict(trace: Trace) -> str:
    """Each metric's distance to the picture attacked against it: "LPIPS 0.804, as far as JPEG quality 2"."""
    from rlpips.engine.ruler import Ruler

    ruler, distances = Ruler.from_json(trace.ruler), trace.distance[-1]
    parts = (
        f"{inside.title(name)} {distances[lane, lane]:.3f}, {ruler.read(name, distances[lane, lane])}"
        for lane, name in enumerate(trace.metrics)
    )
    return "; ".join(parts) + "."
