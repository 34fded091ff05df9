import pytest
import torch

import rlpips
from rlpips.backbones import unit_length
from rlpips.metrics import layer_maps
from rlpips.readings import LaneMap, Panel


def layer(count, seed):
    """Features (count, 6, 4, 5) in double precision, a few of them zero as after a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, 4, 5, generator=generator, dtype=torch.float64).clamp_min(-0.5) + 0.5


def test_a_lane_map_is_the_plain_formula_with_its_gradient():
    reference, head = unit_length(layer(2, 0)), torch.rand(3, 6, 1, 1, dtype=torch.float64)
    features = layer(4, 1).requires_grad_()  # two lanes for each of two references
    (plain,) = layer_maps([unit_length(features)], [reference.repeat_interleave(2, 0)], [head])
    weights = torch.rand(plain.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (expected,) = torch.autograd.grad((plain * weights).sum(), features)
    maps = LaneMap.apply(features, reference, head)
    torch.testing.assert_close(maps, plain)
    torch.testing.assert_close(torch.autograd.grad((maps * weights).sum(), features)[0], expected)


def test_the_gradient_of_a_lane_map_is_that_of_finite_differences():
    reference, head = unit_length(layer(1, 0)), torch.rand(2, 6, 1, 1, dtype=torch.float64)
    features = (layer(2, 3) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: LaneMap.apply(each, reference, head), features)


def test_a_zero_feature_gives_a_finite_gradient():
    features = torch.zeros(2, 6, 4, 5, requires_grad=True)
    LaneMap.apply(features, unit_length(layer(1, 0)).float(), torch.rand(2, 6, 1, 1)).sum().backward()
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
