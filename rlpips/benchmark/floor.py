"""A floor for the time of a step: the convolutions of the trunk alone, forward and the gradient with respect to their input, on
tensors of the same shapes, each in the fastest of several implementations."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input

from rlpips.benchmark.ours import Size
from rlpips.benchmark.timing import Call, in_turns
from rlpips.engine.convolutions import OrderedConvolution
from rlpips.metrics.backbones import BACKBONES

LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class ConvolutionShape:
    """The shapes of one convolution: input (N, inputs, height, width), a kernel of `kernel` pixels a side, and output
    (N, outputs, h, w)."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    size: Size  # of the input

    @property
    def output_size(self) -> Size:
        height, width = ((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in self.size)
        return height, width

    @property
    def macs(self) -> int:
        """Multiply-adds of a forward pass on one picture; the gradient with respect to the input has as many."""
        height, width = self.output_size
        return self.outputs * height * width * self.inputs * self.kernel**2

    def in_blocks(self) -> "ConvolutionShape | None":
        """The same sums with stride 1, over blocks of stride × stride pixels (see `rlpips.engine.convolutions`), or None where
        the stride is 1 already. The kernel grows by a few weights, all zero, which `macs` of the original does not count."""
        if self.stride == 1:
            return None
        kernel = -(-self.kernel // self.stride)
        height, width = (side + kernel - 1 for side in self.output_size)
        return ConvolutionShape(self.inputs * self.stride**2, self.outputs, kernel, 1, 0, (height, width))


def convolutions(backbone: str, size: Size) -> list[ConvolutionShape]:
    """The convolutions of a trunk on pictures of `size`, in order, without computing them."""
    import torchvision

    shapes = []

    def note(layer: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, torch.nn.Conv2d)
        height, width = inputs[0].shape[-2:]
        kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
        shapes.append(ConvolutionShape(layer.in_channels, layer.out_channels, kernel, stride, padding, (height, width)))

    spec = BACKBONES[backbone]
    with torch.device("meta"):
        features = torchvision.models.get_model(spec.model, weights=None).features[: spec.taps[-1] + 1]
        for layer in features.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(note)
        features(torch.empty(1, 3, *size))
    return shapes


def count_macs(backbone: str, size: Size, lanes: int) -> int:
    """Multiply-adds of a step: `lanes` pictures of `size`, forward and back to the pictures."""
    return 2 * lanes * sum(shape.macs for shape in convolutions(backbone, size))


def implementations(
    convolution: ConvolutionShape,
    lanes: int,
    dtype: torch.dtype,
    device: str | torch.device,
    prepared: bool = False,
) -> tuple[dict[str, Call], dict[str, Call]]:
    """({name: a call} for the convolution of `lanes` pictures, {name: a call} for its gradient with respect to the input).

    They are in both memory layouts, as it is and in blocks. Where the stride is 1, the gradient is also a convolution, with the
    kernel turned by half a circle. `prepared` adds those whose weights are brought into order before
    (`rlpips.engine.convolutions.OrderedConvolution`).
    """
    forward: dict[str, Call] = {}
    backward: dict[str, Call] = {}
    for variant, shape in (("as it is", convolution), ("in blocks", convolution.in_blocks())):
        if shape is None:
            continue
        stride, padding = [shape.stride] * 2, [shape.padding] * 2
        for layout, memory_format in LAYOUTS.items():
            name = f"{variant}, {layout}"

            def draw(*sizes: int, memory_format: torch.memory_format = memory_format) -> Tensor:
                return torch.randn(*sizes, device=device).to(dtype).contiguous(memory_format=memory_format)

            x, bias = draw(lanes, shape.inputs, *shape.size), torch.zeros(shape.outputs, dtype=dtype, device=device)
            weight = draw(shape.outputs, shape.inputs, shape.kernel, shape.kernel)
            gradient = draw(lanes, shape.outputs, *shape.output_size)
            forward[name] = partial(F.conv2d, x, weight, bias, shape.stride, shape.padding)
            backward[name] = partial(conv2d_input, x.shape, weight, gradient, shape.stride, shape.padding)
            if shape.stride == 1:
                turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=memory_format)
                border = shape.kernel - 1 - shape.padding
                backward[f"{name}, turned"] = partial(F.conv2d, gradient, turned, None, 1, border)
                if prepared and layout == "channels last":
                    forward[f"{name}, prepared"] = partial(OrderedConvolution(weight, stride, padding), x, bias)
                    backward[f"{name}, prepared"] = partial(OrderedConvolution(turned, stride, [border] * 2), gradient)
    return forward, backward


def fastest(calls: Mapping[str, Call], rounds: int, device: str | torch.device) -> Call:
    """The fastest call, by its median."""
    medians = {name: statistics.median(times) for name, times in in_turns(calls, rounds, device).items()}
    return calls[min(medians, key=lambda name: medians[name])]


def build_floor(
    backbone: str,
    size: Size,
    lanes: int,
    dtype: torch.dtype,
    device: str | torch.device = "cpu",
    rounds: int = 5,
    prepared: bool = False,
) -> Call:
    """A call that runs every convolution of a step in its fastest implementation (see `implementations`), one after another: all
    forward, then all gradients in the order of the backward pass."""
    forward: list[Call] = []
    backward: list[Call] = []
    for shape in convolutions(backbone, size):
        there, back = implementations(shape, lanes, dtype, device, prepared)
        forward.append(fastest(there, rounds, device))
        backward.insert(0, fastest(back, rounds, device))

    def run() -> None:
        with torch.no_grad():
            for call in (*forward, *backward):
                call()

    return run
