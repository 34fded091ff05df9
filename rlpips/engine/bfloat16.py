"""Lanes in bfloat16 at little loss. A convolution is linear: a lane's is the reference's, kept in float32, plus the convolution
of the difference, in bfloat16.

bfloat16 has 8 significant bits. Rounding a picture and its features to them would drown what a metric measures, as an attacked
picture differs from its reference by less than a hundredth. Only the difference is rounded here, so the error is relative to
what is measured: distances stay within one per cent of float32's, at any eps.
"""

import torch
from torch import Tensor

from rlpips.engine.convolutions import Convolution, Convolver, multiplies_bfloat16

LOW = torch.bfloat16
PRECISIONS = ("float32", "bfloat16")


def pick_precision(precision: str | None = None, device: torch.device | str = "cpu") -> str:
    """The named precision; for None "bfloat16" where the device multiplies it in hardware fast enough to pay, else "float32".
    ValueError for another name."""
    if precision is None:
        return PRECISIONS[_multiplies_bfloat16(torch.device(device))]
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be None or one of {', '.join(PRECISIONS)}; got {precision!r}.")
    return precision


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return multiplies_bfloat16()


class DifferenceConvolver:
    """Computes the convolutions of lanes beside N references, in place of a `Convolver`: the references go first, through
    `keep`, and then N·K lanes, K of the first reference, then K of the next."""

    def __init__(self) -> None:
        self._low = Convolver()
        self._references: dict[Convolution, tuple[Tensor, Tensor]] = {}  # their (input, output)

    def keep(self, convolution: Convolution, x: Tensor) -> Tensor:
        """The output of `convolution.forward` for the references (N, C, H, W), kept for the lanes."""
        y = convolution.forward(x)
        self._references[convolution] = (x.clone(), y.clone())  # later layers may write over x and y
        return y

    def forward(self, convolution: Convolution, x: Tensor) -> Tensor:
        """The output for N·K lanes, float32 up to the rounding of the difference."""
        before, after = self._references[convolution]
        lanes = (len(before), -1)  # (N·K, …) as (N, K, …)
        # Separate operations: those that mix types in one are several times slower on a CPU.
        difference = (x.unflatten(0, lanes) - before[:, None]).flatten(0, 1)
        low = difference.to(LOW)
        y = self._low.linear(convolution, low).float()
        if convolution.reads_picture:
            # An attacked picture differs by plus or minus eps nearly everywhere. That is rounded alike everywhere, so the errors
            # would not average out: the part that rounding cuts off is added.
            y += self._low.linear(convolution, (difference - low.float()).to(LOW)).float()
        y.unflatten(0, lanes).add_(after[:, None])
        return y

    def backward(self, convolution: Convolution, gradient: Tensor, size: torch.Size) -> Tensor:
        """The gradient with respect to an input of this size, from that with respect to the output; float32."""
        return self._low.backward(convolution, gradient.to(LOW), size).float()
