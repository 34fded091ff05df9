"""The distances of lanes to their references, layer by layer, and their gradient, written out.

Autograd computes the same gradient in more time: much of an attack's step is small operations, each of which autograd also
records, and it makes a new tensor where one that nobody needs any more can be written over.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from rlpips.engine.bfloat16 import DifferenceConvolver
from rlpips.engine.convolutions import Convolution, Convolver
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.metrics.backbones import EPS, Trunk


class Lanes:
    """The distances that M metrics on one trunk give lanes beside N references (N, 3, H, W), K lanes of each."""

    def __init__(self, trunk: Trunk, heads: Sequence[Tensor], reference: Tensor, precision: str):
        """`heads`: per layer (M, C_l); `precision` is "float32", or "bfloat16" (see `rlpips.engine.bfloat16`)."""
        self.trunk, self.heads, self.layers = FastTrunk(trunk), heads, trunk.spec.layers
        self._float32 = Convolver()
        self.convolver: Convolver | DifferenceConvolver = self._float32
        convolve: Callable[[Convolution, Tensor], Tensor] = Convolution.forward
        if precision == "bfloat16":
            self.convolver = DifferenceConvolver()
            convolve = self.convolver.keep
        layers = (_by_reference(layer, len(layer)) for layer in self.trunk.features(reference, convolve))
        self.softness = trunk.softness.tolist()
        # Per layer the references' features of unit length, times -1, (N, 1, h, w, C).
        self.minus = [-layer * scale_to_unit(layer, c) for layer, c in zip(layers, self.softness, strict=True)]

    def per_layer(self, x: Tensor) -> Tensor:
        """Distances per layer (N·K, M, L) of N·K lanes (N·K, 3, H, W), K of the first reference, then K of the next.

        Gradients flow to `x`, and only once, because computing them writes over what they are made of.
        """
        return _PerLayer.apply(x, self)

    def see(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """For each layer a map (N·K, M, h_l, w_l), whose means are the distances per layer, and the mean squared difference of
        every channel, (N·K, C_l), without weights; always in float32."""
        stages = self.trunk.stages(x, self._float32)
        for (features, _), minus, heads, c in zip(stages, self.minus, self.heads, self.softness, strict=True):
            features = _by_reference(features, len(minus))
            difference = torch.addcmul(minus, features, scale_to_unit(features, c)).square_()
            yield (difference @ heads.T).flatten(0, 1).permute(0, 3, 1, 2), difference.mean((2, 3)).flatten(0, 1)


class _PerLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lanes):
        ctx.layers, distances = [], []
        stages = lanes.trunk.stages(x, lanes.convolver)
        for (features, back), *fixed in zip(stages, lanes.minus, lanes.heads, lanes.softness, strict=True):
            layer = Layer(features, back, *fixed)
            distances.append(layer.distance)
            if ctx.needs_input_grad[0]:
                ctx.layers.append(layer)
        return torch.stack(distances, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        layers, ctx.layers = ctx.layers, None
        if layers is None:
            raise RuntimeError("The gradient of the distances can be computed once; compute the distances again first.")
        carried = None
        for of_distance in reversed(gradient.unbind(-1)):
            carried = layers.pop().backward(of_distance, carried)  # frees the layers one by one
        return carried, None


class Layer:
    """One layer's part of the distances: unit length, difference to the reference, weights, and mean over positions. Channels
    lie last here: (N, K, h, w, C)."""

    def __init__(
        self, features: Tensor, back: Callable[[Tensor], Tensor], minus: Tensor, heads: Tensor, softness: float = 0.0
    ):
        """`features` (N·K, C, h, w) are raw; `back` takes a gradient with respect to them to the features before; `minus`
        (N, 1, h, w, C) are the references' unit features, times -1; `heads` (M, C); `softness` is that of a trunk's layer."""
        self._features, self._back = _by_reference(features, len(minus)), back
        self._weights = heads / features[0, 0].numel()
        self._scale = scale_to_unit(self._features, softness)
        self._difference = torch.addcmul(minus, self._features, self._scale)
        # (N·K, M)
        self.distance = (self._difference.square().sum((2, 3)) @ self._weights.T).flatten(0, 1)

    def backward(self, of_distance: Tensor, carried: Tensor | None) -> Tensor:
        """The gradient with respect to the features before this layer.

        `of_distance` (N·K, M) is the gradient with respect to `distance`, `carried` the gradient with respect to the features
        that the layers behind this one give, or None. It writes over `carried` and over the difference.
        """
        features, scale = self._features, self._scale
        gradient = torch.zeros_like(features) if carried is None else _by_reference(carried, len(features))
        weights = (2 * of_distance @ self._weights).unflatten(0, features.shape[:2])  # (N, K, C)
        by_unit = self._difference.mul_(weights[:, :, None, None])
        # Scaling to unit length removes what would only change the length.
        along = (by_unit * features).sum(-1, keepdim=True).mul_(scale.pow(3))
        gradient.addcmul_(by_unit, scale).addcmul_(features, along, value=-1)
        return self._back(gradient.flatten(0, 1).permute(0, 3, 1, 2))


def _by_reference(features: Tensor, count: int) -> Tensor:
    """(N·K, C, h, w) as (N, K, h, w, C), a view."""
    return features.permute(0, 2, 3, 1).unflatten(0, (count, -1))


def scale_to_unit(features: Tensor, softness: float) -> Tensor:
    """The factor that brings (…, C) to length one over the channels, or below it by a softness, (…, 1); a zero stays zero."""
    length = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    if softness:
        length = length.square_().add_(softness**2).sqrt_()
    return length.clamp_min_(EPS).reciprocal_()
