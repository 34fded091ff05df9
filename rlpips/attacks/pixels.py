"""Attacks on a classifier in a ball of pixels, a yardstick for perceptual attacks: PGD (Madry et al., arXiv 1706.06083), and two of the
four attacks that AutoAttack joins, APGD on the cross entropy and targeted APGD (Croce and Hein, arXiv 2003.01690)."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips import validation
from rlpips.attacks import pgd as ascent
from rlpips.attacks.classifier import Best, generators, margins, pixel_ball
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
    iterates = ascent.pgd(x, _random_points(x, norm, eps, seed), objective, norm, eps, sizes)
    for index, (iterate, reached) in enumerate(iterates):
        best.update(all_rows, iterate, reached)
        yield iterate if index < len(sizes) else best.x


@in_neutral_state
def apgd(
    classifier: Callable[[Tensor], Tensor],
    x: Tensor,
    labels: Tensor,
    norm: str,
    eps: float,
    steps: int = 20,
    targets: int = 3,
    seed: int = 0,
) -> Iterator[Tensor]:
    """APGD on the cross entropy, then on the targeted difference of logits ratio, one run of `steps` for each of the `targets` classes
    that the classifier finds most likely after the label. Pictures that a run has fooled take no part in the next ones, as in
    AutoAttack, which runs longer and has two more attacks. Yields steps · (1 + targets) + 1 times, in place of the last iterate
    the one with the highest margin of all runs.

    Arguments are those of `pgd`; targets are 0 to the number of other classes, which must be 3 at least for the ratio.
    ValueError for arguments out of range.
    """
    ball = pixel_ball(classifier, x, labels, norm, eps, steps, None, seed)
    with torch.no_grad():
        logits = classifier(x)
    validation.check_whole("targets", targets, 0, logits.shape[1] - 1)
    if targets and logits.shape[1] < 4:
        raise ValueError(f"Targeted APGD needs a classifier of at least 4 classes; got {logits.shape[1]}.")
    others = logits.scatter(1, labels[:, None], -torch.inf).topk(max(targets, 1)).indices
    objectives = [None, *others.T[:targets]]  # the target (N,) of each run
    return _apgd(classifier, x, labels, ball, eps, steps, objectives, seed)


@in_neutral_state
def _apgd(classifier, x, labels, norm: Norm, eps, steps, objectives, seed):
    best, start = Best(x), _random_points(x, norm, eps, seed)
    rows, iterate = torch.arange(len(x), device=x.device), start
    for target in objectives:

        def objective(moved, rows=rows, target=target):
            logits = classifier(moved)
            reached = margins(logits, labels[rows])
            if target is None:
                return F.cross_entropy(logits, labels[rows], reduction="none"), reached
            return targeted_ratio(logits, labels[rows], target[rows]), reached

        fooled = torch.zeros(len(rows), dtype=torch.bool, device=x.device)
        run = ascent.apgd(x[rows], start[rows], objective, norm, eps, steps) if len(rows) else iter(())
        for step in range(steps + 1):
            if (reply := next(run, None)) is not None:
                moved, reached = reply
                best.update(rows, moved, reached)
                fooled |= reached > 0
                iterate = iterate.index_copy(0, rows, moved)
            if step < steps:  # the end of a run is where the next one starts
                yield iterate
        rows = rows[~fooled]
    yield best.x


def targeted_ratio(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The targeted difference of logits ratio (N,): -(z_label - z_target) / (z_1st - (z_3rd + z_4th) / 2), of logits (N, K), K >= 4. Unlike
    the cross entropy it does not change when the logits are scaled."""
    of_label, of_target = (logits.gather(1, each[:, None])[:, 0] for each in (labels, targets))
    first, _, third, fourth = logits.topk(4).values.unbind(1)
    return -(of_label - of_target) / (first - (third + fourth) / 2 + 1e-12)


def _random_points(x, norm, eps, seed):
    """Points drawn uniformly from the balls around the pictures."""
    return torch.cat(
        [each + norm.random(each, eps, g) for each, g in zip(x.split(1), generators(x, seed), strict=True)]
    )
