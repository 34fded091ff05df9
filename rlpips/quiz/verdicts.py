"""How metrics answer questions that a person can answer by eye: without an attack, under attack, and how small an attack
turns their choice.

A question is a triplet: a patch of a photograph and two natural distortions of it (`rlpips.data.triplets`). Pictures are
rounded to 8 bits before anything is measured, so that metrics judge what people see.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from rlpips.attacks.pgd import pgd
from rlpips.attacks.schedule import step_sizes
from rlpips.data.images import to_uint8
from rlpips.data.triplets import Triplets
from rlpips.engine.panel import Panel, in_8_bits
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.norms import LINF
from rlpips.quiz.questions import Verdict

EPS, STEPS = 4 / 255, 20  # of the attack that is shown
MAX_EPS = 32 / 255  # where the search for the smallest eps ends: everybody sees such a change
MIN_EPS = 1 / 16 / 255  # where it begins
_PRECISION = 1.08  # the factor between the two ends of the interval at which the bisection stops
_AT_ONCE = 24  # pictures attacked at once, which bounds the memory


@torch.no_grad()
def make_verdicts(
    metrics: Sequence[PerceptualMetric],
    triplets: Triplets,
    eps: float = EPS,
    max_eps: float = MAX_EPS,
    steps: int = STEPS,
    seed: int = 0,
) -> list[Verdict]:
    """The `Verdict` of M metrics on each of N triplets in 8 bits.

    One candidate of each triplet, drawn at random and the same for all metrics, is attacked in an l_inf ball so as to turn
    each metric's own choice: PGD (`steps` steps on the cosine schedule) pushes it away from the reference if the metric chooses
    it, and pulls it towards the reference if not. `pushed` and `after` are of the best iterate at `eps`, a multiple of 1/255,
    in 8 bits.

    The smallest eps that turns a choice is searched between 1/16/255 and `max_eps` by bisection of log eps, for all triplets
    and metrics at once: PGD from the same random direction at each eps. It is an upper bound, as PGD may fail where another
    attack would not; it is the eps of an attack that succeeded, on pictures that are not rounded to 8 bits.
    """
    generator = torch.Generator().manual_seed(seed)
    attacked = torch.randint(2, (len(triplets),), generator=generator)
    attacks = _Attacks(metrics, triplets, attacked, generator)
    pushed, turned = attacks.push(eps, steps)
    pushed = in_8_bits(pushed)
    after = attacks.measure(pushed)
    smallest_eps = _search(attacks, turned, eps, max_eps, steps)

    def by_triplet(values: Tensor) -> np.ndarray:  # (N·M, …) -> (N, M, …)
        return values.double().cpu().unflatten(0, (len(triplets), len(metrics))).numpy()

    names = tuple(metric.name for metric in metrics)
    pictures = to_uint8(pushed).reshape(len(triplets), len(metrics), *pushed.shape[2:], 3)
    arrays = by_triplet(attacks.distance), by_triplet(after), by_triplet(smallest_eps), pictures
    return [Verdict(eps, max_eps, which, names, *row) for which, *row in zip(attacked.tolist(), *arrays)]


def _search(attacks: "_Attacks", turned: Tensor, eps: float, max_eps: float, steps: int) -> Tensor:
    """The smallest eps that turns each choice, (N·M,), NaN where none up to `max_eps` does; `turned` is the result at `eps`."""
    high = torch.where(turned, eps, torch.nan)  # an eps that turns the choice
    low = torch.where(turned, MIN_EPS, eps)  # one that does not, or the least
    rows = (~turned).nonzero()[:, 0]
    high[rows] = torch.where(attacks.turns(torch.full_like(high[rows], max_eps), steps, rows), max_eps, torch.nan)
    while len(rows := (high / low > _PRECISION).nonzero()[:, 0]):  # False for NaN
        middle = (low[rows] * high[rows]).sqrt()
        turned = attacks.turns(middle, steps, rows)
        high[rows] = torch.where(turned, middle, high[rows])
        low[rows] = torch.where(turned, low[rows], middle)
    return high


class _Attacks:
    """N·M attacks as one batch of rows, triplet by triplet: each row is one triplet and one metric, which is attacked.

    attacked   (N,), which candidate of each triplet is attacked
    distance   (N·M, 2), of the row's metric to both candidates
    """

    def __init__(
        self, metrics: Sequence[PerceptualMetric], triplets: Triplets, attacked: Tensor, generator: torch.Generator
    ):
        def repeat(each: Tensor) -> Tensor:  # (N, …) -> (N·M, …)
            return each.repeat_interleave(len(metrics), 0)

        attacked = attacked.to(triplets.p0.device)
        p0_is_attacked = (attacked == 0).view(-1, 1, 1, 1)
        self.metrics = metrics
        self.metric = torch.arange(len(metrics), device=attacked.device).repeat(len(attacked))  # its index, row by row
        self.reference = repeat(triplets.reference)
        self.start = repeat(torch.where(p0_is_attacked, triplets.p0, triplets.p1))
        self.noise = repeat(LINF.random(triplets.p0, 1, generator))
        self.distance = torch.stack([self.measure(repeat(each)) for each in (triplets.p0, triplets.p1)], 1)
        attacked = repeat(attacked)
        self.sign = torch.where(self.distance.argmin(1) == attacked, 1.0, -1.0)  # 1 for away, -1 for towards
        self.distance_to_other = self.distance.gather(1, 1 - attacked[:, None])[:, 0]  # the candidate not attacked

    def measure(self, x: Tensor) -> Tensor:
        """The distances of pictures x (N·M, 3, H, W), each by the metric of its row, (N·M,)."""
        pieces = torch.arange(len(x), device=x.device).split(_AT_ONCE)
        return torch.cat([self._measure(Panel(self.metrics, self.reference[rows]), x[rows], rows) for rows in pieces])

    def _measure(self, panel: Panel, x: Tensor, rows: Tensor) -> Tensor:
        return panel.per_layer(x).sum(-1).gather(1, self.metric[rows][:, None])[:, 0]

    def _objective(self, rows: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """A function of the pictures of these rows that is above 0 where the metric's choice is turned."""
        panel = Panel(self.metrics, self.reference[rows])

        def objective(x: Tensor) -> tuple[Tensor, Tensor]:
            values = self.sign[rows] * (self._measure(panel, x, rows) - self.distance_to_other[rows])
            return values, values.detach()

        return objective

    def push(self, eps: float, steps: int) -> tuple[Tensor, Tensor]:
        """The attacked pictures (N·M, 3, H, W) within eps, and whether they turn the choices, (N·M,)."""
        pictures, turned = [], []
        for rows in torch.arange(len(self.start), device=self.start.device).split(_AT_ONCE):
            start, objective = self.start[rows], self._objective(rows)
            best, highest = start, objective(start)[0]  # a short attack can do worse than none
            initial = start + eps * self.noise[rows]
            *_, (x, values) = pgd(start, initial, objective, LINF, eps, step_sizes("cosine", eps, steps))
            better = values > highest
            best = torch.where(better.view(-1, 1, 1, 1), x, best)
            highest = torch.where(better, values, highest)
            pictures.append(best)
            turned.append(highest > 0)
        return torch.cat(pictures), torch.cat(turned)

    def turns(self, eps: Tensor, steps: int, rows: Tensor) -> Tensor:
        """Whether the attacks turn the choices of B `rows`, each within its own eps (B,): (B,)."""
        turned = torch.zeros_like(rows, dtype=torch.bool)
        for first in range(0, len(rows), _AT_ONCE):
            left = torch.arange(first, min(first + _AT_ONCE, len(rows)), device=rows.device)
            radius = eps[left].view(-1, 1, 1, 1)
            x = self.start[rows[left]] + radius * self.noise[rows[left]]
            for part in (
                slice(steps // 4),
                slice(steps // 4, None),
            ):  # rows turned in the first quarter are not pushed further
                start, sizes = self.start[rows[left]], step_sizes("cosine", radius, steps)[part]
                for iterate, values in pgd(start, x, self._objective(rows[left]), LINF, radius, sizes):
                    turned[left] |= values > 0
                    last = iterate
                x, radius, left = (each[~turned[left]] for each in (last, radius, left))
                if not len(left):
                    break
        return turned
