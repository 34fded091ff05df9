"""The classic yardsticks beside the perceptual metrics: PSNR and SSIM."""

import torch

_LUMA = (0.299, 0.587, 0.114)  # of R, G, B, by ITU-R BT.601


def psnr(x, y):
    """Peak signal-to-noise ratio in dB, (N,), of images (N, 3, H, W) in [0, 1]; inf where they are equal."""
    return -10 * torch.log10((x - y).square().flatten(1).mean(1))


def ssim(x, y):
    """Structural similarity of the luma, (N,), of images (N, 3, H, W) in [0, 1]: 1 where they are equal.

    Wang et al. 2004, on grey pictures and with their settings: a Gaussian window of sigma 1.5 over 11×11 pixels, K1 = 0.01,
    K2 = 0.03, averaged over the positions where the window fits.
    """
    offsets = torch.arange(-5, 6, dtype=x.dtype, device=x.device)
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    rows, columns = (_sliding(window / window.sum(), size) for size in x.shape[2:])

    def blur(image):  # (N, H, W) -> (N, H - 10, W - 10), one axis after the other
        return rows @ image @ columns.T

    luma = x.new_tensor(_LUMA).view(3, 1, 1)
    x, y = (x * luma).sum(1), (y * luma).sum(1)
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y, cov = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return index.flatten(1).mean(1)


def _sliding(window, size):
    """A window slid along an axis, as a matrix (size - len(window) + 1, size): on a CPU a product with it beats a
    convolution of one channel by far."""
    count = size - len(window) + 1
    matrix = window.new_zeros(count, size)
    for offset, weight in enumerate(window):
        matrix.diagonal(offset)[:count] = weight
    return matrix
