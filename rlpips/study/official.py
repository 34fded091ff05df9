"""How the official code of R-LPIPS trains (Ghazanfari et al., arXiv 2307.15157), only for the comparison in `rlpips.study`.

Its ranking network is that of LPIPS (Zhang et al., arXiv 1801.03924, sec. 3, and its code). Its inner attack differs from
textbook PGD in ways that the paper does not mention.
"""

import itertools
import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.attacks.triplets import draw_candidates
from rlpips.data.triplets import Triplets
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import share

_AT_ONCE = 24  # triplets


class FreeRanking(torch.nn.Module):
    """The logit that p1 is nearer, as LPIPS and R-LPIPS learn it: a network with two hidden layers of 32 and leaky ReLUs (0.2).

    Its inputs are d0, d1, d0 - d1, d0 / (d1 + 0.1) and d1 / (d0 + 0.1), each (N,). Its weights are drawn from `generator`, as
    torch draws them: uniformly within ±1/√inputs of their layer.
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        sizes = (5, 32, 32, 1)
        layers = [torch.nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
        for layer in layers:
            bound = 1 / math.sqrt(layer.in_features)
            for parameter in layer.parameters():
                torch.nn.init.uniform_(parameter, -bound, bound, generator=generator)
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, d0: Tensor, d1: Tensor) -> Tensor:
        x = torch.stack([d0, d1, d0 - d1, d0 / (d1 + 0.1), d1 / (d0 + 0.1)], -1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)[:, 0]


def official_attack(
    metric: PerceptualMetric,
    triplets: Triplets,
    norm: str = "linf",
    eps: float = 4 / 255,
    steps: int = 50,
    restarts: int = 1,
    seed: int = 0,
    schedule: str = "fixed",
) -> Triplets:
    """The inner attack of the official R-LPIPS code, with the arguments of `attack_triplets`, on the same candidates.

    It raises the ranking loss, through a ranking network with new random weights at every step, so whether a step moves a
    candidate nearer or farther is random. It starts at zero. Its step of 1e4 by sign makes every l_inf iterate a corner of the
    cube, and every l2 iterate a corner scaled to the ball. The last iterate is the result, good or bad; it may leave [0, 1].
    `restarts` and `schedule` have no effect.
    """
    generator = torch.Generator().manual_seed(seed)
    p0_is_attacked, _ = draw_candidates(triplets.judge, generator)
    where = p0_is_attacked.view(-1, 1, 1, 1)
    start = torch.where(where, triplets.p0, triplets.p1)
    unattacked = torch.where(where, triplets.p1, triplets.p0)
    pieces = torch.arange(len(triplets)).split(_AT_ONCE)
    seeds = torch.randint(2**53, (len(pieces),), generator=generator).tolist()

    def work(piece: tuple[Tensor, int]) -> Tensor:
        rows, piece_seed = piece
        piece_generator = torch.Generator().manual_seed(piece_seed)
        panel, is_p0, judge = Panel([metric], triplets.reference[rows]), p0_is_attacked[rows], triplets.judge[rows]
        with torch.no_grad():
            other = panel.per_layer(unattacked[rows]).sum((1, 2))
        delta = torch.zeros_like(start[rows])
        for _ in range(steps):
            ranking = FreeRanking(piece_generator).to(delta.device)
            with torch.enable_grad():
                delta.requires_grad_()
                distance = panel.per_layer(start[rows] + delta).sum((1, 2))
                logits = ranking(torch.where(is_p0, distance, other), torch.where(is_p0, other, distance))
                loss = F.binary_cross_entropy_with_logits(logits, judge)
                (gradient,) = torch.autograd.grad(loss, delta)
            delta = delta.detach() + 1e4 * gradient.sign()
            if norm == "linf":
                delta = delta.clamp(-eps, eps)
            else:
                delta = delta * (eps / delta.flatten(1).norm(dim=1).clamp_min(eps)).view(-1, 1, 1, 1)
        return start[rows] + delta

    attacked = torch.cat(share(work, list(zip(pieces, seeds, strict=True))))
    return replace(triplets, p0=torch.where(where, attacked, triplets.p0), p1=torch.where(where, triplets.p1, attacked))
