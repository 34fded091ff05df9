import numpy as np
import pytest
import torch

import rlpips
from rlpips.engine.panel import Panel, in_8_bits, trunks_of
from rlpips.metrics.base import OwnMetric, layer_shares
from rlpips.metrics.lpips import stack_heads, weighted_maps


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
    ((maps, channels),) = panel.see(y)
    assert [tuple(each.shape) for each in maps] == [(4, 2, 15, 10), (4, 2, 7, 4), *[(4, 2, 3, 1)] * 3]
    torch.testing.assert_close(layer_shares(maps), panel.per_layer(y))
    plain = weighted_maps(metrics[1].trunk(y), metrics[1].trunk(x.repeat_interleave(2, 0)), stack_heads(metrics[1:]))
    for result, expected in zip(maps, plain):
        torch.testing.assert_close(result[:, 1:], expected, atol=1e-6, rtol=1e-3)
    for metric in metrics:  # with its weights, the channels are those of the metric
        weighted = channels * torch.cat(metric.heads)
        expected = metric.per_channel(y, x.repeat_interleave(2, 0))
        torch.testing.assert_close(weighted, expected, atol=1e-7, rtol=1e-3)


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
    assert frames[1].distance_8bit.shape == (2, 5)
    for frame in frames:
        for column, metric in enumerate(metrics):
            own = [each for each in frame.maps[column] if each is not None]
            assert [panel.layers[k] for k, each in enumerate(frame.maps[column]) if each is not None] == list(
                metric.layers
            )
            means = sum(each.mean((1, 2)) for each in own)
            assert means == pytest.approx(frame.distance_8bit[:, column], rel=1e-4)


def test_channels_go_by_trunk_and_other_metrics_have_none():
    names = ("mse", "rlpips-tune", "lpips", "rlpips-l2")
    metrics = [rlpips.load_metric(name) for name in names]
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 3, 64, 45, generator=generator), torch.rand(4, 3, 64, 45, generator=generator)
    trunks = trunks_of(metrics)
    assert [trunk.metrics for trunk in trunks] == [("rlpips-tune",), ("lpips", "rlpips-l2")]
    for index, frame in enumerate(Panel(metrics, x).frame(0, (0, 1), y, x.repeat_interleave(2, 0))):
        assert [each.shape for each in frame.channels] == [(2, 1152), (2, 1152)]
        for trunk, channels in zip(trunks, frame.channels, strict=True):
            columns = [names.index(name) for name in trunk.metrics]
            np.testing.assert_allclose(channels @ trunk.heads.T, frame.distance_8bit[:, columns], rtol=1e-5)
            shown = in_8_bits(y[2 * index : 2 * index + 2])
            for row, column in enumerate(columns):
                expected = metrics[column].per_channel(x[index].expand(2, -1, -1, -1), shown)
                np.testing.assert_allclose(channels * trunk.heads[row], expected, rtol=2e-3, atol=1e-7)


def test_large_maps_are_averaged_and_keep_their_mean():
    metric = rlpips.load_metric("mse")
    x, y = torch.rand(2, 1, 3, 300, 200, generator=torch.Generator().manual_seed(0))
    (frame,) = Panel([metric], x).frame(0, (0,), y, x)
    assert frame.maps[0][0].shape == (1, 128, 85)
    assert frame.maps[0][0].mean() == pytest.approx(frame.distance_8bit.item(), rel=0.02)
