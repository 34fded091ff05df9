"""E-LPIPS, against LPIPS of pictures that are transformed by numpy."""

import numpy as np
import pytest
import torch

import rlpips
from rlpips.metrics.elpips import ELPIPS, Transformation
from rlpips.zoo import weights


@pytest.fixture(scope="module")
def lpips():
    return rlpips.load_metric("lpips")


@pytest.fixture(scope="module")
def metric():
    return rlpips.load_metric("elpips")


def pair(height=140, width=129):
    x, y = torch.rand(2, 2, 3, height, width, generator=torch.Generator().manual_seed(0))
    return x, (x + 0.2 * (y - 0.5)).clamp(0, 1)


def test_the_distance_is_the_mean_of_lpips_over_the_transformations(lpips, metric):
    x, y = pair()
    expected = torch.stack([lpips.per_layer(each(x), each(y)) for each in metric.transformations]).mean(0)
    torch.testing.assert_close(metric.per_layer(x, y), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(metric(x, y), expected.sum(1), rtol=1e-4, atol=1e-6)
    assert len(metric.transformations) == 8 and metric.layers == lpips.layers and metric(x, x).abs().max() < 1e-6


def test_a_transformation_is_one_of_the_papers():
    """Each result is found again by numpy among all flips, transpositions, permutations, shifts and reductions."""
    x = pair(132, 128)[0][:1] * 0.9 + 0.1
    generator, kinds = torch.Generator().manual_seed(1), []
    for _ in range(10):
        result = Transformation(generator)(x)[0].numpy()
        assert result.min() >= 0 and result.max() <= 1
        found = [
            (level, flip, transposed)
            for level in (1, 2)
            for flip in ((), (1,), (2,), (1, 2))
            for transposed in (False, True)
            if _matches(x[0].numpy(), result, level, flip, transposed)
        ]
        assert len(found) == 1
        kinds += found
    assert len(set(kinds)) > 4 and {level for level, *_ in kinds} == {1, 2}


def _matches(picture, result, level, flip, transposed):
    back = np.flip(result.transpose(0, 2, 1) if transposed else result, flip)
    for row in range(level):
        for column in range(level):
            rows, columns = ((size + 2 * (level - 1)) // level for size in picture.shape[1:])
            if back.shape[1:] != (rows + 7, columns + 7):
                return False
            after = rows * level - picture.shape[1] - row, columns * level - picture.shape[2] - column
            reduced = np.pad(picture, ((0, 0), (row, after[0]), (column, after[1])), mode="reflect")
            reduced = reduced.reshape(3, rows, level, columns, level).mean((2, 4))
            for top in range(8):
                for left in range(8):
                    inner = back[:, top : top + rows, left : left + columns]
                    if not np.allclose(inner[0, 0, 0] / inner[0, 1, 1], 0) and _same_up_to_colours(inner, reduced):
                        pads = (0, 0), (top, 7 - top), (left, 7 - left)
                        assert np.allclose(np.pad(inner, pads, mode="reflect"), back, atol=1e-5)
                        return True
    return False


def _same_up_to_colours(inner, reduced):
    """Whether each channel is another one of the picture, each once, times a factor from 0.2 to 1."""
    used = []
    for channel in inner:
        factors = [channel[3, 4] / other[3, 4] for other in reduced]
        which = [k for k in range(3) if np.allclose(channel, factors[k] * reduced[k], atol=1e-5)]
        if len(which) != 1 or not 0.199 <= factors[which[0]] <= 1.001:
            return False
        used += which
    return sorted(used) == [0, 1, 2]


def test_a_seed_gives_the_same_numbers_and_another_seed_others(lpips, metric):
    x, y = pair(64, 70)
    heads = weights.load_heads("lpips", "alex")
    again, other = (ELPIPS(lpips.trunk, heads, seed=seed) for seed in (0, 1))
    assert torch.equal(metric(x, y), metric(x, y)) and torch.equal(metric(x, y), again(x, y))
    assert not torch.allclose(metric(x, y), other(x, y), rtol=1e-3)


def test_maps_lie_where_the_pictures_differ(lpips):
    heads = weights.load_heads("lpips", "alex")
    x = torch.full((2, 3, 150, 200), 0.5)
    y = x.clone()
    y[:, :, 15:45, 130:170] += 0.3 * torch.rand(2, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    for seed in range(6):  # one transformation each
        metric = ELPIPS(lpips.trunk, heads, count=1, seed=seed)
        maps = metric.layer_maps(x, y)
        assert [each.ndim for each in maps] == [3] * 5
        torch.testing.assert_close(torch.stack([each.mean((1, 2)) for each in maps], 1), metric.per_layer(x, y))
        where = maps[0][0]  # conv1: the others look at wide surroundings
        for axis, size, middle in ((1, 150, 30), (0, 200, 150)):
            share = where.sum(axis) / where.sum()
            places = (torch.arange(len(share)) + 0.5) / len(share) * size
            assert (share * places).sum().item() == pytest.approx(middle, abs=8)


def test_a_gradient_is_the_mean_over_the_transformations(lpips, metric):
    x, y = pair(64, 70)
    y.requires_grad_()
    (gradient,) = torch.autograd.grad(metric(x, y).sum(), y)
    mean = torch.stack([lpips(each(x), each(y)) for each in metric.transformations]).mean(0)
    (expected,) = torch.autograd.grad(mean.sum(), y)
    assert (gradient - expected).norm() < 1e-3 * expected.norm()
    assert torch.autograd.grad(metric(y, y.detach()).sum(), y)[0].isfinite().all()
