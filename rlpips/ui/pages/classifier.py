"""The page "Fool a classifier": one picture, one classifier, two attacks side by side, and what LPIPS and R-LPIPS say.

Its contents come when its tab is first opened.
"""

import html
import json
import logging
import secrets
import zipfile
from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from rlpips import paths
from rlpips.attacks.request import MAX_SEED, FoolRequest
from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.traces.trace import Trace
from rlpips.ui.components import drawer, masthead
from rlpips.ui.components.events import PRIVATE, refusing
from rlpips.ui.components.samples import pick, picked_js, thumbnail
from rlpips.ui.components.status import status_line
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import classifier_text
from rlpips.ui.runtime import address, device, messages, session, uploads, work
from rlpips.ui.runtime.address import Choice, Key, Number
from rlpips.ui.runtime.attack_run import AttackRun
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import Client
from rlpips.zoo import attack_cards, catalog
from rlpips.zoo.catalog import PAIR

log = logging.getLogger(__name__)

SIDE = 32  # pixels of the pictures that the classifiers take
STEPS, MAX_STEPS = 10, 60  # of an attack; each takes several passes through the networks
ATTACKS = [(attack.title, name) for name, attack in attack_cards.ATTACKS.items()]
PLAIN: dict[str, Any] = {"apply_default_css": False}
SMALL: dict[str, Any] = {"min_width": 90}
_PLAIN_KEYS = ("a", "b", "bounds", "steps", "seed")  # of the address, each the value of its control
# Tells the page's address the selected sample, once it is; and what else it names by a file.
_TELL_PICTURE_JS = """() => setTimeout(() => {
  const all = [...document.querySelectorAll('#fool-samples .thumbnail-item')], names = %s;
  const place = all.findIndex((each) => each.matches('.selected')) - (all.length - names.length);
  const detail = { page: 'classifier', entries: [['picture', names[place] ?? '']] };
  document.dispatchEvent(new CustomEvent('page-controls', { detail }));
}, 100)"""
_TELL_RECORDED_JS = """(path) => {
  const name = String(path ?? '').split(/[\\\\/]/).pop().replace(/[.]zip$/, '');
  document.dispatchEvent(new CustomEvent('page-controls', { detail: { page: 'classifier', entries: [['recorded', name]] } }));
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


def keys() -> list[Key]:
    """The keys of the page's address. `recorded` and `picture` are names of files without their ending."""
    examples, pictures, names = _names(recorded_files()), _names(samples()), classifier_text.available()
    attacks = [name for _, name in ATTACKS]
    return [
        Key("recorded", "fool-recorded", Choice(examples[0] if examples else "", examples or [""])),
        Key("picture", "fool-samples", Choice("", ["", *pictures])),
        Key("model", "fool-classifier", Choice(names[0] if names else "", names or [""])),
        Key("a", "fool-attack-0", Choice("ppgd", attacks)),
        Key("b", "fool-attack-1", Choice("r-ppgd", attacks)),
        Key("bounds", "fool-bounds", Choice("matched", [name for _, name in classifier_text.BOUNDS])),
        Key("steps", "fool-steps", Number(STEPS, 1, MAX_STEPS, whole=True)),
        Key("seed", "fool-seed", Number(0, 0, MAX_SEED, whole=True)),
    ]


def _names(files: Iterable[str | Path]) -> list[str]:
    return [Path(file).stem for file in files]


def recorded_files() -> list[Path]:
    """The files of the recorded examples."""
    return sorted(paths.PRECOMPUTED_CLASSIFIER.glob("*.zip"))


def fill(settings: dict[str, Any]) -> list[Any]:
    """The values of what an address sets."""
    recorded = next((path for path in recorded_files() if path.stem == settings["recorded"]), None)
    place = _place(settings["picture"] or _picture_of(recorded))
    return [
        gr.skip() if place is None else gr.Gallery(selected_index=place), settings["model"], str(recorded) if recorded else gr.skip(),
        *(settings[name] for name in _PLAIN_KEYS), *_show_recorded(str(recorded) if recorded else None),
    ]  # fmt: skip


