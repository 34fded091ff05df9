"""The frozen trunks: image in, unit-normalised features of a few layers out (Zhang et al., arXiv 1801.03924, sec. 3).

One class and one table; the convolutions are torchvision's own, the numbers come from `rlpips.weights`.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from rlpips import weights
from rlpips.catalog import trunk_card
from rlpips.convolutions import Convolution
from rlpips.weights import LPIPS_SCALE, LPIPS_SHIFT


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
        self._fast, self.version = {}, 0  # nn.Conv2d -> Convolution; how often these were made anew
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
        return [unit_length(features) for features, _ in self._stages(x, lambda conv, each: (conv(each), None))]

    def raw(self, x, convolve=Convolution.forward):
        """The features before they are scaled to unit length, as `forward` has them up to the last bits, and faster: for
        attacks. `convolve(convolution, x)` stands in for the calls of the trunk's `Convolution`s."""

        def convolved(conv, each):
            fast = self._fast_one(conv)
            return convolve(fast, fast.lay(each)), None

        return [features for features, _ in self._stages(self._centred(x), convolved)]

    def stages(self, x, way):
        """What `raw` gives, without autograd: yields for each layer (features, back), and `back(gradient)` takes a gradient
        with respect to the features, which it writes over, to the features before, and from the first ones to `x`. `way` computes
        the convolutions, `way.forward(convolution, x)` and `way.backward(convolution, gradient, size of x)`."""

        def convolved(conv, each):
            fast, size = self._fast_one(conv), each.shape
            laid = fast.lay(each)
            laid_size = laid.shape
            return way.forward(fast, laid), lambda gradient: fast.unlay(way.backward(fast, gradient, laid_size), size)

        return self._stages(self._centred(x), convolved)

    def _fast_one(self, conv):
        if conv not in self._fast:  # by `setdefault`, as several threads may come here at once
            self._fast.setdefault(conv, Convolution(conv, 2 / self.scale if conv is self.features[0] else None))
        return self._fast[conv]

    def _centred(self, x):
        # (2x - 1 - shift) / scale, the factor being in the first convolution's weights
        return x.contiguous(memory_format=torch.channels_last) - (1 + self.shift) / 2

    def _stages(self, x, convolve):
        backs = []
        for index, layer in enumerate(self.features):
            x, back = _through(layer, x, convolve)
            backs.append(back)
            if index in self.spec.taps:
                yield x, _one_after_another(backs)
                backs = []

    def _apply(self, fn, recurse=True):
        self._fast, self.version = {}, self.version + 1  # made again of the numbers as they are then
        return super()._apply(fn, recurse)


def _through(layer, x, convolve):
    """(y, back) of one layer of a trunk: what it makes of `x`, and what takes a gradient with respect to `y`, which it may
    write over, to that with respect to `x`. `convolve(conv, x)` gives this pair of a convolution."""
    if isinstance(layer, nn.Conv2d):
        return convolve(layer, x)
    if isinstance(layer, nn.ReLU):
        return _relu(x)
    if isinstance(layer, nn.MaxPool2d):
        return _max_pool(layer, x)
    # SqueezeNet's Fire module
    squeezed, back = _through_all((layer.squeeze, layer.squeeze_activation), x, convolve)
    one, back_one = _through_all((layer.expand1x1, layer.expand1x1_activation), squeezed, convolve)
    three, back_three = _through_all((layer.expand3x3, layer.expand3x3_activation), squeezed, convolve)

    def back_from_both(gradient):
        left, right = gradient.split((one.shape[1], three.shape[1]), 1)
        return back(back_one(left).add_(back_three(right)))

    return torch.cat((one, three), 1), back_from_both


def _through_all(layers, x, convolve):
    backs = []
    for layer in layers:
        x, back = _through(layer, x, convolve)
        backs.append(back)
    return x, _one_after_another(backs)


def _one_after_another(backs):
    def back(gradient):
        for each in reversed(backs):
            gradient = each(gradient)
        return gradient

    return back


def _relu(x):
    y = F.relu_(x)
    return y, lambda gradient: torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient)


def _max_pool(layer, x):
    how = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
    y, where = F.max_pool2d(x, *how, return_indices=True)
    how = [2 * [each] if isinstance(each, int) else each for each in how[:-1]]
    return y, lambda gradient: torch.ops.aten.max_pool2d_with_indices_backward(
        gradient, x, *how, layer.ceil_mode, where
    )


def unit_length(features):
    """(N, C, h, w), scaled to length one over the channels at every position; a zero stays zero."""
    return features / (features.square().sum(1, keepdim=True) + EPS**2).sqrt()


def pick_device(device=None):
    """A torch device: the one named, or the GPU where there is one, or the CPU. ValueError for one that is not there."""
    try:
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be None, "cpu" or "cuda"; got {device!r}.') from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"There is no GPU for device {str(device)!r} here.")
    return device


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
