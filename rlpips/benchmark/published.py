"""PPGD, LPA and Fast-LPA as their authors publish them (Laidlaw, Singla and Feizi, arXiv 2006.12655, and its repository
cassidylaidlaw/perceptual-advex), written anew for a comparison of their speed with ours.

As there, products with the Jacobian are finite differences, all pictures of a batch are attacked to the end, projections may end
outside the ball, the feature network is torchvision's, and the constants are the authors'. Features and classifier are ours.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.attacks.balls import LEAST_SIDE
from rlpips.attacks.classifier import margins
from rlpips.classifiers.models import Classifier
from rlpips.metrics.backbones import BACKBONES
from rlpips.zoo.weights import LPIPS_SCALE, LPIPS_SHIFT, load_heads, load_trunk


class LpipsFeatures(nn.Module):
    """LPIPS features on AlexNet, (N, 3, H, W) -> (N, D), by torchvision's layers only. Small pictures are enlarged, as
    `rlpips.attacks.balls.MetricBall` does."""

    shift: Tensor
    scale: Tensor

    def __init__(self, metric: str = "lpips", device: str | torch.device = "cpu"):
        super().__init__()
        import torchvision

        spec = BACKBONES["alex"]
        with torch.device("meta"):  # the classifier part, which is not used, costs nothing there
            self.layers = torchvision.models.alexnet(weights=None).features[: spec.taps[-1] + 1]
        state = {key.removeprefix("features."): value for key, value in load_trunk("alex").items()}
        self.layers.load_state_dict(state, assign=True)
        self.taps = spec.taps
        self.roots = [head.sqrt().view(1, -1, 1, 1).to(device) for head in load_heads(metric, "alex")]
        self.register_buffer("shift", torch.tensor(LPIPS_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(LPIPS_SCALE).view(1, 3, 1, 1))
        self.to(device).eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) < LEAST_SIDE:
            x = F.interpolate(x, size=(LEAST_SIDE, LEAST_SIDE), mode="bilinear", align_corners=False)
        x, activations = (2 * x - 1 - self.shift) / self.scale, []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                activations.append(x)
        return flatten(activations, self.roots)


def flatten(layers: Sequence[Tensor], roots: Sequence[Tensor] | None = None) -> Tensor:
    """Activations, a list of (N, C_l, h_l, w_l), as feature vectors (N, D): of unit length over the channels, times the roots of
    a metric's weights (1, C_l, 1, 1), and divided by the root of the number of positions."""
    parts = []
    for index, layer in enumerate(layers):
        units = layer / (layer.square().sum(1, keepdim=True) + 1e-20).sqrt() / (layer.shape[2] * layer.shape[3]) ** 0.5
        parts.append((units if roots is None else units * roots[index]).flatten(1))
    return torch.cat(parts, 1)


