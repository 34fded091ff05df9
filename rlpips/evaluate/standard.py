"""What is measured of a metric, natural and under attack: 2AFC, the OPT experiment and inflation, agreement with LPIPS.

The OPT experiment is that of Ghazanfari et al., arXiv 2307.15157, section 4: the distribution of d(x, x + delta) over
references x; inflation is its mean. Attacks are white-box PGD, and every metric sees the same triplets and the same
random starts. Figures come with 95 % bootstrap intervals over triplets or references: they say how far other
triplets of the same photographs would give other figures, not what other photographs would give.
"""

import math

import torch

from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import attack_triplets, distances, push, score_2afc
from rlpips.evaluate.__main__ import tables
from rlpips.progress import quiet

# Budgets in [0, 1] pixel units. An l2 ball of 1.0 at 64×64 is a root mean square of 2.3/255, about half of what the
# l_inf ball of 4/255 allows.
EPS = {"linf": (1 / 255, 2 / 255, 4 / 255, 8 / 255), "l2": (0.25, 0.5, 1.0, 2.0)}
STANDARD = {"linf": 4 / 255, "l2": 1.0}
RESTARTS_AT_STANDARD = 2
STEPS = 20
REFERENCES = 100  # attacked for the inflation: one a triplet would double the time for a figure that is sure enough

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


def at_eps(metric, same, norm, eps, natural_mean, steps=STEPS, restarts=1, seed=0, references=REFERENCES):
    """What is left of a metric under attacks within one budget, as a dictionary ready for JSON.

    same          `Triplets` with judges; one candidate of each is attacked (`twoafc.attack_triplets`)
    norm, eps     "linf" or "l2", in [0, 1] pixel units
    natural_mean  the metric's mean distance to natural distortions, the unit of "inflation" and "opt"
    references    how many of the references themselves are pushed away, for "opt", d(x, x + delta) of each

    The keys are eps, standard, 2afc, families, inflation and opt. Raises ValueError for triplets without judges.
    """
    attacked = attack_triplets(metric, same, norm, eps, steps, restarts, seed)
    scores = score_2afc(*distances(metric, attacked), same.judge)
    x = same.reference[:references]
    worst = push(metric, x, x, 1.0, norm, eps, steps, restarts, torch.Generator().manual_seed(seed))
    opt = measure(metric, x, worst) / natural_mean
    return {
        "eps": eps,
        "standard": is_standard(norm, eps),
        "2afc": interval(scores),
        "families": by_family(scores, same.family),
        "inflation": interval(opt),
        "opt": [round(value, 4) for value in opt.tolist()],
    }


def standard(metric, lpips, same, mixed, progress=quiet, eps=EPS, steps=STEPS, seed=0, attacked=None):
    """The standard evaluation of one metric, as a dictionary ready for JSON.

    same   `Triplets` with judges; all are scored as they are, and the first `attacked` of them (None: all) under attack
           at every budget of `eps` ({norm: budgets}), with two restarts at the standard budget, else one
    mixed  `Triplets` for the agreement with `lpips` and for the mean natural distance; judges are not asked
    """
    jobs = [
        (norm, budget, RESTARTS_AT_STANDARD if is_standard(norm, budget) else 1)
        for norm, budgets in eps.items()
        for budget in sorted(set(budgets))
    ]
    total = sum(restarts for *_, restarts in jobs)
    progress(f"{metric.name}: natural distortions", 0, total)
    scores = score_2afc(*distances(metric, same), same.judge)
    choices = [torch.lt(*distances(one, mixed)) for one in (metric, lpips)]
    shares = torch.cat([measure(metric.per_layer, mixed.reference, part) for part in (mixed.p0, mixed.p1)]).mean(0)
    natural_mean = shares.sum().item()

    few = same[:attacked]
    found, done = {norm: [] for norm in eps}, 0
    for norm, budget, restarts in jobs:
        progress(f"{metric.name}: PGD, {tables.budget(norm, budget)}", done, total)
        found[norm].append(at_eps(metric, few, norm, budget, natural_mean, steps, restarts, seed))
        done += restarts
    return {
        "natural": {"2afc": interval(scores), "families": by_family(scores, same.family)},
        "attacked": found,
        "natural_distance": {"mean": round(natural_mean, 6)},
        "agreement": None if metric.name == lpips.name else interval((choices[0] == choices[1]).float()),
        "layers": {layer: round(share / natural_mean, 4) for layer, share in zip(metric.layers, shares.tolist())},
    }


def is_standard(norm, eps):
    """Whether this is the budget that the headline figures are given for."""
    return math.isclose(eps, STANDARD[norm], rel_tol=1e-6)


@torch.no_grad()
def measure(reading, x, y):
    """`reading` (a metric, or its `per_layer`) of pictures x and y, (N, 3, H, W), a few at a time."""
    return torch.cat([reading(*part) for part in zip(x.split(64), y.split(64), strict=True)])


def by_family(scores, family):
    """{family: interval of its scores} of (N,) scores; our distortions in their own order, others by name."""
    rows = {name: [] for name in (*DISTORTIONS, *sorted(set(family)))}
    for index, name in enumerate(family):
        rows[name].append(index)
    return {name: interval(scores[index]) for name, index in rows.items() if index}
