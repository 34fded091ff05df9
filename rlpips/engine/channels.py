"""The mean squared difference of every channel between pictures and their references: all that metrics on one trunk need, as their
distances are linear in it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rlpips.engine.convolutions import Convolver
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.engine.lanes import scale_to_unit
from rlpips.metrics.backbones import Trunk


class Channels:
    """Compares pictures on one trunk, `at_once` pixels in a pass, in float32. It keeps the weights that the trunk has now."""

    def __init__(self, trunk: Trunk, at_once: int):
        self._trunk, self._softness, self._at_once = FastTrunk(trunk), trunk.softness.tolist(), at_once
        self._convolver = Convolver()

    def minus(self, x: Tensor) -> list[Tensor]:
        """Of references (N, 3, H, W) the features of unit length, times -1, for each layer (N, h, w, C)."""
        parts = [[-layer * scale for layer, scale in self._layers(some)] for some in self._chunks(x)]
        return [torch.cat(layer) for layer in zip(*parts)]

    def squares(self, y: Tensor, minus: Sequence[Tensor], places: Tensor | None = None) -> list[Tensor]:
        """For each layer the mean squared differences (K, C) of pictures y (K, 3, H, W), weights not applied. `places` (K,) says beside
        which of the references that `minus` was made of each stands; None: one beside another."""
        parts, start = [], 0
        for some in self._chunks(y):
            here = slice(start, start + len(some)) if places is None else places[start : start + len(some)]
            start += len(some)
            layers = zip(self._layers(some), minus, strict=True)
            parts.append(
                [torch.addcmul(one[here], layer, scale).square_().mean((1, 2)) for (layer, scale), one in layers]
            )
        return [torch.cat(layer) for layer in zip(*parts)]

    def _chunks(self, x: Tensor) -> Sequence[Tensor]:
        return x.split(max(1, self._at_once // x[0, 0].numel()))

    def _layers(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """For each layer the features (N, h, w, C), and the factors (N, h, w, 1) that bring them to unit length."""
        for (features, _), softness in zip(self._trunk.stages(x, self._convolver), self._softness, strict=True):
            features = features.permute(0, 2, 3, 1)
            yield features, scale_to_unit(features, softness)
