"""A judge that is no relative of LPIPS: how often do metrics choose as a model of human vision does?

"Agreement with LPIPS" asks LPIPS, the metric whose faults are at issue. ColorVideoVDP (Mantiuk et al., SIGGRAPH 2024, arXiv 2401.11485)
models contrast sensitivity, masking and colour vision, and was fitted to what people said. It is no person either, and it is fond of
low-level contrast, as the high agreement of the mean squared error of pixels with it shows.

It is the package `cvvdp`, which only this measurement needs.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rlpips.data.triplets import Triplets
from rlpips.evaluate.scores import distances, interval, score_2afc
from rlpips.metrics.base import Metric
from rlpips.progress import ProgressCallback, quiet

TITLE = "ColorVideoVDP"
DISPLAY = "standard_fhd"  # a 24-inch full-HD screen in an office, seen from 60 cm
CLEAR = 0.3  # JOD: above it the judge finds one candidate clearly better

# (reference, candidate) of (N, 3, H, W) in [0, 1] -> quality (N,) in JOD: 10 for no difference that is seen, one less for each just
# objectionable difference
Judge: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def load_judge(device: str | torch.device = "cpu") -> Judge:
    """ColorVideoVDP. ValueError if its package is not installed."""
    try:
        import pycvvdp
    except ImportError as error:
        raise ValueError("The judge is ColorVideoVDP, which is not installed: pip install cvvdp.") from error
    model = pycvvdp.cvvdp(display_name=DISPLAY, heatmap=None, quiet=True, device=torch.device(device))

    def judge(reference: Tensor, candidate: Tensor) -> Tensor:
        quality, _ = model.predict(candidate[:, :, None], reference[:, :, None], dim_order="BCFHW")
        return quality.reshape(-1)  # of one pair it is a number without a dimension

    return judge


@torch.no_grad()
def qualities(judge: Judge, triplets: Triplets, progress: ProgressCallback = quiet) -> tuple[Tensor, Tensor]:
    """The quality of p0 and of p1 of N triplets to a judge, each (N,) on the CPU."""
    found: list[tuple[Tensor, Tensor]] = []
    for done, batch in enumerate(batches := list(triplets.batches())):
        progress(f"{TITLE}: quality of both candidates", done, len(batches))
        found.append((judge(batch.reference, batch.p0).cpu(), judge(batch.reference, batch.p1).cpu()))
    q0, q1 = (torch.cat(part) for part in zip(*found))
    return q0, q1


def agreement(
    metric: Metric, lpips: Metric, triplets: Triplets, judged: tuple[Tensor, Tensor], clear: float = CLEAR
) -> dict[str, Any]:
    """How often a metric chooses the candidate that a judge finds better, ready for JSON; a tie counts one half.

    judged  what `qualities` returns for these triplets
    clear   the least difference of quality that counts as clear, in JOD

    The keys: "agreement" over all triplets and "clear" over those with a clear difference, with 95 % intervals over photographs
    (None where no difference is clear); "clear_triplets", how many these are; and "lpips", the agreement with LPIPS on all of them (None
    for LPIPS itself).
    """
    d0, d1 = (part.cpu() for part in distances(metric, triplets))
    photograph = triplets.photograph.cpu()
    agrees = score_2afc(d0, d1, _choices(*judged))
    is_clear = (judged[0] - judged[1]).abs() > clear
    l0, l1 = (part.cpu() for part in distances(lpips, triplets))
    return {
        "agreement": interval(agrees, photograph),
        "clear": interval(agrees[is_clear], photograph[is_clear]) if is_clear.any() else None,
        "clear_triplets": int(is_clear.sum()),
        "lpips": None if metric.name == lpips.name else interval(((d0 < d1) == (l0 < l1)).float(), photograph),
    }


def _choices(q0: Tensor, q1: Tensor) -> Tensor:
    """As the judge of `Triplets`: 1 where p1 is better, 0 where p0 is, one half where they are equal."""
    return ((q1 > q0).float() + (q1 >= q0).float()) / 2
