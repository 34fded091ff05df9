"""The controls of the Duel page, and the request that their values make."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlpips.attacks.request import MAX_FLOW, AttackRequest
from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.runtime import device, uploads, work
from rlpips.ui.runtime.queue import Client
from rlpips.zoo import catalog

METRICS = [(card.title, name) for name, card in catalog.CATALOG.items()]
BACKBONES = [(trunk.title, name) for name, trunk in catalog.TRUNKS.items()]
# A duel needs two metrics with heads for its backbone.
DUEL_BACKBONES = [
    (title, name) for title, name in BACKBONES if sum(name in card.backbones for card in catalog.CATALOG.values()) > 1
]
OBJECTIVES = [("push away", "away"), ("pull toward", "toward")]
NORMS = [("l∞", "linf"), ("l2", "l2")]
THREATS = [*NORMS, ("flow", "flow")]
STEPS = min(20, device.MAX_STEPS)  # those of the recorded duels: the page opens with the settings of the one it shows
SIZES = [("256 px", 256), ("512 px", 512), ("1024 px", 1024)]
SCHEDULES = [("from 2 eps to 0", "cosine"), ("all the same", "fixed"), ("APGD", "apgd")]
PRECISIONS = [("automatic", "auto"), ("float32", "float32")]
# What to push when it is not the picture itself: a copy under one of `rlpips.data.distortions`, or another picture.
COPIES = [
    ("a blurred copy", "blur"),
    ("a JPEG copy", "jpeg"),
    ("a noisy copy", "noise"),
    ("a coarse copy", "downscale"),
]
CANDIDATES = [
    ("the picture itself", "itself"), *COPIES, ("my second picture", "mine"),
    *((f"{sample.title} (sample)", sample.name) for sample in SAMPLES),
]  # fmt: skip
COPY_SEVERITY = 0.6


class Budget(NamedTuple):
    """The slider for eps."""

    low: float
    high: float
    step: float
    default: float
    label: str


BUDGETS = {
    "linf": Budget(0.5, 16, 0.5, 4, "eps, n/255"),
    "l2": Budget(0.1, 20, 0.1, 4, "eps, l2 norm on [0, 1]"),
    "flow": Budget(0.05, MAX_FLOW, 0.05, 0.5, "eps, pixels"),
}


class Controls(NamedTuple):
    """The controls of the Duel page, or their values, in the order in which the page sends them."""

    selected: Any  # path of the picture to attack
    mine: Any  # paths of the visitor's pictures that the strip of thumbnails shows
    upload: Any  # paths of the visitor's pictures now: Run may be pressed before the strip has caught up
    objective: Any
    norm: Any
    candidate: Any  # one of CANDIDATES
    eps: Any  # n/255 for l_inf, [0, 1] units for l2, pixels for a flow; so is the step size
    steps: Any
    first: Any  # names of the two metrics
    second: Any
    seed: Any
    step_size: Any
    restarts: Any
    backbone: Any
    size: Any  # the visitor's pictures have at most so many pixels a side
    precision: Any  # "auto": the one that the device is fastest in
    schedule: Any


def read(client: Client, controls: Controls) -> tuple[AttackRequest, str, list[str]]:
    """(the request, the picture's name, notes for the visitor); ValueError for values that cannot be."""
    for label, value in (
        ("eps", controls.eps), ("Steps", controls.steps), ("Seed", controls.seed), ("Restarts", controls.restarts),
        ("What is pushed", controls.candidate), ("Longest side", controls.size), ("Precision", controls.precision),
    ):  # fmt: skip
        if value is None:
            raise ValueError(f"The field {label} is empty; please fill it in.")
    # Written so that NaN fails.
    if not controls.steps <= device.MAX_STEPS or not controls.restarts <= device.MAX_RESTARTS:
        raise ValueError(
            f"At most {device.MAX_STEPS} steps and {device.MAX_RESTARTS} restarts here; "
            f"got {controls.steps} and {controls.restarts}."
        )
    if controls.first == controls.second:
        raise ValueError("Choose two different metrics to set against each other.")

    mine, selected, candidate = (controls.upload or [])[:2], controls.selected, controls.candidate
    if mine != controls.mine:
        selected = mine[0] if mine else str(SAMPLES[0].path)
        candidate = "mine" if len(mine) > 1 and candidate == "itself" else candidate
    if selected in mine:
        reference = uploads.read_picture(client, selected, controls.size)
    else:
        reference = images.read_picture(Path(selected))  # a sample
    notes = list(reference.notes)
    if candidate == "mine":
        others = [path for path in mine if path != selected]
        if not others:
            raise ValueError("There is no second picture yet: drop two pictures, or choose something else to push.")
        pushed = uploads.read_picture(client, others[0], controls.size).pixels
    else:
        pushed = _candidate(candidate, reference)
    if pushed is not None and pushed.shape != reference.pixels.shape:
        height, width = reference.pixels.shape[:2]
        notes.append(f"The second picture was resized from {pushed.shape[1]}×{pushed.shape[0]} to {width}×{height}.")
        pushed = images.resize(pushed, (height, width))
    unit = 1 / 255 if controls.norm == "linf" else 1
    request = AttackRequest(
        reference=reference.pixels,
        candidate=pushed,
        metrics=(controls.first, controls.second),
        backbone=controls.backbone,
        norm=controls.norm,
        eps=controls.eps * unit,
        steps=_whole(controls.steps),
        step_size=None if controls.step_size is None else controls.step_size * unit,
        objective=controls.objective,
        seed=_whole(controls.seed),
        restarts=_whole(controls.restarts),
        precision=None if controls.precision == "auto" else controls.precision,
        schedule=controls.schedule,
    )
    return request, reference.name, notes


def _whole(value: Any) -> Any:
    """A whole number as an int; `AttackRequest` refuses other values."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _candidate(choice: str, reference: Picture) -> np.ndarray | None:
    if choice == "itself":
        return None
    for sample in SAMPLES:
        if sample.name == choice:
            return sample.picture().pixels
    return work.distorted(reference.pixels, choice, COPY_SEVERITY)


def metrics_on(names: Iterable[str], backbone: str) -> tuple[str, ...]:
    """The metrics among `names` that have heads for the backbone."""
    return tuple(name for name in names if backbone in catalog.card(name).backbones)
