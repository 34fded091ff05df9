import itertools

import numpy as np
import pytest
import torch

from rlpips.norms import L2, NORMS, coarse_random

EPS = {"linf": 4 / 255, "l2": 1.7}


@pytest.fixture(params=NORMS)
def norm(request):
    return NORMS[request.param]


@pytest.fixture
def batch():
    return torch.rand(4, 3, 33, 47, generator=torch.Generator().manual_seed(1))


def lengths(name, delta):
    """numpy's norm of each sample."""
    order = np.inf if name == "linf" else 2
    return [np.linalg.norm(each.numpy().ravel().astype(np.float64), ord=order) for each in delta]


def test_measure_equals_numpys_norm_of_each_sample(norm, batch):
    np.testing.assert_allclose(norm.measure(batch), lengths(norm.name, batch), rtol=1e-5)


def test_random_points_are_in_the_ball_and_differ_between_samples(norm, batch):
    delta = norm.random(batch, EPS[norm.name], torch.Generator().manual_seed(0))
    assert delta.shape == batch.shape
    assert max(lengths(norm.name, delta)) <= EPS[norm.name] * (1 + 1e-6)
    assert not torch.equal(delta[0], delta[1])
    again = norm.random(batch, EPS[norm.name], torch.Generator().manual_seed(0))
    assert torch.equal(delta, again)


def test_random_points_fill_the_ball_uniformly(batch):
    linf = NORMS["linf"].random(batch, 1.0, torch.Generator().manual_seed(0))
    assert abs(linf.mean()) < 0.01 and abs(linf.std() - 3**-0.5) < 0.01
    # The d-th power of the radius of a uniform point is uniform; few dimensions show it best.
    points = torch.zeros(20_000, 1, 1, 2)
    radius = NORMS["l2"].random(points, 1.0, torch.Generator().manual_seed(0)).flatten(1).norm(dim=1)
    np.testing.assert_allclose(np.quantile(radius.square(), [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02)


def test_projection_is_the_nearest_point_of_the_ball(norm, batch):
    scale = torch.tensor([0.0, 1e-3, 1.0, 50.0]).view(-1, 1, 1, 1)
    delta = (batch - 0.5) * scale * EPS[norm.name]
    projected = norm.project(delta, EPS[norm.name])
    assert max(lengths(norm.name, projected)) <= EPS[norm.name] * (1 + 1e-6)
    if norm.name == "linf":
        expected = np.clip(delta.numpy(), -EPS["linf"], EPS["linf"])
    else:
        length = np.array(lengths("l2", delta)).reshape(-1, 1, 1, 1)
        expected = delta.numpy() * np.minimum(1, EPS["l2"] / np.maximum(length, 1e-30))
    np.testing.assert_allclose(projected, expected, rtol=1e-5, atol=1e-9)


def test_step_is_the_steepest_ascent_of_its_length(norm, batch):
    gradient = batch - 0.5
    step = norm.step(gradient, 0.25)
    np.testing.assert_allclose(lengths(norm.name, step), 0.25, rtol=1e-5)
    # The largest inner product with the gradient is the dual norm times the length.
    dual = 1 if norm.name == "linf" else 2
    best = [0.25 * np.linalg.norm(each.numpy().ravel(), ord=dual) for each in gradient]
    np.testing.assert_allclose((step * gradient).flatten(1).sum(1), best, rtol=1e-4)


def test_a_zero_gradient_gives_no_step_and_no_nan(norm):
    step = norm.step(torch.zeros(2, 3, 8, 9), 0.1)
    assert torch.equal(step, torch.zeros(2, 3, 8, 9))


def test_a_coarse_start_is_of_blocks_and_lies_in_the_ball(norm):
    like, eps = torch.zeros(2, 3, 130, 147), torch.tensor([0.02, 0.3]).view(2, 1, 1, 1)
    drawn = coarse_random(norm, like, eps, torch.Generator().manual_seed(0))
    assert drawn.shape == like.shape and (norm.measure(drawn) <= eps.flatten() * (1 + 1e-4)).all()
    assert (norm.measure(drawn) > 0.9 * eps.flatten()).all()
    means, spreads = [], []
    for top, left in itertools.product(range(0, 130, 8), range(0, 147, 8)):
        block = drawn[..., top : top + 8, left : left + 8]
        means.append(block.mean((2, 3)))
        spreads.append((block.amax((2, 3)) - block.amin((2, 3))) / eps.view(2, 1))
    assert len(torch.stack(means).unique()) > 2 * 3 * 17 * 19 * 0.9
    if norm is L2:
        assert torch.stack(spreads).max() == 0  # blocks alone
    else:  # half of the budget is single values': within a block they differ by all of that
        assert torch.stack(spreads).max() <= 1 + 1e-5 and torch.stack(spreads)[:-19, ...].median() > 0.9
        # and the other half the blocks'; noise of single values would have means a tenth as far apart
        assert (torch.stack(means)[:-19].std(0) > 0.25 * eps.view(2, 1)).all()


def test_small_pictures_start_at_noise_of_single_values(norm):
    like = torch.zeros(2, 3, 127, 200)
    expected = norm.random(like, 0.1, torch.Generator().manual_seed(0))
    assert torch.equal(coarse_random(norm, like, 0.1, torch.Generator().manual_seed(0)), expected)
