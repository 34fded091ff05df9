"""What is measured of a metric, natural and under attack: 2AFC, the OPT experiment and inflation, agreement with LPIPS.

The OPT experiment is that of Ghazanfari et al., arXiv 2307.15157, section 4: the distribution of d(x, x + delta) over
references x; inflation is its mean. Attacks are white-box PGD, and every metric sees the same triplets and the same
random starts. Figures come with 95 % bootstrap intervals over triplets or references: they say how far other
triplets of the same photographs would give other figures, not what other photographs would give.
"""

import math

import torch

from rlpips.attacks.triplets import attack_triplets, push
from rlpips.evaluate import tables
from rlpips.evaluate.scores import by_family, distances, interval, measure, score_2afc
from rlpips.progress import quiet

# Budgets in [0, 1] pixel units. An l2 ball of 1.0 at 64×64 is a root mean square of 2.3/255, about half of what the
# l_inf ball of 4/255 allows.
EPS = {"linf": (1 / 255, 2 / 255, 4 / 255, 8 / 255), "l2": (0.25, 0.5, 1.0, 2.0)}
STANDARD = {"linf": 4 / 255, "l2": 1.0}
RESTARTS_AT_STANDARD = 2
STEPS = 20
REFERENCES = 100  # attacked for the inflation: one a triplet would double the time for a figure that is sure enough


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
