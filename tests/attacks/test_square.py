import pytest
import torch

from rlpips.attacks.square import covered_share, square
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.evaluate.scores import measure
from rlpips.metrics.lpips import load_metric

EPS = 6 / 255


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def pictures():
    """Three references, 36×52, dark, middle and bright, and three other pictures."""
    generator = torch.Generator().manual_seed(1)
    x = torch.nn.functional.interpolate(torch.rand(6, 3, 5, 7, generator=generator), (36, 52), mode="bicubic")
    x = x.clamp(0, 1)
    x[0] *= 0.02
    x[1] = 0.2 + 0.6 * x[1]
    x[2] = 1 - 0.02 * x[2]
    return x[:3], x[3:]


def run(lpips, reference, start, sign, queries=30, seed=0, eps=EPS):
    return square(lpips, reference, start, sign, eps, queries, torch.Generator().manual_seed(seed))


def test_inside_the_ball_and_the_range_of_images(lpips, pictures):
    x, other = pictures
    for start, sign in ((x, 1.0), (other, torch.tensor([1.0, -1.0, -1.0]))):
        result = run(lpips, x, start, sign)
        assert result.shape == x.shape and not result.requires_grad
        assert (result - start).abs().max() <= EPS * 1.0001 and (result - start).abs().max() > 0.99 * EPS
        assert result.min() >= 0 and result.max() <= 1


def test_never_worse_than_the_start_and_better_with_queries(lpips, pictures):
    x, other = pictures
    sign = torch.tensor([1.0, -1.0, 1.0])
    reached = [sign * measure(lpips, x, other)]
    # The schedule depends on the number of queries, so these are three searches, not one continued.
    reached += [sign * measure(lpips, x, run(lpips, x, other, sign, queries)) for queries in (2, 10, 100)]
    for before in reached[:1]:
        assert all((after >= before - 1e-6).all() for after in reached[1:])
    assert (reached[3] > reached[0]).all() and reached[3].sum() > reached[2].sum() > reached[1].sum() - 1e-6


def test_seeded_and_the_pictures_differ(lpips, pictures):
    x, _ = pictures
    first, again, other = (run(lpips, x, x, 1.0, 5, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    moves = (first - x).sign()
    assert not torch.equal(moves[0], moves[1])  # each has its own squares


def test_stripes_come_first(lpips, pictures):
    moved = run(lpips, pictures[0], pictures[0], 1.0, queries=2) - pictures[0]
    middle = moved[1]  # the dark and the bright one are cut to [0, 1]
    assert torch.allclose(middle, middle[:, :1].expand_as(middle), atol=1e-6)
    torch.testing.assert_close(middle.abs(), torch.full_like(middle, EPS), atol=1e-6, rtol=0)


def test_asks_for_no_gradient_and_no_more_often_than_allowed(lpips, pictures, monkeypatch):
    gradients = []
    for name in ("features", "stages"):
        original = getattr(FastTrunk, name)

        def counting(self, x, *options, original=original):
            gradients.append(torch.is_grad_enabled() or x.requires_grad)
            return original(self, x, *options)

        monkeypatch.setattr(FastTrunk, name, counting)
    run(lpips, *pictures, 1.0, queries=9)
    assert gradients == [False] * (9 + 1)  # once more for the references


def test_squares_shrink_as_in_the_paper():
    # section 3.2: p is halved at 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 queries
    shares = [covered_share(query / 10_000) for query in (5, 30, 100, 300, 700, 1500, 3000, 5000, 7000, 9000)]
    assert shares == [0.8 / 2**halvings for halvings in range(10)]


def test_too_few_queries(lpips, pictures):
    with pytest.raises(ValueError, match="at least 2 queries; got 1"):
        run(lpips, *pictures, 1.0, queries=1)
