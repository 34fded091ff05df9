"""Lagrangian perceptual attacks (Laidlaw, Singla and Feizi, arXiv 2006.12655, algorithms 2 and 3)."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rlpips import validation
from rlpips.attacks.balls import PROJECTIONS, Ball
from rlpips.attacks.classifier import KAPPA, Best, Classifier, check, margins, noisy_start
from rlpips.attacks.vectors import TINY, length, wide
from rlpips.device import in_neutral_state

_PROBE = 0.1  # the step, in pixel units of l2, over which the rate of the feature distance is measured, as published
_LAMBDA = 0.01  # the first penalty of the search, as published


@in_neutral_state
def lpa(
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    steps: int = 20,
    searches: int = 5,
    step_size: float | None = None,
    projection: str = "newton",
    seed: int = 0,
) -> Iterator[Tensor]:
    """Lagrangian perceptual attack, the paper's algorithm 2: gradient ascent on margin - lambda · max(0, distance - bound).

    There are `searches` searches of `steps` steps, each from where the last one ended. lambda begins at 0.01; picture by picture it
    grows tenfold when a search ends outside the ball. Yields steps · searches + 1 times, the result last.

    Arguments are those of `rlpips.attacks.ppgd.ppgd`. `step_size` is the size of a search's first step, None for `ball.bound`; it
    falls to a tenth. Iterates may lie outside the ball; the result does not. A picture that is fooled inside the ball stays as it
    is and costs nothing further. (The authors' code takes one more step for such a picture.)
    """
    ball.prepare()
    check(classifier, x, labels, steps, step_size, seed, ball.dtype)
    validation.check_whole("searches", searches, 1, 100)
    validation.check_choice("projection", projection, PROJECTIONS)
    return _lpa(classifier, x, labels, ball, steps, searches, step_size or ball.bound, PROJECTIONS[projection], seed)


@in_neutral_state
def _lpa(classifier, x, labels, ball, steps, searches, step_size, project, seed):
    with torch.no_grad():
        centre_features = ball.features(x)
        iterate = noisy_start(x, seed)
    best = Best(x)
    penalty = torch.full((len(x),), _LAMBDA, device=x.device)
    rows = torch.arange(len(x), device=x.device)  # the pictures that are not fooled
    for step in range(steps * searches):
        yield iterate
        if not len(rows):
            continue
        size = step_size * 0.1 ** (step % steps / steps)
        moved, reached, distance = _lagrangian_step(
            classifier, iterate[rows], labels[rows], ball, centre_features[rows], penalty[rows], size, KAPPA
        )
        outside = distance > ball.bound
        best.update(rows, iterate[rows], reached.where(~outside, -torch.inf))
        unfinished = (reached <= 0) | outside
        if (step + 1) % steps == 0:
            penalty[rows[outside]] *= 10
        rows = rows[unfinished]
        iterate = iterate.index_copy(0, rows, moved[unfinished])
    with torch.no_grad():
        last = project(ball, centre_features[rows], x[rows], iterate[rows])
        best.update(rows, last, margins(classifier(last), labels[rows]))
    yield best.x


@in_neutral_state
def fast_lpa(
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    steps: int = 20,
    step_size: float | None = None,
    seed: int = 0,
    projection: str | None = None,
) -> Iterator[Tensor]:
    """Fast Lagrangian perceptual attack, the paper's algorithm 3, for adversarial training: one search of `lpa` in which lambda
    rises from 1 to 10 while steps fall from `step_size` to a tenth. Yields steps + 1 times, the last iterate last.

    Arguments are those of `rlpips.attacks.ppgd.ppgd`; `step_size` None is `ball.bound`. `projection` None is as published: the
    bound is soft, and results may lie somewhat outside. With "newton" or "bisection" the result lies inside.
    """
    ball.prepare()
    check(classifier, x, labels, steps, step_size, seed, ball.dtype)
    if projection is not None:
        validation.check_choice("projection", projection, PROJECTIONS)
    project = None if projection is None else PROJECTIONS[projection]
    iterates = in_neutral_state(fast_lpa_iterates)
    return iterates(classifier, x, labels, ball, steps, step_size or ball.bound, seed, project)


def fast_lpa_iterates(
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    steps: int,
    step_size: float,
    seed: int,
    project: Callable[..., Tensor] | None = None,
) -> Iterator[Tensor]:
    """What `fast_lpa` yields, without its checks and in the caller's state: a training computes it under its own autocast.
    `ball.prepare()` comes first."""
    with torch.no_grad():
        centre_features = ball.features(x)
        iterate = noisy_start(x, seed)
    for step in range(steps):
        yield iterate
        decay = 0.1 ** (step / steps)
        iterate, *_ = _lagrangian_step(classifier, iterate, labels, ball, centre_features, 1 / decay, step_size * decay)
    yield iterate if project is None else project(ball, centre_features, x, iterate)


@torch.no_grad()
def _lagrangian_step(classifier, x, labels, ball, centre_features, penalty, step_size, kappa=math.inf):
    """(the point one step of `step_size` in features along the gradient of the Lagrangian; the margins and distances (N,) of `x`)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        features, logits = ball.features_logits(classifier, x)
        reached, distance = margins(logits, labels), length(features - centre_features)
        goal = reached.clamp(max=kappa) - penalty * (distance - ball.bound).relu()
        (gradient,) = torch.autograd.grad(goal.sum(), x)
    direction = gradient / wide(length(gradient.flatten(1)).clamp_min(TINY))
    # How much the features move per pixel unit of this direction: a forward pass measures it cheaply.
    rate = length(ball.features(x + _PROBE * direction) - features) / _PROBE
    moved = (x + wide(step_size / (rate + 1e-4)) * direction).clamp_(0, 1)
    return moved, reached.detach(), distance.detach()
