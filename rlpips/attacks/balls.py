"""Perceptual balls, in which `ppgd`, `lpa` and `fast_lpa` attack classifiers (Laidlaw, Singla and Feizi, "Perceptual Adversarial
Robustness", arXiv 2006.12655, ICLR 2021), and the projections back into them.

The threat model: raise the classifier's margin, the highest logit of another class minus that of the true class, while

    ||phi(x~) - phi(x)||_2 <= bound

with phi the features of a network, of unit length over the channels, layer l divided by the square root of its positions.
With a metric of our catalogue each channel is multiplied by the square root of its weight as well, so that
||phi(x) - phi(y)||_2² is exactly the metric's distance: a bound of 0.5 is an LPIPS of 0.25.

`ppgd` and `lpa` bounded by "lpips" are the paper's attacks, bounded by "rlpips-linf" their counterparts R-PPGD and R-LPA of
Ghazanfari et al. (arXiv 2307.15157). The code of the latter bounds something else, not the metric's distance: `SumBall` says what.
`fast_lpa` is for adversarial training.

All these attacks are generators over iterates (N, 3, H, W) in [0, 1], the first the start. In place of the last they yield the result: the
iterate with the highest margin of those in the ball. So a result is never outside, where the authors' code may return a point
that its bisection tried in vain, and is never weaker than an iterate. Other differences from that code are said where they are.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips import validation
from rlpips.attacks.vectors import TINY, dot, length, wide
from rlpips.device import in_neutral_state
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.metrics.backbones import EPS
from rlpips.metrics.lpips import PerceptualMetric

# Pixels a side of pictures that are shown to a metric: what R-LPIPS heads were trained on; AlexNet leaves 1×1 maps at 32.
LEAST_SIDE = 64
MAX_BOUND = 1e6  # no features are that far apart


class Ball:
    """All pictures whose features lie within `bound` of a picture's own: a `MetricBall`, or a `SelfBall`."""

    def __init__(self, bound: float):
        """`bound` is a feature distance, above 0 and at most `MAX_BOUND`; ValueError otherwise."""
        validation.check_real("bound", bound, MAX_BOUND, "in feature distance")
        self.bound = float(bound)
        self.dtype = torch.float32  # of pictures and features

    def prepare(self) -> None:
        """Take over the weights that the network has now; every attack does so when it begins."""

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, D). Gradients flow to `x`."""
        raise NotImplementedError

    def features_logits(self, classifier: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """The features (N, D) and the classifier's logits (N, K), in one pass where both come from one network."""
        return self.features(x), classifier(x)

    @in_neutral_state
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """||phi(x) - phi(y)||_2 of each pair, (N,): the square root of the metric's distance. ValueError unless `x` and `y` have
        one shape and the ball's dtype."""
        self.prepare()
        check_dtype(x, "x", self.dtype)
        check_dtype(y, "y", self.dtype)
        if x.shape != y.shape:
            raise ValueError(f"x and y must have the same shape; got {tuple(x.shape)} and {tuple(y.shape)}.")
        return length(self.features(x) - self.features(y))


class MetricBall(Ball):
    """The ball of a `PerceptualMetric`, which measures pictures enlarged as by `enlarged`."""

    def __init__(self, metric: PerceptualMetric, bound: float):
        super().__init__(bound)
        self.metric = metric
        self.prepare()

    @in_neutral_state
    def prepare(self) -> None:
        self.dtype = self.metric.trunk.scale.dtype
        if self.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"The metric of a ball must be in float32 or float64; got {self.dtype}. metric.float() makes it so."
            )
        self._trunk = FastTrunk(self.metric.trunk)
        self._roots = [head.sqrt() for head in self.metric.heads]

    def features(self, x: Tensor) -> Tensor:
        return _flatten(self._trunk.features(enlarged(x)), self._roots)


class SumBall(MetricBall):
    """What the public code of R-LPIPS's authors bounds (github.com/SaraGhazanfari/robust-perceptual-advex,
    perceptual_advex/distances.py), rebuilt with a metric of ours. Its features are one number at each position: the sum over the
    channels of the unit features times their weights. Two versions of that file are public:

    is_scaled  True, the version that the commands in the README fit: `normalize_flatten_features` scales these features once more
               to unit length over the channels, of which there is one. So every entry becomes a constant, the sign of the sum
               divided by the root of the positions; as no weight is negative, the sign is the same everywhere. All pictures have
               the same features: every change is free, and the ball bounds nothing but for the range of pixels.
               False: the sums as they are. That ball is of these sums, not of the metric: a change that leaves them alone is
               free, and a layer counts by its number of positions.

    Which version made the paper's tables is not known.
    """

    def __init__(self, metric: PerceptualMetric, bound: float, is_scaled: bool = True):
        super().__init__(metric, bound)
        self.is_scaled = is_scaled

    def features(self, x: Tensor) -> Tensor:
        parts = []
        for layer, weight in zip(self._trunk.features(enlarged(x)), self.metric.heads, strict=True):
            sums = _Units.apply(_rows(layer)) @ weight[:, None]  # (N, positions, 1)
            parts.append((_Units.apply(sums) / math.sqrt(sums.shape[1]) if self.is_scaled else sums).flatten(1))
        return torch.cat(parts, 1)


