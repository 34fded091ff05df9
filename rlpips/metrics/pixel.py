"""Metrics of pixels, without a network: the yardsticks of robustness without perception.

They give way to an attack less than perceptual metrics do, and agree with them less: robustness says something only beside agreement.
"""

from torch import Tensor

from rlpips.metrics.base import Metric, check_pair
from rlpips.metrics.fidelity import Ssim


class PixelMSE(Metric):
    """The mean squared difference of two pictures over all 3·H·W values, for pixels in [0, 1]; PSNR is -10 log10 of it."""

    name = "mse"
    layers = ("pixels",)  # type: ignore[assignment]

    def layer_maps(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """One map (N, H, W), the mean over the colours."""
        check_pair(x, y)
        return [(x - y).square().mean(1)]


class StructuralDissimilarity(Metric):
    """1 - SSIM, of the luma (Wang et al., 2004; `rlpips.metrics.fidelity.ssim`): 0 for identical pictures, at most 2."""

    name = "ssim"
    layers = ("luma",)  # type: ignore[assignment]

    def layer_maps(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """One map (N, H - 10, W - 10), the positions at which the window fits."""
        check_pair(x, y)
        return [1 - Ssim(y).map(x)]


PIXEL_METRICS = {metric.name: metric for metric in (PixelMSE, StructuralDissimilarity)}
