"""The forward and backward pass of a frozen trunk, written out for attacks: the same features as those of
`rlpips.metrics.backbones.Trunk` before they are scaled to unit length, up to the last bits, in less time."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.engine.bfloat16 import DifferenceConvolver
from rlpips.engine.convolutions import Convolution, Convolver
from rlpips.metrics.backbones import Trunk


class FastTrunk:
    """A trunk whose convolutions are laid out for attacks. It copies the weights when it is made, which takes milliseconds; every
    attack makes a new one, so that no attack uses weights that the trunk no longer has."""

    def __init__(self, trunk: Trunk):
        self._layers, self._taps = list(trunk.features), trunk.spec.taps
        self._shift = trunk.get_buffer("shift")
        first, *others = (layer for layer in trunk.features.modules() if isinstance(layer, nn.Conv2d))
        self._convolutions = {first: Convolution(first, 2 / trunk.get_buffer("scale"))}
        self._convolutions |= {layer: Convolution(layer) for layer in others}

    def features(
        self, x: Tensor, convolve: Callable[[Convolution, Tensor], Tensor] = Convolution.forward
    ) -> list[Tensor]:
        """One tensor (N, C_l, h_l, w_l) per layer of pictures (N, 3, H, W) in [0, 1]. Autograd follows.
        `convolve(convolution, x)` computes the convolutions."""

        def convolved(layer, x):
            convolution = self._convolutions[layer]
            return convolve(convolution, convolution.lay(x)), None

        return [features for features, _ in self._stages(x, convolved)]

    def stages(
        self, x: Tensor, convolver: Convolver | DifferenceConvolver
    ) -> Iterator[tuple[Tensor, Callable[[Tensor], Tensor]]]:
        """The same without autograd: yields (features, back) for each layer. `back(gradient)` takes the gradient with respect to
        the features, which it writes over, to that with respect to the features of the layer before, or to `x`.
        `convolver` computes the convolutions."""

        def convolved(layer, x):
            convolution, size = self._convolutions[layer], x.shape
            laid = convolution.lay(x)
            laid_size = laid.shape

            def back(gradient):
                return convolution.unlay(convolver.backward(convolution, gradient, laid_size), size)

            return convolver.forward(convolution, laid), back

        return self._stages(x, convolved)

    def _stages(self, x, convolve):
        # (2x - 1 - shift) / scale, the factor being in the first convolution's weights
        x = x.contiguous(memory_format=torch.channels_last) - (1 + self._shift) / 2
        backs = []
        for index, layer in enumerate(self._layers):
            x, back = _through(layer, x, convolve)
            backs.append(back)
            if index in self._taps:
                yield x, _one_after_another(backs)
                backs = []


def _through(layer, x, convolve):
    """(y, back) of one layer: its output, and a function that takes the gradient with respect to `y`, which it may write over, to
    that with respect to `x`. `convolve(layer, x)` gives this pair for a convolution."""
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
    options = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    y, where = F.max_pool2d(x, *options, layer.ceil_mode, return_indices=True)
    pairs = [2 * [each] if isinstance(each, int) else each for each in options]
    return y, lambda gradient: torch.ops.aten.max_pool2d_with_indices_backward(
        gradient, x, *pairs, layer.ceil_mode, where
    )
