"""PGD against perceptual metrics, several lanes at once (Madry et al., arXiv 1706.06083; R-LPIPS, arXiv 2307.15157).

A lane is one picture being pushed: one lane per metric, pushed against that metric, and last the lane "noise", a random
point of the same ball that is never pushed. All pushed lanes are one batch; metrics on one trunk are read off all lanes
by the same forward pass, and one backward pass gives every lane the gradient of its own metric.

An attack is a norm (`rlpips.norms`), an objective and a schedule:
- "away": make the metric say "different". The pushed picture is the candidate, or the reference itself (the paper's OPT).
- "toward": make a different candidate look identical to the metric.
Where we differ from the official R-LPIPS code: it attacks a freshly drawn ranking network at every step, with a step of
1e4, signed steps for l2, and no clipping to the range of images. Here the metric itself is attacked, by the textbook.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from rlpips import validation
from rlpips.attacks.pgd import MAX_STEPS, inside, pgd
from rlpips.data import images
from rlpips.data.images import check_size
from rlpips.device import pick_device
from rlpips.engine.bfloat16 import pick_precision
from rlpips.engine.panel import Panel, Reading, in_8_bits, to_steps
from rlpips.engine.provenance import picture_digest, surroundings, weights_digest
from rlpips.metrics.lpips import load_metric
from rlpips.norms import NORMS
from rlpips.traces.recorder import Recorder, Steps
from rlpips.traces.schema import MEASURES, NOISE, keyframes
from rlpips.zoo.catalog import PAIR, check_metrics

OBJECTIVES = {"away": 1, "toward": -1}  # the sign with which the own metric's distance is raised


def attack(reference, candidate=None, metrics=PAIR, backbone="alex", norm="linf", eps=4 / 255,
           steps=40, step_size=None, objective="away", seed=0, device=None, restarts=1, precision=None):  # fmt: skip
    """Push a picture against every metric and return the `Trace`; a batch of N > 1 pictures returns a list of N.

    reference  (N, 3, H, W) float in [0, 1], or an array, a PIL image or a path; 32 to 1024 pixels a side
    candidate  the picture to push, same shape; None pushes the reference itself ("away" only)
    metrics    names of the catalogue; one lane is pushed against each
    norm, eps  "linf" or "l2" ball in [0, 1] pixel units; the l2 norm runs over all 3·H·W values
    step_size  2.5 eps / steps unless given; restarts: each lane keeps the one with its best final distance
    seed       picture n of a batch gets seed + n, so a batch gives what its pictures would give alone
    precision  of the convolutions while it runs: "float32", or "bfloat16" on differences from the reference, which changes
               distances by less than 1 % (`rlpips.engine.bfloat16`); None for bfloat16 where the device has it in hardware.
               Pictures and their distances in 8 bits are measured in float32 either way (on a GPU in
               what cuDNN makes of it, by default tf32).
    Every iterate stays in the ball and in [0, 1]. Anything out of range is a ValueError that says so.
    """
    plan = _plan(reference, candidate, metrics, backbone, norm, eps, steps, step_size, objective, seed, device, restarts,
                 precision)  # fmt: skip
    recorders = plan.recorders()
    for made in _run(plan):
        for recorder, step in zip(recorders, made, strict=True):
            recorder.add(step)
    traces = [recorder.trace() for recorder in recorders]
    return traces if len(traces) > 1 else traces[0]


def attack_steps(reference, candidate=None, metrics=PAIR, backbone="alex", norm="linf", eps=4 / 255,
                 steps=40, step_size=None, objective="away", seed=0, device=None, restarts=1, precision=None):  # fmt: skip
    """The same attack, step by step: an iterator over `Step` (a list of N of them for a batch), restarts in turn.

    Arguments are checked at once. Its attribute `recorders` holds an empty `Recorder` per picture, which makes the
    `Trace` of the steps it is given, complete or not.
    """
    plan = _plan(reference, candidate, metrics, backbone, norm, eps, steps, step_size, objective, seed, device, restarts,
                 precision)  # fmt: skip
    made = _run(plan)
    return Steps(plan.recorders(), made if len(plan.reference) > 1 else (step for (step,) in made))


@dataclass(frozen=True)
class _Plan:
    """A checked request."""

    reference: torch.Tensor  # (N, 3, H, W)
    start: torch.Tensor  # (N, 3, H, W), the picture that is pushed
    metrics: list
    settings: dict
    precision: str
    name: str

    def recorders(self):
        names = tuple(metric.name for metric in self.metrics)
        return [
            Recorder(
                name=self.name, lanes=(*names, NOISE), metrics=names, layers=self.metrics[0].layers,
                reference=images.to_uint8(reference[None])[0], start=images.to_uint8(start[None])[0],
                sign=OBJECTIVES[self.settings["objective"]],
                receipt={**self.settings, "seed": self.settings["seed"] + n, **_hashes(reference, start, self)},
            )
            for n, (reference, start) in enumerate(zip(self.reference, self.start))
        ]  # fmt: skip


def _hashes(reference, start, plan):
    names = (metric.name for metric in plan.metrics)
    return {
        "reference_sha256": picture_digest(reference),
        "start_sha256": picture_digest(start),
        "weights": {name: weights_digest(name, plan.settings["backbone"]) for name in names},
    }


@torch.no_grad()
def _first_points(plan, norm, generators):
    """Random starts (N·K, 3, H, W), the same for all K pushed lanes of a picture, so that they differ by metric alone."""
    eps, lanes = plan.settings["eps"], len(plan.metrics)
    points = [x + norm.random(x, eps, g) for x, g in zip(plan.start.split(1), generators)]
    return torch.cat(points).repeat_interleave(lanes, 0)


def _run(plan):
    """Yield a list of N `Step` for every iterate of every restart."""
    settings, count, lanes = plan.settings, len(plan.reference), len(plan.metrics)
    norm, eps, device = NORMS[settings["norm"]], settings["eps"], plan.reference.device
    generators = [torch.Generator().manual_seed(settings["seed"] + n) for n in range(count)]
    panel = Panel(plan.metrics, plan.reference, plan.precision)
    seen = in_8_bits(plan.reference)  # what is shown in 8 bits is measured against the reference as it is shown
    shown_panel = panel if torch.equal(seen, plan.reference) else Panel(plan.metrics, seen)
    with torch.no_grad():  # the noise never moves: it is read once
        shown = in_8_bits(plan.start)
        draws = torch.cat([norm.random(x, eps, g) for x, g in zip(plan.start.split(1), generators)])
        noise = inside(draws, plan.start, norm, eps)
        noise_reading = panel.read(noise, plan.start)
        noise_frames = shown_panel.frame(0, (lanes,), noise, shown)
        shown = shown.repeat_interleave(lanes, 0)

    kept = set(keyframes(settings["steps"], *plan.reference.shape[-2:]))
    steps = settings["steps"]
    start = plan.start.repeat_interleave(lanes, 0).contiguous(memory_format=torch.channels_last)  # as networks like it
    attacked = torch.arange(lanes, device=device).repeat(count)[:, None]  # which metric each lane is pushed against
    sign = OBJECTIVES[settings["objective"]]

    def objective(x):
        reading = panel.read(x, start)
        return sign * reading.shares.sum(-1).gather(1, attacked)[:, 0], *reading

    for restart in range(settings["restarts"]):
        first = _first_points(plan, norm, generators)
        waiting = []  # readings that are still on the device
        for index, (x, *reading) in enumerate(pgd(start, first, objective, norm, eps, steps, settings["step_size"])):
            waiting.append(Reading(*reading))
            if index not in kept and device.type != "cpu":
                continue  # to ask a GPU for its numbers is to wait for it
            frames = []
            if index in kept:
                frames = list(zip(_frames(shown_panel, index, lanes, x, shown)))
                frames = [(*made, still) if index == 0 else made for made, still in zip(frames, noise_frames)]
            yield from to_steps(waiting, noise_reading, index, restart, frames, count)
            waiting = []


def _frames(panel, index, lanes, x, shown):
    """The frame of every picture's pushed lanes. At step 0 these are one picture still, which is measured once: see
    `_first_points`."""
    if index > 0:
        return panel.frame(index, range(lanes), x, shown)
    repeated = ("attacked", "maps", *MEASURES)
    return [
        replace(frame, lanes=tuple(range(lanes)), **{key: np.repeat(getattr(frame, key), lanes, 0) for key in repeated})
        for frame in panel.frame(0, (0,), x[::lanes], shown[::lanes])
    ]


def _plan(reference, candidate, metrics, backbone, norm, eps, steps, step_size, objective, seed, device, restarts,
          precision):  # fmt: skip
    metrics = check_metrics(metrics, backbone)
    validation.one_of("norm", norm, NORMS)
    validation.one_of("objective", objective, OBJECTIVES)
    validation.whole("steps", steps, 1, MAX_STEPS)
    validation.whole("restarts", restarts, 1, 100)
    validation.whole("seed", seed, 0, 2**53)  # what JSON and a browser keep exactly
    if objective == "toward" and candidate is None:
        raise ValueError('objective="toward" needs a candidate: the different picture to be made to look identical.')

    device = pick_device(device)
    precision = pick_precision(precision, device)
    reference, name, notes = _read(reference, device)
    start = reference
    if candidate is not None:
        start, _, more = _read(candidate, device)
        notes += more
    if start.shape != reference.shape:
        sizes = " and ".join("×".join(map(str, each.shape)) for each in (reference, start))
        raise ValueError(f"reference and candidate must have the same size; got {sizes} (N×3×H×W).")
    check_size(reference)
    widest = 1.0 if norm == "linf" else math.sqrt(reference[0].numel())  # the whole range of images
    validation.real("eps", eps, widest)
    if step_size is not None:
        validation.real("step_size", step_size, 2 * widest)
    settings = {
        "objective": objective, "norm": norm, "eps": float(eps), "steps": int(steps),
        "step_size": float(step_size or 2.5 * eps / steps), "restarts": int(restarts), "seed": int(seed),
        "backbone": backbone, "notes": notes, **surroundings(device, precision),
    }  # fmt: skip
    loaded = [load_metric(each, backbone, device) for each in metrics]
    return _Plan(reference, start, loaded, settings, precision, name)


def _read(source, device):
    """(batch, name, notes): what reading a picture changed, such as its size, is told in the receipt."""
    if isinstance(source, (torch.Tensor, np.ndarray)):
        return images.to_tensor(source, device).detach(), images.name_of(source), []
    picture = images.read_picture(source)
    return images.to_tensor(picture, device), picture.name, list(picture.notes)
