"""The frozen convolutions of a trunk, laid out for attacks: the same sums in less time, in float32 or bfloat16."""

import torch
import torch.nn.functional as F


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
        self._weights = {weight.dtype: weight.contiguous(memory_format=torch.channels_last)}

    def lay(self, x):
        """The picture (N, C, H, W) as all others take it."""
        if not self.in_blocks:
            return x
        # Two pixels are padded in front, and behind as many as the last window needs; a negative number cuts what no
        # window sees.
        down, right = ((size + 4 - 11) // 4 * 4 + 12 - size - 2 for size in x.shape[-2:])
        return _blocks(F.pad(x, (2, right, 2, down)))

    def __call__(self, x):
        return self.forward(x, self.bias)

    def forward(self, x, bias):
        """Computed in x's precision; `bias` is this convolution's or None."""
        return F.conv2d(x, self._weight(x.dtype), bias, self.stride, self.padding)

    def backward(self, gradient, size):
        """The gradient with respect to an input of `size`, in the precision of the `gradient` with respect to the output."""
        return torch.nn.grad.conv2d_input(size, self._weight(gradient.dtype), gradient, self.stride, self.padding)

    def _weight(self, dtype):
        if dtype not in self._weights:
            self._weights.setdefault(dtype, next(iter(self._weights.values())).to(dtype))
        return self._weights[dtype]


def _blocks(x):
    """(N, 3, 4h, 4w) as (N, 48, h, w), a block's pixels as channels; four times as fast as `pixel_unshuffle` where channels
    lie last, as four pixels of a row lie together."""
    rows = x.permute(0, 2, 3, 1).unflatten(2, (-1, 4)).flatten(3).unflatten(1, (-1, 4))  # (N, h, 4, w, 12)
    return rows.transpose(2, 3).flatten(3).permute(0, 3, 1, 2)
