"""A quick score of one metric, on patches of the sample pictures: what it gives up in agreement for what it gains in robustness.

It takes seconds, so the page can give it to a metric that a visitor has just made. The figures of the other metrics on the same
patches stand in precomputed/scores.json; those of the standard evaluation are of other photographs and more exact. What ColorVideoVDP, which
takes too long to be asked, chose on the triplets of mixed distortions stands in precomputed/judged.json.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips import paths
from rlpips.attacks.triplets import attack_triplets
from rlpips.data.triplets import Triplets, make_triplets
from rlpips.evaluate.judge import TITLE, Judge, qualities
from rlpips.evaluate.scores import distances, interval, score_2afc
from rlpips.evaluate.standard import STANDARD
from rlpips.metrics.base import Metric

TRIPLETS = 160  # attacked
MIXED = 600  # for the agreement
STEPS = 20
_CHUNK = 40  # triplets attacked between two reports
_SAME = 0.99  # of the choices of pixels: where fewer agree, judgements are of other triplets


def score(
    metric: Metric,
    judges: Mapping[str, Metric],
    pictures: Sequence[np.ndarray],
    triplets: int = TRIPLETS,
    mixed: int = MIXED,
    judged: Mapping[str, str] | None = None,
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yields (how much is done, 0 to 1, the figures so far). The last figures are "agreement", with LPIPS; "judges", by title the
    agreement with the other judges; and "attacked", the 2AFC score under l_inf 4/255 (PGD, 20 cosine steps, one restart). Each is {"value",
    "low", "high"}.

    metric    on the device of the judges
    judges    metrics by title, LPIPS first
    pictures  uint8 (H, W, 3), at least 64 pixels a side, to cut 64-pixel patches from
    judged    what `judgements` returned for these triplets; left out where they are others
    """
    lpips, *_ = judges.values()
    device = next(iter(lpips.buffers())).device
    same = make_triplets(pictures, triplets, seed=0).to(device)
    others = _mixed(pictures, mixed).to(device)
    d0, d1 = distances(metric, others)
    agreements = {
        title: interval(((d0 < d1) == torch.lt(*distances(each, others))).float()) for title, each in judges.items()
    }
    if judged and _fits(judged, others):
        better = torch.tensor([_BETTER[each] for each in judged["choices"]])
        agreements[judged["title"]] = interval(score_2afc(d0.cpu(), d1.cpu(), better))
    agreement = agreements.pop(next(iter(judges)))
    figures: dict[str, Any] = {"agreement": agreement, "judges": agreements}
    yield 0.1, figures
    scores: list[Tensor] = []
    for first in range(0, triplets, _CHUNK):
        scores.append(_attacked(metric, same[first : first + _CHUNK], first))
        figures = {**figures, "attacked": interval(torch.cat(scores))}
        yield min(1.0, 0.1 + 0.9 * (first + _CHUNK) / triplets), figures


_BETTER = {"0": 0.0, "=": 0.5, "1": 1.0}  # which candidate, as the judge of `Triplets` has it


def judgements(judge: Judge, pictures: Sequence[np.ndarray], mixed: int = MIXED) -> dict[str, str]:
    """What a model of human vision chooses on the triplets of mixed distortions, a character for each, ready for JSON: "0", "1", or
    "=" for neither. "pixels" are the choices of the mean squared error, by which the triplets can be known again."""
    others = _mixed(pictures, mixed)
    q0, q1 = qualities(judge, others)
    choices = "".join("0" if a > b else "1" if b > a else "=" for a, b in zip(q0.tolist(), q1.tolist()))
    return {"title": TITLE, "choices": choices, "pixels": _pixels(others)}


def judged() -> dict[str, str] | None:
    """Those that are stored; None where there are none."""
    return json.loads(paths.JUDGED.read_text("utf-8")) if paths.JUDGED.is_file() else None


def _fits(judged, others):
    pixels = _pixels(others)
    return len(judged["pixels"]) == len(pixels) == len(judged["choices"]) and (
        sum(map(str.__eq__, pixels, judged["pixels"])) >= _SAME * len(pixels)
    )


def _pixels(others):
    d0, d1 = ((each - others.reference).square().mean((1, 2, 3)) for each in (others.p0, others.p1))
    return "".join(map(str, (d1 < d0).int().tolist()))


def _mixed(pictures, count):
    return make_triplets(pictures, count, mixed=True, seed=1)


def _attacked(metric: Metric, same: Triplets, seed: int) -> Tensor:
    attacked = attack_triplets(metric, same, "linf", STANDARD["linf"], STEPS, 1, seed, until_turned=True)
    return score_2afc(*distances(metric, attacked), same.judge)
