"""PGD against perceptual metrics, several lanes at once (Madry et al., arXiv 1706.06083; R-LPIPS, arXiv 2307.15157).

A lane is one picture being pushed: one lane per metric, pushed against that metric, and last the lane "noise", a random
point of the same ball (or a random flow of the same budget) that is never pushed. All pushed lanes are one batch. One forward pass gives the distances of all
lanes under all metrics of a trunk, and one backward pass gives every lane the gradient of its own metric.

An attack is a norm (`rlpips.attacks.threats`), an objective and a schedule:
- "away": make the metric say "different". The pushed picture is the candidate, or the reference itself (the paper's OPT).
- "toward": make a different candidate look identical to the metric.
The official R-LPIPS code differs: it attacks a freshly drawn ranking network at every step, with a step of 1e4, signed steps
for l2, and no clipping to the range of images. Here the metric itself is attacked, as in the textbook.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.attacks.flow import FLOW
from rlpips.attacks.pgd import inside, scheduled
from rlpips.attacks.request import OBJECTIVES, AttackRequest, from_fields
from rlpips.attacks.threats import THREATS
from rlpips.data import images
from rlpips.device import in_neutral_state, pick_device
from rlpips.engine.bfloat16 import pick_precision
from rlpips.engine.panel import Panel, Reading, in_8_bits, layers_of, steps_of_batch, trunks_of
from rlpips.engine.provenance import picture_digest, surroundings, weights_digest
from rlpips.metrics.base import Metric
from rlpips.metrics.lpips import load_metrics
from rlpips.norms import Norm, coarse_random
from rlpips.traces.recorder import Recorder, Steps
from rlpips.traces.schema import NOISE, Frame, Step, joined, keyframes
from rlpips.traces.trace import Trace
from rlpips.zoo.catalog import check_metrics, name_of


@from_fields(AttackRequest)
def attack(request: AttackRequest) -> Trace | list[Trace]:
    """Push a picture against every metric and return the `Trace`; a batch of N > 1 pictures returns a list of N.

    The arguments are the fields of `rlpips.attacks.request.AttackRequest`, which says what they mean. Every iterate stays in
    the ball and in [0, 1]. Pictures in 8 bits and their distances are measured in float32 whatever the precision (on a GPU in
    what cuDNN makes of it, by default tf32). ValueError for arguments out of range.
    """
    traces = start(request).finish()
    return traces if len(traces) > 1 else traces[0]


@from_fields(AttackRequest)
def attack_steps(request: AttackRequest) -> Steps:
    """The same attack, step by step: an iterator over `Step` (a list of N of them for a batch), one restart after another.

    Arguments are checked at once. The attribute `recorders` holds an empty `Recorder` for each picture, which makes the
    `Trace` of the steps that are added to it, complete or not.
    """
    return start(request)


@in_neutral_state
def start(request: AttackRequest) -> Steps:
    """The attack of a request: its pictures are read and its metrics loaded at once; steps are computed one by one."""
    loaded = _load(request)
    return Steps(loaded.recorders(), _run(loaded))


@dataclass(frozen=True)
class _Loaded:
    """A request with its pictures read and its metrics loaded."""

    request: AttackRequest
    reference: Tensor  # (N, 3, H, W)
    start: Tensor  # (N, 3, H, W), the picture that is pushed
    metrics: list[Metric]
    precision: str
    name: str
    notes: list[str]  # what was changed when the pictures were read

    def recorders(self) -> list[Recorder]:
        names = tuple(metric.name for metric in self.metrics)
        return [
            Recorder(
                name=self.name,
                lanes=(*names, NOISE),
                metrics=names,
                layers=layers_of(self.metrics),
                reference=images.to_uint8(reference[None])[0],
                start=images.to_uint8(start[None])[0],
                sign=OBJECTIVES[self.request.objective],
                receipt=self.receipt(n, reference, start),
                trunks=trunks_of(self.metrics),
            )
            for n, (reference, start) in enumerate(zip(self.reference, self.start, strict=True))
        ]

    @property
    def schedule(self) -> str:
        return self.request.schedule if self.request.step_size is None else "fixed"

    @property
    def step_size(self) -> float | None:
        """Of all steps, if the schedule is fixed."""
        request = self.request
        if self.schedule != "fixed":
            return None
        return float(2.5 * request.eps / request.steps if request.step_size is None else request.step_size)

    def receipt(self, n: int, reference: Tensor, start: Tensor) -> dict[str, Any]:
        """What identifies the attack on picture n, and repeats it."""
        request = self.request
        return {
            "objective": request.objective,
            "norm": request.norm,
            "eps": float(request.eps),
            "steps": int(request.steps),
            "schedule": self.schedule,
            **({"step_size": self.step_size} if self.schedule == "fixed" else {}),
            "restarts": int(request.restarts),
            "seed": int(request.seed) + n,
            "backbone": request.backbone,
            "notes": self.notes,
            **surroundings(reference.device, self.precision),
            "reference_sha256": picture_digest(reference),
            "start_sha256": picture_digest(start),
            "weights": {
                name_of(metric): digest
                for metric in check_metrics(request.metrics, request.backbone)
                if (digest := weights_digest(metric, request.backbone))
            },
        }


def _load(request: AttackRequest) -> _Loaded:
    device = pick_device(request.device)
    reference, name, notes = _read(request.reference, device)
    start = reference
    if request.candidate is not None:
        start, _, more = _read(request.candidate, device)
        notes += more
    if start.shape != reference.shape:
        sizes = " and ".join("×".join(map(str, each.shape)) for each in (reference, start))
        raise ValueError(f"reference and candidate must have the same size; got {sizes} (N×3×H×W).")
    images.check_size(reference)
    height, width = reference.shape[-2:]
    precision = pick_precision(request.precision, device, (height, width))
    request.check_size(reference[0].numel())
    metrics = load_metrics(request.metrics, request.backbone, device)
    return _Loaded(request, reference, start, metrics, precision, name, notes)


def _read(source: Any, device: torch.device) -> tuple[Tensor, str, list[str]]:
    """(batch, name, notes): the receipt tells what reading a picture changed, such as its size."""
    if isinstance(source, torch.Tensor | np.ndarray):
        return images.to_tensor(source, device).detach(), images.name_of(source), []
    picture = images.read_picture(source)
    return images.to_tensor(picture, device), picture.name, list(picture.notes)


@in_neutral_state
def _run(loaded: _Loaded) -> Iterator[list[Step]]:
    """Yield the `Step` of each of the N pictures, for every iterate of every restart."""
    request, count, lanes = loaded.request, len(loaded.reference), len(loaded.metrics)
    threat, eps, device = THREATS[request.norm], float(request.eps), loaded.reference.device
    norm, centre = threat.norm, threat.centre(loaded.start)
    generators = [torch.Generator().manual_seed(int(request.seed) + n) for n in range(count)]
    panel = Panel(loaded.metrics, loaded.reference, loaded.precision)
    # What is shown is rounded to 8 bits, and measured against the reference as that is shown.
    reference_8bit, start_8bit = in_8_bits(loaded.reference), in_8_bits(loaded.start)
    panel_8bit = panel if torch.equal(reference_8bit, loaded.reference) else Panel(loaded.metrics, reference_8bit)
    with torch.no_grad():  # the noise never moves: it is measured once
        noise_point = inside(_draw(centre, norm, eps, generators), centre, norm, eps)
        noise = threat.picture(noise_point, loaded.start)
        noise_reading = panel.read(noise, loaded.start)

    def repeated(pictures: Tensor) -> Tensor:  # (N, …) -> (N·K, …): the K pushed lanes of each picture
        # As networks like it, as every step reads it.
        return pictures.repeat_interleave(lanes, 0).contiguous(memory_format=torch.channels_last)

    start, centres = repeated(loaded.start), repeated(centre)
    pushed_8bit = repeated(start_8bit)
    metric_of_lane = torch.arange(lanes, device=device).repeat(count)[:, None]  # (N·K, 1)
    sign = OBJECTIVES[request.objective]

    def objective(point: Tensor) -> tuple[Tensor, ...]:
        reading = panel.read(threat.picture(point, start), start)
        return sign * reading.per_layer.sum(-1).gather(1, metric_of_lane)[:, 0], *reading

    height, width = loaded.reference.shape[-2:]
    frame_steps = set(keyframes(request.steps, height, width, request.backbone, request.metrics))
    for restart in range(request.restarts):
        # All lanes of a picture start at the same point, so that they differ by metric alone.
        # One restart begins coarse, the next one fine, as which finds more depends on the picture.
        is_coarse = norm is not FLOW and restart % 2 == 0
        with torch.no_grad():
            first = repeated(centre + _draw(centre, norm, eps, generators, is_coarse))
        pending: list[Reading] = []  # on the device still
        iterates = scheduled(loaded.schedule, centres, first, objective, norm, eps, request.steps, loaded.step_size)
        for index, (point, *reading) in enumerate(iterates):
            pending.append(Reading(*reading))
            if index not in frame_steps and device.type != "cpu":
                continue  # reading numbers from a GPU waits for it
            frames: list[tuple[Frame, ...]] = []
            if index in frame_steps:
                x = threat.picture(point, start)
                if index == 0:
                    frames = _first_frames(panel_8bit, lanes, x, noise, start_8bit)
                else:
                    frames = [(frame,) for frame in panel_8bit.frame(index, range(lanes), x, pushed_8bit)]
                if norm is FLOW:
                    frames = _with_flows(frames, point, noise_point)
            yield from steps_of_batch(pending, noise_reading, index, restart, frames, count)
            pending = []


def _draw(centre: Tensor, norm: Norm, eps: float, generators: list[torch.Generator], is_coarse: bool = False) -> Tensor:
    """A random perturbation in the ball of each picture, (N, …) as their centres, each by its own generator."""
    random = partial(coarse_random, norm) if is_coarse else norm.random
    return torch.cat([random(x, eps, g) for x, g in zip(centre.split(1), generators, strict=True)])


def _with_flows(frames: list[tuple[Frame, ...]], pushed: Tensor, noise: Tensor) -> list[tuple[Frame, ...]]:
    """The frames of N pictures with the flows of their lanes: K pushed ones (N·K, 2, h, w), and the noise (N, 2, h, w)."""
    flows = torch.cat([pushed.unflatten(0, (len(noise), -1)), noise[:, None]], 1).cpu().numpy()
    return [
        tuple(replace(frame, flow=of_picture[list(frame.lanes)]) for frame in some)
        for some, of_picture in zip(frames, flows, strict=True)
    ]


def _first_frames(panel: Panel, lanes: int, x: Tensor, noise: Tensor, start: Tensor) -> list[tuple[Frame, ...]]:
    """The frames of each picture at step 0: of its pushed lanes, which are one picture yet and measured once, and of the noise."""
    both = torch.stack([x[::lanes], noise], 1).flatten(0, 1)
    frames: list[tuple[Frame, ...]] = []
    for frame in panel.frame(0, (0, lanes), both, start.repeat_interleave(2, 0)):
        frames.append((joined(0, tuple(range(lanes)), [(frame, 0)] * lanes), joined(0, (lanes,), [(frame, 1)])))
    return frames
