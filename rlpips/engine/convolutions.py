"""The frozen convolutions of a trunk, laid out for attacks: the same sums in less time, in float32 or bfloat16."""

import logging
from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

log = logging.getLogger(__name__)
# An operation is not there, fails, or takes other arguments.
_REFUSALS = (AttributeError, RuntimeError, TypeError)


class Convolution:
    """A frozen `nn.Conv2d`, its weights with channels last, as pictures should have them too.

    AlexNet's first, 11×11 with stride 4, becomes one of 3×3 with stride 1 over blocks of 4×4 pixels (48 channels): the same
    sums, but its gradient with respect to the picture takes half the time.
    """

    def __init__(self, conv: nn.Conv2d, factor: Tensor | None = None):
        """`factor` (1, 3, 1, 1), for the convolution that reads the picture, is a factor of the picture that goes into the weights."""
        self.in_blocks, self.reads_picture = conv.stride == (4, 4), factor is not None
        weight, self.bias = conv.weight.detach(), conv.bias
        self.stride, self.padding = tuple(conv.stride), tuple(map(int, conv.padding))
        if factor is not None:
            weight = weight * factor
        if self.in_blocks:
            weight = _blocks(F.pad(weight, (0, 1, 0, 1)))  # (64, 3, 11, 11) -> (64, 48, 3, 3)
            self.stride, self.padding = (1, 1), (0, 0)
        self.weight = weight.contiguous(memory_format=torch.channels_last)

    def lay(self, x: Tensor) -> Tensor:
        """The input (N, C, H, W) as `forward` takes it."""
        return _blocks(F.pad(x, self._border(x.shape))) if self.in_blocks else x

    def unlay(self, gradient: Tensor, size: torch.Size) -> Tensor:
        """The gradient with respect to an input of this size, from that with respect to the output of `lay`."""
        return F.pad(_pixels(gradient), [-each for each in self._border(size)]) if self.in_blocks else gradient

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) from `lay` -> (N, C', h, w). Autograd can follow."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    @staticmethod
    def _border(size):
        # Two pixels are padded in front, and behind as many as the last window needs; a negative number cuts pixels that no
        # window reads.
        down, right = ((side + 4 - 11) // 4 * 4 + 12 - side - 2 for side in size[-2:])
        return 2, right, 2, down


class Convolver:
    """Computes `Convolution`s of inputs that come in the same sizes again and again, and their gradients, without autograd."""

    def __init__(self) -> None:
        self._forward: dict[tuple[Convolution, torch.dtype], OrderedConvolution] = {}
        self._backward: dict[tuple[Convolution, torch.dtype], OrderedConvolution] = {}

    def forward(self, convolution: Convolution, x: Tensor) -> Tensor:
        """The output of `convolution.forward`, float32."""
        return self.linear(convolution, x, convolution.bias)

    def linear(self, convolution: Convolution, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """The output with `bias` in place of the convolution's bias, in the precision of `x`."""
        key = (convolution, x.dtype)
        if key not in self._forward:
            self._forward[key] = OrderedConvolution(
                convolution.weight.to(x.dtype), convolution.stride, convolution.padding
            )
        return self._forward[key](x, bias)

    def backward(self, convolution: Convolution, gradient: Tensor, size: torch.Size) -> Tensor:
        """The gradient with respect to an input of this size, from that with respect to the output, in its precision."""
        weight, stride, padding = convolution.weight, convolution.stride, convolution.padding
        if stride != (1, 1):
            return conv2d_input(size, weight.to(gradient.dtype), gradient, stride, padding)
        key = (convolution, gradient.dtype)
        if key not in self._backward:  # a convolution with the kernel rotated by half a turn
            turned = weight.to(gradient.dtype).flip(2, 3).transpose(0, 1)
            around = [side - 1 - each for side, each in zip(weight.shape[2:], padding)]
            self._backward[key] = OrderedConvolution(
                turned.contiguous(memory_format=torch.channels_last), stride, around
            )
        return self._backward[key](gradient)


class OrderedConvolution:
    """A convolution that on a CPU brings its weights into the order that suits an input's size once, when the size changes.
    `F.conv2d` does so at every call, which takes as long as the sums themselves where pictures are small.

    The two operations for it are private ones of torch's compiler. Where they fail, `F.conv2d` takes their place and the log
    says so once.
    """

    def __init__(self, weight: Tensor, stride: Sequence[int], padding: Sequence[int]):
        self._weight, self._stride, self._padding = weight, list(stride), list(padding)
        self._size: torch.Size | None = None
        self._ordered: Tensor | None = None

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        stride, padding = self._stride, self._padding
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


def multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: in tiles, or by the dot products of AVX-512, which on some processors take
    half of float32's time and on others more than it. Older releases of torch cannot tell."""
    return bfloat16_tiles() or _can("avx512_bf16")


def bfloat16_tiles() -> bool:
    """Whether this CPU multiplies bfloat16 in tiles (AMX), which takes a fraction of float32's time."""
    return _can("amx_bf16")


def _can(capability: str) -> bool:
    known = hasattr(torch.cpu, "get_capabilities") and torch.cpu.get_capabilities().get(capability)
    return bool(known) and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # no, where ONEDNN_MAX_CPU_ISA forbids it


def _blocks(x):
    """(N, 3, 4h, 4w) as (N, 48, h, w), a block's pixels as channels; four times as fast as `pixel_unshuffle` where channels
    lie last, as four pixels of a row lie together."""
    rows = x.permute(0, 2, 3, 1).unflatten(2, (-1, 4)).flatten(3).unflatten(1, (-1, 4))  # (N, h, 4, w, 12)
    return rows.transpose(2, 3).flatten(3).permute(0, 3, 1, 2)


def _pixels(x):
    """(N, 48, h, w) as (N, 3, 4h, 4w), the inverse of `_blocks`."""
    rows = x.permute(0, 2, 3, 1).unflatten(3, (4, 12)).transpose(2, 3).flatten(3).flatten(1, 2)  # (N, 4h, 12w)
    return rows.unflatten(2, (-1, 3)).permute(0, 3, 1, 2)
