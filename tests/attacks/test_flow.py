"""Moved pictures against closed forms, the budget, and the attack on objectives that need no network."""

import numpy as np
import pytest
import torch

from rlpips.attacks import flow
from rlpips.attacks.flow import FLOW, dense, lengths, no_flow, push, warp

HEIGHT, WIDTH = 33, 49


@pytest.fixture
def pictures():
    return torch.rand(3, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def uniform(pictures, right, down):
    """The flow whose arrows are all the same."""
    field = no_flow(pictures)
    field[:, 0], field[:, 1] = right, down
    return field


def contrast(x):
    """A value with a gradient everywhere: differences of neighbours, weighted by place."""
    place = torch.linspace(0.5, 1.5, x.shape[-1] - 1)
    values = ((x[..., 1:] - x[..., :-1]).square() * place).sum((1, 2, 3))
    return values, values.detach()


def test_no_flow_leaves_a_picture_as_it_is(pictures):
    torch.testing.assert_close(warp(pictures, no_flow(pictures)), pictures, atol=1e-5, rtol=0)


@pytest.mark.parametrize("right, down", [(2, 0), (0, 1), (-1, 3)])
def test_a_whole_number_of_pixels_shifts_the_picture_and_repeats_its_edge(pictures, right, down):
    rows = np.clip(np.arange(HEIGHT) + down, 0, HEIGHT - 1)
    columns = np.clip(np.arange(WIDTH) + right, 0, WIDTH - 1)
    expected = pictures.numpy()[:, :, rows][..., columns]
    np.testing.assert_allclose(warp(pictures, uniform(pictures, right, down)), expected, atol=1e-5)


def test_half_a_pixel_on_a_ramp_adds_half_a_step():
    ramp = (torch.arange(WIDTH) / WIDTH).expand(2, 3, HEIGHT, WIDTH)
    moved = warp(ramp, uniform(ramp, 0.5, 0.25))
    torch.testing.assert_close(moved[..., :-1], ramp[..., :-1] + 0.5 / WIDTH, atol=1e-6, rtol=0)
    torch.testing.assert_close(moved[..., -1], ramp[..., -1], atol=1e-6, rtol=0)


def test_each_picture_has_a_flow_of_its_own(pictures):
    field = FLOW.random(no_flow(pictures), 1.0, torch.Generator().manual_seed(1))
    together = warp(pictures, field)
    alone = torch.cat([warp(x, f) for x, f in zip(pictures.split(1), field.split(1), strict=True)])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(together[0], warp(pictures[:1], field[1:2])[0], atol=1e-3)


def test_between_its_nodes_the_flow_is_linear_as_numpys():
    field = torch.randn(2, 2, 5, 7, generator=torch.Generator().manual_seed(2))
    rows, columns = np.linspace(0, 4, HEIGHT), np.linspace(0, 6, WIDTH)
    down = np.stack([[np.interp(rows, range(5), each[:, column]) for column in range(7)] for each in field[:, 0]])
    expected = np.stack([[np.interp(columns, range(7), row) for row in each.T] for each in down])
    np.testing.assert_allclose(dense(field, HEIGHT, WIDTH)[:, 0], expected, atol=1e-5)


def test_no_arrow_between_nodes_is_longer_than_the_longest_at_a_node():
    field = FLOW.random(torch.zeros(4, 2, 6, 8), 1.5, torch.Generator().manual_seed(3))
    assert (lengths(dense(field, 61, 83)).amax((1, 2, 3)) <= FLOW.measure(field) * (1 + 1e-6)).all()


def test_a_node_for_every_pixel_takes_the_flow_as_it_is(pictures):
    assert no_flow(pictures, spacing=1).shape == (3, 2, HEIGHT, WIDTH)
    field = FLOW.random(no_flow(pictures, spacing=1), 1.0, torch.Generator().manual_seed(4))
    torch.testing.assert_close(dense(field, HEIGHT, WIDTH), field, atol=1e-6, rtol=0)
    assert no_flow(pictures, spacing=100).shape == (3, 2, 2, 2)


def test_random_arrows_fill_the_disc_uniformly():
    field = FLOW.random(torch.zeros(2, 2, 100, 101), 0.7, torch.Generator().manual_seed(5))
    radius = np.hypot(*field.numpy().swapaxes(0, 1))
    assert radius.max() <= 0.7 * (1 + 1e-6)
    np.testing.assert_allclose(np.quantile((radius / 0.7) ** 2, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02)
    assert abs(field.mean((0, 2, 3))).max() < 0.01 and not torch.equal(field[0], field[1])


def test_projection_shortens_long_arrows_and_keeps_their_direction():
    field = torch.randn(3, 2, 5, 6, generator=torch.Generator().manual_seed(6))
    length = np.hypot(*field.numpy().swapaxes(0, 1))[:, None]
    expected = field.numpy() * np.minimum(1, 0.8 / length)
    np.testing.assert_allclose(FLOW.project(field, 0.8), expected, rtol=1e-5)
    assert torch.equal(FLOW.project(torch.zeros(1, 2, 3, 4), 0.8), torch.zeros(1, 2, 3, 4))


def test_a_step_moves_every_node_along_its_own_gradient():
    gradient = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(7))
    gradient[:, :, 0, 0] = 0
    step = FLOW.step(gradient, 0.3)
    length = np.hypot(*gradient.numpy().swapaxes(0, 1))
    np.testing.assert_allclose((step * gradient).sum(1), 0.3 * length, rtol=1e-5, atol=1e-7)
    assert (step[:, :, 0, 0] == 0).all()


def test_the_gradient_is_the_slope_that_differences_find(pictures):
    x = pictures.double()
    field = FLOW.random(no_flow(x), 0.4, torch.Generator().manual_seed(8)).requires_grad_()
    (gradient,) = torch.autograd.grad(contrast(warp(x, field))[0].sum(), field)
    direction = torch.randn(field.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    with torch.no_grad():
        ahead, behind = (contrast(warp(x, field + sign * 1e-6 * direction))[0].sum() for sign in (1, -1))
    slope = float(ahead - behind) / 2e-6
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("schedule", ["cosine", "fixed", "apgd"])
def test_an_attack_stays_in_its_budget_and_finds_more_than_random_flows(pictures, schedule):
    eps = 0.6
    iterates = list(push(pictures, contrast, eps, 12, schedule))
    assert len(iterates) == 13
    for moved, field, values in iterates:
        assert (FLOW.measure(field) <= eps * (1 + 1e-5)).all()
        assert moved.min() >= 0 and moved.max() <= 1
        torch.testing.assert_close(moved, warp(pictures, field))
        torch.testing.assert_close(values, contrast(moved)[0])
    centre = no_flow(pictures)
    noise = [contrast(warp(pictures, FLOW.random(centre, eps, torch.Generator().manual_seed(n))))[0] for n in range(20)]
    found = iterates[-1][2]
    assert (found > torch.stack(noise).amax(0)).all()
    assert (found >= torch.stack([values for *_, values in iterates]).amax(0)).all()


def test_a_seed_gives_the_same_attack_and_a_batch_what_its_pictures_would_alone(pictures):
    *_, (moved, *_) = push(pictures, contrast, 0.5, 4, seed=3)
    *_, (again, *_) = push(pictures, contrast, 0.5, 4, seed=3)
    assert torch.equal(moved, again)
    *_, (other, *_) = push(pictures, contrast, 0.5, 4, seed=9)
    assert not torch.equal(moved, other)
    for n in range(3):
        *_, (alone, *_) = push(pictures[n : n + 1], contrast, 0.5, 4, seed=3 + n)
        torch.testing.assert_close(alone[0], moved[n])


def test_an_attack_runs_whatever_the_caller_has_switched_on(pictures):
    *_, (expected, *_) = push(pictures, contrast, 0.5, 3)
    with torch.inference_mode():
        *_, (moved, *_) = push(pictures, contrast, 0.5, 3)
    torch.testing.assert_close(moved, expected)


@pytest.mark.parametrize("eps", [0, -1, 2.5, float("nan"), "0.5", None])
def test_a_budget_out_of_range_is_refused_with_a_sentence(pictures, eps):
    with pytest.raises(ValueError, match="eps must be a number above 0 and at most 2, in pixels; got"):
        push(pictures, contrast, eps)


def test_an_unknown_schedule_is_refused_with_a_sentence(pictures):
    with pytest.raises(ValueError, match="schedule must be one of cosine, fixed, apgd; got 'linear'"):
        push(pictures, contrast, flow.EPS, schedule="linear")
