"""The frozen trunks: from an image to the unit-normalised features of a few layers (Zhang et al., arXiv 1801.03924, sec. 3).

One class and one table. torchvision builds the convolutions, `rlpips.zoo.weights` loads their weights.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlpips.device import in_neutral_state, pick_device
from rlpips.zoo import weights
from rlpips.zoo.catalog import trunk_card
from rlpips.zoo.weights import LPIPS_SCALE, LPIPS_SHIFT, DownloadProgress


@dataclass(frozen=True)
class Backbone:
    """The structure of one trunk, with an entry for each of its L layers."""

    model: str  # torchvision's name
    taps: tuple[int, ...]  # the indices in torchvision's `features` after which LPIPS takes the features
    channels: tuple[int, ...]
    layers: tuple[str, ...]  # names


BACKBONES = {
    "alex": Backbone(
        "alexnet", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256), ("conv1", "conv2", "conv3", "conv4", "conv5")
    ),
    "vgg": Backbone(
        "vgg16",
        (3, 8, 15, 22, 29),
        (64, 128, 256, 512, 512),
        ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"),
    ),
    "squeeze": Backbone(
        "squeezenet1_1",
        (1, 4, 7, 9, 10, 11, 12),
        (64, 128, 256, 384, 384, 512, 512),
        ("conv1", "fire3", "fire5", "fire6", "fire7", "fire8", "fire9"),
    ),
}

# LPIPS divides by (norm + 1e-10), and its gradient at a zero feature is NaN. With EPS² inside the square root the values are
# the same in float32 and the gradient is finite.
EPS = 1e-10


class Trunk(nn.Module):
    """A frozen network with features from several depths.

    `trunk(x)`, x (N, 3, H, W) float in [0, 1], returns one tensor (N, C_l, h_l, w_l) per layer, of unit length over the
    channels at every position. `name` is "alex", "vgg" or "squeeze". `state` holds `features.N.weight` and `features.N.bias`,
    as torchvision names them, and is loaded strictly: RuntimeError if a key is missing or left over.

    softness  (L,), one c >= 0 for each layer, of a tuned trunk: its features are f / sqrt(|f|² + c²), so that weak features, which an
              attack turns most easily, stay short; None is LPIPS's zero
    """

    shift: Tensor  # (1, 3, 1, 1), LPIPS's input normalisation of pixels on [-1, 1]
    scale: Tensor
    softness: Tensor

    def __init__(self, name: str, state: dict[str, Tensor], softness: Tensor | None = None) -> None:
        super().__init__()
        import torchvision  # slow to import

        self.name = name
        self.spec = BACKBONES[trunk_card(name).name]
        # On "meta" no memory and no random numbers are spent on weights that are then replaced or dropped.
        with torch.device("meta"):
            features = getattr(torchvision.models, self.spec.model)(weights=None).features
        self.features = features[: self.spec.taps[-1] + 1]
        self.load_state_dict(state, strict=True, assign=True)
        for constant, values in (("shift", LPIPS_SHIFT), ("scale", LPIPS_SCALE)):
            self.register_buffer(constant, torch.tensor(values).view(1, 3, 1, 1))
        self.register_buffer("softness", torch.zeros(len(self.spec.taps)) if softness is None else softness)
        self.requires_grad_(False).eval()

    def equals(self, other: "Trunk") -> bool:
        """Whether the other trunk is the same network with the same weights, on the same device."""
        mine, others = self.state_dict(), other.state_dict()
        return mine.keys() == others.keys() and all(
            (each.device, each.dtype, each.shape) == (others[key].device, others[key].dtype, others[key].shape)
            and torch.equal(each, others[key])
            for key, each in mine.items()
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        # The same operations in the same order as LPIPS: a max pool or a ReLU may depend on the last bit, and so a gradient.
        x = (2 * x - 1 - self.shift) / self.scale
        features: list[Tensor] = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.spec.taps:
                features.append(unit_length(x, self.softness[len(features)]))
        return features


def unit_length(features: Tensor, softness: Tensor | float = 0.0) -> Tensor:
    """Features (N, C, h, w), scaled to length one over the channels at every position, or below one by the softness of a `Trunk`; a
    zero vector stays zero."""
    return features / (features.square().sum(1, keepdim=True) + (softness**2 + EPS**2)).sqrt()


_LOADED: dict[tuple[str, str], Trunk] = {}
_LOCKS: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)  # a download delays only those who need it


@in_neutral_state
def load_trunk(
    name: str, device: str | torch.device | None = None, progress: DownloadProgress = weights.print_progress
) -> Trunk:
    """The trunk "alex", "vgg" or "squeeze" on a device, None for the GPU where there is one. All shared metrics have this object.

    `progress` and the errors are those of `rlpips.zoo.weights.load_trunk`.
    """
    device = pick_device(device)
    key = (trunk_card(name).name, str(device))
    with _LOCKS[key]:  # without it, two threads could load two trunks
        if key not in _LOADED:
            _LOADED[key] = Trunk(name, weights.load_trunk(name, progress)).to(device)
        return _LOADED[key]
