"""What every channel answers at every position: to the reference, and how the answer to an attacked picture differs from it.

From these numbers a browser shows a channel, and what each layer sees at a position. They are many (640,000 for a picture of 256×256
pixels on AlexNet), so they are made for one step on request, in 8 bits:

    answers       features of unit length, in [0, 1]:            round(255 · sqrt(f))
    differences   f(attacked) - f(reference), in -1 … 1:         0 below 1e-4, else the sign times 1 … 127, evenly in the logarithm

The squared differences are within 8 % of the exact ones, and the distances that they sum to within half a percent.
"""

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.data import images
from rlpips.device import in_neutral_state, pick_device
from rlpips.metrics.lpips import PerceptualMetric, shared_metric
from rlpips.traces.trace import Trace
from rlpips.zoo import catalog

_LEAST = 1e-4  # a difference below it is 0
_LEVELS = 127
_MOST_NUMBERS = 60_000_000  # of a step's answers; 1024×1024 pixels on AlexNet have 11 million a picture


@dataclass(frozen=True)
class Responses:
    """The answers of all channels at one step.

    step   the step that the pictures are of
    lanes  whose pictures; the file has their differences in this order
    sizes  (h_l, w_l) of each layer
    data   zlib-compressed bytes: the answers to the reference, layer by layer (C_l, h_l, w_l), then the differences of each lane
    """

    step: int
    lanes: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    data: bytes


@in_neutral_state
@torch.no_grad()
def responses(trace: Trace, step: int, device: Any = None) -> Responses:
    """What the channels of a trace's first metric with a network answer at the last keyframe up to `step`.

    ValueError if no metric of the trace is one of the catalogue with a network, or if the pictures are too large for it.
    """
    name = next((name for name in trace.metrics if name in catalog.CATALOG and catalog.card(name).has_network), None)
    if name is None:
        raise ValueError("No metric of this trace has channels that can be shown.")
    device = pick_device(device)
    metric = shared_metric(name, trace.receipt["backbone"], device)
    if not isinstance(metric, PerceptualMetric):
        raise ValueError("No metric of this trace has channels that can be shown.")
    pictures = {}
    for frame in sorted(trace.frames, key=lambda frame: frame.step):
        if frame.step <= step:
            pictures |= dict(zip(frame.lanes, frame.attacked, strict=True))
    shown = max((frame.step for frame in trace.frames if frame.step <= step), default=0)
    reference = metric.trunk(images.to_tensor(trace.reference, device))
    if sum(layer.numel() for layer in reference) * (1 + len(pictures)) > _MOST_NUMBERS:
        raise ValueError("This picture is too large to show every channel; choose a smaller one.")
    lanes = tuple(sorted(pictures))
    parts = [_answers(layer[0]) for layer in reference]
    for lane in lanes:
        attacked = metric.trunk(images.to_tensor(pictures[lane], device))
        parts += [_differences(a[0] - b[0]) for a, b in zip(attacked, reference, strict=True)]
    sizes = tuple((layer.shape[2], layer.shape[3]) for layer in reference)
    return Responses(shown, lanes, sizes, zlib.compress(b"".join(parts), 6))


def _answers(features: Tensor) -> bytes:
    return _bytes((255 * features.clamp(0, 1).sqrt()).round())


def _differences(difference: Tensor) -> bytes:
    size = difference.abs()
    level = 1 + (_LEVELS - 1) * (size / _LEAST).log() / -math.log(_LEAST)
    level = torch.where(size < _LEAST, 0, level.round().clamp(1, _LEVELS))
    return _bytes(torch.where((difference < 0) & (level > 0), level + 128, level))


def _bytes(values: Tensor) -> bytes:
    return values.to(torch.uint8).cpu().numpy().astype(np.uint8, copy=False).tobytes()
