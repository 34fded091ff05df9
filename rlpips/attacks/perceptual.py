"""Attacks on classifiers inside a perceptual ball (Laidlaw, Singla and Feizi, "Perceptual Adversarial Robustness",
arXiv 2006.12655, ICLR 2021), and PGD in pixels to measure them by.

The threat model: raise the classifier's margin, the highest logit of another class minus that of the true class, while

    ||phi(x~) - phi(x)||_2 <= bound

with phi the features of a network, of unit length over the channels, layer l divided by the square root of its positions.
With a metric of our catalogue each channel is multiplied by the square root of its weight as well, so that
||phi(x) - phi(y)||_2² is exactly the metric's distance: a bound of 0.5 is an LPIPS of 0.25.

`ppgd` and `lpa` bounded by "lpips" are the paper's attacks, bounded by "rlpips-linf" their counterparts R-PPGD and R-LPA of
Ghazanfari et al. (arXiv 2307.15157). The code of the latter takes something else for phi: the weighted sum over the channels, one
number at each position, not averaged over positions. Changes that leave this sum alone are free there, so its ball is not one of
the metric, and the same bound means something else. Here the ball is of the metric's distance itself. `fast_lpa` is for
adversarial training.

All are generators over iterates (N, 3, H, W) in [0, 1], the first the start. In place of the last they yield the result: the
iterate with the highest margin of those in the ball. So a result is never outside, where the authors' code may return a point
that its bisection tried in vain, and is never weaker than an iterate. Other differences from that code are said where they are.
"""

import math

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from rlpips import validation
from rlpips.attacks.metric import MAX_STEPS
from rlpips.attacks.pgd import pgd as ascend
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.metrics.backbones import EPS
from rlpips.metrics.lpips import check_images
from rlpips.norms import NORMS

LEAST_SIDE = (
    64  # of pictures that are shown to a metric: what R-LPIPS heads were trained on; AlexNet leaves 1×1 maps at 32
)
MAX_BOUND = 1e6  # no features are that far apart
KAPPA = 1.0  # the margin beyond which a picture is fooled for good, as published
_NOISE = 0.01  # standard deviation of the start, as published: at the picture itself the distance has no gradient
_PROBE = 0.1  # how far ahead, in pixel units of l2, the feature distance is probed for its rate, as published
_LAMBDA = 0.01  # the penalty that the search begins with, as published
_TINY = 1e-12


class Ball:
    """All pictures whose features lie within `bound` of a picture's own: a `MetricBall`, or a `SelfBall`."""

    def __init__(self, bound):
        validation.real("bound", bound, MAX_BOUND, "in feature distance")
        self.bound = float(bound)

    def prepare(self):
        """Read the network with the weights that it has now; every attack does so when it begins."""

    def features(self, x):
        """(N, 3, H, W) in [0, 1] -> (N, D). Gradients flow to `x`."""
        raise NotImplementedError

    def features_logits(self, classifier, x):
        """The features (N, D) and the classifier's logits (N, K), by one pass where both come from one network."""
        return self.features(x), classifier(x)

    def distance(self, x, y):
        """||phi(x) - phi(y)||_2 of each pair, (N,): the square root of the metric's distance."""
        self.prepare()
        return _length(self.features(x) - self.features(y))


class MetricBall(Ball):
    """The ball of a `PerceptualMetric`, which is shown pictures as `enlarged` makes them."""

    def __init__(self, metric, bound):
        super().__init__(bound)
        self.metric = metric
        self.prepare()

    def prepare(self):
        self._trunk = FastTrunk(self.metric.trunk)
        self._roots = [head.sqrt() for head in self.metric.heads]

    def features(self, x):
        return _flat(self._trunk.features(enlarged(x)), self._roots)


class SelfBall(Ball):
    """The ball of a classifier's own activations, unweighted: the paper's "self"."""

    def __init__(self, classifier, bound):
        super().__init__(bound)
        self.classifier = classifier

    def features(self, x):
        return _flat(self.classifier.features_logits(x)[0])

    def features_logits(self, classifier, x):
        if classifier is not self.classifier:
            return super().features_logits(classifier, x)
        activations, logits = classifier.features_logits(x)
        return _flat(activations), logits