def _picture_of(recorded: Path | None) -> str:
    """The sample of a recorded example, with which the name of its file begins: cat-02-undefended-ppgd-r-ppgd.zip."""
    return "-".join(recorded.stem.split("-")[:2]) if recorded else ""


def _place(picture: str) -> int | None:
    """Where a sample is among them."""
    names = _names(samples())
    return names.index(picture) if picture in names else None


def build(tab: gr.Tab) -> list[Any]:
    """Lay out the page in the current Blocks; it is filled when `tab` is first opened. Returns what an address sets."""
    state = gr.State(time_to_live=2 * device.DEADLINE_S)  # see the Duel page
    mine, strip, place = gr.State(None), gr.State([]), gr.Number(visible=False, precision=0)  # see the Duel page
    is_filled = gr.State(False)
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
            network = gr.Radio(choices, label="Classifier", elem_id="fool-classifier")
            trained = gr.HTML(elem_id="fool-trained", elem_classes="hint")
            with gr.Row():  # of two lines in a narrow column, as their names are long
                first = gr.Dropdown(ATTACKS, value="ppgd", label="Attack", elem_id="fool-attack-0")
                second = gr.Dropdown(ATTACKS, value="r-ppgd", label="against", elem_id="fool-attack-1")
            bounds = gr.Dropdown(classifier_text.BOUNDS, value="matched", label="Bounds", elem_id="fool-bounds")
            allowed = gr.HTML(elem_id="fool-allowed", elem_classes="hint")
            with gr.Row():
                steps = gr.Number(STEPS, label=f"Steps (1 to {MAX_STEPS})", precision=0, elem_id="fool-steps", **SMALL)
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="fool-seed", **SMALL)
            with gr.Column(elem_classes="stays"):
                with gr.Row():
                    drawer.opener()
                    run = gr.Button("Run", variant="primary", elem_id="fool-run", min_width=80)
                    stop = gr.Button("Stop", elem_id="fool-stop", min_width=80)
                status = status_line("Loading…", "fool-status")
            examples = list(_examples())
            recorded = gr.Dropdown(examples, value=None, label="Recorded examples", elem_id="fool-recorded")
            with gr.Accordion("More", open=False, elem_id="fool-more"):
                visitor_bounds = [
                    gr.Number(0.5, label=classifier_text.bound_label(name), elem_id=f"fool-bound-{index}")
                    for index, name in enumerate(("ppgd", "r-ppgd"))
                ]
        view = viewer(
            None, empty="A recorded example opens here. Or choose a picture and press Run.", elem_id="fool-viewer"
        )
    table = gr.HTML(elem_id="fool-table", **PLAIN)

    plain = [first, second, bounds, steps, seed]
    contents = [is_filled, grid, strip, network, trained, allowed, recorded, *plain, view, status, table]
    asked = gr.Textbox(visible=False)  # what the address says as the tab opens
    tab.select(_fill, [is_filled, asked], contents, js="(is_filled) => [is_filled, location.hash]", **PRIVATE)
    upload.change(_uploaded, upload, [grid, strip, mine, status], **PRIVATE)
    network.change(classifier_text.trained, network, trained, **PRIVATE)
    for attack, bound in zip((first, second), visitor_bounds):
        attack.change(refusing(_bound_field), attack, bound, **PRIVATE)
    gr.on(
        [each.change for each in (first, second, bounds, *visitor_bounds)],
        classifier_text.allowed,
        [bounds, first, second, *visitor_bounds],
        allowed,
        **PRIVATE,
    )
    recorded.select(_show_recorded, recorded, [view, status], **PRIVATE)

    controls = Controls(place, mine, upload, network, first, second, bounds, *visitor_bounds, steps, seed)
    session.connect(run, stop, _updates, [*controls, strip], [view, status, state], js=picked_js(grid))

    masthead.tell("classifier", dict(zip(("model", *_PLAIN_KEYS), (network, *plain))))
    grid.select(None, None, None, js=_TELL_PICTURE_JS % json.dumps(_names(samples())), **PRIVATE)
    recorded.select(None, recorded, None, js=_TELL_RECORDED_JS, **PRIVATE)
    return [grid, network, recorded, *plain, view, status]


