"""The page "Fool a classifier": one picture, one classifier, two attacks side by side, and what LPIPS and R-LPIPS say.

Its contents come when its tab is first opened.
"""

import html
import json
from collections.abc import Generator, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from rlpips.attacks.request import FoolRequest
from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.ui.components import drawer, masthead
from rlpips.ui.components.events import PRIVATE, refusing
from rlpips.ui.components.samples import pick, picked_js, thumbnail
from rlpips.ui.components.status import status_line
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import classifier_address, classifier_examples, classifier_text
from rlpips.ui.pages.classifier_address import CONTROLS, MAX_STEPS, PLAIN_KEYS, bound_field
from rlpips.ui.pages.classifier_examples import label_of, samples
from rlpips.ui.runtime import address, device, session, uploads, work
from rlpips.ui.runtime.attack_run import AttackRun
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import Client
from rlpips.zoo import attack_cards
from rlpips.zoo.catalog import PAIR
from rlpips.zoo.classifier_cards import CIFAR10_CLASSES

SIDE = 32  # pixels of the pictures that the classifiers take
ATTACKS = [(attack.title, name) for name, attack in attack_cards.ATTACKS.items()]
PLAIN: dict[str, Any] = {"apply_default_css": False}
SMALL: dict[str, Any] = {"min_width": 90}
# Tells the page's address the selected sample, once it is; and the recorded example that is to be opened.
_TELL_PICTURE_JS = """() => setTimeout(() => {
  const all = [...document.querySelectorAll('#fool-samples .thumbnail-item')], names = %s;
  const place = all.findIndex((each) => each.matches('.selected')) - (all.length - names.length);
  const detail = { page: 'classifier', entries: [['picture', names[place] ?? 'mine']] };
  document.dispatchEvent(new CustomEvent('page-controls', { detail }));
}, 100)"""
_TELL_RECORDED_JS = """(path) => {
  const name = String(path ?? '').split(/[\\\\/]/).pop().replace(/[.]zip$/, '');
  document.dispatchEvent(new CustomEvent('page-recorded', { detail: { page: 'classifier', texts: { recorded: name } } }));
}"""


class Controls(NamedTuple):
    """The controls of the page, or their values, in the order in which the page sends them."""

    selected: Any  # path of the picture to attack
    mine: Any  # path of the visitor's picture that the grid shows, or None
    upload: Any  # path of the visitor's picture now: Run may be pressed before the grid has caught up
    classifier: Any
    first: Any  # names of the two attacks
    second: Any
    bounds: Any  # one of `classifier_text.BOUNDS`
    first_bound: Any  # the visitor's bounds, n/255 for l_inf and otherwise in the attack's unit
    second_bound: Any
    steps: Any
    seed: Any


