"""The frozen trunks: image in, unit-normalised features of a few layers out (Zhang et al., arXiv 1801.03924, sec. 3).

One class and one table; the convolutions are torchvision's own, the numbers come from `rlpips.zoo.weights`.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import nn

from rlpips.device import pick_device
from rlpips.zoo import weights
from rlpips.zoo.catalog import trunk_card
from rlpips.zoo.weights import LPIPS_SCALE, LPIPS_SHIFT


@dataclass(frozen=True)
class Backbone:
    """What a trunk is made of: the torchvision model, the indices in its `features` after which LPIPS reads, and how
    many channels each reading has."""

    model: str
    taps: tuple[int, ...]
    channels: tuple[int, ...]
    layers: tuple[str, ...]


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

# LPIPS divides by (norm + 1e-10), whose gradient at a zero feature is NaN. With the number inside the square root the
# values are the same to float32 and the gradient is finite.
EPS = 1e-10


class Trunk(nn.Module):
    """A frozen network read at several depths.

    `trunk(x)`, x (N, 3, H, W) float in [0, 1], returns one tensor (N, C_l, h_l, w_l) per layer, each of unit length
    over its channels. `state` holds `features.N.weight` and `.bias` in torchvision's names and is loaded strictly.
    """

    def __init__(self, name, state):
        super().__init__()
        import torchvision

        self.name = name
        self.spec = BACKBONES[trunk_card(name).name]
        # On "meta" the layers, which are about to be filled, and the classifier cost no memory and no random numbers.
        with torch.device("meta"):
            features = getattr(torchvision.models, self.spec.model)(weights=None).features
        self.features = features[: self.spec.taps[-1] + 1]
        self.load_state_dict(state, strict=True, assign=True)
        for constant, values in (("shift", LPIPS_SHIFT), ("scale", LPIPS_SCALE)):
            self.register_buffer(constant, torch.tensor(values).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, x):
        # Rounded exactly as LPIPS does it, step by step: a max pool or a ReLU may turn on the last bit, and a gradient
        # with it.
        x = (2 * x - 1 - self.shift) / self.scale
        features = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.spec.taps:
                features.append(unit_length(x))
        return features


def unit_length(features):
    """(N, C, h, w), scaled to length one over the channels at every position; a zero stays zero."""
    return features / (features.square().sum(1, keepdim=True) + EPS**2).sqrt()


_LOADED = {}
_LOADING = defaultdict(threading.Lock)  # one for each trunk, so that a long download holds up nobody else


def load_trunk(name, device=None, progress=weights.print_progress):
    """The shared trunk "alex", "vgg" or "squeeze" on a device: one object each, however many metrics stand on it."""
    device = pick_device(device)
    key = (trunk_card(name).name, str(device))
    with _LOADING[key]:  # else two visitors at once would make two
        if key not in _LOADED:
            _LOADED[key] = Trunk(name, weights.load_trunk(name, progress)).to(device)
        return _LOADED[key]
