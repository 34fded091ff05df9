"""The mean squared error of pixels, the yardstick of robustness without perception."""

from torch import Tensor, nn

from rlpips.device import in_neutral_state
from rlpips.zoo.catalog import PIXELS


class PixelMSE(nn.Module):
    """The mean squared difference of two pictures over all 3·H·W values, for pixels in [0, 1].

    It gives way to an attack less than perceptual metrics do, and agrees with them less: robustness says something only beside
    agreement. `x` and `y` are float tensors (N, 3, H, W) of one shape; ValueError for others. Gradients flow to both.
    """

    name = PIXELS
    layers = ("pixels",)

    @in_neutral_state
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance of each pair, (N,)."""
        if x.ndim != 4 or x.shape != y.shape:
            raise ValueError(f"x and y must be (N, 3, H, W) of one shape; got {tuple(x.shape)} and {tuple(y.shape)}.")
        return (x - y).square().mean((1, 2, 3))

    def per_layer(self, x: Tensor, y: Tensor) -> Tensor:
        """The same as (N, 1)."""
        return self(x, y)[:, None]
