"""ST-LPIPS, shift-tolerant LPIPS (Ghildyal and Liu, arXiv 2207.13686).

LPIPS's formula on networks that are made, and trained, to change little when a picture is shifted by some pixels: strides are done by
blurred pooling with reflected borders (after Zhang, Making Convolutional Networks Shift-Invariant Again, arXiv 1904.11486), also that of
AlexNet's first convolution. Trunk and heads come from the authors.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.metrics.backbones import BACKBONES, unit_length
from rlpips.metrics.base import FeatureMetric
from rlpips.metrics.pooling import halve
from rlpips.zoo.weights import LPIPS_SCALE, LPIPS_SHIFT

_TAPS = {"alex": (2, 6, 10, 12, 14), "vgg": (3, 9, 17, 25, 33)}  # the layers after which the features are taken


class ShiftTolerantLPIPS(FeatureMetric):
    """ST-LPIPS on "alex" or "vgg": 0 for identical pictures, and no fixed unit. `state` and `heads` are those that
    `rlpips.zoo.weights.load_shift_tolerant` returns."""

    name = "st-lpips"
    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: str, state: dict[str, Tensor], heads: Sequence[Tensor]) -> None:
        super().__init__()
        self.backbone = backbone
        with torch.device("meta"):
            self.network = nn.Sequential(*(_alexnet() if backbone == "alex" else _vgg16()))
        self.network.load_state_dict(state, strict=True, assign=True)
        for constant, values in (("shift", LPIPS_SHIFT), ("scale", LPIPS_SCALE)):
            self.register_buffer(constant, torch.tensor(values).view(1, 3, 1, 1))
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head)
        self.requires_grad_(False).eval()

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of LPIPS on the same backbone."""
        return BACKBONES[self.backbone].layers

    def features(self, x: Tensor) -> list[Tensor]:
        """The features of each layer, of length one over the channels."""
        x = (2 * x - 1 - self.shift) / self.scale
        features = []
        for index, layer in enumerate(self.network):
            x = layer(x)
            if index in _TAPS[self.backbone]:
                features.append(unit_length(x))
        return features

    def compare(self, of_x: Sequence[Tensor], of_y: Sequence[Tensor]) -> list[Tensor]:
        heads = (getattr(self, f"head{index}") for index in range(len(of_x)))
        return [
            F.conv2d((x - y).square(), head.view(1, -1, 1, 1))[:, 0]
            for x, y, head in zip(of_x, of_y, heads, strict=True)
        ]


class _Blur(nn.Module):
    """Half as many positions a side, blurred, with two reflected ones at each border."""

    def forward(self, x: Tensor) -> Tensor:
        return halve(F.pad(x, (2, 2, 2, 2), mode="reflect"))


def _alexnet() -> list[nn.Module]:
    """The layers at the places that they have in the authors' network."""
    return [
        nn.Conv2d(3, 64, 11, padding=2), _Blur(), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 1), _Blur(), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 1), _Blur(), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True),
    ]  # fmt: skip


def _vgg16() -> list[nn.Module]:
    """The same of torchvision's VGG16, with blurred pooling."""
    import torchvision  # slow to import

    layers: list[nn.Module] = []
    for layer in torchvision.models.vgg16(weights=None).features[:-1]:
        layers += [nn.MaxPool2d(2, 1), _Blur()] if isinstance(layer, nn.MaxPool2d) else [layer]
    return layers
