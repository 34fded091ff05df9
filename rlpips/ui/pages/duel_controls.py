"""From what the controls of the Duel page say to arguments for `rlpips.attack_steps`."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rlpips.data import images
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.runtime import jobs as engine
from rlpips.zoo import catalog

METRICS = [(card.title, name) for name, card in catalog.CATALOG.items()]
BACKBONES = [(trunk.title, name) for name, trunk in catalog.TRUNKS.items()]
# A duel needs two metrics with heads for its backbone.
DUEL_BACKBONES = [
    (title, name) for title, name in BACKBONES if sum(name in card.backbones for card in catalog.CATALOG.values()) > 1
]
OBJECTIVES = [("push away", "away"), ("pull toward", "toward")]
NORMS = [("l∞", "linf"), ("l2", "l2")]
SIZES = [("256 px", 256), ("512 px", 512), ("1024 px", 1024)]
PRECISIONS = [("automatic", "auto"), ("float32", "float32")]
# What to push when it is not the picture itself: a copy, damaged by one of `rlpips.data.distortions`, or another picture.
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
_COPY_SEVERITY = 0.6


class Controls(NamedTuple):
    """The controls of the Duel page, or what they say, in the order in which the page sends them."""

    picked: Any  # path of the picture to attack
    mine: Any  # paths of the visitor's own pictures that the strip of thumbnails shows
    upload: Any  # the same as uploaded by now: Run may be pressed before the strip has caught up
    objective: Any
    norm: Any
    candidate: Any  # one of CANDIDATES
    eps: Any  # n/255 for l_inf, [0, 1] units for l2, and so the step size
    steps: Any
    first: Any  # names of the two metrics
    second: Any
    seed: Any
    step_size: Any
    restarts: Any
    backbone: Any
    size: Any  # the visitor's own pictures have at most so many pixels a side
    precision: Any  # "auto": what the device is fastest in


def read(said: Controls):
    """(arguments for `rlpips.attack_steps`, the picture's name, notes for the visitor); ValueError if amiss."""
    for what, value in (("eps", said.eps), ("Steps", said.steps), ("Seed", said.seed), ("Restarts", said.restarts)):
        if value is None:
            raise ValueError(f"{what} must be a number; the field is empty.")
    if not said.steps <= engine.MAX_STEPS or not said.restarts <= engine.MAX_RESTARTS:
        raise ValueError(
            f"At most {engine.MAX_STEPS} steps and {engine.MAX_RESTARTS} restarts here; "
            f"got {said.steps} and {said.restarts}."
        )
    if said.first == said.second:
        raise ValueError("Choose two different metrics to set against each other.")

    mine, picked, candidate = (said.upload or [])[:2], said.picked, said.candidate
    if mine != said.mine:
        picked = mine[0] if mine else str(SAMPLES[0].path)
        candidate = "mine" if len(mine) > 1 and candidate == "itself" else candidate
    reference = _read(picked, said.size if picked in mine else images.LARGEST_SIDE)
    notes = list(reference.notes)
    pushed = _candidate(candidate, reference, [path for path in mine if path != picked], said.size)
    if pushed is not None and pushed.shape != reference.pixels.shape:
        height, width = reference.pixels.shape[:2]
        notes.append(f"The second picture was resized from {pushed.shape[1]}×{pushed.shape[0]} to {width}×{height}.")
        pushed = images.resize(pushed, (height, width))
    unit = 1 / 255 if said.norm == "linf" else 1
    return {
        "reference": reference.pixels, "candidate": pushed, "metrics": (said.first, said.second),
        "backbone": said.backbone, "norm": said.norm, "eps": said.eps * unit, "steps": _whole(said.steps),
        "objective": said.objective, "seed": _whole(said.seed), "restarts": _whole(said.restarts),
        "step_size": None if said.step_size is None else said.step_size * unit,
        "precision": None if said.precision == "auto" else said.precision,
    }, reference.name, notes  # fmt: skip


@lru_cache(maxsize=4)  # the same picture is attacked again and again; what was uploaded has a path of its own
def _read(path, size):
    return images.read_picture(Path(path), size)


def _whole(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value  # the core refuses what is left


def _candidate(choice, reference, others, size):
    if choice == "itself":
        return None
    if choice == "mine":
        if not others:
            raise ValueError("There is no second picture yet: drop two pictures, or choose something else to push.")
        return images.read_picture(Path(others[0]), size).pixels
    for sample in SAMPLES:
        if sample.name == choice:
            return sample.picture().pixels
    return engine.damaged(reference.pixels, choice, _COPY_SEVERITY)


def metrics_on(names, backbone):
    """Those of the metrics that have heads for the backbone."""
    return tuple(name for name in names if backbone in catalog.card(name).backbones)
