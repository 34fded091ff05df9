"""Blurred pooling, which networks use in place of strided max pooling so that a small shift changes their features little."""

import torch
import torch.nn.functional as F
from torch import Tensor


def halve(x: Tensor) -> Tensor:
    """Features (N, C, h, w), blurred by the binomial window [1, 2, 1] ⊗ [1, 2, 1] / 16, at every second position where it fits:
    (N, C, (h - 1) // 2, (w - 1) // 2). The same window is a Hanning window of five, of which three values are not zero."""
    window = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype, device=x.device) / 4
    kernel = torch.outer(window, window).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, stride=2, groups=x.shape[1])