def _flat(layers, weights=None):
    """L layers (N, C_l, h_l, w_l) as rows (N, D): of unit length at each position, times `weights`, L of (C_l,), if any."""
    parts = []
    for index, layer in enumerate(layers):
        rows = layer.permute(0, 2, 3, 1).flatten(1, 2)  # (N, positions, C): no copy where channels lie last
        weight = 1.0 if weights is None else weights[index]
        parts.append((_Units.apply(rows) * (weight / math.sqrt(rows.shape[1]))).flatten(1))
    return torch.cat(parts, 1)


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


def enlarged(x):
    """Pictures (N, 3, H, W) as they are shown to a metric: those of less than 64 pixels enlarged to that, bilinearly."""
    least = min(x.shape[-2:])
    if least >= LEAST_SIDE:
        return x
    size = [round(side * LEAST_SIDE / least) for side in x.shape[-2:]]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def margins(logits, labels):
    """The highest logit of another class minus that of the label, (N,): above 0 the classifier is wrong."""
    true = labels[:, None]
    return (logits.scatter(1, true, -torch.inf).amax(1, keepdim=True) - logits.gather(1, true))[:, 0]


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
    _check(classifier, x, labels, steps, step_size, seed)
    ball.prepare()
    validation.whole("cg_steps", cg_steps, 1, MAX_STEPS)
    validation.one_of("projection", projection, PROJECTIONS)
    size = step_size or 2 * ball.bound / steps
    return _ppgd(classifier, x, labels, ball, steps, cg_steps, size, PROJECTIONS[projection], seed)


def _ppgd(classifier, x, labels, ball, steps, cg_steps, step_size, project, seed):
    with torch.no_grad():
        home = ball.features(x)
        now = project(ball, home, x, _start(x, seed))
    best = _Best(now)
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
    square = _dot(rest, rest)
    for count in range(cg_steps):
        pushed = jacobian.push(direction)
        reach = _dot(pushed, pushed)
        share = (square / reach.clamp_min(_TINY)).where(reach > _TINY, 0)  # where the features do not move: no step
        step = step + _wide(share) * direction
        moved = moved + share[:, None] * pushed
        if count < cg_steps - 1:  # what follows is for the next
            rest = rest - _wide(share) * jacobian.pull(pushed)
            before, square = square, _dot(rest, rest)
            direction = rest + _wide(square / before.clamp_min(_TINY)) * direction
    length = _length(moved)
    return step * _wide((size / length.clamp_min(_TINY)).where(length > _TINY, 0))


class Jacobian:
    """The Jacobian J of a ball's features at pictures (N, 3, H, W), to multiply by: a pass through the network for each
    product and none to come to the same place again."""

    def __init__(self, ball, x):
        with torch.enable_grad():
            self._x = x.detach().requires_grad_()
            with _Linear():
                self.features = ball.features(self._x)
            # Jᵀ u is linear in u, so that its derivative with respect to u is J, whatever the u.
            self._u = torch.zeros_like(self.features, requires_grad=True)
            (self._pulled,) = torch.autograd.grad(self.features, self._x, self._u, create_graph=True)

    def push(self, v):
        """J v: (N, 3, H, W) -> (N, D)."""
        return torch.autograd.grad(self._pulled, self._u, v, retain_graph=True)[0]

    def pull(self, w):
        """Jᵀ w: (N, D) -> (N, 3, H, W)."""
        return torch.autograd.grad(self.features, self._x, w, retain_graph=True)[0]


