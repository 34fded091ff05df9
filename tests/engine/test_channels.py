import pytest
import torch

import rlpips
from rlpips.engine.channels import Channels


@pytest.mark.parametrize("at_once", [1, 2 * 40 * 56, 10**9])
def test_weighted_squares_are_what_each_metric_says(at_once):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(3, 3, 40, 56, generator=generator), torch.rand(5, 3, 40, 56, generator=generator)
    places = torch.tensor([2, 0, 0, 1, 2])
    metrics = [rlpips.load_metric(name) for name in ("lpips", "rlpips-l2")]
    channels = Channels(metrics[0].trunk, at_once)
    with torch.no_grad():
        minus = channels.minus(x)
        squares = torch.cat(channels.squares(y, minus, places), 1)
        for metric in metrics:
            heads = torch.cat([head.reshape(-1) for head in metric.heads])
            torch.testing.assert_close(squares @ heads, metric(x[places], y), rtol=1e-4, atol=1e-6)
            beside = torch.cat(channels.squares(y[:3], minus), 1)
            torch.testing.assert_close(beside @ heads, metric(x, y[:3]), rtol=1e-4, atol=1e-6)
