"""What all attacks on a classifier share: the margin, the best iterate, the start, and the check of their arguments."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rlpips import validation
from rlpips.attacks.balls import MAX_BOUND, check_dtype
from rlpips.attacks.request import MAX_SEED, MAX_STEPS
from rlpips.metrics.base import check_images
from rlpips.norms import NORMS, Norm

KAPPA = 1.0  # the margin from which on a picture counts as fooled for good, as published
_NOISE = 0.01  # standard deviation of the start, as published: at the picture itself the distance has no gradient

Classifier = Callable[[Tensor], Tensor]  # (N, 3, H, W) in [0, 1] -> logits (N, K)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """The highest logit of another class minus that of the label, (N,): above 0 the classifier is wrong."""
    true = labels[:, None]
    return (logits.scatter(1, true, -torch.inf).amax(1, keepdim=True) - logits.gather(1, true))[:, 0]


class Best:
    """The iterates with the highest margin so far, `x` (N, 3, H, W)."""

    def __init__(self, x: Tensor):
        self.x, self._margins = x.detach().clone(), x.new_full((len(x),), -torch.inf)

    def update(self, rows: Tensor, x: Tensor, margins: Tensor) -> None:
        """Compare with further iterates: `x` (n, 3, H, W) of the rows (n,) of the batch, and their margins (n,)."""
        better = margins > self._margins[rows]
        self._margins[rows] = torch.where(better, margins, self._margins[rows])
        self.x[rows] = torch.where(better[:, None, None, None], x, self.x[rows])


def noisy_start(x: Tensor, seed: int) -> Tensor:
    """The pictures with a little noise, where a perceptual attack starts."""
    noise = torch.stack([torch.randn(x.shape[1:], generator=each) for each in generators(x, seed)])
    return (x + _NOISE * noise.to(x)).clamp_(0, 1).contiguous(memory_format=torch.channels_last)  # as networks like it


def generators(x: Tensor, seed: int) -> Iterator[torch.Generator]:
    """A generator for each picture, so that a batch gives what its pictures would give alone."""
    return (torch.Generator().manual_seed(seed + n) for n in range(len(x)))


def pixel_ball(
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    norm: str,
    eps: float,
    steps: int,
    step_size: float | None,
    seed: int,
) -> Norm:
    """The `rlpips.norms.Norm` of that name; ValueError for arguments out of range."""
    check(classifier, x, labels, steps, step_size, seed)
    validation.check_choice("norm", norm, NORMS)
    widest = 1.0 if norm == "linf" else math.sqrt(x[0].numel())  # the whole range of images
    validation.check_real("eps", eps, widest)
    return NORMS[norm]


def check(
    classifier: Classifier, x: Tensor, labels: Tensor, steps: int, step_size: float | None, seed: int,
    dtype: torch.dtype = torch.float32,
) -> None:  # fmt: skip
    """ValueError for arguments out of range."""
    check_images(x, "x")
    check_dtype(x, "x", dtype)
    if getattr(classifier, "training", False):
        raise ValueError("classifier must be in eval mode while it is attacked; it is in training mode.")
    is_tensor = isinstance(labels, Tensor)
    got = f"{labels.dtype} {tuple(labels.shape)} on {labels.device}" if is_tensor else repr(labels)
    if got != f"torch.int64 ({len(x)},) on {x.device}":
        raise ValueError(f"labels must be an int64 tensor of shape ({len(x)},) on {x.device}; got {got}.")
    with torch.no_grad():
        classes = classifier(x[:1]).shape[-1]
    low, high = (value.item() for value in labels.aminmax())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must lie from 0 to {classes - 1}; got {low if low < 0 else high}.")
    validation.check_whole("steps", steps, 1, MAX_STEPS)
    validation.check_whole("seed", seed, 0, MAX_SEED)
    if step_size is not None:
        validation.check_real("step_size", step_size, MAX_BOUND, "in the unit of the ball")
