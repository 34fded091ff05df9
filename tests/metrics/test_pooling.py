import numpy as np
import torch

from rlpips.metrics.pooling import halve


def test_halving_against_numpy():
    x = torch.rand(2, 5, 9, 12, generator=torch.Generator().manual_seed(0))
    window = np.hanning(5)[1:-1]
    window = np.outer(window, window) / window.sum() ** 2
    places = np.lib.stride_tricks.sliding_window_view(x.numpy(), (3, 3), (2, 3))[:, :, ::2, ::2]
    np.testing.assert_allclose(halve(x).numpy(), (places * window).sum((4, 5)), rtol=1e-5)
    assert halve(x).shape == (2, 5, 4, 5)
