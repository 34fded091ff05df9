"""Scores of a metric in two-alternative forced choice (2AFC: which of two candidates is nearer to a reference?): how often
it is right, how far an attack gets, how often two metrics agree, and intervals around such figures."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlpips.attacks.triplets import Metric, distance_from, push
from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import Triplets

_RESAMPLES = 1000
_DRAWN_AT_ONCE = 2_000_000  # numbers, so that tens of thousands of triplets fit into memory


@torch.no_grad()
def distances(metric: Metric, triplets: Triplets) -> tuple[Tensor, Tensor]:
    """The distances d(reference, p0) and d(reference, p1), each (N,)."""
    to_p0, to_p1 = [], []
    for batch in triplets.batches():
        distance = distance_from(metric, batch.reference)
        to_p0.append(distance(batch.p0))
        to_p1.append(distance(batch.p1))
    return torch.cat(to_p0), torch.cat(to_p1)


def score_2afc(d0: Tensor, d1: Tensor, judge: Tensor) -> Tensor:
    """LPIPS's 2AFC score of each triplet, (N,): the fraction of judges who choose the same candidate as the metric; a tie
    counts one half. ValueError for triplets without judges."""
    if judge.isnan().any():
        raise ValueError("These triplets have no judge (two families of distortions), so there is no score.")
    return (d0 < d1) * (1 - judge) + (d1 < d0) * judge + (d0 == d1) * 0.5


@torch.no_grad()
def measure(distance: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """`distance(x, y)` of pictures (N, 3, H, W), in batches of 64; `distance` is a metric or a metric's `per_layer`."""
    return torch.cat([distance(*part) for part in zip(x.split(64), y.split(64), strict=True)])


def inflation(
    metric: Metric,
    triplets: Triplets,
    norm: str = "linf",
    eps: float = 4 / 255,
    steps: int = 20,
    restarts: int = 1,
    seed: int = 0,
    schedule: str = "cosine",
) -> float:
    """How far a change that is hard to see looks to a metric: the mean over references of the largest d(x, x + delta)
    that PGD reaches in the ball, divided by the metric's mean distance to the natural distortions of these triplets.

    The result is a lower bound of what the ball allows. At 1 a change within `eps` counts as much as an average
    distortion that everybody sees. It has no unit, so metrics of different scales can be compared.
    """
    generator = torch.Generator().manual_seed(seed)
    x = triplets.reference
    attacked = push(metric, x, x, 1.0, norm, eps, steps, restarts, generator, schedule)
    worst, _ = distances(metric, replace(triplets, p0=attacked))
    return (worst.mean() / torch.cat(distances(metric, triplets)).mean()).item()


def agreement(metric: Metric, other: Metric, triplets: Triplets) -> float:
    """The share of triplets, 0 to 1, on which two metrics choose the same candidate."""
    (a0, a1), (b0, b1) = distances(metric, triplets), distances(other, triplets)
    return ((a0 < a1) == (b0 < b1)).float().mean().item()


def interval(values: Tensor | Sequence[float], photograph: Tensor | None = None, seed: int = 0) -> dict[str, float]:
    """The mean of (N,) finite numbers with its 95 % percentile bootstrap interval (Efron, 1979; 1000 resamples, seeded):
    {"value", "low", "high"}, rounded to four digits.

    Photographs are resampled, each with all its values (a cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their
    Application, 1997, section 3.8), because values of one photograph resemble each other. `photograph` (N,) has the same number
    for these; None where each value has one of its own. Equal values give an interval without width, which does not mean that
    other samples would be equal, too. ValueError for no numbers, or numbers that are not finite.
    """
    values = torch.as_tensor(values).detach().cpu().double()
    if values.ndim != 1 or not len(values) or not values.isfinite().all():
        raise ValueError(f"An interval needs a list of finite numbers; got {values.tolist()}.")
    which = torch.arange(len(values)) if photograph is None else photograph.cpu()
    of_value, counts = which.unique(return_inverse=True, return_counts=True)[1:]
    sums = torch.zeros(len(counts), dtype=torch.float64).index_add(0, of_value, values)
    generator = torch.Generator().manual_seed(seed)
    chunk = max(1, _DRAWN_AT_ONCE // len(counts))
    means = []
    for done in range(0, _RESAMPLES, chunk):
        drawn = torch.randint(len(counts), (min(chunk, _RESAMPLES - done), len(counts)), generator=generator)
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    low, high = torch.cat(means).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return {"value": round(values.mean().item(), 4), "low": round(low, 4), "high": round(high, 4)}


def by_family(scores: Tensor, triplets: Triplets) -> dict[str, dict[str, float]]:
    """{family: interval of its scores} of the scores (N,) of N triplets; our distortions in their own order, then others by name."""
    rows: dict[str, list[int]] = {name: [] for name in (*DISTORTIONS, *sorted(set(triplets.family)))}
    for index, name in enumerate(triplets.family):
        rows[name].append(index)
    return {name: interval(scores[indices], triplets.photograph[indices]) for name, indices in rows.items() if indices}
