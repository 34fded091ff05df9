"""How the official code of R-LPIPS trains (Ghazanfari et al., arXiv 2307.15157), for `rlpips.study` to compare with.

Its ranking network is that of LPIPS (Zhang et al., arXiv 1801.03924, sec. 3, and its code); its inner attack differs
from the textbook in ways that the paper does not mention. Nothing else uses either.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F

from rlpips.attacks.triplets import toss
from rlpips.engine.panel import Panel
from rlpips.parallel import share


class FreeRanking(torch.nn.Module):
    """The logit that p1 is nearer as LPIPS and R-LPIPS learn it: a network with two hidden layers of 32, leaky by
    0.2, that sees d0, d1, d0 - d1, d0 / (d1 + 0.1) and d1 / (d0 + 0.1), each (N,). Its weights are drawn from the
    generator, uniformly within ±1/√inputs of their layer, as torch draws them."""

    def __init__(self, generator):
        super().__init__()
        sizes = (5, 32, 32, 1)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        for layer in self.layers:
            for parameter in layer.parameters():
                bound = 1 / math.sqrt(layer.in_features)
                torch.nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, d0, d1):
        x = torch.stack([d0, d1, d0 - d1, d0 / (d1 + 0.1), d1 / (d0 + 0.1)], -1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)[:, 0]


def official_attack(metric, triplets, norm="linf", eps=4 / 255, steps=50, restarts=1, seed=0):
    """The inner attack of the official R-LPIPS code, with the arguments and the coin of `attack_triplets`.

    It raises the ranking loss instead of moving the distance, through a ranking network drawn afresh at every step, so
    it is chance whether a step moves a candidate nearer or farther. It starts at zero; its step of 1e4, by sign, makes
    every l_inf iterate a corner of the cube and every l2 iterate a corner scaled to the ball; the last iterate is
    kept, whatever it did, and may leave [0, 1]. `restarts` means nothing to it.
    """
    generator = torch.Generator().manual_seed(seed)
    first, _ = toss(triplets.judge, generator)
    where = first.view(-1, 1, 1, 1)
    start, still = torch.where(where, triplets.p0, triplets.p1), torch.where(where, triplets.p1, triplets.p0)
    pieces = torch.arange(len(triplets)).split(24)
    seeds = torch.randint(2**53, (len(pieces),), generator=generator).tolist()

    def work(piece):
        at, own = piece[0], torch.Generator().manual_seed(piece[1])
        panel, left = Panel([metric], triplets.reference[at]), where[at].flatten()
        with torch.no_grad():
            other = panel.per_layer(still[at]).sum((1, 2))
        delta = torch.zeros_like(start[at])
        for _ in range(steps):
            ranking = FreeRanking(own).to(delta.device)
            with torch.enable_grad():
                delta.requires_grad_()
                moved = panel.per_layer(start[at] + delta).sum((1, 2))
                logits = ranking(torch.where(left, moved, other), torch.where(left, other, moved))
                loss = F.binary_cross_entropy_with_logits(logits, triplets.judge[at])
                (gradient,) = torch.autograd.grad(loss, delta)
            delta = delta.detach() + 1e4 * gradient.sign()
            if norm == "linf":
                delta = delta.clamp(-eps, eps)
            else:
                delta = delta * (eps / delta.flatten(1).norm(dim=1).clamp_min(eps)).view(-1, 1, 1, 1)
        return start[at] + delta

    moved = torch.cat(share(work, list(zip(pieces, seeds))))
    return replace(triplets, p0=torch.where(where, moved, triplets.p0), p1=torch.where(where, triplets.p1, moved))
