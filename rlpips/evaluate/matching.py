"""Bounds that mean the same to several metrics: as far as one bound in natural distortions."""

import numpy as np
import torch

from rlpips.attacks.balls import enlarged
from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import share
from rlpips.zoo.catalog import PAIR

# The distance that the bound of Laidlaw et al. is of: LPIPS's formula with a weight of one everywhere.
UNWEIGHTED = "alexnet"
COLUMNS = (UNWEIGHTED, *PAIR)  # of what is read off natural distortions
BOUND = 0.5  # of the papers, for every metric
SEVERITIES = tuple(np.linspace(0, 1, 21).tolist())


def bounds_of(x, metrics, bound=BOUND, seed=0):
    """The bounds to compare attacks at, from natural distortions of pictures x (N, 3, 32, 32).

    "settings" has for each setting the bound of each metric: "paper", the same number for all; "matched", what a metric says
    of natural distortions that AlexNet's features without weights have as far as the paper's bound; "milder", the same for half
    of it. "matches" has what they were read off (see `match`).
    """
    panel = Panel([unweighted(metrics[0]), *metrics], enlarged(x))
    roots = natural_roots(x, lambda pictures: panel.per_layer(enlarged(pictures)).sum(-1), seed)
    settings, matches = {"paper": dict.fromkeys(PAIR, bound)}, []
    for setting, size in (("matched", bound), ("milder", bound / 2)):
        found = [match(roots, UNWEIGHTED, name, size) for name in PAIR]
        settings[setting] = {one["other"]: one["matched"] for one in found}
        matches += found
    return {"settings": settings, "matches": matches, "pictures": len(x), "severities": len(SEVERITIES)}


def unweighted(metric):
    """The distance of the metric's features as they are: all weights are one."""
    return PerceptualMetric(metric.trunk, [torch.ones_like(head) for head in metric.heads], UNWEIGHTED)


@torch.no_grad()
def natural_roots(x, read, seed=0):
    """{family: (S, M)}, the mean root of the distances that `read(pictures) -> (N, M)` gives to distortions of x, at
    `SEVERITIES`. The pictures are distorted as they are, before anything enlarges them."""

    def work(family):
        rows = []
        for severity in SEVERITIES:
            distances = read(family(x, severity, torch.Generator().manual_seed(seed)))
            rows.append(distances.clamp_min(0).sqrt().mean(0))
        return torch.stack(rows).float()

    made = share(work, list(DISTORTIONS.values()))
    return {name: values.double().cpu().numpy() for name, values in zip(DISTORTIONS, made)}


def match(roots, metric, other, bound):
    """The bound of the metric `other` that means as much as this `bound` of `metric`, ready for JSON.

    `roots` is {family: (S, 3)}, columns as in `COLUMNS`. For each family of distortions the severity is sought at which
    `metric` reaches the bound on average, linearly between two that were measured, and what `other` says there. "matched"
    is the geometric mean over the families that reach it, "low" and "high" are the smallest and largest. ValueError if none
    does.
    """
    own, theirs = COLUMNS.index(metric), COLUMNS.index(other)
    families = {}
    for name, values in roots.items():
        over = np.flatnonzero(values[:, own] >= bound)
        families[name] = None
        if len(over) and over[0] > 0:
            two = slice(over[0] - 1, over[0] + 1)
            severity = float(np.interp(bound, values[two, own], SEVERITIES[two]))
            read = float(np.interp(severity, SEVERITIES[two], values[two, theirs]))
            words = DISTORTIONS[name].words(severity)
            families[name] = {"severity": round(severity, 4), "words": words, "matched": round(read, 4)}
    reached = [one["matched"] for one in families.values() if one]
    if not reached:
        raise ValueError(
            f"No natural distortion reaches the bound {bound:g} of {metric}; smaller bounds can be matched."
        )
    return {
        "metric": metric,
        "bound": bound,
        "other": other,
        "matched": round(float(np.exp(np.mean(np.log(reached)))), 3),
        "low": min(reached),
        "high": max(reached),
        "reached": len(reached),
        "of": len(families),
        "families": families,
    }
