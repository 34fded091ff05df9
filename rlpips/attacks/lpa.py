"""Lagrangian perceptual attacks (Laidlaw, Singla and Feizi, arXiv 2006.12655, algorithms 2 and 3)."""

import math

import torch

from rlpips import validation
from rlpips.attacks.balls import PROJECTIONS
from rlpips.attacks.classifier import KAPPA, Best, check, margins, noisy_start
from rlpips.attacks.vectors import TINY, length, wide

_PROBE = 0.1  # how far ahead, in pixel units of l2, the feature distance is probed for its rate, as published
_LAMBDA = 0.01  # the penalty that the search begins with, as published


def lpa(classifier, x, labels, ball, steps=20, searches=5, step_size=None, projection="newton", seed=0):
    """Lagrangian perceptual attack, the paper's algorithm 2: gradient ascent on margin - lambda · (distance - bound, if above
    0), `searches` times `steps` steps, each time from where the last one ended; lambda begins at 0.01 and grows tenfold,
    picture by picture, when a search has come to its last step outside the ball. Yields steps · searches + 1 times.

    Arguments are those of `ppgd`; `step_size` is that of the first step of a search, `ball.bound` unless given, and falls to a
    tenth. Iterates may lie outside the ball; the result does not. A picture that is fooled inside the ball stays as it is
    and costs nothing further. (The authors' code takes another step after it has found such a picture.)
    """
    check(classifier, x, labels, steps, step_size, seed)
    ball.prepare()
    validation.whole("searches", searches, 1, 100)
    validation.one_of("projection", projection, PROJECTIONS)
    return _lpa(classifier, x, labels, ball, steps, searches, step_size or ball.bound, PROJECTIONS[projection], seed)


def _lpa(classifier, x, labels, ball, steps, searches, step_size, project, seed):
    with torch.no_grad():
        home = ball.features(x)
        now = noisy_start(x, seed)
    best = Best(x)
    weight = torch.full((len(x),), _LAMBDA, device=x.device)
    rows = torch.arange(len(x), device=x.device)  # of the pictures that are not fooled
    for step in range(steps * searches):
        yield now
        if not len(rows):
            continue
        decay = 0.1 ** (step % steps / steps)
        moved, found, distance = _lagrangian_step(
            classifier, now[rows], labels[rows], ball, home[rows], weight[rows], step_size * decay, KAPPA
        )
        outside = distance > ball.bound
        best.see(rows, now[rows], found.where(~outside, -torch.inf))
        going = (found <= 0) | outside
        if (step + 1) % steps == 0:
            weight[rows[outside]] *= 10
        rows = rows[going]
        now = now.index_copy(0, rows, moved[going])
    with torch.no_grad():
        last = project(ball, home[rows], x[rows], now[rows])
        best.see(rows, last, margins(classifier(last), labels[rows]))
    yield best.x


def fast_lpa(classifier, x, labels, ball, steps=20, step_size=None, seed=0, projection=None):
    """Fast Lagrangian perceptual attack, the paper's algorithm 3, made for adversarial training: one pass of `lpa` in which
    lambda rises from 1 to 10 while steps fall from `step_size` to a tenth. Yields steps + 1 times, the last iterate last.

    Arguments are those of `ppgd`; `step_size` is `ball.bound` unless given. `projection` None is as published: the bound is a
    soft one, and results may lie somewhat outside. With "newton" or "bisection" the result lies inside.
    """
    check(classifier, x, labels, steps, step_size, seed)
    ball.prepare()
    if projection is not None:
        validation.one_of("projection", projection, PROJECTIONS)
    return _fast_lpa(classifier, x, labels, ball, steps, step_size or ball.bound, PROJECTIONS.get(projection), seed)


def _fast_lpa(classifier, x, labels, ball, steps, step_size, project, seed):
    with torch.no_grad():
        home = ball.features(x)
        now = noisy_start(x, seed)
    for step in range(steps):
        yield now
        decay = 0.1 ** (step / steps)
        now, *_ = _lagrangian_step(classifier, now, labels, ball, home, 1 / decay, step_size * decay)
    yield now if project is None else project(ball, home, x, now)


@torch.no_grad()
def _lagrangian_step(classifier, x, labels, ball, home, weight, step_size, kappa=math.inf):
    """One step along the gradient of the Lagrangian, `step_size` long in features; and the margins and distances (N,) of
    where it began."""
    with torch.enable_grad():
        here = x.detach().requires_grad_()
        features, logits = ball.features_logits(classifier, here)
        found, distance = margins(logits, labels), length(features - home)
        goal = found.clamp(max=kappa) - weight * (distance - ball.bound).relu()
        (gradient,) = torch.autograd.grad(goal.sum(), here)
    direction = gradient / wide(length(gradient.flatten(1)).clamp_min(TINY))
    # How much the features move per pixel unit of this direction: by a forward pass alone, as that is cheap.
    rate = length(ball.features(x + _PROBE * direction) - features) / _PROBE
    moved = (x + wide(step_size / (rate + 1e-4)) * direction).clamp_(0, 1)
    return moved, found.detach(), distance.detach()
