import pytest
import torch

import rlpips
from rlpips.metrics.base import OwnMetric


def test_layer_maps_have_the_shares_for_means_and_make_the_map():
    x, y = torch.rand(2, 2, 3, 64, 45, generator=torch.Generator().manual_seed(0))
    metric = rlpips.load_metric("rlpips-l2")
    maps = metric.layer_maps(x, y)
    assert [tuple(each.shape) for each in maps] == [(2, 15, 10), (2, 7, 4), *[(2, 3, 1)] * 3]
    torch.testing.assert_close(torch.stack([each.mean((1, 2)) for each in maps], 1), metric.per_layer(x, y))
    larger = [torch.nn.functional.interpolate(each[:, None], x.shape[-2:], mode="bilinear")[:, 0] for each in maps]
    torch.testing.assert_close(sum(larger), metric.distance_map(x, y))


def test_a_metric_of_ones_own():
    x, y = torch.rand(2, 2, 3, 34, 40, generator=torch.Generator().manual_seed(0))

    def mean_colour(x, y):
        return (x.mean((2, 3)) - y.mean((2, 3))).norm(dim=1)

    metric = OwnMetric(mean_colour)
    assert metric.name == "mean_colour"
    torch.testing.assert_close(metric(x, y), mean_colour(x, y))
    torch.testing.assert_close(metric.distance_map(x, y), mean_colour(x, y)[:, None, None].expand(2, 34, 40))
    for wrong in (lambda x, y: (x - y).norm(), lambda x, y: 0.5):
        with pytest.raises(ValueError, match=r"must return a tensor of shape \(2,\), one distance a pair; got"):
            OwnMetric(wrong)(x, y)
