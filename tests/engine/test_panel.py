import pytest
import torch

import rlpips
from rlpips.engine.panel import Panel
from rlpips.metrics.base import OwnMetric, layer_shares
from rlpips.metrics.lpips import layer_maps, stack_heads


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_panel_reads_every_lane_as_each_metric_does_alone(lanes):
    metrics = [rlpips.load_metric(name) for name in ("lpips", "rlpips-l2")]
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 3, 64, 45, generator=generator), torch.rand(2 * lanes, 3, 64, 45, generator=generator)
    shares = Panel(metrics, x).per_layer(y)
    for column, metric in enumerate(metrics):
        expected = metric.per_layer(y, x.repeat_interleave(lanes, 0))
        torch.testing.assert_close(shares[:, column], expected, atol=1e-6, rtol=1e-4)


def test_the_maps_of_a_panel_have_its_shares_for_means():
    metrics = [rlpips.load_metric(name) for name in ("lpips", "rlpips-l2")]
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 3, 64, 45, generator=generator), torch.rand(4, 3, 64, 45, generator=generator)
    panel = Panel(metrics, x)
    (maps,) = panel.maps(y)
    assert [tuple(each.shape) for each in maps] == [(4, 2, 15, 10), (4, 2, 7, 4), *[(4, 2, 3, 1)] * 3]
    torch.testing.assert_close(layer_shares(maps), panel.per_layer(y))
    plain = layer_maps(metrics[1].trunk(y), metrics[1].trunk(x.repeat_interleave(2, 0)), stack_heads(metrics[1:]))
    for result, expected in zip(maps, plain):
        torch.testing.assert_close(result[:, 1:], expected, atol=1e-6, rtol=1e-3)


def test_metrics_of_other_kinds_keep_their_place_layers_and_gradients():
    def furthest(x, y):
        return (x - y).abs().amax((1, 2, 3))

    names = ("ssim", "lpips", "mse", "elpips")
    metrics = [rlpips.load_metric(name) for name in names]
    metrics.insert(1, OwnMetric(furthest))
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 3, 64, 45, generator=generator), torch.rand(4, 3, 64, 45, generator=generator)
    panel = Panel(metrics, x)
    assert panel.layers == ("luma", "distance", "conv1", "conv2", "conv3", "conv4", "conv5", "pixels")
    y.requires_grad_()
    shares = panel.per_layer(y)
    assert shares.shape == (4, 5, 8)
    weights = torch.rand(4, 5, generator=generator)
    (gradient,) = torch.autograd.grad((shares.sum(-1) * weights).sum(), y)
    for column, metric in enumerate(metrics):
        alone = y.detach().requires_grad_()
        distance = metric(x.repeat_interleave(2, 0), alone)
        torch.testing.assert_close(shares[:, column].sum(-1), distance, atol=1e-6, rtol=1e-4)
        gradient -= torch.autograd.grad((distance * weights[:, column]).sum(), alone)[0]
    assert gradient.norm() < 1e-4
    frames = panel.frame(0, (0, 1), y.detach(), x.repeat_interleave(2, 0))
    assert frames[1].maps.shape[:2] == (2, 5) and frames[1].distance_8bit.shape == (2, 5)
    assert frames[0].maps[:, 1] == pytest.approx(
        frames[0].distance_8bit[:, 1, None, None].repeat(64, 1).repeat(45, 2), rel=1e-4
    )
