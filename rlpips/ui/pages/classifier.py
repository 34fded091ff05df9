"""The page "Fool a classifier": one picture, one classifier, two attacks side by side, and what LPIPS and R-LPIPS say.

Everything on it comes when its tab is first opened. A run takes its turn at the device like a duel, see `rlpips.ui.runtime.session`.
"""

import json
import secrets
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from rlpips import paths
from rlpips.data import images
from rlpips.traces.trace import Trace
from rlpips.ui.components.samples import chosen, chosen_js, thumbnail
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import classifier_text as words
from rlpips.ui.runtime import files
from rlpips.ui.runtime import jobs as engine
from rlpips.ui.runtime import session as live
from rlpips.zoo import attack_cards, catalog

SIDE = 32  # pixels, of the pictures that the classifiers take
STEPS, MOST_STEPS = 10, 60  # of an attack; each has several passes through the networks
ATTACKS = [(attack.title, name) for name, attack in attack_cards.ATTACKS.items()]
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
PLAIN = {"apply_default_css": False}
SMALL = {"min_width": 90}


class Controls(NamedTuple):
    """The controls of the page, or what they say, in the order in which the page sends them."""

    picked: Any  # path of the picture to attack
    mine: Any  # path of the visitor's own picture that the grid shows, or None
    upload: Any  # the same as uploaded by now: Run may be pressed before the grid has caught up
    classifier: Any
    first: Any  # names of the two attacks
    second: Any
    bounds: Any  # one of `words.BOUNDS`
    first_bound: Any  # the visitor's own, n/255 for l_inf and else in the attack's unit
    second_bound: Any
    steps: Any
    seed: Any


def build(tab):
    """Lay the page out in the Blocks at hand; it is filled when `tab` is first opened, not before."""
    running = gr.State(time_to_live=2 * engine.DEADLINE_S)  # as on the Duel page
    mine, strip, place = gr.State(None), gr.State([]), gr.Number(visible=False, precision=0)  # as on the Duel page
    seen = gr.State(False)
    with gr.Row(elem_classes="beside", elem_id="fool-page"):
        with gr.Column(scale=0, elem_classes="controls"):
            pictures = gr.Gallery(
                [], elem_id="fool-samples", label="Picture", columns=8, height="auto", format="png", show_label=False,
                allow_preview=False, object_fit="cover", interactive=False, buttons=[],
            )  # fmt: skip
            upload = gr.File(label="or your own picture", height=64, elem_id="fool-upload", elem_classes="upload")
            network = gr.Radio([], label="Classifier", elem_id="fool-classifier")
            trained = gr.HTML(elem_id="fool-trained", elem_classes="hint")
            with gr.Row():
                first = gr.Dropdown(ATTACKS, value="ppgd", label="Attack", elem_id="fool-attack-0", **SMALL)
                second = gr.Dropdown(ATTACKS, value="r-ppgd", label="against", elem_id="fool-attack-1", **SMALL)
            bounds = gr.Dropdown(words.BOUNDS, value="matched", label="Bounds", elem_id="fool-bounds")
            allowed = gr.HTML(elem_id="fool-allowed", elem_classes="hint")
            with gr.Row():
                steps = gr.Number(STEPS, label=f"Steps (1 to {MOST_STEPS})", precision=0, elem_id="fool-steps", **SMALL)
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="fool-seed", **SMALL)
            with gr.Row():
                run = gr.Button("Run", variant="primary", elem_id="fool-run", min_width=80)
                stop = gr.Button("Stop", elem_id="fool-stop", min_width=80)
            status = gr.HTML(
                "Loading…", elem_id="fool-status", elem_classes="status",
                html_template='<div role="status" aria-live="polite">${value}</div>',
            )  # fmt: skip
            recorded = gr.Dropdown([], label="Recorded examples", elem_id="fool-recorded")
            with gr.Accordion("More", open=False, elem_id="fool-more"):
                own = [
                    gr.Number(value, label=words.bound_label(name), elem_id=f"fool-bound-{index}")
                    for index, (name, value) in enumerate((("ppgd", 0.5), ("r-ppgd", 0.5)))
                ]
        shown = viewer(
            None,
            empty="A recorded example opens here. Or choose a picture and press Run.",
            elem_id="fool-viewer",
        )
    table = gr.HTML(elem_id="fool-table", **PLAIN)

    tab.select(
        _opened,
        seen,
        [seen, pictures, strip, network, trained, allowed, recorded, shown, status, table],
        **PRIVATE,
    )
    upload.change(_uploaded, upload, [pictures, strip, mine, status], **PRIVATE)
    network.change(words.trained, network, trained, **PRIVATE)
    for attack, bound in zip((first, second), own):
        attack.change(_own_bound, attack, bound, **PRIVATE)
    gr.on(
        [each.change for each in (first, second, bounds, *own)],
        words.allowed,
        [bounds, first, second, *own],
        allowed,
        **PRIVATE,
    )
    recorded.select(_recorded, recorded, [shown, status], **PRIVATE)

    controls = Controls(place, mine, upload, network, first, second, bounds, *own, steps, seed)
    run.click(None, None, status, js=f"() => '{live.WAITING}'", **PRIVATE)
    attack = run.click(
        _attack, [*controls, strip], [shown, status, running], js=chosen_js(pictures), **engine.UNLIMITED, **PRIVATE
    )
    attack.then(live.stopped, running, [shown, status, running], **PRIVATE)
    stop.click(None, cancels=[attack], api_visibility="private")


# ---- what the tab opens with


