"""Perceptual projected gradient descent (Laidlaw, Singla and Feizi, arXiv 2006.12655, algorithm 1)."""

import torch

from rlpips import validation
from rlpips.attacks.balls import PROJECTIONS
from rlpips.attacks.classifier import KAPPA, Best, check, margins, noisy_start
from rlpips.attacks.jacobian import Jacobian
from rlpips.attacks.request import MAX_STEPS
from rlpips.attacks.vectors import TINY, dot, length, wide


def ppgd(classifier, x, labels, ball, steps=10, cg_steps=5, step_size=None, projection="newton", seed=0):
    """Perceptual projected gradient descent, the paper's algorithm 1: a step of `step_size` in feature distance in the
    direction that raises the margin most by the first-order approximation, and back into the ball. Yields steps + 1 times.

    classifier  in eval mode; (N, 3, H, W) in [0, 1] -> logits (N, K)
    x, labels   pictures (N, 3, H, W) in [0, 1], at least 32 pixels a side, and their classes, int64 (N,)
    ball        a `Ball`, around each of the pictures
    cg_steps    of conjugate gradients, which solve for the direction
    step_size   2 bound / steps unless given
    projection  "newton" or "bisection"
    seed        picture n starts from noise of seed + n, so that a batch gives what its pictures would give alone
    Pictures with a margin of `KAPPA` or more stay as they are and cost nothing further. Anything out of range is a
    ValueError that says so.

    The direction is (JᵀJ)^-1 g, with J the features' Jacobian and g the margin's gradient. The authors multiply by J with
    finite differences; here products are exact.
    """
    check(classifier, x, labels, steps, step_size, seed)
    ball.prepare()
    validation.whole("cg_steps", cg_steps, 1, MAX_STEPS)
    validation.one_of("projection", projection, PROJECTIONS)
    size = step_size or 2 * ball.bound / steps
    return _ppgd(classifier, x, labels, ball, steps, cg_steps, size, PROJECTIONS[projection], seed)


def _ppgd(classifier, x, labels, ball, steps, cg_steps, step_size, project, seed):
    with torch.no_grad():
        home = ball.features(x)
        now = project(ball, home, x, noisy_start(x, seed))
    best = Best(now)
    rows = torch.arange(len(x), device=x.device)  # of the pictures that are not fooled for good
    for _ in range(steps):
        yield now
        found, gradient = _margin_gradient(classifier, now[rows], labels[rows])
        best.see(rows, now[rows], found)
        going = found < KAPPA
        rows, gradient = rows[going], gradient[going]
        if len(rows):
            with torch.no_grad():
                moved = now[rows] + natural_step(ball, now[rows], gradient, cg_steps, step_size)
                now = now.index_copy(0, rows, project(ball, home[rows], x[rows], moved.clamp_(0, 1)))
    with torch.no_grad():
        best.see(rows, now[rows], margins(classifier(now[rows]), labels[rows]))
    yield best.x


def _margin_gradient(classifier, x, labels):
    """The margins (N,) and their gradients (N, 3, H, W)."""
    with torch.enable_grad():
        here = x.detach().requires_grad_()
        found = margins(classifier(here), labels)
        (gradient,) = torch.autograd.grad(found.sum(), here)
    return found.detach(), gradient


def natural_step(ball, x, gradient, cg_steps, size):
    """The step (N, 3, H, W) that raises what has this gradient most, of those that move the features by `size`: conjugate
    gradients on JᵀJ step = gradient, scaled. Zero where the gradient is zero."""
    jacobian = Jacobian(ball, x)
    step, moved = torch.zeros_like(gradient), 0.0  # and J step
    rest = direction = gradient
    square = dot(rest, rest)
    for count in range(cg_steps):
        pushed = jacobian.push(direction)
        reach = dot(pushed, pushed)
        share = (square / reach.clamp_min(TINY)).where(reach > TINY, 0)  # where the features do not move: no step
        step = step + wide(share) * direction
        moved = moved + share[:, None] * pushed
        if count < cg_steps - 1:  # what follows is for the next
            rest = rest - wide(share) * jacobian.pull(pushed)
            before, square = square, dot(rest, rest)
            direction = rest + wide(square / before.clamp_min(TINY)) * direction
    reach = length(moved)
    return step * wide((size / reach.clamp_min(TINY)).where(reach > TINY, 0))