def build(tab: gr.Tab) -> list[Any]:
    """Lay out the page in the current Blocks; it is filled when `tab` is first opened. Returns what an address sets."""
    state = gr.State(time_to_live=2 * device.DEADLINE_S)  # see the Duel page
    mine, strip, place = gr.State(None), gr.State([]), gr.Number(visible=False, precision=0)  # see the Duel page
    is_filled = gr.State(False)
    opening, _ = address.read(classifier_address.keys(), {})
    with gr.Row(elem_classes="beside", elem_id="fool-page"):
        with gr.Column(scale=0, elem_classes=["controls", "drawer"]):
            drawer.head()
            grid = gr.Gallery(
                [], elem_id="fool-samples", label="Picture", columns=8, height="auto", format="png", show_label=False,
                allow_preview=False, object_fit="cover", interactive=False, buttons=[],
            )  # fmt: skip
            upload = gr.File(label="or your own picture", height=64, elem_id="fool-upload", elem_classes="upload")
            # These have their choices from the start: an address may choose one before the tab is filled.
            choices = classifier_text.classifiers(classifier_text.available())
            network = gr.Radio(choices, value=opening["model"] or None, label="Classifier", elem_id="fool-classifier")
            trained = gr.HTML(elem_id="fool-trained", elem_classes="hint")
            with gr.Row():  # of two lines in a narrow column, as their names are long
                first = gr.Dropdown(ATTACKS, value=opening["a"], label="Attack", elem_id="fool-attack-0")
                second = gr.Dropdown(ATTACKS, value=opening["b"], label="against", elem_id="fool-attack-1")
            bounds = gr.Dropdown(classifier_text.BOUNDS, value=opening["bounds"], label="Bounds", elem_id="fool-bounds")
            allowed = gr.HTML(elem_id="fool-allowed", elem_classes="hint")
            with gr.Row():
                steps = gr.Number(
                    opening["steps"], label=f"Steps (1 to {MAX_STEPS})", precision=0, elem_id="fool-steps", **SMALL
                )
                seed = gr.Number(opening["seed"], label="Seed", precision=0, minimum=0, elem_id="fool-seed", **SMALL)
            with gr.Column(elem_classes="stays"):
                with gr.Row():
                    drawer.opener()
                    run = gr.Button("Run", variant="primary", elem_id="fool-run", min_width=80)
                    stop = gr.Button("Stop", elem_id="fool-stop", min_width=80)
                gr.HTML('<p role="status"></p>', elem_id="fool-changed", elem_classes="changed")
                status = status_line("Loading…", "fool-status")
            examples = list(classifier_examples.examples())
            recorded = gr.Dropdown(examples, value=None, label="Recorded examples", elem_id="fool-recorded")
            with gr.Accordion("More", open=False, elem_id="fool-more"):
                visitor_bounds = [
                    gr.Number(
                        opening[f"bound{key}"],
                        label=classifier_text.bound_label(opening[key]),
                        elem_id=CONTROLS[f"bound{key}"],
                    )
                    for key in ("a", "b")
                ]
        view = viewer(
            None, empty="A recorded example opens here. Or choose a picture and press Run.", elem_id="fool-viewer"
        )
    table = gr.HTML(elem_id="fool-table", **PLAIN)

    plain = [network, first, second, bounds, *visitor_bounds, steps, seed]
    contents = [is_filled, grid, strip, trained, allowed, table, recorded, *plain, view, status]
    asked = gr.Textbox(visible=False)  # what the address says as the tab opens
    tab.select(_fill, [is_filled, asked], contents, js="(is_filled) => [is_filled, location.hash]", **PRIVATE)
    uploaded = upload.change(_uploaded, upload, [grid, strip, mine, status], **PRIVATE)
    network.change(classifier_text.trained, network, trained, **PRIVATE)
    # Of the visitor, not of a link, which sets all of them; `input` comes also when a dropdown loses the focus.
    bounded = [
        attack.select(refusing(bound_field), attack, bound, **PRIVATE)
        for attack, bound in zip((first, second), visitor_bounds)
    ]
    gr.on(
        [each.change for each in (first, second, bounds, *visitor_bounds)],
        classifier_text.allowed,
        [bounds, first, second, *visitor_bounds],
        allowed,
        trigger_mode="always_last",
        **PRIVATE,
    )

    controls = Controls(place, mine, upload, network, first, second, bounds, *visitor_bounds, steps, seed)
    session.connect(run, stop, _updates, [*controls, strip], [view, status, state], js=picked_js(grid))

    # Gradio sets what is folded, the bounds, after all else: a change of the others would tell the old ones beside the new.
    masthead.tell("classifier", dict(zip(PLAIN_KEYS, plain)), [each.input for each in plain], bounded)
    tell_picture = _TELL_PICTURE_JS % json.dumps(classifier_address.names(samples()))
    grid.select(None, None, None, js=tell_picture, **PRIVATE)
    uploaded.then(None, None, None, js=tell_picture, **PRIVATE)
    recorded.select(None, recorded, None, js=_TELL_RECORDED_JS, **PRIVATE)
    run.click(None, None, recorded, js="() => null", **PRIVATE)  # what is live is none of them
    return [grid, recorded, *plain, view, status]


# ---- what the tab opens with