class SelfBall(Ball):
    """The ball of a classifier's own activations, unweighted: the paper's "self"."""

    def __init__(self, classifier: Any, bound: float):
        """`classifier.features_logits(x)` gives activations, a list of (N, C_l, h_l, w_l), and logits (N, K)."""
        super().__init__(bound)
        self.classifier = classifier
        self.prepare()

    def prepare(self) -> None:
        if isinstance(self.classifier, nn.Module):
            self.dtype = next((each.dtype for each in self.classifier.parameters()), self.dtype)

    def features(self, x: Tensor) -> Tensor:
        return _flatten(self.classifier.features_logits(x)[0])

    def features_logits(self, classifier: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        if classifier is not self.classifier:
            return super().features_logits(classifier, x)
        activations, logits = classifier.features_logits(x)
        return _flatten(activations), logits


def check_dtype(x: Tensor, name: str, dtype: torch.dtype) -> None:
    """ValueError unless `x` has this dtype; `name` is for the sentence."""
    if x.dtype != dtype:
        raise ValueError(f"{name} must be {dtype}; got {x.dtype}. {name}.to({dtype}) makes it so.")


def _flatten(layers: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> Tensor:
    """L layers (N, C_l, h_l, w_l) as rows (N, D): of unit length at each position, times `weights`, L of (C_l,), if any."""
    parts = []
    for index, layer in enumerate(layers):
        rows = _rows(layer)
        weight = 1.0 if weights is None else weights[index]
        parts.append((_Units.apply(rows) * (weight / math.sqrt(rows.shape[1]))).flatten(1))
    return torch.cat(parts, 1)


def _rows(layer: Tensor) -> Tensor:
    """(N, C, h, w) as rows (N, positions, C): no copy where channels lie last."""
    return layer.permute(0, 2, 3, 1).flatten(1, 2)


class _Units(torch.autograd.Function):
    """Rows (N, P, C), scaled to length one over the channels; a zero stays zero. The derivative, which is its own transpose,
    is written out: autograd's takes longer, and is NaN at a zero."""

    @staticmethod
    def forward(ctx, rows):
        scale = torch.linalg.vector_norm(rows, dim=2, keepdim=True).clamp_min_(EPS).reciprocal_()
        units = rows * scale
        ctx.save_for_backward(units, scale)
        return units

    @staticmethod
    def backward(ctx, gradient):
        units, scale = (each.detach() for each in ctx.saved_tensors)
        return (gradient - units * (gradient * units).sum(2, keepdim=True)) * scale


def enlarged(x: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) as metrics measure them: those of less than 64 pixels a side enlarged to that, bilinearly."""
    shortest = min(x.shape[-2:])
    if shortest >= LEAST_SIDE:
        return x
    size = [round(side * LEAST_SIDE / shortest) for side in x.shape[-2:]]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


# ---- projections into the ball


@torch.no_grad()
def newton(
    ball: Ball, centre_features: Tensor, centre: Tensor, x: Tensor, overshoot: float = 0.1, iterations: int = 10
) -> Tensor:
    """Pictures `x` moved into the balls around `centre` by Newton's method.

    A picture outside moves down the gradient of the distance, as far as would bring it to (1 - overshoot) bound if the distance
    were linear, at most `iterations` times. If it is outside even then, `bisection` brings it back towards the centre.
    The authors overshoot by a feature distance of 0.1, whatever the bound.
    """
    x, rows = x.clone(), torch.arange(len(x), device=x.device)
    for _ in range(iterations):
        with torch.enable_grad():
            point = x[rows].requires_grad_()
            distance = length(ball.features(point) - centre_features[rows])
            outside = distance > ball.bound
            if not outside.any():
                return x
            (gradient,) = torch.autograd.grad(distance.sum(), point)
        rows, gradient, excess = rows[outside], gradient[outside], (distance - (1 - overshoot) * ball.bound)[outside]
        x[rows] -= wide(excess / dot(gradient, gradient).clamp_min(TINY)) * gradient
        x.clamp_(0, 1)
    x[rows] = bisection(ball, centre_features[rows], centre[rows], x[rows])
    return x


@torch.no_grad()
def bisection(ball: Ball, centre_features: Tensor, centre: Tensor, x: Tensor, iterations: int = 10) -> Tensor:
    """Pictures `x` moved into the balls around `centre`: a picture outside moves to the point nearest to it that halving the
    segment to the centre finds inside. The point is always one that was measured to be inside."""

    def is_inside(x):
        return length(ball.features(x) - centre_features) <= ball.bound

    low, high = is_inside(x).float(), torch.ones(len(x), device=x.device)
    if low.all():
        return x
    for _ in range(iterations):
        middle = (low + high) / 2
        inside = is_inside(torch.lerp(centre, x, wide(middle)))
        low, high = middle.where(inside, low), high.where(inside, middle)
    return torch.lerp(centre, x, wide(low))


PROJECTIONS: dict[str, Callable[..., Tensor]] = {"newton": newton, "bisection": bisection}