def _opened(seen):
    """Fill the page, once a visit."""
    if seen:
        return (gr.skip(),) * 10
    grid, examples = samples(), list(_examples())
    names = words.available()
    message, said = _recorded(examples[0][1]) if examples else (gr.skip(), _nothing_yet(names))
    on_show = message["meta"]["name"] if "meta" in message else None
    place = next((index for index, path in enumerate(grid) if Path(path).stem == on_show), 0)
    return (
        True, _grid(grid, selected_index=place if grid else None), grid,
        gr.Radio(words.classifiers(names), value=names[0] if names else None), words.trained(names[0] if names else None),
        words.allowed("matched", "ppgd", "r-ppgd", None, None),
        gr.Dropdown(examples, value=examples[0][1] if examples else None), message, said, words.experiment(),
    )  # fmt: skip


def _nothing_yet(names):
    return "Loading done: choose a picture and press Run." if names else "Refused: there are no classifiers here."


def samples() -> list[str]:
    """Paths of the sample pictures, by class."""
    return [str(path) for path in sorted(paths.CIFAR10_SAMPLES.glob("*.png"))]


def label_of(path) -> int | None:
    """The class of a sample, which its name begins with: "cat-03.png"; None for any other picture."""
    name = Path(path).stem.partition("-")[0]
    is_sample = Path(path).parent == paths.CIFAR10_SAMPLES
    return catalog.CIFAR10_CLASSES.index(name) if is_sample and name in catalog.CIFAR10_CLASSES else None


def _examples():
    """(caption, path) of the recorded examples; one that cannot be read is left out, as the log will say."""
    for path in sorted(paths.PRECOMPUTED_CLASSIFIER.glob("*.zip")):
        if caption := _caption(path):
            yield caption, str(path)


@lru_cache
def _caption(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return words.caption(json.loads(archive.read("trace.json"))["meta"])
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError) as error:
        print(f"Left out of the recorded examples: {path.name} ({error})")
        return None


def _recorded(path):
    """(viewer message, status) of a recorded example."""
    path = Path(path or "")
    if path not in paths.PRECOMPUTED_CLASSIFIER.glob("*.zip"):
        return gr.skip(), gr.skip()
    try:
        trace = Trace.load(path)
    except (ValueError, OSError) as error:
        return gr.skip(), live.line(f"Refused: {error}")
    said = f"Done: a recorded example. {words.verdict(trace)} Press Run for a live one."
    return files.whole(secrets.token_hex(4), "recorded", trace, path.read_bytes()), live.line(said)


# ---- choosing


def _grid(paths, **selected):
    """The pictures as they are, so that the browser enlarges them by squares; a sample goes by its class."""
    return gr.Gallery([_small(path) for path in paths], **{"selected_index": 0 if paths else None, **selected})


@lru_cache(maxsize=64)
def _small(path):
    pixels = images.read_picture(Path(path)).pixels
    label = label_of(path)
    picture = thumbnail(pixels, SIDE) if label is None else Image.fromarray(pixels)
    return picture, "your picture" if label is None else catalog.CIFAR10_CLASSES[label]


def _uploaded(path):
    """(grid, its paths, the visitor's own picture, status): their picture goes first."""
    grid = samples()
    if not path:
        return _grid(grid), grid, None, gr.skip()
    try:
        notes = images.read_picture(Path(path)).notes
        said = " ".join(["Loading done: your picture is chosen. Its middle square is scaled to 32×32 pixels.", *notes])
        return _grid([path, *grid]), [path, *grid], path, live.line(said)
    except ValueError as error:  # it stays chosen, so that Run does not silently attack another picture
        gr.Warning(live.line(error))
        return _grid(grid, selected_index=None), grid, path, live.line(f"Refused: {error}")


def _own_bound(name):
    """Another attack's bound has another unit."""
    return gr.Number(value=words.shown_bound(name, attack_cards.card(name).bound), label=words.bound_label(name))


# ---- the run


def read(said: Controls):
    """(arguments for `rlpips.attacks.side_by_side.fool_steps`, the picture's name, notes for the visitor); ValueError if amiss."""
    if said.classifier not in words.available():
        raise ValueError("Choose a classifier first.")
    for what, value in (("Steps", said.steps), ("Seed", said.seed)):
        if value is None:
            raise ValueError(f"{what} must be a number; the field is empty.")
    if not 1 <= said.steps <= MOST_STEPS:
        raise ValueError(f"Steps must be from 1 to {MOST_STEPS} here; got {said.steps}.")
    if said.first == said.second:
        raise ValueError("Choose two different attacks to set against each other.")
    attacks = said.first, said.second
    picked = said.picked
    if said.upload != said.mine:
        picked = said.upload or next(iter(samples()), None)
    if not picked:
        raise ValueError("Choose a picture first.")
    picture = images.read_picture(Path(picked))
    asked = {
        "picture": picture.pixels, "label": label_of(picked), "classifier": said.classifier, "attacks": attacks,
        "bounds": words.bounds(said.bounds, attacks, (said.first_bound, said.second_bound)),
        "steps": int(said.steps), "seed": int(said.seed),
    }  # fmt: skip
    return asked, picture.name, list(picture.notes)


def _attack(*values):
    """Run's work: yields (viewer message, status, live attack) from loading to the last step."""
    yield from live.run(_ready(*values))


def _ready(*values):
    """Yields what is loading; returns the `live.Job`. As on the Duel page the first control's value is a place in the grid."""
    said, strip = Controls(*values[:-1]), values[-1]
    loading = engine.Loading(("lpips", "rlpips-linf"), "alex")
    while loading.busy():
        yield loading.text
    loading.result()
    asked, name, notes = read(said._replace(picked=chosen(said.picked, strip, said.mine)))
    return live.Job(
        asked, name, notes, engine.fool, words.verdict, lambda _, recorder: engine.fool_ruler_alone(recorder)
    )
