"""The mean squared error of pixels, against numpy."""

import numpy as np
import pytest
import torch

from rlpips.metrics.pixel import PixelMSE


def test_against_numpy():
    x, y = torch.rand(2, 3, 3, 34, 40, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    metric = PixelMSE()
    expected = np.square(x.detach().numpy() - y.numpy()).mean((1, 2, 3))
    np.testing.assert_allclose(metric(x, y).detach().numpy(), expected, rtol=1e-6)
    shares = metric.per_layer(x, y)
    assert metric.name == "mse" and shares.shape == (3, len(metric.layers))
    torch.testing.assert_close(shares.sum(1), metric(x, y))
    (gradient,) = torch.autograd.grad(metric(x, y).sum(), x)
    torch.testing.assert_close(gradient, 2 * (x - y).detach() / (3 * 34 * 40))


@pytest.mark.parametrize("shapes", [((3, 8, 9), (3, 8, 9)), ((1, 3, 8, 9), (2, 3, 8, 9))])
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\) of one shape; got"):
        PixelMSE()(*map(torch.zeros, shapes))
