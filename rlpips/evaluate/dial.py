"""The agreement dial: metrics on the way from LPIPS to a robust one, and what each step costs and gains.

The distance is linear in the heads. With both metrics scaled to the same mean natural distance, the metric at the share t has the heads
(1 - t)·LPIPS's + t·the robust metric's, on the robust metric's trunk. Every one of them is attacked itself.
"""

from collections.abc import Sequence
from typing import Any

import torch

from rlpips.data.triplets import Triplets
from rlpips.evaluate.scores import distances, interval
from rlpips.evaluate.standard import REFERENCES, STANDARD, STEPS, at_eps
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.progress import ProgressCallback, quiet

SHARES = tuple(step / 10 for step in range(11))
NORM = "linf"


def mix(a: PerceptualMetric, b: PerceptualMetric, share: float) -> PerceptualMetric:
    """The metric with the heads (1 - share)·a's + share·b's, on b's trunk; share in [0, 1]. d is mixed alike where a has that trunk, too."""
    heads = [(1 - share) * of_a + share * of_b for of_a, of_b in zip(a.heads, b.heads, strict=True)]
    return PerceptualMetric(b.trunk, heads, f"{share:g} of the way from {a.name} to {b.name}")


def scaled(metric: PerceptualMetric, factor: float) -> PerceptualMetric:
    """The metric whose distances are `factor` > 0 times as large."""
    return PerceptualMetric(metric.trunk, [factor * head for head in metric.heads], metric.name)


def dial(
    lpips: PerceptualMetric,
    robust: PerceptualMetric,
    same: Triplets,
    mixed: Triplets,
    progress: ProgressCallback = quiet,
    shares: Sequence[float] = SHARES,
    steps: int = STEPS,
    restarts: int = 1,
    seed: int = 0,
    references: int = REFERENCES,
) -> list[dict[str, Any]]:
    """The points of the dial, ready for JSON: {"share", "2afc", "inflation", "agreement"} with 95 % intervals.

    lpips       LPIPS itself: the judge of the agreement, and its heads are those at share 0, on the trunk of `robust`
    same        `Triplets` with judges, attacked within l_inf 4/255 (`rlpips.evaluate.standard.at_eps`)
    mixed       `Triplets` for the agreement and for the mean natural distance, which is 1 at every point
    references  how many references of `same` are attacked for the inflation

    Raises ValueError for triplets without judges.
    """
    ends = [PerceptualMetric(robust.trunk, lpips.heads, lpips.name), robust]
    natural = [distances(metric, mixed) for metric in ends]
    means = [torch.cat(pair).mean().item() for pair in natural]
    ends = [scaled(metric, 1 / mean) for metric, mean in zip(ends, means)]
    (a0, a1), (b0, b1) = ([d / mean for d in pair] for pair, mean in zip(natural, means))
    of_lpips = torch.lt(*distances(lpips, mixed))
    points = []
    for done, share in enumerate(shares):
        progress(f"{robust.name}: the dial at {share:g}", done, len(shares))
        entry = at_eps(mix(*ends, share), same, NORM, STANDARD[NORM], 1.0, steps, restarts, seed, references)
        nearer = torch.lerp(a0, b0, share) < torch.lerp(a1, b1, share)
        agreement = interval((nearer == of_lpips).float(), mixed.photograph)
        points.append({"share": share, "2afc": entry["2afc"], "inflation": entry["inflation"], "agreement": agreement})
    return points
