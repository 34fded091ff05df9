"""PGD and APGD against loops written out here, on objectives whose values need no network."""

import math

import pytest
import torch

import rlpips
from rlpips import paths
from rlpips.attacks.pgd import apgd, pgd
from rlpips.attacks.schedule import step_sizes
from rlpips.data import images
from rlpips.norms import NORMS

SHAPE = (3, 3, 5, 7)
BUDGETS = [("linf", 0.1), ("l2", 0.8)]


def waves(x):
    """A value with many hills, other ones for each row."""
    place = torch.arange(x[0].numel(), dtype=x.dtype).view(x.shape[1:])
    row = torch.arange(1, len(x) + 1, dtype=x.dtype).view(-1, 1, 1, 1)
    return (torch.sin(9 * row * x + place) + 0.3 * x).sum((1, 2, 3))


def objective(x):
    values = waves(x)
    return values, values.detach(), x.detach().mean((1, 2, 3))


def beginning(norm, eps):
    generator = torch.Generator().manual_seed(3)
    start = torch.rand(SHAPE, generator=generator, dtype=torch.float64)
    return start, start + NORMS[norm].random(start, eps, generator)


def into(x, start, norm, eps):
    delta = x - start
    delta = delta.clamp(-eps, eps) if norm == "linf" else delta * min(1, eps / float(delta.norm()))
    return (start + delta).clamp(0, 1)


def gradient_at(x, row):
    """(value, direction-giving gradient) of one row alone."""
    batch = torch.zeros(SHAPE, dtype=x.dtype)
    batch[row] = x
    batch.requires_grad_()
    value = waves(batch)[row]
    return value.item(), torch.autograd.grad(value, batch)[0][row]


def ascent(gradient, size, norm):
    return size * (gradient.sign() if norm == "linf" else gradient / gradient.norm())


@pytest.mark.parametrize("schedule", ["fixed", "cosine"])
@pytest.mark.parametrize("norm, eps", BUDGETS)
def test_pgd_row_by_row(norm, eps, schedule):
    start, initial = beginning(norm, eps)
    steps = 6
    rows = list(pgd(start, initial, objective, NORMS[norm], eps, step_sizes(schedule, eps, steps)))
    assert len(rows) == steps + 1
    for row in range(len(start)):
        x, values, path = into(initial[row], start[row], norm, eps), [], []
        for k in range(steps + 1):
            value, gradient = gradient_at(x, row)
            values.append(value)
            path.append(x)
            size = 2.5 * eps / steps if schedule == "fixed" else eps * (1 + math.cos(math.pi * k / steps))
            x = into(x + ascent(gradient, size, norm), start[row], norm, eps)
        best = max(range(steps + 1), key=values.__getitem__)
        for k in range(steps):
            torch.testing.assert_close(rows[k][0][row], path[k])
        torch.testing.assert_close(rows[-1][0][row], path[best])
        assert rows[-1][1][row].item() == pytest.approx(values[best])
        assert rows[-1][2][row].item() == pytest.approx(path[best].mean().item())


@pytest.mark.parametrize("norm, eps", BUDGETS)
def test_apgd_row_by_row(norm, eps):
    """Algorithm 1 of Croce and Hein, arXiv 2003.01690, as a loop over one row."""
    start, initial = beginning(norm, eps)
    steps = 40
    rows = list(apgd(start, initial, objective, NORMS[norm], eps, steps))
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    checkpoints = [math.ceil(share * steps) for share in shares if share < 1]
    for row in range(len(start)):
        x, size = into(initial[row], start[row], norm, eps), 2 * eps
        value, gradient = gradient_at(x, row)
        best, best_gradient, highest, previous, rises = x, gradient, value, x, 0
        size_then, highest_then, halved_then, evaluated = size, value, False, x
        for k in range(steps):
            torch.testing.assert_close(rows[k][0][row], x if k not in checkpoints[1:] else evaluated, msg=f"step {k}")
            moved = into(x + ascent(gradient, size, norm), start[row], norm, eps)
            if k:
                moved = into(x + 0.75 * (moved - x) + 0.25 * (x - previous), start[row], norm, eps)
            previous, x = x, moved
            old, (value, gradient) = value, gradient_at(x, row)
            rises += value > old
            if value > highest:
                best, best_gradient, highest = x, gradient, value
            evaluated = x
            if k + 1 in checkpoints:
                length = k + 1 - checkpoints[checkpoints.index(k + 1) - 1]
                halve = rises < 0.75 * length or (not halved_then and highest_then == highest)
                if halve:
                    size, x, gradient, previous, value = size / 2, best, best_gradient, best, highest
                halved_then, highest_then, rises = halve, highest, 0
        assert rows[-1][1][row].item() == pytest.approx(highest)
        assert size < size_then  # it was halved at least once
        torch.testing.assert_close(rows[-1][0][row], best)


def test_a_cosine_schedule_finds_more_in_ten_steps_than_a_fixed_one_in_forty():
    crop = images.read_picture(paths.SAMPLES / "astronaut.png").pixels[96:160, 96:176]
    fixed = rlpips.attack(crop, steps=40, schedule="fixed", precision="float32")
    cosine = rlpips.attack(crop, steps=10, precision="float32")
    assert cosine.receipt["schedule"] == "cosine" and fixed.receipt["schedule"] == "fixed"
    assert cosine.distance[-1, 0, 0] > fixed.distance[-1, 0, 0]


def test_a_step_size_means_fixed_steps():
    picture = torch.rand(1, 3, 40, 52, generator=torch.Generator().manual_seed(0))
    given = rlpips.attack(picture, steps=5, step_size=2.5 * 4 / 255 / 5)
    fixed = rlpips.attack(picture, steps=5, schedule="fixed")
    assert given.receipt["schedule"] == "fixed" and given.receipt["step_size"] == fixed.receipt["step_size"]
    assert (given.distance == fixed.distance).all()
    with pytest.raises(ValueError, match="schedule must be one of cosine, fixed, apgd; got 'linear'"):
        rlpips.attack(picture, schedule="linear")
