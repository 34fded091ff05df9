"""DISTS, deep image structure and texture similarity (Ding et al., arXiv 2004.07728).

It compares the pixels and the features of VGG16, whose max pooling is replaced by blurred L2 pooling. For each channel with its means
m and variances v over a picture

    texture    1 - (2 m_x m_y + c) / (m_x² + m_y² + c) = (m_x - m_y)² / (m_x² + m_y² + c)
    structure  1 - (2 cov + c) / (v_x + v_y + c) = mean over positions of ((x - m_x) - (y - m_y))² / (v_x + v_y + c)

and the distance is their sum over channels, weighted by alpha (texture) and beta (structure), which together sum to one. The right-hand
sides are the left-hand ones, without the difference of almost equal numbers, and say where the structure differs. A difference of
texture has no place.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.metrics.backbones import Trunk
from rlpips.metrics.base import FeatureMetric
from rlpips.metrics.pooling import halve

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels in [0, 1]
_C = 1e-6  # the paper's c1 and c2
_PIXELS = 3  # channels of the picture itself, the first "layer"


class DISTS(FeatureMetric):
    """DISTS: 0 for identical pictures, at most 2. `trunk` is VGG16; alpha and beta (C,) >= 0 are the weights of the texture and the
    structure of the C channels, the colours first. They are divided by their sum.

    The share of "pixels" and of each layer is that of its structure. The last share, "texture", is that of all their textures, and its
    map is flat, (N, 1, 1).
    """

    name = "dists"
    alpha: Tensor
    beta: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, trunk: Trunk, alpha: Tensor, beta: Tensor) -> None:
        super().__init__()
        if trunk.name != "vgg":
            raise ValueError(f"DISTS compares features of VGG16 (vgg); got {trunk.name!r}.")
        channels = (_PIXELS, *trunk.spec.channels)
        if not alpha.shape == beta.shape == (sum(channels),):
            raise ValueError(
                f"alpha and beta must be {sum(channels)} numbers; got {tuple(alpha.shape)}, {tuple(beta.shape)}."
            )
        self.network: nn.Module = trunk.features
        self._taps, self._sizes, self._stages = trunk.spec.taps, channels, trunk.spec.layers
        total = alpha.sum() + beta.sum()
        device = trunk.scale.device
        for name, weights in (("alpha", alpha), ("beta", beta)):
            self.register_buffer(name, (weights / total).to(device))
        for name, colours in (("mean", _MEAN), ("std", _STD)):
            self.register_buffer(name, torch.tensor(colours, device=device).view(1, 3, 1, 1))

    @property
    def layers(self) -> tuple[str, ...]:
        return ("pixels", *self._stages, "texture")

    def features(self, x: Tensor) -> list[Tensor]:
        """The picture itself, and its features after the last convolution of each of VGG16's five stages."""
        features, deep = [x], (x - self.mean) / self.std
        for index, layer in enumerate(self.network.children()):
            deep = _pool(deep) if isinstance(layer, nn.MaxPool2d) else layer(deep)
            if index in self._taps:
                features.append(deep)
        return features

    def compare(self, of_x: Sequence[Tensor], of_y: Sequence[Tensor]) -> list[Tensor]:
        maps, textures, alphas, betas = [], [], self.alpha.split(self._sizes), self.beta.split(self._sizes)
        for x, y, alpha, beta in zip(of_x, of_y, alphas, betas, strict=True):
            mean_x, mean_y = (each.mean((2, 3), keepdim=True) for each in (x, y))
            centred_x, centred_y = x - mean_x, y - mean_y
            variances = centred_x.square().mean((2, 3)) + centred_y.square().mean((2, 3))  # (N, C)
            of_channel = beta / (variances + _C)
            maps.append(torch.einsum("nchw,nc->nhw", (centred_x - centred_y).square(), of_channel))
            texture = (mean_x - mean_y).square() / (mean_x.square() + mean_y.square() + _C)
            textures.append((texture * alpha.view(1, -1, 1, 1)).sum(1))
        return [*maps, torch.stack(textures).sum(0)]


def _pool(features: Tensor) -> Tensor:
    """L2 pooling: the root of the blurred squares."""
    return (halve(F.pad(features.square(), (1, 1, 1, 1))) + 1e-12).sqrt()
