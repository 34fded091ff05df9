"""Lanes in bfloat16 that lose next to nothing: a convolution is linear, so that of a lane is the reference's, kept in
float32, plus that of what differs, in bfloat16.

bfloat16 has 8 bits for a number. Rounding a picture and its features to them would drown what a metric reads, as an attacked
picture differs from its reference by less than a hundredth. Rounded is the difference alone, so that the error is relative to
what is measured: distances stay within one per cent of float32's, at any eps.
"""

import torch

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
    # The tiles of AMX, that is. With the dot products of AVX-512 alone it is slower than float32. Older releases of torch
    # cannot tell.
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16"))


class Differences:
    """The convolutions of a trunk for lanes beside N references: `trunk.raw(reference, differences.keep)` once, and then
    `trunk.raw(lanes, differences)` for N·K lanes, K of the first reference, then K of the next."""

    def __init__(self):
        self._kept = {}  # Convolution -> (the references' input, their output)

    def keep(self, convolution, x):
        y = convolution(x)
        self._kept[convolution] = (x, y.clone())  # a ReLU is about to write over y
        return y

    def __call__(self, convolution, x):
        return _Differing.apply(x, convolution, *self._kept[convolution])


class _Differing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, convolution, before, after):
        ctx.convolution, ctx.size = convolution, x.shape
        lanes = (len(before), -1)  # (N·K, …) as (N, K, …)
        # Separate operations: those that mix types in one are several times slower on a CPU.
        difference = (x.unflatten(0, lanes) - before[:, None]).flatten(0, 1)
        low = difference.to(LOW)
        y = convolution.forward(low, bias=None).float()
        if convolution.reads_picture:
            # An attacked picture differs by plus or minus eps nearly everywhere: that is rounded alike everywhere, and would
            # not average out. So what rounding has cut off is added.
            y += convolution.forward((difference - low.float()).to(LOW), bias=None).float()
        y.unflatten(0, lanes).add_(after[:, None])
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return ctx.convolution.backward(gradient.to(LOW), ctx.size).float(), None, None, None
