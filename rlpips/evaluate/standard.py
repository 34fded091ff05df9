"""The standard evaluation of a metric: 2AFC without and under attack, the OPT experiment, inflation, agreement with LPIPS.

The OPT experiment is that of Ghazanfari et al., arXiv 2307.15157, section 4: the distribution of d(x, x + delta) over
references x; inflation is its mean. Attacks are white-box PGD with steps on a cosine schedule, and every metric sees the same
triplets and the same random starts. Figures come with 95 % bootstrap intervals over photographs, each with all its triplets.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from rlpips.attacks.triplets import attack_references, attack_triplets, between, push
from rlpips.data.triplets import Triplets
from rlpips.evaluate import tables
from rlpips.evaluate.scores import by_family, distances, interval, measure, score_2afc
from rlpips.metrics.base import Metric
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.progress import ProgressCallback, quiet

# Budgets in [0, 1] pixel units. An l2 ball of 1.0 at 64×64 is a root mean square of 2.3/255, about half of what the
# l_inf ball of 4/255 allows; 1.5 is the 3.0 on [-1, 1] that the official R-LPIPS trains with.
EPS = {"linf": (1 / 255, 2 / 255, 4 / 255, 8 / 255), "l2": (0.25, 0.5, 1.0, 1.5, 2.0)}
STANDARD = {"linf": 4 / 255, "l2": 1.0}
RESTARTS_AT_STANDARD = 2
STEPS = 40
LIVE_EPS = {**EPS, "l2": (0.25, 0.5, 1.0, 2.0)}  # of the sweep on a visitor's picture, which cannot wait
LIVE_STEPS = 20
ELSEWHERE = 200  # triplets attacked at the other budgets
REFERENCES = 100  # attacked for the inflation; one for each triplet would double the time and hardly change the figure
OFFICIAL_OPT = {"linf": 0.05, "l2": 1.0}  # the budgets of the OPT experiment in the official code of R-LPIPS
OFFICIAL_OPT_STEPS = 50


def standard(
    metric: Metric,
    lpips: PerceptualMetric,
    same: Triplets,
    mixed: Triplets,
    progress: ProgressCallback = quiet,
    eps: Mapping[str, Iterable[float]] = EPS,
    steps: int = STEPS,
    seed: int = 0,
    attacked: int | None = None,
    elsewhere: int = ELSEWHERE,
    references: int = REFERENCES,
    restarts_at_standard: int = RESTARTS_AT_STANDARD,
    brief: bool = False,
) -> dict[str, Any]:
    """The standard evaluation of one metric, as a dictionary ready for JSON.

    same        `Triplets` with judges; all of them are scored as they are
    mixed       `Triplets` for the agreement with `lpips` and for the mean natural distance; they need no judges
    eps         {norm: budgets}; there are `restarts_at_standard` restarts at the standard ones, one at the others
    attacked    how many of `same`, from the first, are scored under attack at the standard budgets as well; None for all
    elsewhere   how many of these at the other budgets
    references  how many references are attacked for the inflation
    brief       leave out attacks on the references of triplets, and the OPT experiment at its official settings

    The keys are natural, attacked ({norm: a list of what `at_eps` returns}), official ({norm: the OPT experiment at its official
    settings}), natural_distance, agreement (None for LPIPS itself) and layers, each layer's share of the natural
    distance. Raises ValueError if `same` has no judges.
    """
    jobs = [
        (norm, budget, restarts_at_standard if is_standard(norm, budget) else 1)
        for norm, budgets in eps.items()
        for budget in sorted(set(budgets))
    ]
    total = sum(restarts for *_, restarts in jobs)
    progress(f"{metric.name}: natural distortions", 0, total)
    scores = score_2afc(*distances(metric, same), same.judge)
    choices, choices_of_lpips = (torch.lt(*distances(each, mixed)) for each in (metric, lpips))
    shares = torch.cat([measure(metric.per_layer, mixed.reference, part) for part in (mixed.p0, mixed.p1)]).mean(0)
    natural_mean = shares.sum().item()

    some, fewer = same[:attacked], same[:attacked][:elsewhere]
    results: dict[str, list[dict[str, Any]]] = {norm: [] for norm in eps}
    done = 0
    for norm, budget, restarts in jobs:
        progress(f"{metric.name}: PGD, {tables.budget(norm, budget)}", done, total)
        is_the_standard = is_standard(norm, budget)
        triplets = some if is_the_standard else fewer
        entry = at_eps(metric, triplets, norm, budget, natural_mean, steps, restarts, seed, references)
        if is_the_standard and not brief:
            entry["reference"] = reference_2afc(metric, triplets, norm, budget, steps, restarts, seed)
        results[norm].append(entry)
        done += restarts
    official = {} if brief else OFFICIAL_OPT
    agrees = (choices == choices_of_lpips).float()
    return {
        "natural": {"2afc": interval(scores, same.photograph), "families": by_family(scores, same)},
        "attacked": results,
        "official": {
            norm: {"eps": budget, "steps": OFFICIAL_OPT_STEPS}
            | opt(metric, same[:references], norm, budget, natural_mean, OFFICIAL_OPT_STEPS, 1, seed)
            for norm, budget in official.items()
        },
        "natural_distance": {"mean": round(natural_mean, 6)},
        "agreement": None if metric.name == lpips.name else interval(agrees, mixed.photograph),
        "layers": {layer: round(share / natural_mean, 4) for layer, share in zip(metric.layers, shares.tolist())},
    }


def at_eps(
    metric: Metric,
    same: Triplets,
    norm: str,
    eps: float,
    natural_mean: float,
    steps: int = STEPS,
    restarts: int = 1,
    seed: int = 0,
    references: int = REFERENCES,
) -> dict[str, Any]:
    """A metric under attacks within one budget, as a dictionary ready for JSON.

    same          `Triplets` with judges; one candidate of each is attacked (`rlpips.attacks.triplets.attack_triplets`)
    norm, eps     "linf" or "l2", and the radius in [0, 1] pixel units; or "flow", and the largest displacement in pixels
    natural_mean  the metric's mean distance to natural distortions, the unit of "inflation" and "opt"
    references    how many references are attacked themselves, for "opt", the d(x, x + delta) of each

    The keys are eps, standard, 2afc, families, inflation and opt. Raises ValueError for triplets without judges.
    """
    attacked = attack_triplets(metric, same, norm, eps, steps, restarts, seed, until_turned=True)
    scores = score_2afc(*distances(metric, attacked), same.judge)
    return {
        "eps": eps,
        "standard": is_standard(norm, eps),
        "2afc": interval(scores, same.photograph),
        "families": by_family(scores, same),
        **opt(metric, same[:references], norm, eps, natural_mean, steps, restarts, seed),
    }


def opt(
    metric: Metric,
    triplets: Triplets,
    norm: str,
    eps: float,
    natural_mean: float,
    steps: int = STEPS,
    restarts: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """The OPT experiment on the references of triplets: "opt", the largest d(x, x + delta) found for each, in units of
    `natural_mean`, and "inflation", the interval of their mean."""
    x = triplets.reference
    worst = push(metric, x, x, 1.0, norm, eps, steps, restarts, torch.Generator().manual_seed(seed))
    values = between(metric, x, worst) / natural_mean
    return {
        "inflation": interval(values, triplets.photograph),
        "opt": [round(value, 4) for value in values.tolist()],
    }


def reference_2afc(
    metric: Metric, same: Triplets, norm: str, eps: float, steps: int, restarts: int, seed: int = 0
) -> dict[str, float]:
    """The interval of the 2AFC score with the reference of each triplet attacked."""
    attacked = attack_references(metric, same, norm, eps, steps, restarts, seed)
    return interval(score_2afc(*distances(metric, attacked), same.judge), same.photograph)


def is_standard(norm: str, eps: float) -> bool:
    """Whether this is the budget of the headline figures."""
    return norm in STANDARD and math.isclose(eps, STANDARD[norm], rel_tol=1e-6)
