"""How far a metric gives way to moved pixels (`rlpips.attacks.flow`), beside the l_inf ball that R-LPIPS is trained in.

Robustness against one kind of change says nothing about another: every budget is measured on the same triplets, so a metric's rows can
be compared. Attacks and figures are those of `rlpips.evaluate.standard`, with one restart.
"""

from typing import Any

import torch

from rlpips.attacks.pgd import inside
from rlpips.attacks.threats import THREATS
from rlpips.attacks.triplets import between
from rlpips.data.triplets import Triplets
from rlpips.evaluate import tables
from rlpips.evaluate.scores import distances, interval
from rlpips.evaluate.standard import REFERENCES, STANDARD, STEPS, at_eps
from rlpips.metrics.base import Metric
from rlpips.progress import ProgressCallback, quiet

BUDGETS = (("linf", STANDARD["linf"]), ("flow", 0.5), ("flow", 1.0))  # flows in pixels


def under_flow(
    metric: Metric,
    same: Triplets,
    mixed: Triplets,
    progress: ProgressCallback = quiet,
    steps: int = STEPS,
    seed: int = 0,
    references: int = REFERENCES,
) -> dict[str, Any]:
    """A metric under attack in each of `BUDGETS`, as a dictionary ready for JSON.

    same        `Triplets` with judges, of which one candidate each is attacked
    mixed       `Triplets` for the mean natural distance, the unit of the inflation; they need no judges
    references  how many references are attacked for the inflation

    The keys are natural_distance, and rows: for each budget norm, eps, 2afc, inflation, and random, the mean distance of random points
    of the same budget in the unit of the inflation. Raises ValueError if `same` has no judges.
    """
    natural_mean = torch.cat(distances(metric, mixed)).mean().item()
    rows = []
    for place, (norm, eps) in enumerate(BUDGETS):
        progress(f"{metric.name}: PGD, {tables.budget(norm, eps)}", place, len(BUDGETS))
        found = at_eps(metric, same, norm, eps, natural_mean, steps, 1, seed, references)
        random = _random(metric, same[:references], norm, eps, seed) / natural_mean
        rows.append(
            {
                "norm": norm,
                "eps": eps,
                **{key: found[key] for key in ("2afc", "inflation")},
                "random": interval(random, same[:references].photograph),
            }
        )
    return {"natural_distance": round(natural_mean, 6), "rows": rows}


def _random(metric: Metric, triplets: Triplets, norm: str, eps: float, seed: int) -> torch.Tensor:
    """The distance of each reference to a random point of its budget, (N,)."""
    threat, x = THREATS[norm], triplets.reference
    centre = threat.centre(x)
    drawn = threat.norm.random(centre, eps, torch.Generator().manual_seed(seed))
    return between(metric, x, threat.picture(inside(drawn, centre, threat.norm, eps), x))
