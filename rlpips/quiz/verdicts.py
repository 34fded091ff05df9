"""Questions a person can answer by eye, and what metrics answer: as they are, attacked, and how small an attack turns
them.

A question is a triplet: a patch of a photograph and two natural distortions of it (`rlpips.data.triplets`). Pictures are
rounded to 8 bits before anything is measured, so that what is judged is what is shown.
"""

import torch

from rlpips.attacks.pgd import pgd
from rlpips.data.images import to_uint8
from rlpips.engine.panel import Panel, in_8_bits
from rlpips.norms import LINF
from rlpips.quiz.questions import Verdict

EPS, STEPS = 4 / 255, 20  # of the attack that is shown
MOST = 32 / 255  # where the search for the smallest eps ends: everybody sees that
LEAST = 1 / 16 / 255  # and below which it does not look
_APART = 1.08  # a factor to which the bisection closes in
_AT_ONCE = 24  # pictures attacked at once, which bounds the memory


@torch.no_grad()
def verdicts(metrics, triplets, eps=EPS, most=MOST, steps=STEPS, seed=0):
    """What M metrics say about each of N triplets in 8 bits: a list of `Verdict`.

    One candidate of each triplet, by the toss of a coin the same for all metrics, is attacked in an l_inf ball so as to
    turn each metric's own choice: pushed away from the reference by PGD (`steps` steps of 2.5 eps / steps) where the
    metric finds it nearer, pulled towards it where farther. What is shown is the best point met, in 8 bits, at `eps`, a
    multiple of 1/255. The smallest eps that turns a choice is looked for between 1/16/255 and `most` by bisection of
    log eps, in all triplets and metrics at once: PGD from the same random direction at each eps. PGD may fail where
    another attack would not, so this is an upper bound; it is the eps of a success, on pictures not rounded to 8 bits.
    """
    generator = torch.Generator().manual_seed(seed)
    attacked = torch.randint(2, (len(triplets),), generator=generator)
    duels = _Duels(metrics, triplets, attacked, generator)
    pushed, turned = duels.push(eps, steps)
    pushed = in_8_bits(pushed)
    after = duels.measure(pushed)
    smallest = _smallest(duels, turned, eps, most, steps)

    names = tuple(metric.name for metric in metrics)
    shown = to_uint8(pushed).reshape(len(triplets), len(metrics), *pushed.shape[2:], 3)
    numbers = (duels.distance, after[:, None], smallest[:, None])
    numbers = (each.double().cpu().unflatten(0, (-1, len(metrics))).numpy() for each in numbers)
    return [
        Verdict(eps, most, which, names, distance, after[:, 0], smallest[:, 0], pictures)
        for which, distance, after, smallest, pictures in zip(attacked.tolist(), *numbers, shown)
    ]


def _smallest(duels, turned, eps, most, steps):
    """The smallest eps found to turn each choice, NaN where none up to `most` does; `turned` tells of `eps`."""
    high = torch.where(turned, eps, torch.nan)  # where a turn was found
    low = torch.where(turned, LEAST, eps)  # where none was
    todo = (~turned).nonzero()[:, 0]
    high[todo] = torch.where(duels.turns(torch.full_like(high[todo], most), steps, todo), most, torch.nan)
    while len(todo := (high / low > _APART).nonzero()[:, 0]):  # NaN is no number above another
        middle = (low[todo] * high[todo]).sqrt()
        turned = duels.turns(middle, steps, todo)
        high[todo] = torch.where(turned, middle, high[todo])
        low[todo] = torch.where(turned, low[todo], middle)
    return high


class _Duels:
    """N·M attacks as one batch, the metrics of a triplet one after another: each on its triplet, against its metric."""

    def __init__(self, metrics, triplets, attacked, generator):
        def repeated(each):  # (N, …) -> (N·M, …)
            return each.repeat_interleave(len(metrics), 0)

        which = attacked.to(triplets.p0.device)
        first = (which == 0).view(-1, 1, 1, 1)
        self.metrics = metrics
        self.own = torch.arange(len(metrics), device=which.device).repeat(len(which))  # which metric is attacked
        self.reference = repeated(triplets.reference)
        self.start = repeated(torch.where(first, triplets.p0, triplets.p1))
        self.noise = repeated(LINF.random(triplets.p0, 1, generator))
        self.distance = torch.stack(
            [self.measure(repeated(each)) for each in (triplets.p0, triplets.p1)], 1
        )  # (N·M, 2)
        which = repeated(which)
        self.sign = torch.where(self.distance.argmin(1) == which, 1.0, -1.0)
        self.other = self.distance.gather(1, 1 - which[:, None])[:, 0]  # to the candidate left as it is

    def measure(self, x):
        """The own metric's distance of every row, (N·M,)."""
        pieces = torch.arange(len(x), device=x.device).split(_AT_ONCE)
        return torch.cat([self._own(Panel(self.metrics, self.reference[at]), x[at], at) for at in pieces])

    def _own(self, panel, x, at):
        return panel.per_layer(x).sum(-1).gather(1, self.own[at][:, None])[:, 0]

    def _objective(self, at):
        """Of the rows `at`: a function of their pictures that is above 0 where the metric's choice is turned."""
        panel = Panel(self.metrics, self.reference[at])

        def objective(x):
            values = self.sign[at] * (self._own(panel, x, at) - self.other[at])
            return values, values.detach()

        return objective

    def push(self, eps, steps):
        """The attacked pictures (N·M, 3, H, W) within eps, and whether they turn their metrics' choices, (N·M,)."""
        pictures, turned = [], []
        for at in torch.arange(len(self.start), device=self.start.device).split(_AT_ONCE):
            start, objective = self.start[at], self._objective(at)
            best, highest = start, objective(start)[0]  # a short attack can do worse than none
            for x, values in pgd(start, start + eps * self.noise[at], objective, LINF, eps, steps, 2.5 * eps / steps):
                better = values > highest
                best = torch.where(better.view(-1, 1, 1, 1), x.detach(), best)
                highest = torch.where(better, values, highest)
            pictures.append(best)
            turned.append(highest > 0)
        return torch.cat(pictures), torch.cat(turned)

    def turns(self, eps, steps, which):
        """Whether the attack turns the choices of the rows `which` (B,), each within its own eps (B,): (B,)."""
        found = torch.zeros_like(which, dtype=torch.bool)
        for first in range(0, len(which), _AT_ONCE):
            left = torch.arange(first, min(first + _AT_ONCE, len(which)), device=which.device)
            radius = eps[left].view(-1, 1, 1, 1)
            x = self.start[which[left]] + radius * self.noise[which[left]]
            for count in (steps // 4, steps - steps // 4):  # a row that is turned early is not pushed on
                start, size = self.start[which[left]], 2.5 * radius / steps
                for x, values in pgd(start, x, self._objective(which[left]), LINF, radius, count, size):
                    found[left] |= values > 0
                x, radius, left = (each[~found[left]] for each in (x, radius, left))
                if not len(left):
                    break
        return found