# ---- what the tab opens with


def _fill(is_filled: bool, asked: str = "") -> tuple:
    """Fill the page, once a visit, as the address asks."""
    if is_filled:
        return (gr.skip(),) * 15
    grid, examples = samples(), list(_examples())
    names = classifier_text.available()
    settings, _ = address.read(keys(), address.texts_of(asked))
    network = settings["model"] or None
    shown = next(
        (path for _, path in examples if Path(path).stem == settings["recorded"]), examples[0][1] if examples else None
    )
    message, status = _show_recorded(shown) if shown else (gr.skip(), _without_examples(names))
    place = _place(settings["picture"] or _picture_of(Path(shown) if shown else None)) or 0
    plain = [settings[name] for name in _PLAIN_KEYS]
    return (
        True, _grid(grid, selected_index=place if grid else None), grid,
        gr.Radio(classifier_text.classifiers(names), value=network), classifier_text.trained(network),
        classifier_text.allowed(settings["bounds"], settings["a"], settings["b"], None, None),
        gr.Dropdown(examples, value=shown), *plain, message, status, classifier_text.experiment(),
    )  # fmt: skip


def _without_examples(names: list[str]) -> str:
    if not names:
        return "Refused: there are no classifiers here."
    return (
        "Loading done: choose a picture and press Run. The recorded examples are missing or cannot be read; please install "
        "this project's files again."
    )


def samples() -> list[str]:
    """Paths of the sample pictures, by class."""
    return [str(path) for path in sorted(paths.CIFAR10_SAMPLES.glob("*.png")) if label_of(path) is not None]


def label_of(path: str | Path) -> int | None:
    """The class of a sample, with which its name begins: "cat-03.png"; None for any other picture."""
    name = Path(path).stem.partition("-")[0]
    is_sample = Path(path).parent == paths.CIFAR10_SAMPLES
    return catalog.CIFAR10_CLASSES.index(name) if is_sample and name in catalog.CIFAR10_CLASSES else None


def _examples() -> Iterator[tuple[str, str]]:
    """(caption, path) of the recorded examples that can be read."""
    for path in sorted(paths.PRECOMPUTED_CLASSIFIER.glob("*.zip")):
        if caption := _caption(path):
            yield caption, str(path)


@lru_cache
def _caption(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return classifier_text.caption(json.loads(archive.read("trace.json"))["meta"])
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError) as error:
        log.error("The recorded examples leave out %s: %s", path.name, error)
        return None


def _show_recorded(path: str | None) -> tuple:
    """(viewer message, status) of a recorded example."""
    file = Path(path or "")
    if file not in paths.PRECOMPUTED_CLASSIFIER.glob("*.zip"):
        return gr.skip(), gr.skip()
    try:
        trace = Trace.load(file)
    except (ValueError, OSError) as error:
        log.error("The recorded example %s is not shown: %s", file.name, error)
        return gr.skip(), html.escape(f"Refused: {error}")
    text = f"Done: a recorded example. {classifier_text.verdict(trace)} Press Run for a live one."
    return messages.whole(secrets.token_hex(4), "recorded", trace, file.read_bytes()), html.escape(text)


# ---- choosing


def _grid(samples: Iterable[str], selected_index: int | None, mine: Picture | None = None) -> gr.Gallery:
    """The pictures in their own size, so that the browser enlarges them by squares; the caption of a sample is its class."""
    cards = [(thumbnail(mine.pixels, SIDE), "your picture")] if mine else []
    return gr.Gallery([*cards, *map(_card, samples)], selected_index=selected_index)


@lru_cache(maxsize=64)
def _card(sample: str) -> tuple[Image.Image, str]:
    return Image.fromarray(images.read_picture(Path(sample)).pixels), catalog.CIFAR10_CLASSES[label_of(sample) or 0]


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


def _bound_field(name: str) -> gr.Number:
    """The field for the bound of an attack, in the attack's unit."""
    return gr.Number(
        value=classifier_text.shown_bound(name, attack_cards.card(name).bound), label=classifier_text.bound_label(name)
    )


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
