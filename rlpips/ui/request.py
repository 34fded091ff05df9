"""From what the controls of the Duel page say to arguments for `rlpips.attack_steps`."""

from pathlib import Path

from rlpips import catalog, images
from rlpips.ui import engine
from rlpips.ui.samples import SAMPLES

METRICS = [(card.title, name) for name, card in catalog.CATALOG.items()]
BACKBONES = [(trunk.title, name) for name, trunk in catalog.TRUNKS.items()]
OBJECTIVES = [("push away", "away"), ("pull toward", "toward")]
NORMS = [("l∞", "linf"), ("l2", "l2")]
SIZES = [("256 px", 256), ("512 px", 512), ("1024 px", 1024)]
# What to push when it is not the picture itself: a copy, damaged by one of `rlpips.distortions`, or another picture.
COPIES = [("a blurred copy", "blur"), ("a JPEG copy", "jpeg"), ("a noisy copy", "noise"), ("a coarse copy", "downscale")]
CANDIDATES = [
    ("the picture itself", "itself"), *COPIES, ("my second picture", "mine"),
    *((f"{sample.title} (sample)", sample.name) for sample in SAMPLES),
]  # fmt: skip
_COPY_SEVERITY = 0.6


def read(picked, mine, objective, norm, candidate, eps, steps, first, second, seed, step_size, restarts, backbone, size):
    """(arguments for `rlpips.attack_steps`, the picture's name, notes for the visitor); ValueError if amiss.

    picked: path of the picture to attack; mine: paths of the visitor's own pictures, which are read at most `size` pixels a
    side. eps and step_size are in n/255 for l_inf and in [0, 1] units for l2, as the sliders say.
    """
    for what, value in (("eps", eps), ("Steps", steps), ("Seed", seed), ("Restarts", restarts)):
        if value is None:
            raise ValueError(f"{what} must be a number; the field is empty.")
    if not steps <= engine.MAX_STEPS or not restarts <= engine.MAX_RESTARTS:
        raise ValueError(
            f"At most {engine.MAX_STEPS} steps and {engine.MAX_RESTARTS} restarts here; got {steps} and {restarts}."
        )
    if first == second:
        raise ValueError("Choose two different metrics to set against each other.")

    reference = images.read_picture(Path(picked), size if picked in mine else images.LARGEST_SIDE)
    notes = list(reference.notes)
    pushed = _candidate(candidate, reference, [path for path in mine if path != picked], size)
    if pushed is not None and pushed.shape != reference.pixels.shape:
        height, width = reference.pixels.shape[:2]
        notes.append(f"The second picture was resized from {pushed.shape[1]}×{pushed.shape[0]} to {width}×{height}.")
        pushed = images.resize(pushed, (height, width))
    unit = 1 / 255 if norm == "linf" else 1
    return {
        "reference": reference.pixels, "candidate": pushed, "metrics": (first, second), "backbone": backbone,
        "norm": norm, "eps": eps * unit, "steps": _whole(steps), "objective": objective, "seed": _whole(seed),
        "step_size": None if step_size is None else step_size * unit, "restarts": _whole(restarts),
    }, reference.name, notes  # fmt: skip


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
    from rlpips.distortions import DISTORTIONS

    return images.to_uint8(DISTORTIONS[choice](images.to_tensor(reference), _COPY_SEVERITY))[0]


def metrics_on(names, backbone):
    """Those of the metrics that have heads for the backbone."""
    return tuple(name for name in names if backbone in catalog.card(name).backbones)
