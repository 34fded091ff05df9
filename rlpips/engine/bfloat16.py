"""Lanes in bfloat16 that lose next to nothing: a convolution is linear, so that of a lane is the reference's, kept in
float32, plus that of what differs, in bfloat16.

bfloat16 has 8 bits for a number. Rounding a picture and its features to them would drown what a metric reads, as an attacked
picture differs from its reference by less than a hundredth. Rounded is the difference alone, so that the error is relative to
what is measured: distances stay within one per cent of float32's, at any eps.
"""

import torch

from rlpips.engine.convolutions import Convolver, multiplies_bfloat16

LOW = torch.bfloat16
PRECISIONS = ("float32", "bfloat16")


def pick_precision(precision=None, device="cpu"):
    """The precision named, or for None "bfloat16" where the device multiplies it in hardware, fast enough to pay, else
    "float32". ValueError for another name."""
    if precision is None:
        return PRECISIONS[_multiplies_bfloat16(torch.device(device))]
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be None or one of {', '.join(PRECISIONS)}; got {precision!r}.")
    return precision


def _multiplies_bfloat16(device):
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return multiplies_bfloat16()


class DifferenceConvolver:
    """Computes the convolutions of lanes beside N references, in place of a `Convolver`: the references go first, through
    `keep`, and then N·K lanes, K of the first reference, then K of the next."""

    def __init__(self):
        self._low = Convolver()
        self._kept = {}  # Convolution -> (the references' input, their output)

    def keep(self, convolution, x):
        """What `convolution.forward` gives, kept for the lanes that come later."""
        y = convolution.forward(x)
        self._kept[convolution] = (x.clone(), y.clone())  # what follows may write over them
        return y

    def forward(self, convolution, x):
        """The same up to rounding."""
        before, after = self._kept[convolution]
        lanes = (len(before), -1)  # (N·K, …) as (N, K, …)
        # Separate operations: those that mix types in one are several times slower on a CPU.
        difference = (x.unflatten(0, lanes) - before[:, None]).flatten(0, 1)
        low = difference.to(LOW)
        y = self._low.linear(convolution, low).float()
        if convolution.reads_picture:
            # An attacked picture differs by plus or minus eps nearly everywhere: that is rounded alike everywhere, and would
            # not average out. So what rounding has cut off is added.
            y += self._low.linear(convolution, (difference - low.float()).to(LOW)).float()
        y.unflatten(0, lanes).add_(after[:, None])
        return y

    def backward(self, convolution, gradient, size):
        """The gradient with respect to an input of this size of that with respect to the output, float32."""
        return self._low.backward(convolution, gradient.to(LOW), size).float()
