"""What a low precision costs: the distances of an attack in that precision against the metric's own, in float32, of the same
pictures, and how far the attack gets."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlpips.benchmark.ours import AttackSteps
from rlpips.zoo.catalog import PAIR


@dataclass(frozen=True)
class Accuracy:
    """How exact an attack on N pictures with M metrics is.

    noise     the largest relative deviation of a distance from the metric's own, of the first iterates, which are noise
    attacked  the same of later iterates
    strength  (N, M) the final distance of each lane under its own metric over that of the attack in float32
    """

    noise: float
    attacked: float
    strength: Tensor


@torch.no_grad()
def accuracy(
    reference: Tensor, norm: str, eps: float, precision: str, steps: int = 20, every: int = 5, backbone: str = "alex"
) -> Accuracy:
    """The `Accuracy` of PGD on pictures (N, 3, H, W), by every `every`-th iterate and the last."""
    exact = AttackSteps(reference, norm, "float32", backbone, eps)
    rough = AttackSteps(reference, norm, precision, backbone, eps)
    lanes = reference.repeat_interleave(len(PAIR), 0)

    def measure(x: Tensor) -> Tensor:  # (N·M, M)
        return torch.stack([metric(lanes, x) for metric in exact.metrics], 1)

    deviations = []
    for step, (x, per_layer, *_) in enumerate(rough.iterates(steps)):
        if step % every == 0 or step == steps:
            distance = measure(x)
            deviations.append((per_layer.sum(-1) / distance - 1).abs().max().item())
    *_, (x, *_) = exact.iterates(steps)
    strength = (distance / measure(x)).unflatten(0, (len(reference), -1)).diagonal(dim1=1, dim2=2)
    return Accuracy(deviations[0], max(deviations[1:]), strength)
