"""PGD on a classifier in a ball of pixels (Madry et al., arXiv 1706.06083), a yardstick for perceptual attacks."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.attacks.classifier import Best, generators, margins, pixel_ball
from rlpips.attacks.pgd import pgd as ascend
from rlpips.attacks.schedule import step_sizes
from rlpips.device import in_neutral_state
from rlpips.norms import Norm


@in_neutral_state
def pgd(
    classifier: Callable[[Tensor], Tensor],
    x: Tensor,
    labels: Tensor,
    norm: str,
    eps: float,
    steps: int = 20,
    step_size: float | None = None,
    seed: int = 0,
) -> Iterator[Tensor]:
    """PGD in pixels on the cross entropy; yields steps + 1 times, in place of the last iterate the one with the highest margin.

    norm       "linf" or "l2"
    eps        radius in [0, 1] pixel units; the start is uniform in the ball
    step_size  of all steps; None for the cosine schedule (`rlpips.attacks.schedule`)
    The other arguments are those of `rlpips.attacks.ppgd.ppgd`. ValueError for arguments out of range.
    """
    ball = pixel_ball(classifier, x, labels, norm, eps, steps, step_size, seed)
    sizes = step_sizes("cosine" if step_size is None else "fixed", eps, steps, step_size)
    return _pgd(classifier, x, labels, ball, eps, sizes, seed)


@in_neutral_state
def _pgd(classifier, x, labels, norm: Norm, eps, sizes, seed):
    def objective(x):
        logits = classifier(x)
        return F.cross_entropy(logits, labels, reduction="none"), margins(logits, labels)

    best, all_rows = Best(x), torch.arange(len(x), device=x.device)
    iterates = ascend(x, _random_points(x, norm, eps, seed), objective, norm, eps, sizes)
    for index, (iterate, reached) in enumerate(iterates):
        best.update(all_rows, iterate, reached)
        yield iterate if index < len(sizes) else best.x


def _random_points(x, norm, eps, seed):
    """Points drawn uniformly from the balls around the pictures."""
    return torch.cat(
        [each + norm.random(each, eps, g) for each, g in zip(x.split(1), generators(x, seed), strict=True)]
    )
