"""The least that a step can cost: the convolutions of the trunk alone, forward and the gradient with respect to their
input, on tensors of the very shapes, each in the fastest way that was found for it. See `rlpips.benchmark`.
"""

import statistics
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from rlpips.benchmark.timing import in_turns
from rlpips.engine.convolutions import OrderedConvolution
from rlpips.metrics.backbones import BACKBONES

FORMATS = (torch.channels_last, torch.contiguous_format)


@dataclass(frozen=True)
class Shape:
    """One convolution as it is run: input (N, inputs, height, width), `kernel` pixels a side, output (N, outputs,
    h, w)."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    size: tuple[int, int]  # of the input, (height, width)

    @property
    def output_size(self):
        return tuple((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in self.size)

    @property
    def macs(self):
        """Multiply-adds of a forward pass on one picture; the gradient with respect to the input
        has as many."""
        height, width = self.output_size
        return self.outputs * height * width * self.inputs * self.kernel**2

    def in_blocks(self):
        """The same sums with stride 1, over blocks of stride × stride pixels (see `rlpips.engine.convolutions`), or None
        where the stride is 1. Its kernel has some more weights, all zero, which is why it is not the one that is
        counted."""
        if self.stride == 1:
            return None
        kernel = -(-self.kernel // self.stride)
        size = tuple(side + kernel - 1 for side in self.output_size)
        return Shape(self.inputs * self.stride**2, self.outputs, kernel, 1, 0, size)


def convolutions(backbone, size):
    """The convolutions of a trunk on pictures of `size` (height, width), in order: counted without computing
    anything."""
    import torchvision

    found = []

    def note(layer, inputs, _):
        height, width = inputs[0].shape[-2:]
        (kernel, _), (stride, _), (padding, _) = layer.kernel_size, layer.stride, layer.padding
        found.append(Shape(layer.in_channels, layer.out_channels, kernel, stride, padding, (height, width)))

    spec = BACKBONES[backbone]
    with torch.device("meta"):
        features = getattr(torchvision.models, spec.model)(weights=None).features[: spec.taps[-1] + 1]
        for layer in features.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(note)
        features(torch.empty(1, 3, *size))
    return found


def macs(backbone, size, lanes):
    """Multiply-adds of a step: `lanes` pictures of `size`, forward and back to the image."""
    return 2 * lanes * sum(each.macs for each in convolutions(backbone, size))


def ways(convolution, lanes, dtype, device, prepared=False):
    """({name: a call} that computes the convolution of `lanes` pictures, {name: a call} that computes its gradient with
    respect to the input): in both memory formats, as it is and in blocks, and the gradient also as the convolution
    with the kernel turned round, which it is where the stride is 1; if `prepared`, also with the weights in order
    beforehand (see `rlpips.engine.convolutions.OrderedConvolution`)."""
    forward, backward = {}, {}
    for how, each in (("as it is", convolution), ("in blocks", convolution.in_blocks())):
        for layout in FORMATS if each else ():
            name = f"{how}, {'channels last' if layout == torch.channels_last else 'contiguous'}"

            def made(*shape):
                return torch.randn(*shape, device=device).to(dtype).contiguous(memory_format=layout)

            x, bias = made(lanes, each.inputs, *each.size), torch.zeros(each.outputs, dtype=dtype, device=device)
            weight = made(each.outputs, each.inputs, each.kernel, each.kernel)
            gradient = made(lanes, each.outputs, *each.output_size)
            forward[name] = partial(F.conv2d, x, weight, bias, each.stride, each.padding)
            backward[name] = partial(
                torch.ops.aten.convolution_backward, gradient, x, weight, [each.outputs], [each.stride] * 2,
                [each.padding] * 2, [1, 1], False, [0, 0], 1, [True, False, False],
            )  # fmt: skip
            if each.stride == 1:
                turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=layout)
                around = each.kernel - 1 - each.padding
                backward[f"{name}, turned round"] = partial(F.conv2d, gradient, turned, None, 1, around)
                if prepared and layout == torch.channels_last:
                    forward[f"{name}, prepared"] = partial(
                        OrderedConvolution(weight, [1, 1], [each.padding] * 2), x, bias
                    )
                    backward[f"{name}, prepared"] = partial(OrderedConvolution(turned, [1, 1], [around] * 2), gradient)
    return forward, backward


def fastest(calls, rounds, device):
    """The fastest of {name: call}, by its median."""
    times = {name: statistics.median(found) for name, found in in_turns(calls, rounds, device).items()}
    return calls[min(times, key=times.get)]


def floor(backbone, size, lanes, dtype, device="cpu", rounds=5, prepared=False):
    """A call that runs, back to back, every convolution of a step in its fastest way (see `ways`): all forward, then
    all gradients in the order of the backward pass."""
    forward, backward = [], []
    for each in convolutions(backbone, size):
        there, back = ways(each, lanes, dtype, device, prepared)
        forward.append(fastest(there, rounds, device))
        backward.insert(0, fastest(back, rounds, device))

    def back_to_back():
        with torch.no_grad():
            for call in (*forward, *backward):
                call()

    return back_to_back
