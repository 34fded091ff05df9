"""Do attacks transfer? Pictures are attacked on one metric and judged by the others."""

from collections.abc import Mapping
from typing import Any

import torch

from rlpips.attacks.triplets import between, push
from rlpips.data.triplets import Triplets
from rlpips.evaluate.comparison_tables import NOISE
from rlpips.evaluate.scores import distances, interval
from rlpips.evaluate.standard import RESTARTS_AT_STANDARD, STANDARD, STEPS
from rlpips.metrics.base import Metric
from rlpips.norms import NORMS
from rlpips.progress import ProgressCallback, quiet

NORM = "linf"


def transfer(
    metrics: Mapping[str, Metric],
    triplets: Triplets,
    mixed: Triplets,
    progress: ProgressCallback = quiet,
    steps: int = STEPS,
    restarts: int = RESTARTS_AT_STANDARD,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, float]]]:
    """{attacked: {judge: the judge's inflation, with its 95 % interval}}, ready for JSON; the last row is `NOISE`.

    metrics   {name: metric}, each of which is attacked, and judges
    triplets  `Triplets` whose references are pushed away from themselves within l_inf 4/255
    mixed     `Triplets` for each judge's mean natural distance, the unit of its inflation

    The starts of all attacks are the same.
    """
    x = triplets.reference
    natural = {name: torch.cat(distances(metric, mixed)).mean() for name, metric in metrics.items()}
    rows: dict[str, Any] = {}
    for attacked in (*metrics, NOISE):
        progress(f"attacks on {attacked}", len(rows), len(metrics) + 1)
        generator = torch.Generator().manual_seed(seed)
        if attacked == NOISE:
            moved = (x + NORMS[NORM].random(x, STANDARD[NORM], generator)).clamp(0, 1)
        else:
            moved = push(metrics[attacked], x, x, 1.0, NORM, STANDARD[NORM], steps, restarts, generator)
        rows[attacked] = {
            judge: interval(between(metric, x, moved) / natural[judge], triplets.photograph)
            for judge, metric in metrics.items()
        }
    return rows
