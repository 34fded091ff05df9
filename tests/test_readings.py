import pytest
import torch

import rlpips
from rlpips.backbones import unit_length
from rlpips.metrics import layer_maps, layer_shares, stack_heads
from rlpips.readings import LaneShares, Panel


def layer(count, seed):
    """Features (count, 6, 4, 5) in double precision, a few of them zero as after a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, 4, 5, generator=generator, dtype=torch.float64).clamp_min(-0.5) + 0.5


def rows(features):  # (N, C, h, w) -> (N, h·w, C)
    return features.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_lane_shares_are_the_plain_formula_with_its_gradient(layout):
    reference, heads = unit_length(layer(2, 0)), torch.rand(3, 6, dtype=torch.float64)
    # two lanes for each of two references
    features = layer(4, 1).contiguous(memory_format=layout).requires_grad_()
    maps = layer_maps([unit_length(features)], [reference.repeat_interleave(2, 0)], [heads[:, :, None, None]])
    plain = layer_shares(maps)[:, :, 0]
    weights = torch.rand(plain.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (expected,) = torch.autograd.grad((plain * weights).sum(), features)
    shares = LaneShares.apply(features, -rows(reference), heads)
    torch.testing.assert_close(shares, plain)
    torch.testing.assert_close(torch.autograd.grad((shares * weights).sum(), features)[0], expected)


def test_the_gradient_of_lane_shares_is_that_of_finite_differences():
    less, heads = -rows(unit_length(layer(1, 0))), torch.rand(2, 6, dtype=torch.float64)
    features = (layer(2, 3) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: LaneShares.apply(each, less, heads), features)


def test_a_zero_feature_gives_a_finite_gradient():
    features = torch.zeros(2, 6, 4, 5, requires_grad=True)
    LaneShares.apply(features, -rows(unit_length(layer(1, 0)).float()), torch.rand(2, 6)).sum().backward()
    assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_panel_reads_every_lane_as_each_metric_does_alone(lanes):
    metrics = [rlpips.load_metric(name) for name in ("lpips", "rlpips-l2")]
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 3, 64, 45, generator=generator), torch.rand(2 * lanes, 3, 64, 45, generator=generator)
    shares = Panel(metrics, x).shares(y)
    for column, metric in enumerate(metrics):
        expected = metric.per_layer(y, x.repeat_interleave(lanes, 0))
        torch.testing.assert_close(shares[:, column], expected, atol=1e-6, rtol=1e-4)


def test_the_maps_of_a_panel_have_its_shares_for_means():
    metrics = [rlpips.load_metric(name) for name in ("lpips", "rlpips-l2")]
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 3, 64, 45, generator=generator), torch.rand(4, 3, 64, 45, generator=generator)
    panel = Panel(metrics, x)
    maps = panel.maps(y)
    assert [tuple(each.shape) for each in maps] == [(4, 2, 15, 10), (4, 2, 7, 4), *[(4, 2, 3, 1)] * 3]
    torch.testing.assert_close(layer_shares(maps), panel.shares(y))
    plain = layer_maps(metrics[1].trunk(y), metrics[1].trunk(x.repeat_interleave(2, 0)), stack_heads(metrics[1:]))
    for found, expected in zip(maps, plain):
        torch.testing.assert_close(found[:, 1:], expected, atol=1e-6, rtol=1e-3)