def _fill(is_filled: bool, asked: Any = "") -> tuple:
    """Fill the page, once a visit, as the address asks."""
    if is_filled:
        return (gr.skip(),) * (9 + len(PLAIN_KEYS))
    grid, examples = samples(), [*classifier_examples.examples()]
    names = classifier_text.available()
    settings, _ = address.read(
        classifier_address.keys(), address.texts_of(asked) if str(asked).startswith("#classifier") else {}
    )
    shown = classifier_address.recorded(settings)
    message, status = classifier_examples.show(shown) if shown else (gr.skip(), _without_examples(names))
    if address.write(classifier_address.keys(), settings):  # the answer to the address shows it
        message, status = gr.skip(), gr.skip()
    place = classifier_address.place_of(settings["picture"])
    bounds = settings["bounds"], settings["a"], settings["b"], settings["bounda"], settings["boundb"]
    return (
        True, _grid(grid, selected_index=place if grid else None), grid, classifier_text.trained(settings["model"]),
        classifier_text.allowed(*bounds), classifier_text.experiment(), gr.Dropdown(examples, value=shown), *classifier_address.values(settings),
        message, status,
    )  # fmt: skip


def _without_examples(names: list[str]) -> str:
    if not names:
        return "Refused: there are no classifiers here."
    return (
        "Loading done: choose a picture and press Run. The recorded examples are missing or cannot be read; please install "
        "this project's files again."
    )


# ---- choosing


def _grid(samples: Iterable[str], selected_index: int | None, mine: Picture | None = None) -> gr.Gallery:
    """The pictures in their own size, so that the browser enlarges them by squares; the caption of a sample is its class."""
    cards = [(thumbnail(mine.pixels, SIDE), "your picture")] if mine else []
    return gr.Gallery([*cards, *map(_card, samples)], selected_index=selected_index)


@lru_cache(maxsize=64)
def _card(sample: str) -> tuple[Image.Image, str]:
    return Image.fromarray(images.read_picture(Path(sample)).pixels), CIFAR10_CLASSES[label_of(sample) or 0]


def _uploaded(request: gr.Request, path: str | None) -> tuple:
    """(grid, its paths, the visitor's picture, status): their picture goes first."""
    grid = samples()
    if not path:
        return _grid(grid, 0 if grid else None), grid, None, gr.skip()
    try:
        picture = uploads.read_picture(Client.of(request), path)
    except ValueError as error:  # it stays selected, so that Run does not silently attack another picture
        gr.Warning(html.escape(str(error)))
        return _grid(grid, None), grid, path, html.escape(f"Refused: {error}")
    text = " ".join(
        ["Loading done: your picture is chosen. Its middle square is scaled to 32×32 pixels.", *picture.notes]
    )
    return _grid(grid, 0, picture), [path, *grid], path, html.escape(text)


# ---- the run


def read(client: Client, controls: Controls) -> tuple[FoolRequest, str, list[str]]:
    """(the request, the picture's name, notes for the visitor); ValueError for values that cannot be."""
    if controls.classifier not in classifier_text.available():
        raise ValueError("Choose a classifier first.")
    for label, value in (("Steps", controls.steps), ("Seed", controls.seed)):
        if value is None:
            raise ValueError(f"The field {label} is empty; please fill it in.")
    if not 1 <= controls.steps <= MAX_STEPS:
        raise ValueError(f"Steps must be from 1 to {MAX_STEPS} here; got {controls.steps}.")
    if controls.first == controls.second:
        raise ValueError("Choose two different attacks to set against each other.")
    attacks = controls.first, controls.second
    selected = controls.selected
    if controls.upload != controls.mine:
        selected = controls.upload or next(iter(samples()), None)
    if not selected:
        raise ValueError("Choose a picture first.")
    picture = images.read_picture(Path(selected)) if selected in samples() else uploads.read_picture(client, selected)
    request = FoolRequest(
        picture=picture.pixels,
        label=label_of(selected),
        classifier=controls.classifier,
        attacks=attacks,
        bounds=classifier_text.bounds(controls.bounds, attacks, (controls.first_bound, controls.second_bound)),
        steps=int(controls.steps),
        seed=int(controls.seed),
    )
    return request, picture.name, list(picture.notes)


def _updates(client: Client, *values: Any) -> Generator[session.Update]:
    """A run for the values of the controls, whose first one is a place in the grid, and for the paths of the grid."""
    controls, strip = Controls(*values[:-1]), values[-1]

    def prepare() -> AttackRun:
        selected = pick(controls.selected, strip, otherwise=controls.mine)
        request, name, notes = read(client, controls._replace(selected=selected))
        return AttackRun(request, name, notes, work.fool, classifier_text.verdict, work.fool_ruler)

    yield from session.updates(client, Loading(PAIR, "alex"), prepare)
