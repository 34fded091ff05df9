"""PGD on a classifier in a ball of pixels (Madry et al., arXiv 1706.06083), a yardstick for perceptual attacks."""

import torch
import torch.nn.functional as F

from rlpips.attacks.classifier import Best, generators, margins, pixel_ball
from rlpips.attacks.pgd import pgd as ascend


def pgd(classifier, x, labels, norm, eps, steps=20, step_size=None, seed=0):
    """PGD in pixels on the cross entropy (Madry et al., arXiv 1706.06083), as a yardstick; yields steps + 1 times.

    `norm` "linf" or "l2", `eps` in [0, 1] pixel units, the start uniform in the ball, `step_size` 2.5 eps / steps unless given;
    the others as for `ppgd`.
    """
    ball = pixel_ball(classifier, x, labels, norm, eps, steps, step_size, seed)
    return _pgd(classifier, x, labels, ball, eps, steps, step_size or 2.5 * eps / steps, seed)


def _pgd(classifier, x, labels, norm, eps, steps, step_size, seed):
    def objective(x):
        logits = classifier(x)
        return F.cross_entropy(logits, labels, reduction="none"), margins(logits, labels)

    best, everyone = Best(x), torch.arange(len(x), device=x.device)
    for index, (now, found) in enumerate(
        ascend(x, _scattered(x, norm, eps, seed), objective, norm, eps, steps, step_size)
    ):
        best.see(everyone, now, found)
        yield now if index < steps else best.x


def _scattered(x, norm, eps, seed):
    """Points drawn uniformly from the balls around the pictures."""
    return torch.cat([each + norm.random(each, eps, g) for each, g in zip(x.split(1), generators(x, seed))])
