"""The frozen convolutions of a trunk, laid out and prepared for attacks: the same sums in less time, in float32 or bfloat16."""

import logging
from functools import cache

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input

log = logging.getLogger(__name__)
# An operation is not there, fails, or takes other arguments.
_REFUSALS = (AttributeError, RuntimeError, TypeError)


class Convolution:
    """A frozen `nn.Conv2d`, its weights with channels last, as pictures should have them.

    AlexNet's first, 11×11 with stride 4, becomes one of 3×3 with stride 1 over blocks of 4×4 pixels (48 channels): the same
    sums, but its gradient with respect to the picture takes half the time.
    """

    def __init__(self, conv, factor=None):
        """`factor` (1, 3, 1, 1), of the one that reads the picture, is what the picture would have to be multiplied by."""
        self.in_blocks, self.reads_picture = conv.stride == (4, 4), factor is not None
        weight, self.bias, self.stride, self.padding = conv.weight, conv.bias, conv.stride, conv.padding
        if self.reads_picture:
            weight = weight * factor
        if self.in_blocks:
            weight = _blocks(F.pad(weight, (0, 1, 0, 1)))  # (64, 3, 11, 11) -> (64, 48, 3, 3)
            self.stride, self.padding = (1, 1), (0, 0)
        self.weight = weight.contiguous(memory_format=torch.channels_last)

    def lay(self, x):
        """The input (N, C, H, W) as `forward` takes it."""
        return _blocks(F.pad(x, self._border(x.shape))) if self.in_blocks else x

    def unlay(self, gradient, size):
        """The gradient with respect to an input of this size, of that with respect to what `lay` makes of it."""
        return F.pad(_pixels(gradient), [-each for each in self._border(size)]) if self.in_blocks else gradient

    def forward(self, x):
        """(N, C, H, W), as `lay` gives it, -> (N, C', h, w). Autograd can follow."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    @staticmethod
    def _border(size):
        # Two pixels are padded in front, and behind as many as the last window needs; a negative number cuts what no
        # window sees.
        down, right = ((side + 4 - 11) // 4 * 4 + 12 - side - 2 for side in size[-2:])
        return 2, right, 2, down


class Convolver:
    """Computes `Convolution`s of inputs that come in the same sizes again and again, and their gradients, without autograd."""

    def __init__(self):
        self._forward, self._backward = {}, {}  # (Convolution, dtype) -> OrderedConvolution

    def forward(self, convolution, x):
        """What `convolution.forward` gives, float32."""
        return self.linear(convolution, x, convolution.bias)

    def linear(self, convolution, x, bias=None):
        """The same without its own bias, in the precision of `x`."""
        key = (convolution, x.dtype)
        if key not in self._forward:
            self._forward[key] = OrderedConvolution(
                convolution.weight.to(x.dtype), convolution.stride, convolution.padding
            )
        return self._forward[key](x, bias)

    def backward(self, convolution, gradient, size):
        """The gradient with respect to an input of this size of that with respect to the output, in the latter's precision."""
        weight, stride, padding = convolution.weight, convolution.stride, convolution.padding
        if stride != (1, 1):
            return conv2d_input(size, weight.to(gradient.dtype), gradient, stride, padding)
        key = (convolution, gradient.dtype)
        if key not in self._backward:  # the convolution with the kernel turned round
            turned = weight.to(gradient.dtype).flip(2, 3).transpose(0, 1)
            around = [side - 1 - each for side, each in zip(weight.shape[2:], padding)]
            self._backward[key] = OrderedConvolution(
                turned.contiguous(memory_format=torch.channels_last), stride, around
            )
        return self._backward[key](gradient)


class OrderedConvolution:
    """A convolution that on a CPU puts its weights into the order that suits its input when the size of that changes, and not at
    every call as `F.conv2d` does, which takes as long as the sums themselves where pictures are small.

    The operations for that are private ones of torch's own compiler; where they fail it is `F.conv2d`, and the log says so once.
    """

    def __init__(self, weight, stride, padding):
        self._weight, self._how = weight, (list(stride), list(padding))
        self._size = self._ordered = None

    def __call__(self, x, bias=None):
        stride, padding = self._how
        if x.shape != self._size:  # an order that suits another size would still be right, but slow
            self._size, self._ordered = x.shape, _in_order(self._weight, stride, padding, x.shape)
        if self._ordered is not None:
            try:
                return torch.ops.mkldnn._convolution_pointwise(
                    x, self._ordered, bias, padding, stride, [1, 1], 1, "none", [], ""
                )
            except _REFUSALS:
                _log_slow_path()
                self._ordered = None
        return F.conv2d(x, self._weight, bias, stride, padding)


def _in_order(weight, stride, padding, size):
    known = weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and multiplies_bfloat16())
    usable = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
    if weight.device.type == "cpu" and known and usable:
        try:
            return torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, [1, 1], 1, list(size))
        except _REFUSALS:
            _log_slow_path()
    return None


@cache  # once
def _log_slow_path():
    log.warning(
        "Convolutions take longer than they could: this torch refuses to order their weights beforehand.", exc_info=True
    )


def multiplies_bfloat16():
    """Whether this CPU does in tiles, those of AMX: with the dot products of AVX-512 alone it is slower than float32. Older
    releases of torch cannot tell."""
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16"))


def _blocks(x):
    """(N, 3, 4h, 4w) as (N, 48, h, w), a block's pixels as channels; four times as fast as `pixel_unshuffle` where channels
    lie last, as four pixels of a row lie together."""
    rows = x.permute(0, 2, 3, 1).unflatten(2, (-1, 4)).flatten(3).unflatten(1, (-1, 4))  # (N, h, 4, w, 12)
    return rows.transpose(2, 3).flatten(3).permute(0, 3, 1, 2)


def _pixels(x):
    """(N, 48, h, w) as (N, 3, 4h, 4w), what `_blocks` makes blocks of."""
    rows = x.permute(0, 2, 3, 1).unflatten(3, (4, 12)).transpose(2, 3).flatten(3).flatten(1, 2)  # (N, 4h, 12w)
    return rows.unflatten(2, (-1, 3)).permute(0, 3, 1, 2)
