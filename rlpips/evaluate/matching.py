"""Bounds that are comparable between metrics, because natural distortions within them are about equally strong: on average over the
families of distortions, which differ in what would be equal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.attacks.balls import enlarged
from rlpips.data.distortions import DISTORTIONS, Distortion
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import share
from rlpips.zoo.catalog import PAIR

# The distance for which Laidlaw et al. chose their bound: LPIPS's formula with a weight of one everywhere.
UNWEIGHTED = "alexnet"
COLUMNS = (UNWEIGHTED, *PAIR)  # the distances that are measured on natural distortions
BOUND = 0.5  # of the papers, for every metric
SEVERITIES = tuple(np.linspace(0, 1, 21).tolist())


def bounds_of(x: Tensor, metrics: Sequence[PerceptualMetric], bound: float = BOUND, seed: int = 0) -> dict[str, Any]:
    """The bounds at which attacks are compared, from natural distortions of pictures x (N, 3, 32, 32) in [0, 1].

    metrics  those of `PAIR`, on one trunk
    bound    the papers' bound, a root of distances

    "settings" has for each setting the bound of each metric. "paper": the papers' bound for both metrics. "matched": what
    each metric measures where the distance of AlexNet's features without weights is at the papers' bound, a comparable bound.
    "milder": the same at half of it. "matches" has what `match` returns for each of these bounds.
    """
    panel = Panel([unweighted(metrics[0]), *metrics], enlarged(x))
    roots = natural_roots(x, lambda pictures: panel.per_layer(enlarged(pictures)).sum(-1), seed)
    settings, matches = {"paper": dict.fromkeys(PAIR, bound)}, []
    for setting, size in (("matched", bound), ("milder", bound / 2)):
        pair = [match(roots, UNWEIGHTED, name, size) for name in PAIR]
        settings[setting] = {each["other"]: each["matched"] for each in pair}
        matches += pair
    return {"settings": settings, "matches": matches, "pictures": len(x), "severities": len(SEVERITIES)}


def unweighted(metric: PerceptualMetric) -> PerceptualMetric:
    """The distance of the metric's features with all weights equal to one."""
    return PerceptualMetric(metric.trunk, [torch.ones_like(head) for head in metric.heads], UNWEIGHTED)


@torch.no_grad()
def natural_roots(x: Tensor, measure: Callable[[Tensor], Tensor], seed: int = 0) -> dict[str, np.ndarray]:
    """{family: (S, M)}: the mean roots of M distances of distorted pictures from x, at the S `SEVERITIES`.

    `measure(pictures) -> (N, M)` returns the distances. The pictures are distorted at their own size, before they are
    enlarged for a metric.
    """

    def roots_of(family: Distortion) -> Tensor:
        rows = []
        for severity in SEVERITIES:
            distances = measure(family(x, severity, torch.Generator().manual_seed(seed)))
            rows.append(distances.clamp_min(0).sqrt().mean(0))
        return torch.stack(rows).float()

    roots = share(roots_of, list(DISTORTIONS.values()))
    return {name: values.double().cpu().numpy() for name, values in zip(DISTORTIONS, roots)}


def match(roots: Mapping[str, np.ndarray], metric: str, other: str, bound: float) -> dict[str, Any]:
    """The bound of the metric `other` that is comparable to this `bound` of `metric`, ready for JSON.

    `roots` is {family: (S, 3)} with columns as in `COLUMNS`. In each family of distortions, the match is the root of `other`
    at the severity at which `metric` reaches the bound on average. "matched" is the geometric mean over the families that
    reach the bound; "low" and "high" are the smallest and the largest match. ValueError if no family reaches it.
    """
    column, other_column = COLUMNS.index(metric), COLUMNS.index(other)
    families = {
        name: _match_family(name, values[:, column], values[:, other_column], bound) for name, values in roots.items()
    }
    matched = [family["matched"] for family in families.values() if family]
    if not matched:
        raise ValueError(
            f"No natural distortion reaches the bound {bound:g} of {metric}; smaller bounds can be matched."
        )
    return {
        "metric": metric,
        "bound": bound,
        "other": other,
        "matched": round(float(np.exp(np.mean(np.log(matched)))), 3),
        "low": min(matched),
        "high": max(matched),
        "reached": len(matched),
        "of": len(families),
        "families": families,
    }


def _match_family(name: str, values: np.ndarray, other_values: np.ndarray, bound: float) -> dict[str, Any] | None:
    """Where `values` (S,) first reach the bound, interpolated linearly between two severities, and `other_values` there;
    None if they do not reach it, or exceed it at every severity."""
    above = np.flatnonzero(values >= bound)
    if not len(above) or above[0] == 0:
        return None
    between = slice(above[0] - 1, above[0] + 1)
    severity = float(np.interp(bound, values[between], SEVERITIES[between]))
    matched = float(np.interp(severity, SEVERITIES[between], other_values[between]))
    return {
        "severity": round(severity, 4),
        "words": DISTORTIONS[name].describe(severity),
        "matched": round(matched, 4),
    }
