"""What every metric is: a distance between pictures, as a sum of layers' shares, each with a map of where it sees a difference."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.device import in_neutral_state
from rlpips.zoo import catalog

_SLACK = 1e-4  # how far outside [0, 1] a pixel may lie, because of rounding


class Metric(nn.Module):
    """A distance between pictures, 0 for identical ones. A subclass gives `name`, `layers` and `layer_maps`.

    All methods take `x` and `y`, float tensors (N, 3, H, W) in [0, 1] of the same shape, at least 32 pixels a side, and raise
    ValueError for anything else. Gradients flow to both.
    """

    name: str

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, in the order of `per_layer`."""
        raise NotImplementedError

    def layer_maps(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """For each layer a map (N, h_l, w_l) at its own resolution, whose mean is the layer's share of the distance."""
        raise NotImplementedError

    @in_neutral_state
    def per_layer(self, x: Tensor, y: Tensor) -> Tensor:
        """Each layer's share of the distance, (N, L); the shares sum to `self(x, y)`."""
        return torch.stack([layer.mean((1, 2)) for layer in self.layer_maps(x, y)], -1)

    @in_neutral_state
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance of each pair, (N,)."""
        return self.per_layer(x, y).sum(-1)

    @in_neutral_state
    def distance_map(self, x: Tensor, y: Tensor) -> Tensor:
        """Where the metric sees the difference, (N, H, W): the maps of all layers, enlarged bilinearly and summed.

        For LPIPS it equals `lpips.LPIPS(spatial=True)`. Its mean is close to the distance but not the same, because bilinear
        enlargement changes the mean of a map.
        """
        return merge_maps([layer[:, None] for layer in self.layer_maps(x, y)], x.shape[-2:])[:, 0]


class FeatureMetric(Metric):
    """A metric that compares features. A subclass gives `features` and `compare` in place of `layer_maps`, so that whoever compares
    many pictures with one reference computes the reference's features once."""

    def features(self, x: Tensor) -> list[Tensor]:
        """The features of N pictures, as tensors (N, …)."""
        raise NotImplementedError

    def compare(self, of_x: Sequence[Tensor], of_y: Sequence[Tensor]) -> list[Tensor]:
        """The `layer_maps` of N pairs, from their features."""
        raise NotImplementedError

    @in_neutral_state
    def layer_maps(self, x: Tensor, y: Tensor) -> list[Tensor]:
        check_pair(x, y)
        weights = next(self.buffers())
        check_device(x, y, weights.device)
        return self.compare(self.features(x.to(weights.dtype)), self.features(y.to(weights.dtype)))


class OwnMetric(Metric):
    """A distance of the user's own: any differentiable `distance(x, y)` of (N, 3, H, W) pictures in [0, 1] -> (N,).

    Its name is that of the function, or its attribute `name`. It is one layer, and says nothing about where: its map is flat.
    """

    def __init__(self, distance: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.distance = distance
        self.name = catalog.name_of(distance)

    @property
    def layers(self) -> tuple[str, ...]:
        return ("distance",)

    def layer_maps(self, x: Tensor, y: Tensor) -> list[Tensor]:
        check_pair(x, y)
        distance = self.distance(x, y)
        if not isinstance(distance, Tensor) or distance.shape != (len(x),):
            kind = tuple(distance.shape) if isinstance(distance, Tensor) else type(distance).__name__
            raise ValueError(f"{self.name} must return a tensor of shape ({len(x)},), one distance a pair; got {kind}.")
        return [distance[:, None, None]]


def check_pair(x: Any, y: Any) -> None:
    """ValueError unless `x` and `y` are pictures of one shape (see `check_images`)."""
    check_images(x, "x")
    check_images(y, "y")
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape; got {tuple(x.shape)} and {tuple(y.shape)}.")


def check_device(x: Tensor, y: Tensor, device: torch.device) -> None:
    """ValueError unless both pictures are on the metric's device."""
    if {x.device, y.device} != {device}:
        raise ValueError(f"x and y must be on the metric's device, {device}; got {x.device} and {y.device}.")


def check_images(x: Any, name: str = "images") -> None:
    """ValueError unless `x` is a float tensor (N, 3, H, W) in [0, 1], at least 32 pixels a side; `name` is for the sentence."""
    if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point() or not len(x):
        kind = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name} must be a float tensor of shape (N, 3, H, W); got {kind}.")
    if min(x.shape[-2:]) < 32:
        raise ValueError(f"{name} must be at least 32 pixels a side; got {x.shape[-2]}×{x.shape[-1]} (H×W).")
    if torch.compiler.is_exporting():
        return
    low, high = (value.item() for value in x.detach().aminmax())
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # also catches NaN
        hint = " Pixels on the [-1, 1] scale become [0, 1] by (x + 1) / 2." if -1 - _SLACK <= low < 0 else ""
        hint = " 8-bit pixels become [0, 1] by x / 255." if high > 2 else hint
        raise ValueError(f"{name} must lie in [0, 1]; got values from {low:.4g} to {high:.4g}.{hint}")


def layer_shares(maps: Sequence[Tensor]) -> Tensor:
    """The mean over positions of L maps (N, M, h_l, w_l): (N, M, L)."""
    return torch.stack([layer.mean((2, 3)) for layer in maps], -1)


def merge_maps(maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """The sum of L maps (N, M, h_l, w_l), each enlarged bilinearly to `size` (h, w): (N, M, h, w)."""
    enlarged = [F.interpolate(layer, size=tuple(size), mode="bilinear", align_corners=False) for layer in maps]
    return sum(enlarged[1:], enlarged[0])
