"""What a precision costs in truth: distances read off in bfloat16 against float32's of the same pictures, and how
far the attacks get."""

from dataclasses import dataclass

import torch

from rlpips.benchmark.ours import Steps
from rlpips.zoo.catalog import PAIR


@dataclass(frozen=True)
class Accuracy:
    """Of attacks on N pictures. noise, attacked: the largest relative deviation of a distance read off in
    `precision` from the metric's own, of the first iterates, which are noise, and of all later ones that were
    looked at. strength: (N, M), the final distance of each lane under its own metric over that of the same attack
    in float32, both by the metric itself."""

    noise: float
    attacked: float
    strength: torch.Tensor


@torch.no_grad()
def accuracy(reference, norm, eps, precision, steps=20, every=5, backbone="alex"):
    """`Accuracy` of PGD on the pictures (N, 3, H, W); every `every`-th iterate is looked at."""
    exact = Steps(reference, norm, "float32", backbone, eps)
    rough = Steps(reference, norm, precision, backbone, eps)
    pushed = reference.repeat_interleave(len(PAIR), 0)

    def truth(x):  # (N·M, M)
        return torch.stack([metric(pushed, x) for metric in exact.metrics], 1)

    noise = attacked = 0.0
    for index, (x, shares, *_) in enumerate(rough.iterates(steps)):
        if index % every and index != steps:
            continue
        found = truth(x)
        deviation = (shares.sum(-1) / found - 1).abs().max().item()
        noise, attacked = (deviation, 0.0) if index == 0 else (noise, max(attacked, deviation))
    for last, *_ in exact.iterates(steps):
        pass
    strength = (found / truth(last)).unflatten(0, (len(reference), -1)).diagonal(dim1=1, dim2=2)
    return Accuracy(noise, attacked, strength)