class _Linear(TorchFunctionMode):
    """Within it convolutions and batch norms of frozen networks compute the same, but their derivatives are known to be linear.
    Autograd does not know: to it the derivative of a convolution's derivative is three convolutions, and here it is one."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        here = {torch.conv2d: _convolve, F.batch_norm: _normalise}.get(function, function)
        return here(*args, **(kwargs or {}))


def _convolve(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _Convolution.apply(x, weight.detach(), bias, (stride, padding, dilation, groups))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, how):
        ctx.weight, ctx.how, ctx.size = weight, how, x.shape
        return F.conv2d(x, weight, bias, *how)

    @staticmethod
    def backward(ctx, gradient):
        return _Transposed.apply(gradient, ctx.weight, ctx.how, ctx.size), None, None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient, weight, how, size):
        ctx.weight, ctx.how = weight, how
        return torch.nn.grad.conv2d_input(size, weight, gradient, *how)

    @staticmethod
    def backward(ctx, gradient):
        return F.conv2d(gradient, ctx.weight, None, *ctx.how), None, None, None


def _normalise(x, mean, variance, weight, bias, training=False, momentum=0.1, eps=1e-5):
    factor = weight.detach() * (variance + eps).rsqrt()
    return x * factor[:, None, None] + (bias.detach() - mean * factor)[:, None, None]


@torch.no_grad()
def newton(ball, home, centre, x, overshoot=0.1, iterations=10):
    """Pictures `x` inside the balls around `centre`, whose features are `home`: those outside go down the gradient of the
    distance, as far as gets them to (1 - overshoot) bound if the distance is linear, up to so many times; if they are
    outside even then, back towards the centre by `bisection`.

    The authors overshoot by a feature distance of 0.1, whatever the bound.
    """
    x, rows = x.clone(), torch.arange(len(x), device=x.device)
    for _ in range(iterations):
        with torch.enable_grad():
            here = x[rows].requires_grad_()
            distance = _length(ball.features(here) - home[rows])
            outside = distance > ball.bound
            if not outside.any():
                return x
            (gradient,) = torch.autograd.grad(distance.sum(), here)
        rows, gradient, excess = rows[outside], gradient[outside], (distance - (1 - overshoot) * ball.bound)[outside]
        x[rows] -= _wide(excess / _dot(gradient, gradient).clamp_min(_TINY)) * gradient
        x.clamp_(0, 1)
    x[rows] = bisection(ball, home[rows], centre[rows], x[rows])
    return x


@torch.no_grad()
def bisection(ball, home, centre, x, iterations=10):
    """Pictures `x` inside the balls around `centre`, whose features are `home`: those outside go to the farthest point
    inside that halving the way to the centre finds. Always one that was measured to be inside."""

    def inside(x):
        return _length(ball.features(x) - home) <= ball.bound

    low, high = inside(x).float(), torch.ones(len(x), device=x.device)
    if low.all():
        return x
    for _ in range(iterations):
        middle = (low + high) / 2
        within = inside(torch.lerp(centre, x, _wide(middle)))
        low, high = middle.where(within, low), high.where(within, middle)
    return torch.lerp(centre, x, _wide(low))


PROJECTIONS = {"newton": newton, "bisection": bisection}


def lpa(classifier, x, labels, ball, steps=20, searches=5, step_size=None, projection="newton", seed=0):
    """Lagrangian perceptual attack, the paper's algorithm 2: gradient ascent on margin - lambda · (distance - bound, if above
    0), `searches` times `steps` steps, each time from where the last one ended; lambda begins at 0.01 and grows tenfold,
    picture by picture, when a search has come to its last step outside the ball. Yields steps · searches + 1 times.

    Arguments are those of `ppgd`; `step_size` is that of the first step of a search, `ball.bound` unless given, and falls to a
    tenth. Iterates may lie outside the ball; the result does not. A picture that is fooled inside the ball stays as it is
    and costs nothing further. (The authors' code takes another step after it has found such a picture.)
    """
    _check(classifier, x, labels, steps, step_size, seed)
    ball.prepare()
    validation.whole("searches", searches, 1, 100)
    validation.one_of("projection", projection, PROJECTIONS)
    return _lpa(classifier, x, labels, ball, steps, searches, step_size or ball.bound, PROJECTIONS[projection], seed)


def _lpa(classifier, x, labels, ball, steps, searches, step_size, project, seed):
    with torch.no_grad():
        home = ball.features(x)
        now = _start(x, seed)
    best = _Best(x)
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
    _check(classifier, x, labels, steps, step_size, seed)
    ball.prepare()
    if projection is not None:
        validation.one_of("projection", projection, PROJECTIONS)
    return _fast_lpa(classifier, x, labels, ball, steps, step_size or ball.bound, PROJECTIONS.get(projection), seed)


def _fast_lpa(classifier, x, labels, ball, steps, step_size, project, seed):
    with torch.no_grad():
        home = ball.features(x)
        now = _start(x, seed)
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
        found, distance = margins(logits, labels), _length(features - home)
        goal = found.clamp(max=kappa) - weight * (distance - ball.bound).relu()
        (gradient,) = torch.autograd.grad(goal.sum(), here)
    direction = gradient / _wide(_length(gradient.flatten(1)).clamp_min(_TINY))
    # How much the features move per pixel unit of this direction: by a forward pass alone, as that is cheap.
    rate = _length(ball.features(x + _PROBE * direction) - features) / _PROBE
    moved = (x + _wide(step_size / (rate + 1e-4)) * direction).clamp_(0, 1)
    return moved, found.detach(), distance.detach()


def pgd(classifier, x, labels, norm, eps, steps=20, step_size=None, seed=0):
    """PGD in pixels on the cross entropy (Madry et al., arXiv 1706.06083), as a yardstick; yields steps + 1 times.

    `norm` "linf" or "l2", `eps` in [0, 1] pixel units, the start uniform in the ball, `step_size` 2.5 eps / steps unless given;
    the others as for `ppgd`.
    """
    ball = _pixel_ball(classifier, x, labels, norm, eps, steps, step_size, seed)
    return _pgd(classifier, x, labels, ball, eps, steps, step_size or 2.5 * eps / steps, seed)


def _pgd(classifier, x, labels, norm, eps, steps, step_size, seed):
    def objective(x):
        logits = classifier(x)
        return F.cross_entropy(logits, labels, reduction="none"), margins(logits, labels)

    best, everyone = _Best(x), torch.arange(len(x), device=x.device)
    for index, (now, found) in enumerate(
        ascend(x, _scattered(x, norm, eps, seed), objective, norm, eps, steps, step_size)
    ):
        best.see(everyone, now, found)
        yield now if index < steps else best.x


class _Best:
    """The iterates with the highest margin so far, (N, 3, H, W)."""

    def __init__(self, x):
        self.x, self._margins = x.detach().clone(), x.new_full((len(x),), -torch.inf)

    def see(self, rows, x, found):
        """Pictures `x` of those rows of the batch, and their margins."""
        better = found > self._margins[rows]
        self._margins[rows] = torch.where(better, found, self._margins[rows])
        self.x[rows] = torch.where(better[:, None, None, None], x, self.x[rows])


def _start(x, seed):
    """The pictures with a little noise."""
    noise = torch.stack([torch.randn(x.shape[1:], generator=each) for each in _generators(x, seed)])
    return (x + _NOISE * noise.to(x)).clamp_(0, 1).contiguous(memory_format=torch.channels_last)  # as networks like it


def _scattered(x, norm, eps, seed):
    """Points drawn uniformly from the balls around the pictures."""
    return torch.cat([each + norm.random(each, eps, g) for each, g in zip(x.split(1), _generators(x, seed))])


def _generators(x, seed):
    return (torch.Generator().manual_seed(seed + n) for n in range(len(x)))


def _length(rows):
    return torch.linalg.vector_norm(rows, dim=1)


def _dot(a, b):  # of each sample, (N,)
    return (a * b).flatten(1).sum(1)


def _wide(values):  # (N,) -> (N, 1, 1, 1)
    return values[:, None, None, None]


def _pixel_ball(classifier, x, labels, norm, eps, steps, step_size, seed):
    """The `rlpips.norms.Norm` of that name, after all has been checked."""
    _check(classifier, x, labels, steps, step_size, seed)
    validation.one_of("norm", norm, NORMS)
    widest = 1.0 if norm == "linf" else math.sqrt(x[0].numel())  # the whole range of images
    validation.real("eps", eps, widest)
    return NORMS[norm]


def _check(classifier, x, labels, steps, step_size, seed):
    check_images(x, "x")
    if getattr(classifier, "training", False):
        raise ValueError("classifier must be in eval mode while it is attacked; it is in training mode.")
    given = (
        f"{labels.dtype} {tuple(labels.shape)} on {labels.device}" if isinstance(labels, torch.Tensor) else repr(labels)
    )
    if given != f"torch.int64 ({len(x)},) on {x.device}":
        raise ValueError(f"labels must be an int64 tensor of shape ({len(x)},) on {x.device}; got {given}.")
    with torch.no_grad():
        classes = classifier(x[:1]).shape[-1]
    low, high = (value.item() for value in labels.aminmax())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must lie from 0 to {classes - 1}; got {low if low < 0 else high}.")
    validation.whole("steps", steps, 1, MAX_STEPS)
    validation.whole("seed", seed, 0, 2**53)
    if step_size is not None:
        validation.real("step_size", step_size, MAX_BOUND, "in the unit of the ball")
