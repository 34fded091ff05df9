"""The part of the Robustness page on a judge that is no relative of LPIPS, in sentences: what it says, and what it does not."""

from collections.abc import Mapping
from typing import Any

from rlpips.ui.pages.robustness_text import joined, percent, title

Judged = Mapping[str, Any]  # {metric: the part "judge" of its card}


def sentences(judged: Judged) -> str:
    """What was asked, what came out, and what the judge is fond of."""
    first = next(iter(judged.values()))
    how = first["how"]
    name = how["judge"].rpartition(" ")[0]
    shares = joined(
        f"{title(metric)} on {percent(part['clear']['value'])}" for metric, part in judged.items() if part["clear"]
    )
    fond = (
        f" It is fond of low-level contrast: even the mean squared error of pixels chooses as it does on {percent(judged['mse']['agreement']['value'])}."
        if "mse" in judged
        else ""
    )
    return (
        f"Agreement with LPIPS asks the metric whose faults are at issue. {name}, a model of human vision that is no relative of it, was asked "
        f"which of two natural distortions looks milder, on {how['mixed']} triplets. Where it sees a clear difference "
        f"({first['clear_triplets']} of them), these choose as it does: {shares}.{fond} Neither judge is a person."
    )
