"""Two-alternative forced choice (2AFC): which of two candidates is nearer to a reference? How often a metric is right, how far an
attack gets, and intervals around such figures."""

from dataclasses import replace

import torch

from rlpips.attacks.triplets import push
from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.panel import Panel


@torch.no_grad()
def distances(metric, triplets):
    """d(reference, p0) and d(reference, p1), each (N,)."""
    found = []
    for batch in triplets.batches():
        panel = Panel([metric], batch.reference)
        found.append(torch.stack([panel.per_layer(p).sum((1, 2)) for p in (batch.p0, batch.p1)]))
    return tuple(torch.cat(found, 1))


def score_2afc(d0, d1, judge):
    """LPIPS's 2AFC score of each triplet, (N,): the fraction of judges who chose as the metric does; a tie
    gets half."""
    if judge.isnan().any():
        raise ValueError("These triplets have no judge (two families of distortions), so there is no score.")
    return (d0 < d1) * (1 - judge) + (d1 < d0) * judge + (d0 == d1) * 0.5


@torch.no_grad()
def measure(reading, x, y):
    """`reading` (a metric, or its `per_layer`) of pictures x and y, (N, 3, H, W), a few at a time."""
    return torch.cat([reading(*part) for part in zip(x.split(64), y.split(64), strict=True)])


def inflation(metric, triplets, norm="linf", eps=4 / 255, steps=20, restarts=1, seed=0):
    """How far an invisible change looks: the mean over references of the largest d(x, x + delta) found in the
    ball, over the metric's mean distance to these triplets' natural distortions. 1 means that what nobody
    sees counts as much as what everybody sees; it has no unit, so metrics of different scales can be
    compared."""
    generator = torch.Generator().manual_seed(seed)
    x = triplets.reference
    attacked = push(metric, x, x, 1.0, norm, eps, steps, restarts, generator)
    worst = distances(metric, replace(triplets, p0=attacked))[0]
    return (worst.mean() / torch.cat(distances(metric, triplets)).mean()).item()


def agreement(metric, other, triplets):
    """The share of triplets on which two metrics choose the same candidate."""
    (a0, a1), (b0, b1) = distances(metric, triplets), distances(other, triplets)
    return ((a0 < a1) == (b0 < b1)).float().mean().item()


_RESAMPLES = 1000
_DRAWN_AT_ONCE = 2_000_000  # numbers, so that tens of thousands of triplets fit into memory


def interval(values, seed=0):
    """The mean of (N,) finite numbers with its 95 % percentile bootstrap interval (Efron, 1979; 1000 resamples,
    seeded): {"value", "low", "high"}, rounded to four digits. Scores that are all alike give an interval without width,
    which does not mean that others would be, too. ValueError for no numbers, or not finite ones."""
    values = torch.as_tensor(values).detach().cpu().double()
    if values.ndim != 1 or not len(values) or not values.isfinite().all():
        raise ValueError(f"An interval needs a list of finite numbers; got {values.tolist()}.")
    generator, count = torch.Generator().manual_seed(seed), len(values)
    chunk = max(1, _DRAWN_AT_ONCE // count)
    means = [
        values[torch.randint(count, (min(chunk, _RESAMPLES - done), count), generator=generator)].mean(1)
        for done in range(0, _RESAMPLES, chunk)
    ]
    low, high = torch.cat(means).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return {"value": round(values.mean().item(), 4), "low": round(low, 4), "high": round(high, 4)}


def by_family(scores, family):
    """{family: interval of its scores} of (N,) scores; our distortions in their own order, others by name."""
    rows = {name: [] for name in (*DISTORTIONS, *sorted(set(family)))}
    for index, name in enumerate(family):
        rows[name].append(index)
    return {name: interval(scores[index]) for name, index in rows.items() if index}