class PublishedAttacks:
    """The authors' attacks on a classifier, within `bound` in the distance of `features`, (N, 3, H, W) -> (N, D).

    Each takes pictures (N, 3, H, W) in [0, 1] with labels (N,), and returns attacked pictures.
    """

    def __init__(self, classifier: Classifier, features: Callable[[Tensor], Tensor], bound: float):
        self.classifier, self.features, self.bound = classifier, features, bound

    def ppgd(self, x: Tensor, labels: Tensor, steps: int, cg_steps: int) -> Tensor:
        target, iterate = self._features_of(x), _random_start(x)
        for _ in range(steps):
            iterate = self._first_order_step(iterate, labels, 2 * self.bound / steps, cg_steps)
            iterate = self._project(x, target, iterate)
        return iterate

    def lpa(self, x: Tensor, labels: Tensor, steps: int, searches: int) -> Tensor:
        target, iterate = self._features_of(x), _random_start(x)
        weight = torch.full((len(x),), 0.01, device=x.device)
        live = torch.ones(len(x), dtype=torch.bool, device=x.device)
        for _ in range(searches):
            distance = torch.zeros(len(x), device=x.device)
            for step in range(steps):
                size = self.bound * 0.1 ** (step / steps)
                moved, logits, reached = self._lagrangian_step(
                    iterate[live], labels[live], target[live], weight[live], size, 1.0
                )
                iterate, distance = iterate.clone(), distance.clone()
                iterate[live], distance[live] = moved, reached
                live[live.clone()] = (logits.argmax(1) == labels[live]) | (reached > self.bound)
                if not live.any():
                    break
            weight[distance >= self.bound] *= 10
            if not live.any():
                break
        return self._project(x, target, iterate)

    def fast_lpa(self, x: Tensor, labels: Tensor, steps: int) -> Tensor:
        target, iterate = self._features_of(x), _random_start(x)
        for step in range(steps):
            decay = 0.1 ** (step / steps)
            size = self.bound * decay
            iterate, *_ = self._lagrangian_step(iterate, labels, target, 1 / decay, size, float("inf"))
        return iterate

    @torch.no_grad()
    def _features_of(self, x: Tensor) -> Tensor:
        return self.features(x)

    def _first_order_step(self, x, labels, size, cg_steps, h=1e-3):
        """The step of the first-order approximation, by conjugate gradients on JᵀJ, with J by finite differences."""
        point = x.detach().requires_grad_()
        features = self.features(point)
        goal = margins(self.classifier(point), labels).clamp(max=1.0)
        (gradient,) = torch.autograd.grad(goal.sum(), point)
        if gradient.abs().max() < 1e-4:
            return x

        def jacobian_product(v):
            with torch.no_grad():
                return (self.features(x + h * v) - features) / h

        def product(v):  # with JᵀJ
            return torch.autograd.grad(features, point, jacobian_product(v), retain_graph=True)[0]

        step = torch.zeros_like(x)
        rest = direction = gradient - product(step)
        for count in range(cg_steps):
            square = _dot(rest, rest)
            if count and square.max() < 0.1:
                break
            curved = product(direction)
            length = square / _dot(direction, curved)
            step = step + length * direction
            rest = rest - length * curved
            direction = rest + _dot(rest, rest) / square * direction
        scale = size / jacobian_product(step).norm(dim=1)[:, None, None, None]
        is_flat = _dot(gradient, gradient) < 1e-8
        return (x + torch.where(is_flat, 0, scale * step)).clamp(0, 1).detach()

    def _lagrangian_step(self, x, labels, target, weight, size, kappa, h=0.1):
        """(the next iterate, the logits and the distances of this one)."""
        point = x.detach().requires_grad_()
        features, logits = self.features(point), self.classifier(point)
        distance = (features - target).norm(dim=1)
        goal = margins(logits, labels).clamp(max=kappa) - weight * (distance - self.bound).relu()
        (gradient,) = torch.autograd.grad(goal.sum(), point)
        direction = gradient / (_dot(gradient, gradient).sqrt() + 1e-8)
        rate = (features - self.features(x + h * direction)).norm(dim=1) / h
        moved = x + direction * (size / (rate + 1e-4))[:, None, None, None]
        return moved.clamp(0, 1).detach(), logits.detach(), distance.detach()

    def _project(self, centre, target, x, overshoot=0.1, iterations=10):
        """Newton's projection. If a picture does not come inside, bisection for all, whose last point is the result."""
        unprojected, rows = x, torch.arange(len(x), device=x.device)
        for _ in range(iterations):
            point = x[rows].detach().requires_grad_()
            distance = (target[rows] - self.features(point)).norm(dim=1)
            (gradient,) = torch.autograd.grad(distance.sum(), point)
            outside = distance > self.bound
            length = torch.where(outside, distance - self.bound + overshoot, 0)[:, None, None, None] * (1 + overshoot)
            x = x.index_copy(0, rows, (point - length * gradient / _dot(gradient, gradient)).clamp(0, 1).detach())
            rows = rows[outside]
            if not len(rows):
                return x
        low, high = torch.zeros(len(x), device=x.device), torch.ones(len(x), device=x.device)
        for _ in range(10):
            middle = (low + high) / 2
            x = torch.lerp(centre, unprojected, middle[:, None, None, None])
            is_inside = (self._features_of(x) - target).norm(dim=1) <= self.bound
            low, high = torch.where(is_inside, middle, low), torch.where(is_inside, high, middle)
        return x


def _random_start(x: Tensor) -> Tensor:
    return x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2, 3), keepdim=True)
