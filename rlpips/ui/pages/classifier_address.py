"""The address of the page "Fool a classifier": a recorded example, and what its settings are changed to."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips.attacks.request import MAX_SEED
from rlpips.ui.pages import classifier_examples, classifier_text
from rlpips.ui.pages.classifier_examples import samples
from rlpips.ui.pages.duel_address import MINE
from rlpips.ui.runtime.address import Choice, Key, Number, Rule
from rlpips.zoo import attack_cards

MAX_STEPS = 60  # of an attack; each takes several passes through the networks
# The control of each key of the address.
CONTROLS = dict(
    picture="fool-samples", model="fool-classifier", a="fool-attack-0", b="fool-attack-1", bounds="fool-bounds",
    bounda="fool-bound-0", boundb="fool-bound-1", steps="fool-steps", seed="fool-seed",
)  # fmt: skip
PLAIN_KEYS = [*CONTROLS][1:]  # each the value of its control
# Without recorded examples.
_SETTINGS = dict(picture="", model="", a="ppgd", b="r-ppgd", bounds="matched", bounda=0.5, boundb=0.5, steps=10, seed=0)


def keys() -> list[Key]:
    """The keys of the page's address: a recorded example, and what its settings are changed to. `recorded` and `picture` are names of
    files without their ending."""
    settings = {
        path.stem: about[1] for path in classifier_examples.files() if (about := classifier_examples.about(path))
    } or {"": _SETTINGS}
    attacks = [*attack_cards.ATTACKS]
    rules: dict[str, Callable[[Any], Rule]] = {
        "picture": lambda name: Choice(name, [name, *names(samples()), MINE]),
        "model": lambda name: Choice(name, classifier_text.available() or [""]),
        "a": lambda name: Choice(name, attacks),
        "b": lambda name: Choice(name, attacks),
        "bounds": lambda name: Choice(name, [name for _, name in classifier_text.BOUNDS]),
        "bounda": lambda bound: Number(bound, 0, 1000),
        "boundb": lambda bound: Number(bound, 0, 1000),
        "steps": lambda steps: Number(steps, 1, MAX_STEPS, whole=True),
        "seed": lambda seed: Number(seed, 0, MAX_SEED, whole=True),
    }
    return [
        Key("recorded", "fool-recorded", Choice(next(iter(settings)), [*settings])),
        *(
            Key(name, control, {example: rules[name](of[name]) for example, of in settings.items()}, by="recorded")
            for name, control in CONTROLS.items()
        ),
    ]


def names(files: Iterable[str | Path]) -> list[str]:
    """The names of files without their ending."""
    return [Path(file).stem for file in files]


def fill(settings: dict[str, Any]) -> list[Any]:
    """The values of what an address sets."""
    path = recorded(settings)
    place = place_of(settings["picture"])
    return [
        gr.skip() if place is None else gr.Gallery(selected_index=place),
        path or gr.skip(),
        *values(settings),
        *classifier_examples.show(path),
    ]


def recorded(settings: dict[str, Any]) -> str | None:
    """The path of the example that an address names."""
    return next((path for _, path in classifier_examples.examples() if Path(path).stem == settings["recorded"]), None)


def values(settings: dict[str, Any]) -> list[Any]:
    """The values of the controls whose keys are `PLAIN_KEYS`."""
    fields = {
        "model": settings["model"] or None,
        "bounda": bound_field(settings["a"], settings["bounda"]),
        "boundb": bound_field(settings["b"], settings["boundb"]),
    }
    return [fields.get(name, settings[name]) for name in PLAIN_KEYS]


def place_of(picture: str) -> int | None:
    """Where a sample is among them."""
    pictures = names(samples())
    return pictures.index(picture) if picture in pictures else None


def bound_field(name: str, value: float | None = None) -> gr.Number:
    """The field for the bound of an attack, in the attack's unit; without a value, the attack's own."""
    if value is None:
        value = classifier_text.shown_bound(name, attack_cards.card(name).bound)
    return gr.Number(value=value, label=classifier_text.bound_label(name))
