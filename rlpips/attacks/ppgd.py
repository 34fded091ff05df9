"""Perceptual projected gradient descent (Laidlaw, Singla and Feizi, arXiv 2006.12655, algorithm 1)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from rlpips import validation
from rlpips.attacks.balls import PROJECTIONS, Ball
from rlpips.attacks.classifier import KAPPA, Best, Classifier, check, margins, noisy_start
from rlpips.attacks.jacobian import Jacobian
from rlpips.attacks.request import MAX_STEPS
from rlpips.attacks.vectors import TINY, dot, length, wide
from rlpips.device import in_neutral_state


@in_neutral_state
def ppgd(
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    steps: int = 10,
    cg_steps: int = 5,
    step_size: float | None = None,
    projection: str = "newton",
    seed: int = 0,
) -> Iterator[Tensor]:
    """Perceptual projected gradient descent: a step of `step_size` in feature distance in the direction that raises the margin
    most by the first-order approximation, then a projection into the ball. Yields steps + 1 times, the result last.

    classifier  in eval mode; (N, 3, H, W) in [0, 1] -> logits (N, K)
    x, labels   pictures (N, 3, H, W) in [0, 1], at least 32 pixels a side, and their classes, int64 (N,)
    ball        a `Ball`, around each of the pictures
    cg_steps    steps of conjugate gradients, which solve for the direction
    step_size   None for 2 bound / steps
    projection  "newton" or "bisection"
    seed        picture n starts from noise of seed + n, so that a batch gives what its pictures would give alone
    Pictures whose margin reaches `KAPPA` stay as they are and cost nothing further. ValueError for arguments out of range.

    The direction is (JᵀJ)^-1 g, with J the features' Jacobian and g the margin's gradient. The authors multiply by J with
    finite differences; here products are exact.
    """
    ball.prepare()
    check(classifier, x, labels, steps, step_size, seed, ball.dtype)
    validation.check_whole("cg_steps", cg_steps, 1, MAX_STEPS)
    validation.check_choice("projection", projection, PROJECTIONS)
    size = step_size or 2 * ball.bound / steps
    return _ppgd(classifier, x, labels, ball, steps, cg_steps, size, PROJECTIONS[projection], seed)


@in_neutral_state
def _ppgd(classifier, x, labels, ball, steps, cg_steps, step_size, project, seed):
    with torch.no_grad():
        centre_features = ball.features(x)
        iterate = project(ball, centre_features, x, noisy_start(x, seed))
    best = Best(iterate)
    rows = torch.arange(len(x), device=x.device)  # the pictures that are not fooled for good
    for _ in range(steps):
        yield iterate
        reached, gradient = _margin_gradient(classifier, iterate[rows], labels[rows])
        best.update(rows, iterate[rows], reached)
        unfinished = reached < KAPPA
        rows, gradient = rows[unfinished], gradient[unfinished]
        if len(rows):
            with torch.no_grad():
                moved = iterate[rows] + natural_step(ball, iterate[rows], gradient, cg_steps, step_size)
                moved = project(ball, centre_features[rows], x[rows], moved.clamp_(0, 1))
                iterate = iterate.index_copy(0, rows, moved)
    with torch.no_grad():
        best.update(rows, iterate[rows], margins(classifier(iterate[rows]), labels[rows]))
    yield best.x


def _margin_gradient(classifier, x, labels):
    """The margins (N,) and their gradients (N, 3, H, W)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        reached = margins(classifier(x), labels)
        (gradient,) = torch.autograd.grad(reached.sum(), x)
    return reached.detach(), gradient


def natural_step(ball: Ball, x: Tensor, gradient: Tensor, cg_steps: int, size: float) -> Tensor:
    """Of all steps (N, 3, H, W) that move the features by `size`, the one that raises the function with this gradient most:
    conjugate gradients on JᵀJ step = gradient, scaled. Zero where the gradient is zero; along the gradient, across the whole
    range of pixels, where no step moves the features."""
    jacobian = Jacobian(ball, x)
    step = torch.zeros_like(gradient)
    moved = torch.zeros_like(jacobian.features)  # J step
    residual = direction = gradient
    square = dot(residual, residual)
    for count in range(cg_steps):
        pushed = jacobian.push(direction)
        curvature = dot(pushed, pushed)
        share = (square / curvature.clamp_min(TINY)).where(
            curvature > TINY, 0
        )  # no step where the features do not move
        step = step + wide(share) * direction
        moved = moved + share[:, None] * pushed
        if count < cg_steps - 1:  # the rest prepares the next
            residual = residual - wide(share) * jacobian.pull(pushed)
            before, square = square, dot(residual, residual)
            direction = residual + wide(square / before.clamp_min(TINY)) * direction
    reach = length(moved)
    steepness = length(gradient.flatten(1))
    across = gradient * wide(math.sqrt(gradient[0].numel()) / steepness.clamp_min(TINY))
    return torch.where(wide(reach > TINY), step * wide(size / reach.clamp_min(TINY)), across)
