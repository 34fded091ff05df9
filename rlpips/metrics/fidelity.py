"""The classic measures of fidelity: PSNR and SSIM."""

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # weights of R, G, B, by ITU-R BT.601


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (N,), of images (N, 3, H, W) in [0, 1]; inf for equal images."""
    return -10 * torch.log10((x - y).square().flatten(1).mean(1))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of the luma, (N,), of images (N, 3, H, W) in [0, 1], at least 11 pixels a side; 1 for equal images.

    Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004, with their settings: a Gaussian
    window of sigma 1.5 over 11×11 pixels, K1 = 0.01, K2 = 0.03, averaged over the positions where the window fits.
    """
    return Ssim(y)(x)


class Ssim:
    """`ssim` with fixed pictures y (N, 3, H, W), of which what does not depend on the other pictures is computed once."""

    def __init__(self, y: Tensor):
        self._luma = _luma(y)
        self._mean, squares = _blur(torch.stack([self._luma, self._luma.square()]))
        self._mean_square = self._mean.square()
        self._variance = squares - self._mean_square

    def __call__(self, x: Tensor) -> Tensor:
        """The structural similarity (N,) of x (N, 3, H, W) with them."""
        return self.map(x).flatten(1).mean(1)

    def map(self, x: Tensor) -> Tensor:
        """The same at every position where the window fits, (N, H - 10, W - 10)."""
        luma = _luma(x)
        mean, squares, products = _blur(torch.stack([luma, luma.square(), luma * self._luma]))
        c1, c2 = 0.01**2, 0.03**2
        mean_product, mean_square = mean * self._mean, mean.square()
        covariance = products - mean_product
        variances = squares - mean_square + self._variance
        index = (2 * mean_product + c1) * (2 * covariance + c2)
        index /= (mean_square + self._mean_square + c1) * (variances + c2)
        return index.to(x.dtype)


def _luma(x: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, H, W)."""
    if x.is_cuda:  # in float32 cuDNN may compute in TF32, too coarse for variances
        x = x.double()
    red, green, blue = (weight * plane for weight, plane in zip(_LUMA, x.unbind(1)))
    return red + green + blue


def _blur(pictures: Tensor) -> Tensor:
    """Grey pictures (M, N, H, W), blurred by the window where it fits: (M, N, H - 10, W - 10)."""
    offsets = torch.arange(-5, 6, dtype=pictures.dtype, device=pictures.device)
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    # All pictures are channels of one image in channels-last order: on a CPU this is three times as fast as a product with the
    # window, and forty times as fast as one picture at a time.
    channels = pictures.flatten(0, 1)[None].contiguous(memory_format=torch.channels_last)
    groups = channels.shape[1]
    row = (window / window.sum()).expand(groups, 1, 1, -1).contiguous(memory_format=torch.channels_last)
    channels = F.conv2d(F.conv2d(channels, row, groups=groups), row.mT, groups=groups)
    return channels[0].unflatten(0, pictures.shape[:2])
