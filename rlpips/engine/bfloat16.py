"""Lanes in bfloat16 at little loss. A convolution is linear: a lane's is the reference's, kept in float32, plus the convolution
of the difference, in bfloat16.

bfloat16 has 8 significant bits. Rounding a picture and its features to them would drown what a metric measures, as an attacked
picture differs from its reference by less than a hundredth. Only the difference is rounded here, so the error is relative to
what is measured: distances stay within one per cent of float32's, at any eps.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from rlpips.engine.convolutions import Convolution, Convolver, bfloat16_tiles, multiplies_bfloat16

LOW = torch.bfloat16
PRECISIONS = ("float32", "bfloat16")


def pick_precision(
    precision: str | None = None, device: torch.device | str = "cpu", size: tuple[int, int] | None = None
) -> str:
    """The named precision; for None "bfloat16" where the device multiplies it in hardware fast enough to pay, else "float32".
    ValueError for another name.

    A GPU, and a CPU with tiles (AMX), says so itself. On a CPU with AVX-512's dot products alone a measurement decides, once for
    pictures of a `size` (height, width) like this; without a size the answer is float32 there.
    """
    if precision is None:
        return PRECISIONS[_pays(torch.device(device), size)]
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be None or one of {', '.join(PRECISIONS)}; got {precision!r}.")
    return precision


def _pays(device: torch.device, size: tuple[int, int] | None) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if bfloat16_tiles() or not multiplies_bfloat16():
        return bfloat16_tiles()
    # What a processor is like shows at any size; where pictures are small, what surrounds the sums takes longer than they do.
    return size is not None and share_of_float32(size[0] * size[1] < 128 * 128) < _WORTH_IT


_WORTH_IT = 0.8  # of float32's time for a convolution, as the rest of a step takes as long as ever


@cache  # once for the process
def share_of_float32(small: bool) -> float:
    """How long a convolution of two lanes takes in bfloat16, on differences and as a step computes it, as a share of its time in
    float32: AlexNet's third, for pictures of 256×256 pixels, or, if `small`, of 64×64. The best of eight; some 40 ms."""
    side = 3 if small else 15
    layer = Convolution(torch.nn.Conv2d(192, 384, 3, padding=1))
    reference, lanes = (
        torch.rand(count, 192, side, side).contiguous(memory_format=torch.channels_last) for count in (1, 2)
    )
    exact, low = Convolver(), DifferenceConvolver()
    with torch.no_grad():
        low.keep(layer, reference)
        return _best_time(lambda: low.forward(layer, lanes)) / _best_time(lambda: exact.forward(layer, lanes))


def _best_time(call: Callable[[], Any]) -> float:
    """Seconds, the best of eight."""
    times = []
    for _ in range(9):  # the first one brings weights into order
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times[1:])


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
