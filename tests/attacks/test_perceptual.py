import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from truth import random_trunk

import rlpips
from rlpips.attacks import pixels
from rlpips.attacks.balls import Ball, MetricBall, SelfBall, bisection, newton
from rlpips.attacks.classifier import margins
from rlpips.attacks.jacobian import Jacobian
from rlpips.attacks.lpa import fast_lpa, lpa
from rlpips.attacks.ppgd import natural_step, ppgd
from rlpips.metrics.backbones import Trunk, unit_length
from rlpips.norms import NORMS

SIZE = (36, 32)  # H ≠ W, at least 32


class Network(nn.Module):
    """A small random classifier of 5 classes, whose normalisation is not the identity."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.second, self.head = nn.Conv2d(8, 16, 3, 2, 1, groups=2), nn.Linear(16, 5)
        for each in (self.norm.weight, self.norm.running_var):
            nn.init.uniform_(each, 0.5, 2)
        for each in (self.norm.bias, self.norm.running_mean):
            nn.init.uniform_(each, -0.2, 0.2)
        self.eval().requires_grad_(False)

    def features_logits(self, x):
        a = F.relu(self.norm(self.first(2 * x - 1)))
        b = F.relu(self.second(a))
        return [a, b], 20 * self.head(b.mean((2, 3)))

    def forward(self, x):
        return self.features_logits(x)[1]


class Linear(Ball):
    """A ball of features that are linear, (N, 3, H, W) -> matrix @ the picture."""

    def __init__(self, matrix, bound):
        super().__init__(bound)
        self.matrix = matrix

    def features(self, x):
        return x.flatten(1) @ self.matrix.T


@pytest.fixture(scope="module")
def network():
    return Network()


@pytest.fixture(scope="module")
def metric():
    return rlpips.load_metric("lpips")


def pictures(count, size=SIZE):
    coarse = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)


def last(iterates):
    return list(iterates)[-1]


def ball_of(kind, network, metric, bound=None):
    if kind == "self":
        return SelfBall(network, bound or 0.2)
    return MetricBall(metric, bound or 0.1)


@torch.no_grad()
def margin(network, x, labels):
    logits = network(x)
    others = [row[torch.arange(5) != label].max() - row[label] for row, label in zip(logits, labels)]
    return torch.stack(others)


BALLS = ("metric", "self")
ATTACKS = {
    "ppgd": (ppgd, {"steps": 4, "cg_steps": 3}, 5),
    "ppgd-bisection": (ppgd, {"steps": 3, "projection": "bisection"}, 4),
    "lpa": (lpa, {"steps": 5, "searches": 3}, 16),
    "fast_lpa": (fast_lpa, {"steps": 6, "projection": "newton"}, 7),
}


def test_the_square_of_the_distance_is_the_metrics(metric):
    ball, large = MetricBall(metric, 0.5), (70, 90)
    x, y = pictures(2, large), pictures(2, large).flip(0)
    torch.testing.assert_close(ball.distance(x, y) ** 2, metric(x, y), rtol=1e-5, atol=1e-7)
    small = [F.interpolate(each, size=(40, 32), mode="area") for each in (x, y)]
    shown = [F.interpolate(each, size=(80, 64), mode="bilinear", align_corners=False) for each in small]
    torch.testing.assert_close(ball.distance(*small) ** 2, metric(*shown), rtol=1e-5, atol=1e-7)
    assert ball.features(small[0]).shape == ball.features(F.interpolate(small[0], size=(80, 64))).shape


def test_the_ball_of_a_classifier_measures_its_activations(network):
    x, y = pictures(3), pictures(3).flip(0)
    expected = 0
    for a, b in zip(network.features_logits(x)[0], network.features_logits(y)[0]):
        difference = a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)
        expected = expected + difference.nan_to_num().square().sum(1).mean((1, 2))  # positions without any activation
    torch.testing.assert_close(SelfBall(network, 1).distance(x, y) ** 2, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", BALLS)
def test_products_with_the_jacobian_are_exact(network, metric, kind):
    exact, net = copy.deepcopy(metric).double(), Network().double()
    x, generator = pictures(2, (64, 66)).double(), torch.Generator().manual_seed(3)

    def features(x):
        if kind == "metric":
            layers = [f * h.sqrt()[:, None, None] for f, h in zip(exact.trunk(x), exact.heads)]
        else:
            layers = [unit_length(each) for each in net.features_logits(x)[0]]
        rows = [each / math.sqrt(each.shape[2] * each.shape[3]) for each in layers]
        return torch.cat([each.permute(0, 2, 3, 1).flatten(1) for each in rows], 1)

    ball = ball_of(kind, net, exact)
    v = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    value, pushed = torch.func.jvp(features, (x,), (v,))
    w = torch.randn(value.shape, generator=generator, dtype=x.dtype)
    jacobian = Jacobian(ball, x)
    torch.testing.assert_close(jacobian.features.detach(), value, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(jacobian.push(v), pushed, rtol=1e-5, atol=1e-7)
    for _ in range(2):  # as often as one likes
        torch.testing.assert_close(jacobian.pull(w), torch.func.vjp(features, x)[1](w)[0], rtol=1e-5, atol=1e-7)


def test_margins_are_of_the_best_other_class():
    logits = torch.tensor([[1.0, 4, 2], [5, 3, 3], [0, -2, -3]])
    assert margins(logits, torch.tensor([1, 2, 2])).tolist() == [-2, 2, 3]


def test_the_step_of_ppgd_solves_the_normal_equations():
    generator = torch.Generator().manual_seed(5)
    matrix, gradient = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((20, 12), (3, 3, 2, 2))
    )
    gradient[1] = 0  # has nowhere to go
    x = torch.rand_like(gradient)
    step = natural_step(Linear(matrix, 1.0), x, gradient, 12, 0.3)
    expected = gradient.flatten(1) @ torch.linalg.inv(matrix.T @ matrix)
    expected = 0.3 * expected / (expected @ matrix.T).norm(dim=1, keepdim=True)
    torch.testing.assert_close(step.flatten(1)[[0, 2]], expected[[0, 2]])
    assert (step[1] == 0).all()
    # Where no step moves the features, none is too long.
    step = natural_step(Linear(0 * matrix, 1.0), x, gradient, 12, 0.3)
    torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.tensor([12**0.5, 0, 12**0.5], dtype=step.dtype))
    assert (F.cosine_similarity(step.flatten(1), gradient.flatten(1))[[0, 2]] > 0.999).all()


def test_newton_lands_where_a_linear_distance_says():
    generator = torch.Generator().manual_seed(6)
    matrix = 0.7 * torch.linalg.qr(torch.randn(12, 12, generator=generator))[0]
    ball, centre = Linear(matrix, 0.1), 0.4 + 0.2 * torch.rand(3, 3, 2, 2, generator=generator)
    x = centre + torch.tensor([0.02, 0.1, 0.15]).view(3, 1, 1, 1)
    landed = newton(ball, ball.features(centre), centre, x, overshoot=0.2)
    assert torch.equal(landed[0], x[0])  # inside before
    torch.testing.assert_close(ball.distance(landed, centre)[1:], torch.full((2,), 0.08))
    torch.testing.assert_close((landed - centre)[1:], torch.full((2, 3, 2, 2), 0.08 / 0.7 / math.sqrt(12)))


def test_bisection_keeps_the_last_point_inside():
    ball = Linear(torch.eye(12), 0.1)
    centre = torch.full((3, 3, 2, 2), 0.5)
    x = centre + torch.tensor([0.0, 0.02, 0.4]).view(3, 1, 1, 1)
    point = bisection(ball, ball.features(centre), centre, x)
    assert torch.equal(point[:2], x[:2])
    whole = 0.4 * math.sqrt(12)
    assert 0.1 - whole / 2**10 <= ball.distance(point, centre)[2] <= 0.1


def test_where_newton_gets_nowhere_the_result_is_inside_all_the_same():
    class Stairs(Linear):
        def features(self, x):
            return (10 * x.flatten(1)).floor() + 0 * x.flatten(1)  # has no slope

    ball, centre = Stairs(None, 2.5), torch.full((2, 3, 2, 2), 0.5)
    x = centre + torch.tensor([0.01, 0.4]).view(2, 1, 1, 1)
    point = newton(ball, ball.features(centre), centre, x)
    assert (ball.distance(point, centre) <= 2.5).all() and torch.equal(point[0], x[0])


@pytest.mark.parametrize("kind", BALLS)
@pytest.mark.parametrize("name", ATTACKS)
def test_a_result_is_in_the_ball_and_stronger(network, metric, name, kind):
    attack, options, count = ATTACKS[name]
    x, ball = pictures(3), ball_of(kind, network, metric)
    labels = network(x).argmax(1)
    before = x.clone()
    iterates = list(attack(network, x, labels, ball, seed=4, **options))
    assert torch.equal(x, before) and len(iterates) == count
    assert all(each.shape == x.shape and each.min() >= 0 and each.max() <= 1 for each in iterates)
    assert not any(each.requires_grad for each in iterates)
    assert 0 < (iterates[0] - x).abs().max() < 0.06  # a little noise
    result = iterates[-1]
    assert (ball.distance(x, result) <= ball.bound * 1.001).all()
    reached = margin(network, result, labels)
    assert (reached > margin(network, x, labels)).all()
    for each in iterates:
        inside = ball.distance(x, each) <= ball.bound
        assert name == "fast_lpa" or (reached + 1e-3 >= margin(network, each, labels))[inside].all()

    noise = torch.randn(
        x.shape, generator=torch.Generator().manual_seed(7)
    )  # as far as the ball goes in this direction
    scattered = bisection(ball, ball.features(x), x, (x + noise).clamp(0, 1))
    assert (reached > margin(network, scattered, labels)).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_batch_gives_what_its_pictures_give_alone(network, metric, name):
    attack, options, _ = ATTACKS[name]
    x, ball = pictures(3), MetricBall(metric, 0.05)
    labels = network(x).argmax(1)
    first, *_, together = attack(network, x, labels, ball, seed=2, **options)
    again = last(attack(network, x, labels, ball, seed=2, **options))
    assert torch.equal(together, again)
    ends = [list(attack(network, x[n : n + 1], labels[n : n + 1], ball, seed=2 + n, **options)) for n in range(3)]
    if name != "ppgd":  # which projects its start, and a projection carries rounding on
        torch.testing.assert_close(first, torch.cat([each[0] for each in ends]), rtol=0, atol=1e-6)
    # Rounding differs between processors and batches, and every step carries it on, so that a picture may end elsewhere. What
    # matters is the same: how far the attack gets, how far the pictures are in features, and most values of most pictures.
    alone = torch.cat([each[-1] for each in ends])
    reached, reached_alone = (margin(network, each, labels) for each in (together, alone))
    gained = (reached - margin(network, x, labels)).abs()
    assert ((reached - reached_alone).abs() <= 0.3 * gained + 1e-3).all()
    torch.testing.assert_close(ball.distance(x, together), ball.distance(x, alone), rtol=0.1, atol=1e-3)
    other = last(attack(network, x, labels, ball, seed=9, **options))
    assert shared(together, alone).median() > 0.6 and (shared(together, other) < 0.5).all()


def shared(x, y):
    """The share of values (N, 3, H, W) that two pictures have in common, but for rounding."""
    return ((x - y).abs() < 2e-3).float().mean((1, 2, 3))


@pytest.mark.parametrize("name", ["ppgd", "lpa"])
def test_pictures_that_are_fooled_already_stay_beside_others_that_are_not(network, metric, name):
    attack, options, _ = ATTACKS[name]
    x, ball = pictures(3), MetricBall(metric, 0.1)
    labels = network(x).argmax(1)
    labels[1] = network(x).argmin(1)[1]  # wrong by far
    first, *others = attack(network, x, labels, ball, **options)
    assert all(torch.equal(each[1], first[1]) for each in others)
    assert all((each[[0, 2]] != first[[0, 2]]).any() for each in others[1:])


@pytest.mark.parametrize("name", ATTACKS)
def test_a_classifier_that_never_changes_its_mind_makes_no_nan(metric, name):
    attack, options, _ = ATTACKS[name]

    def stubborn(x):
        return torch.tensor([[0.0, 3.0]]) + 0 * x.flatten(1)[:, :2]

    x, ball = pictures(2), MetricBall(metric, 0.1)
    for each in attack(stubborn, x, torch.tensor([1, 1]), ball, **options):
        assert each.isfinite().all() and (each - x).abs().max() < 0.06


def test_lambda_grows_until_the_search_stays_in_the_ball(network):
    x, ball = pictures(2), SelfBall(network, 0.02)  # so small that nothing is fooled in it
    labels = network(x).argmax(1)
    iterates = list(lpa(network, x, labels, ball, steps=8, searches=7))
    ends = torch.stack([ball.distance(x, each) for each in iterates[8:-1:8]])
    assert (margin(network, iterates[-1], labels) < 0).all()
    assert (ends[:2] > 3 * ball.bound).all()  # where lambda is 0.01 and 0.1
    assert (ends[-1] < 0.5 * ends.amax(0)).all()


def test_fast_lpa_as_published_has_a_soft_bound(network):
    x, ball = pictures(2), SelfBall(network, 0.02)
    labels = network(x).argmax(1)
    distance = ball.distance(x, last(fast_lpa(network, x, labels, ball, steps=8)))
    assert (distance > ball.bound).all()
    hard = last(fast_lpa(network, x, labels, ball, steps=8, projection="bisection"))
    assert (ball.distance(x, hard) <= ball.bound * 1.001).all()


def test_where_both_are_one_network_one_pass_gives_features_and_logits(network):
    calls = []

    class Counting(Network):
        def features_logits(self, x):
            calls.append(len(x))
            return super().features_logits(x)

    counting, x = Counting(), pictures(2)
    features, logits = SelfBall(counting, 1).features_logits(counting, x)
    assert calls == [2]
    assert torch.equal(features, SelfBall(network, 1).features(x)) and torch.equal(logits, network(x))


@pytest.mark.parametrize("norm,eps", [("linf", 4 / 255), ("l2", 0.5)])
def test_pgd_stays_in_its_ball_of_pixels(network, norm, eps):
    x, steps = pictures(3), 12
    labels = network(x).argmax(1)
    iterates = list(pixels.pgd(network, x, labels, norm, eps, steps=steps, seed=3))
    assert len(iterates) == steps + 1
    for each in iterates:
        assert (NORMS[norm].measure(each - x) <= eps * (1 + 1e-5)).all() and each.min() >= 0 and each.max() <= 1
    reached = margin(network, iterates[-1], labels)
    assert all((reached + 1e-4 >= margin(network, each, labels)).all() for each in iterates)
    assert (reached > margin(network, iterates[0], labels)).all()
    alone = last(pixels.pgd(network, x[1:2], labels[1:2], norm, eps, steps=steps, seed=4))
    torch.testing.assert_close(iterates[-1][1:2], alone, rtol=0, atol=0.1 * eps)


@pytest.mark.parametrize("norm,eps", [("linf", 8 / 255), ("l2", 1.0)])
def test_the_steps_of_pgd_in_pixels_shrink_to_nothing(network, norm, eps):
    """Cosine from 2 eps by default: the second iterate may be anywhere in the ball, the last two are close. A step_size is fixed."""
    x = pictures(2)
    labels = network(x).argmax(1)
    cosine, fixed = (
        list(pixels.pgd(network, x, labels, norm, eps, steps=9, seed=1, **options))
        for options in ({}, {"step_size": eps / 8})
    )
    moves = [NORMS[norm].measure(b - a).mean() for a, b in itertools.pairwise(cosine[:-1])]
    assert moves[0] > 0.5 * eps and moves[-1] <= 1.01 * eps * (1 + math.cos(7 * math.pi / 9))
    assert all(NORMS[norm].measure(b - a).max() <= 1.01 * eps / 8 for a, b in itertools.pairwise(fixed[:-1]))


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"x": torch.rand(3, 32, 32)}, "shape"),
        ({"x": torch.full((2, 3, 32, 32), 2.0)}, "lie in"),
        ({"labels": torch.tensor([0])}, "labels must be an int64 tensor of shape"),
        ({"labels": torch.tensor([0.0, 1.0])}, "float32"),
        ({"labels": [0, 1]}, "labels"),
        ({"labels": torch.tensor([0, 5])}, "from 0 to 4; got 5"),
        ({"labels": torch.tensor([-1, 0])}, "got -1"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"steps": 2.5}, "steps"),
        ({"step_size": -0.1}, "step_size"),
        ({"step_size": math.nan}, "step_size"),
        ({"seed": -1}, "seed"),
        ({"projection": "magic"}, "newton, bisection"),
    ],
)
def test_what_is_out_of_range_is_said_at_once(network, wrong, message):
    options = {"x": pictures(2, (32, 32)), "labels": torch.tensor([0, 1]), **wrong}
    for attack in (ppgd, lpa, fast_lpa):
        with pytest.raises(ValueError, match=message):
            attack(network, ball=SelfBall(network, 0.5), **options)


def test_other_arguments_out_of_range_are_said_at_once(network):
    x, labels, ball = pictures(2), torch.tensor([0, 1]), SelfBall(network, 0.5)
    for bound in (0, -1, math.nan, math.inf, "1", True):
        with pytest.raises(ValueError, match="bound must be a number above 0"):
            SelfBall(network, bound)
    with pytest.raises(ValueError, match="cg_steps"):
        ppgd(network, x, labels, ball, cg_steps=0)
    with pytest.raises(ValueError, match="searches"):
        lpa(network, x, labels, ball, searches=0)
    with pytest.raises(ValueError, match="eval mode"):
        ppgd(Network().train(), x, labels, ball)
    with pytest.raises(ValueError, match="norm must be one of linf, l2"):
        pixels.pgd(network, x, labels, "l1", 0.1)
    with pytest.raises(ValueError, match="eps must be a number above 0 and at most 1,"):
        pixels.pgd(network, x, labels, "linf", 2)


@pytest.mark.parametrize("kind", BALLS)
def test_a_ball_reads_the_weights_that_its_network_has_now(kind):
    """Weights that change after the ball was made: by load_state_dict, in place, and behind autograd's back."""
    net = Network()
    trunk = Trunk("alex", random_trunk("alex"))
    metric = rlpips.PerceptualMetric(trunk, [torch.rand(c) for c in trunk.spec.channels], "changing")
    ball, changing = ball_of(kind, net, metric), trunk if kind == "metric" else net
    x, y = pictures(2, (64, 66)), pictures(2, (64, 66)).flip(0)
    last_distance = ball.distance(x, y)

    def load():
        changing.load_state_dict({key: -value for key, value in changing.state_dict().items()} | unchanged)

    unchanged = {
        key: value for key, value in changing.state_dict().items() if "norm" in key or key in ("shift", "scale")
    }
    first = next(each for each in changing.parameters() if each.ndim == 4)
    for change in (load, lambda: first.mul_(0.5).neg_(), lambda: first.data.neg_()):
        change()
        fresh = ball_of(kind, net, metric).distance(x, y)
        torch.testing.assert_close(ball.distance(x, y), fresh)
        assert not torch.allclose(fresh, last_distance)
        last_distance = fresh
