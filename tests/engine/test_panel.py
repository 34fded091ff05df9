import pytest
import torch

import rlpips
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import layer_maps, layer_shares, stack_heads


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
    maps = panel.maps(y)
    assert [tuple(each.shape) for each in maps] == [(4, 2, 15, 10), (4, 2, 7, 4), *[(4, 2, 3, 1)] * 3]
    torch.testing.assert_close(layer_shares(maps), panel.per_layer(y))
    plain = layer_maps(metrics[1].trunk(y), metrics[1].trunk(x.repeat_interleave(2, 0)), stack_heads(metrics[1:]))
    for result, expected in zip(maps, plain):
        torch.testing.assert_close(result[:, 1:], expected, atol=1e-6, rtol=1e-3)
