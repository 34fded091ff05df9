"""PPGD, LPA and Fast-LPA against the same attacks as their authors publish them (Laidlaw, Singla and Feizi, arXiv
2006.12655, and its repository cassidylaidlaw/perceptual-advex), written anew here.

What is theirs: products with the Jacobian by finite differences, all pictures of a batch to the end, projections that may end
outside the ball, a feature network as torchvision has it, and the constants. The features and the classifier are the same.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from rlpips.attacks.balls import MetricBall, SelfBall
from rlpips.attacks.classifier import margins
from rlpips.attacks.lpa import fast_lpa, lpa
from rlpips.attacks.ppgd import ppgd
from rlpips.benchmark import ours
from rlpips.benchmark.timing import Table, in_turns, median, ratio
from rlpips.metrics.backbones import BACKBONES
from rlpips.metrics.lpips import load_metric
from rlpips.zoo.weights import LPIPS_SCALE, LPIPS_SHIFT, load_heads, load_trunk

ATTACKS = {"ppgd": {"steps": 10, "cg_steps": 5}, "lpa": {"steps": 20, "searches": 5}, "fast_lpa": {"steps": 20}}
OURS = {"ppgd": ppgd, "lpa": lpa, "fast_lpa": fast_lpa}
BALLS = ("lpips", "self")
SIZE = (32, 32)
NAMES = {"ppgd": "PPGD", "lpa": "LPA", "fast_lpa": "Fast-LPA"}


class Plain(torch.nn.Module):
    """LPIPS features on AlexNet, (N, 3, H, W) -> (N, D), made of torchvision's layers and nothing else; pictures of less than 64
    pixels are enlarged, as `rlpips.attacks.balls.MetricBall` does."""

    def __init__(self, metric="lpips", device="cpu"):
        super().__init__()
        import torchvision

        spec = BACKBONES["alex"]
        with torch.device("meta"):  # its classifier, which is cut off, costs nothing there
            self.layers = torchvision.models.alexnet(weights=None).features[: spec.taps[-1] + 1]
        state = {key.removeprefix("features."): value for key, value in load_trunk("alex").items()}
        self.layers.load_state_dict(state, assign=True)
        self.taps = spec.taps
        self.roots = [head.sqrt().view(1, -1, 1, 1).to(device) for head in load_heads(metric, "alex")]
        self.shift, self.scale = (
            torch.tensor(each, device=device).view(1, 3, 1, 1) for each in (LPIPS_SHIFT, LPIPS_SCALE)
        )
        self.to(device).eval().requires_grad_(False)

    def forward(self, x):
        if min(x.shape[-2:]) < 64:
            x = F.interpolate(x, size=(64, 64), mode="bilinear", align_corners=False)
        x, taken = (2 * x - 1 - self.shift) / self.scale, []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                taken.append(x)
        return _flat(taken, self.roots)


def _flat(layers, roots=None):
    parts = []
    for index, layer in enumerate(layers):
        units = layer / (layer.square().sum(1, keepdim=True) + 1e-20).sqrt() / (layer.shape[2] * layer.shape[3]) ** 0.5
        parts.append((units if roots is None else units * roots[index]).flatten(1))
    return torch.cat(parts, 1)


@dataclass
class Published:
    """The authors' attacks on `classifier` in a ball of `bound` in `features`; each returns (N, 3, H, W)."""

    classifier: object
    features: object
    bound: float

    def ppgd(self, x, labels, steps, cg_steps):
        home, now = self._home(x), _start(x)
        for _ in range(steps):
            now = self._project(x, home, self._first_order(now, labels, 2 * self.bound / steps, cg_steps))
        return now

    def lpa(self, x, labels, steps, searches):
        home, now = self._home(x), _start(x)
        weight = torch.full((len(x),), 0.01, device=x.device)
        live = torch.ones(len(x), dtype=torch.bool, device=x.device)
        for _ in range(searches):
            distance = torch.zeros(len(x), device=x.device)
            for step in range(steps):
                size = self.bound * 0.1 ** (step / steps)
                moved, logits, away = self._lagrangian(now[live], labels[live], home[live], weight[live], size, 1.0)
                now, distance = now.clone(), distance.clone()
                now[live], distance[live] = moved, away
                live[live.clone()] = (logits.argmax(1) == labels[live]) | (away > self.bound)
                if not live.any():
                    break
            weight[distance >= self.bound] *= 10
            if not live.any():
                break
        return self._project(x, home, now)

    def fast_lpa(self, x, labels, steps):
        home, now = self._home(x), _start(x)
        for step in range(steps):
            decay = 0.1 ** (step / steps)
            now, *_ = self._lagrangian(now, labels, home, 1 / decay, self.bound * decay, float("inf"))
        return now

    @torch.no_grad()
    def _home(self, x):
        return self.features(x)

    def _first_order(self, x, labels, size, cg_steps, h=1e-3):
        """The step of the first-order approximation, by conjugate gradients on JᵀJ; J by finite differences."""
        here = x.detach().requires_grad_()
        features = self.features(here)
        goal = margins(self.classifier(here), labels).clamp(max=1.0)
        (gradient,) = torch.autograd.grad(goal.sum(), here)
        if gradient.abs().max() < 1e-4:
            return x

        def push(v):
            with torch.no_grad():
                return (self.features(x + h * v) - features) / h

        def product(v):
            return torch.autograd.grad(features, here, push(v), retain_graph=True)[0]

        step = torch.zeros_like(x)
        rest = direction = gradient - product(step)
        for count in range(cg_steps):
            square = _dot(rest, rest)
            if count and square.max() < 0.1:
                break
            curved = product(direction)
            share = square / _dot(direction, curved)
            step = step + share * direction
            rest = rest - share * curved
            direction = rest + _dot(rest, rest) / square * direction
        scale = size / push(step).norm(dim=1)[:, None, None, None]
        still = _dot(gradient, gradient) < 1e-8
        return (x + torch.where(still, 0, scale * step)).clamp(0, 1).detach()

    def _lagrangian(self, x, labels, home, weight, size, kappa, h=0.1):
        here = x.detach().requires_grad_()
        features, logits = self.features(here), self.classifier(here)
        distance = (features - home).norm(dim=1)
        goal = margins(logits, labels).clamp(max=kappa) - weight * (distance - self.bound).relu()
        (gradient,) = torch.autograd.grad(goal.sum(), here)
        direction = gradient / (_dot(gradient, gradient).sqrt() + 1e-8)
        rate = (features - self.features(x + h * direction)).norm(dim=1) / h
        moved = x + direction * (size / (rate + 1e-4))[:, None, None, None]
        return moved.clamp(0, 1).detach(), logits.detach(), distance.detach()

    def _project(self, centre, home, x, overshoot=0.1, iterations=10):
        """Newton's projection; where it does not come inside, bisection for all, whose last point is the result."""
        given, rows = x, torch.arange(len(x), device=x.device)
        for _ in range(iterations):
            here = x[rows].detach().requires_grad_()
            distance = (home[rows] - self.features(here)).norm(dim=1)
            (gradient,) = torch.autograd.grad(distance.sum(), here)
            outside = distance > self.bound
            length = torch.where(outside, distance - self.bound + overshoot, 0)[:, None, None, None] * (1 + overshoot)
            x = x.index_copy(0, rows, (here - length * gradient / _dot(gradient, gradient)).clamp(0, 1).detach())
            rows = rows[outside]
            if not len(rows):
                return x
        low, high = torch.zeros(len(x), device=x.device), torch.ones(len(x), device=x.device)
        for _ in range(10):
            middle = (low + high) / 2
            found = torch.lerp(centre, given, middle[:, None, None, None])
            inside = (self._home(found) - home).norm(dim=1) <= self.bound
            low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
        return found


