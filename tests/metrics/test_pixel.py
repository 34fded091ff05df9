"""The metrics of pixels, against numpy and `ssim`."""

import numpy as np
import pytest
import torch

from rlpips.metrics.fidelity import ssim
from rlpips.metrics.pixel import PIXEL_METRICS, PixelMSE, StructuralDissimilarity


@pytest.fixture
def pair():
    x, y = torch.rand(2, 3, 3, 34, 40, generator=torch.Generator().manual_seed(0))
    return x.requires_grad_(), y


def test_the_squared_error_against_numpy(pair):
    x, y = pair
    expected = np.square(x.detach().numpy() - y.numpy()).mean((1, 2, 3))
    np.testing.assert_allclose(PixelMSE()(x, y).detach().numpy(), expected, rtol=1e-6)
    (gradient,) = torch.autograd.grad(PixelMSE()(x, y).sum(), x)
    torch.testing.assert_close(gradient, 2 * (x - y).detach() / (3 * 34 * 40))


def test_the_structural_dissimilarity_is_one_minus_ssim_with_a_gradient(pair):
    x, y = pair
    distance = StructuralDissimilarity()(x, y)
    torch.testing.assert_close(distance, 1 - ssim(x, y))
    (gradient,) = torch.autograd.grad(distance.sum(), x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, y = x.detach().double(), y.double()
    rise = (1 - ssim(x + 1e-6 * direction, y)) - (1 - ssim(x - 1e-6 * direction, y))
    torch.testing.assert_close((gradient * direction).sum((1, 2, 3)), rise / 2e-6, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", PIXEL_METRICS)
def test_shares_maps_and_refusals(name, pair):
    metric, (x, y) = PIXEL_METRICS[name](), pair
    assert metric.name == name and metric.per_layer(x, y).shape == (3, len(metric.layers))
    for layer, share in zip(metric.layer_maps(x, y), metric.per_layer(x, y).unbind(1), strict=True):
        torch.testing.assert_close(layer.mean((1, 2)), share)
    assert metric.distance_map(x, y).shape == (3, 34, 40) and metric(x, x).abs().max() < 1e-6
    with pytest.raises(ValueError, match="the same shape"):
        metric(x, y[:2])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        metric(x, 255 * y)
