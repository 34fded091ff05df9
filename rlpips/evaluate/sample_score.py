"""A quick score of one metric, on patches of the sample pictures: what it gives up in agreement for what it gains in robustness.

It takes seconds, so the page can give it to a metric that a visitor has just made. The figures of the other metrics on the same
patches stand in precomputed/score.json; those of the standard evaluation are of other photographs and more exact.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.attacks.triplets import attack_triplets
from rlpips.data.triplets import Triplets, make_triplets
from rlpips.evaluate.scores import distances, interval, score_2afc
from rlpips.evaluate.standard import STANDARD
from rlpips.metrics.base import Metric

TRIPLETS = 160  # attacked
MIXED = 600  # for the agreement
STEPS = 20
_CHUNK = 40  # triplets attacked between two reports


def score(
    metric: Metric, lpips: Metric, pictures: Sequence[np.ndarray], triplets: int = TRIPLETS, mixed: int = MIXED
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yields (how much is done, 0 to 1, the figures so far). The last figures are "agreement", with `lpips`, and "attacked", the 2AFC
    score under l_inf 4/255 (PGD, 20 cosine steps, one restart), each {"value", "low", "high"}.

    metric, lpips  on one device
    pictures       uint8 (H, W, 3), at least 64 pixels a side, to cut 64-pixel patches from
    """
    device = next(iter(lpips.buffers())).device
    same = make_triplets(pictures, triplets, seed=0).to(device)
    others = make_triplets(pictures, mixed, mixed=True, seed=1).to(device)
    choices, lpips_choices = (torch.lt(*distances(each, others)) for each in (metric, lpips))
    figures: dict[str, Any] = {"agreement": interval((choices == lpips_choices).float())}
    yield 0.1, figures
    scores: list[Tensor] = []
    for first in range(0, triplets, _CHUNK):
        scores.append(_attacked(metric, same[first : first + _CHUNK], first))
        figures = {**figures, "attacked": interval(torch.cat(scores))}
        yield min(1.0, 0.1 + 0.9 * (first + _CHUNK) / triplets), figures


def _attacked(metric: Metric, same: Triplets, seed: int) -> Tensor:
    attacked = attack_triplets(metric, same, "linf", STANDARD["linf"], STEPS, 1, seed, until_turned=True)
    return score_2afc(*distances(metric, attacked), same.judge)
