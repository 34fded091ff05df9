"""Attacks on a classifier that no ball of pixels or features bounds, the "unseen threats" of Laidlaw, Singla and Feizi (arXiv
2006.12655): pixels that are moved, stAdv (`rlpips.attacks.flow`), and colours that are changed, ReColorAdv (`rlpips.attacks.recolour`).
Both climb the margin, as published, with steps on the cosine schedule."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from rlpips.attacks import flow, recolour
from rlpips.attacks.classifier import Classifier, check, margins
from rlpips.device import in_neutral_state


def stadv(
    classifier: Classifier, x: Tensor, labels: Tensor, bound: float, steps: int = 20, seed: int = 0
) -> Iterator[Tensor]:
    """Move the pixels by at most `bound` pixels. Yields steps + 1 times, last the iterate with the highest margin.

    The other arguments are those of `rlpips.attacks.ppgd.ppgd`. ValueError for arguments out of range.
    """
    return _start(flow.push, classifier, x, labels, bound, steps, seed)


def recoloradv(
    classifier: Classifier, x: Tensor, labels: Tensor, bound: float, steps: int = 20, seed: int = 0
) -> Iterator[Tensor]:
    """The same by a smooth map of the colours, each changed by at most `bound` of CIELUV's range (`rlpips.attacks.recolour`)."""
    return _start(recolour.push, classifier, x, labels, bound, steps, seed)


@in_neutral_state
def _start(push: Callable[..., Any], classifier, x, labels, bound, steps, seed):
    check(classifier, x, labels, steps, None, seed)

    def margin(moved):
        return (margins(classifier(moved), labels),)

    return (moved for moved, _ in push(x, margin, eps=bound, steps=steps, seed=seed))  # the best one last