def _start(x):
    return x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)


def _dot(a, b):
    return (a * b).sum((1, 2, 3), keepdim=True)


def perceptual_table(classifier, bounds=(0.2,), batches=(1, 16), rounds=3, device="cpu", attacks=ATTACKS, balls=BALLS):
    """The table; `classifier` is of 32×32 pictures, `bounds` in feature distance, `attacks` {name: what is given to it}."""
    rows = []
    for kind in balls:
        for bound in bounds:
            for name, given in attacks.items():
                for batch in batches:
                    rows.append(
                        [
                            NAMES[name],
                            kind,
                            bound,
                            batch,
                            *_duel(classifier, kind, bound, name, given, batch, rounds, device),
                        ]
                    )
    return Table(
        "Perceptual attacks on classifiers",
        f"{classifier.name}, pictures at {SIZE[0]}×{SIZE[1]}, labels its own verdicts: ours, `rlpips.attacks`, and the attacks as "
        "their authors publish them, with as many iterations. ms a run of the whole batch, medians; the ratio is the median "
        "of the rounds' (smallest–largest): above 1, ours is faster. What each has reached: the share of pictures fooled within "
        "1.001 of the bound, the mean margin, and the largest distance over the bound.",
        ["attack", "ball", "bound", "batch", "ours", "published", "ratio", *(f"{who}: {what}" for who in ("ours", "published") for what in ("fooled", "margin", "distance"))],
        rows,
    )  # fmt: skip


def _duel(classifier, kind, bound, name, given, batch, rounds, device):
    x = ours.pictures(batch, SIZE, device)
    with torch.no_grad():
        labels = classifier(x).argmax(1)
    if kind == "self":
        ball, features = SelfBall(classifier, bound), lambda x: _flat(classifier.features_logits(x)[0])
    else:
        ball, features = MetricBall(load_metric(kind, "alex", device), bound), Plain(kind, device)
    theirs = Published(classifier, features, bound)
    results = {}
    calls = {
        "ours": partial(_keep, results, "ours", lambda: _last(OURS[name](classifier, x, labels, ball, **given))),
        "published": partial(_keep, results, "published", lambda: getattr(theirs, name)(x, labels, **given)),
    }  # fmt: skip
    times = in_turns(calls, rounds, device)
    reached = [_reached(classifier, ball, x, results[who], labels) for who in calls]
    return [*(median(times[who]) for who in calls), ratio(times["published"], times["ours"]), *reached[0], *reached[1]]


def _last(iterates):
    for x in iterates:
        pass
    return x


def _keep(results, who, call):
    results[who] = call()


@torch.no_grad()
def _reached(classifier, ball, x, found, labels):
    reached, share = margins(classifier(found), labels), ball.distance(x, found) / ball.bound
    fooled = (reached > 0) & (share <= 1.001)
    return f"{fooled.float().mean():.0%}", f"{reached.mean():.2f}", f"{share.max():.3f}"
