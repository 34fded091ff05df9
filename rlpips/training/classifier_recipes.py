"""How the small classifiers of CIFAR-10 are trained: without a defence, or against an attack on every batch.

The defences are adversarial training: every picture of a batch is replaced by one that attacks the present weights. "at-linf"
and "at-l2" attack by PGD in pixels (Madry et al., arXiv 1706.06083). "pat-self" and "pat-alexnet" are perceptual adversarial
training: Fast-LPA within a feature distance of the classifier itself or of LPIPS (Laidlaw, Singla and Feizi, arXiv 2006.12655).
"pat-rlpips" bounds the same attack by R-LPIPS instead (R-PAT of Ghazanfari et al., arXiv 2307.15157).
As in the former paper, perceptual attacks leave out pictures that are classified wrongly.

All of it is scaled down to a network and a number of steps for two CPU cores, in three ways: one-cycle learning rates with few
epochs (Wong, Rice and Kolter, Fast is better than free, arXiv 2001.03994), few steps in every attack, and weights averaged over
the last steps, which helps robustness (Gowal et al., arXiv 2010.03593).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.attacks.balls import Ball, MetricBall, SelfBall
from rlpips.attacks.lpa import fast_lpa_iterates
from rlpips.attacks.pgd import climb, inside
from rlpips.classifiers.models import Classifier
from rlpips.metrics.lpips import load_metric
from rlpips.norms import NORMS

LPA_STEPS = 3
SELF_BOUND = 0.5  # as the paper trains
# The paper trains with 1.0 on AlexNet without weights. With those of LPIPS, natural distortions of CIFAR-10 are 0.31 times as
# far (the median; 0.25 for shifts, 0.30 for JPEG, 0.32 for noise, 0.36 for blur), so that 0.3 is about as visible.
# In R-LPIPS they are 0.33 times as far, so that the same bound serves.
LPIPS_BOUND = 0.3

Attack: TypeAlias = Callable[[Tensor, Tensor, int], Tensor]  # (x (N, 3, 32, 32) in [0, 1], y (N,), seed) -> attacked x


@dataclass(frozen=True)
class Recipe:
    """How one classifier is trained.

    description    of the training pictures, for the card
    make_attack    classifier -> the attack on its pictures; None without a defence
    only_correct   attack only pictures that are classified correctly
    """

    epochs: int
    description: str
    make_attack: Callable[[Classifier], Attack] | None = None
    only_correct: bool = False


def pgd_in_pixels(
    classifier: Classifier, x: Tensor, y: Tensor, norm: str, eps: float, steps: int, step_size: float, seed: int = 0
) -> Tensor:
    """PGD on the cross entropy, from a random start, of pictures x (N, 3, H, W) in [0, 1] of classes y (N,); returns the last
    iterate. eps and step_size are in [0, 1] pixel units."""
    ball = NORMS[norm]

    def objective(x: Tensor) -> tuple[Tensor]:
        return (F.cross_entropy(classifier(x), y, reduction="none"),)

    iterate = inside(ball.random(x, eps, torch.Generator().manual_seed(seed)), x, ball, eps)
    for _ in range(steps):  # not `pgd`, which evaluates the last iterate: a pass that nobody needs here
        gradient, _ = climb(iterate, objective)
        iterate = inside(ball.step(gradient, step_size).add_(iterate).sub_(x), x, ball, eps)
    return iterate


def _pixel_attack(norm: str, eps: float, step_size: float) -> Callable[[Classifier], Attack]:
    def make_attack(classifier: Classifier) -> Attack:
        return lambda x, y, seed: pgd_in_pixels(classifier, x, y, norm, eps, 2, step_size, seed)

    return make_attack


def _perceptual_attack(make_ball: Callable[[Classifier], Ball]) -> Callable[[Classifier], Attack]:
    def make_attack(classifier: Classifier) -> Attack:
        ball = make_ball(classifier)

        def attack(x: Tensor, y: Tensor, seed: int) -> Tensor:
            ball.prepare()
            *_, adversarial = fast_lpa_iterates(classifier, x, y, ball, LPA_STEPS, ball.bound, seed)
            return adversarial

        return attack

    return make_attack


def _metric_ball(metric: str) -> Callable[[Classifier], Ball]:
    return lambda classifier: MetricBall(load_metric(metric, "alex", classifier.mean.device), LPIPS_BOUND)


RECIPES = {
    "undefended": Recipe(8, "clean pictures"),
    "at-linf": Recipe(
        6, "PGD, l_inf eps 8/255, 2 steps of 6/255 from a random start", _pixel_attack("linf", 8 / 255, 6 / 255)
    ),
    "at-l2": Recipe(6, "PGD, l2 eps 1.0, 2 steps of 0.75 from a random start", _pixel_attack("l2", 1.0, 0.75)),
    "pat-self": Recipe(
        4,
        f"Fast-LPA, {LPA_STEPS} steps, bound {SELF_BOUND} on the feature distance of the classifier itself",
        _perceptual_attack(lambda classifier: SelfBall(classifier, SELF_BOUND)),
        only_correct=True,
    ),
    "pat-alexnet": Recipe(
        4,
        f"Fast-LPA, {LPA_STEPS} steps, bound {LPIPS_BOUND} on the square root of LPIPS (AlexNet) at 64×64",
        _perceptual_attack(_metric_ball("lpips")),
        only_correct=True,
    ),
    "pat-rlpips": Recipe(
        4,
        f"Fast-LPA, {LPA_STEPS} steps, bound {LPIPS_BOUND} on the square root of R-LPIPS l_inf (AlexNet) at 64×64",
        _perceptual_attack(_metric_ball("rlpips-linf")),
        only_correct=True,
    ),
}
