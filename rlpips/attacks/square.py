"""The Square attack on a perceptual metric: random search that never asks for a gradient (Andriushchenko et al., ECCV
2020, arXiv 1912.00049, algorithms 1 and 2, l_inf).

A metric whose gradients mislead can withstand PGD and still be weak; this attack would show it. Two things differ from the
paper: the attack raises sign·d(reference, x), a distance, in place of a classifier's loss; and a picture whose stripes are worse
than its start begins from the start, so that no result is worse than no attack.
"""

import torch
from torch import Tensor

from rlpips.device import in_neutral_state
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import share

_AT_ONCE = 24  # pictures; as many as in `rlpips.attacks.triplets.push`
# The first squares cover this share of the picture (p in the paper; on 64-pixel patches AutoAttack's 0.8 reached farther than
# 0.3 and 0.05). It is halved after these shares of the queries (section 3.2 of the paper).
_FIRST_SHARE = 0.8
_HALVED_AT = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@in_neutral_state
@torch.no_grad()
def square(
    metric: PerceptualMetric,
    reference: Tensor,
    start: Tensor,
    sign: Tensor | float,
    eps: float,
    queries: int,
    generator: torch.Generator,
) -> Tensor:
    """The points in the l_inf balls around `start` with the largest sign·d(reference, point) that the search finds.

    reference, start  (N, 3, H, W) in [0, 1]
    sign              1 (away) or -1 (towards), a number or (N,)
    eps               radius in [0, 1] pixel units
    queries           measurements of each picture, at least 2
    generator         on the CPU

    Returns (N, 3, H, W) inside the balls and in [0, 1]. Where several processes run, each attacks some of the pictures
    and all get all of them. ValueError for fewer than two queries, because the start and the stripes cost one each.
    """
    if queries < 2:
        raise ValueError(f"The Square attack needs at least 2 queries; got {queries}.")
    signs = torch.as_tensor(sign, dtype=torch.float32).expand(len(start)).to(start.device)
    pieces = torch.arange(len(start)).split(_AT_ONCE)
    seeds = torch.randint(
        2**53, (len(pieces),), generator=generator
    ).tolist()  # the same whichever process works the piece

    def work(piece):
        at, seed = piece
        panel = Panel([metric], reference[at])
        draw = _Draws(start[at], eps, torch.Generator().manual_seed(seed))
        best = start[at]
        highest = signs[at] * panel.per_layer(best).sum((1, 2))
        for query in range(1, queries):
            candidate = draw.stripes() if query == 1 else draw.squares(best, covered_share(query / queries))
            values = signs[at] * panel.per_layer(candidate).sum((1, 2))
            better = values > highest
            best = torch.where(better.view(-1, 1, 1, 1), candidate, best)
            highest = torch.where(better, values, highest)
        return best

    return torch.cat(share(work, list(zip(pieces, seeds, strict=True))))


def covered_share(progress: float) -> float:
    """The share of the picture that a square covers after this share of the queries, in [0, 1]."""
    return _FIRST_SHARE / 2 ** sum(progress > moment for moment in _HALVED_AT)


class _Draws:
    """Random changes of pictures `start` (N, 3, H, W), each to a corner of the l_inf ball, clipped to [0, 1]."""

    def __init__(self, start, eps, generator):
        self.start, self.eps, self.generator = start, eps, generator

    def stripes(self):
        """Every column of every channel up or down by eps."""
        n, channels, _, width = self.start.shape
        return self._inside(self._corner(n, channels, 1, width))

    def squares(self, points, covered):
        """`points` with one random square each, which has one value per channel and covers this share of the picture."""
        n, channels, height, width = points.shape
        side = min(max(round((covered * height * width) ** 0.5), 1), height, width)
        top, left = (
            torch.randint(length - side + 1, (n, 1), generator=self.generator).to(points.device)
            for length in (height, width)
        )
        rows, columns = (
            (first <= line) & (line < first + side)
            for first, line in ((top, _line(height, points)), (left, _line(width, points)))
        )
        where = (rows[:, :, None] & columns[:, None, :])[:, None]  # (N, 1, H, W)
        return torch.where(where, self._inside(self._corner(n, channels, 1, 1)), points)

    def _corner(self, *shape):
        up = (
            torch.rand(shape, generator=self.generator) < 0.5
        )  # on the CPU, so that a seed means the same on every device
        return torch.where(up, self.eps, -self.eps).to(self.start)

    def _inside(self, delta):
        return (self.start + delta).clamp(0, 1)


def _line(length, like):
    return torch.arange(length, device=like.device)[None]
