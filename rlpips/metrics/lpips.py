"""LPIPS-style metrics: a frozen trunk and one non-negative weight per channel (Zhang et al., arXiv 1801.03924, eq. 1).

    d(x, y) = sum over layers l of the mean over positions of  sum over channels c of  w[l, c] (f_l(x) - f_l(y))²

with f the unit-normalised features of the trunk. R-LPIPS (Ghazanfari et al., arXiv 2307.15157) is the same formula with
weights learnt against an attacker.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.device import in_neutral_state, pick_device
from rlpips.metrics.backbones import Trunk, load_trunk
from rlpips.zoo import catalog, weights
from rlpips.zoo.weights import DownloadProgress

_SLACK = 1e-4  # how far outside [0, 1] a pixel may lie, because of rounding


class PerceptualMetric(nn.Module):
    """A distance between pictures: 0 for identical ones, and no fixed unit (LPIPS and R-LPIPS have different scales).

    `heads` has one weight vector (C_l,) per layer of the trunk, each >= 0. All methods take `x` and `y`, float tensors
    (N, 3, H, W) in [0, 1] of the same shape, at least 32 pixels a side, on the metric's device, and raise ValueError for
    anything else. Gradients flow to both; the network itself is frozen. `torch.export` works, without the check of values, which a
    graph cannot hold; `torch.vmap` does not, for the same reason: give it a batch.
    """

    def __init__(self, trunk: Trunk, heads: Sequence[Tensor], name: str) -> None:
        super().__init__()
        self.trunk = trunk
        self.name = name
        sizes = tuple(len(head) for head in heads)
        if sizes != trunk.spec.channels:
            raise ValueError(f"{trunk.name} needs heads of {trunk.spec.channels} weights; got {sizes}.")
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head.to(trunk.scale.device))

    @property
    def heads(self) -> list[Tensor]:
        """One weight vector (C_l,) per layer."""
        return [getattr(self, f"head{index}") for index in range(len(self.trunk.spec.channels))]

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, in the order of `per_layer`."""
        return self.trunk.spec.layers

    def _maps(self, x: Tensor, y: Tensor) -> list[Tensor]:
        check_images(x, "x")
        check_images(y, "y")
        if x.shape != y.shape:
            raise ValueError(f"x and y must have the same shape; got {tuple(x.shape)} and {tuple(y.shape)}.")
        scale = self.trunk.scale
        if {x.device, y.device} != {scale.device}:
            raise ValueError(f"x and y must be on the metric's device, {scale.device}; got {x.device} and {y.device}.")
        return layer_maps(self.trunk(x.to(scale.dtype)), self.trunk(y.to(scale.dtype)), stack_heads([self]))

    @in_neutral_state
    def per_layer(self, x: Tensor, y: Tensor) -> Tensor:
        """Each layer's share of the distance, (N, L); the shares sum to `self(x, y)`."""
        return layer_shares(self._maps(x, y))[:, 0]

    @in_neutral_state
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance of each pair, (N,)."""
        return self.per_layer(x, y).sum(-1)

    @in_neutral_state
    def distance_map(self, x: Tensor, y: Tensor) -> Tensor:
        """Where the metric sees the difference, (N, H, W): the maps of all layers, enlarged bilinearly and summed.

        It equals `lpips.LPIPS(spatial=True)`. Its mean is close to the distance but not the same, because bilinear enlargement
        changes the mean of a map.
        """
        return merge_maps(self._maps(x, y), x.shape[-2:])[:, 0]


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


def stack_heads(metrics: Sequence[PerceptualMetric]) -> list[Tensor]:
    """The weights of M metrics on one trunk, layer by layer: a list of L tensors (M, C_l, 1, 1)."""
    return [torch.stack(layer)[:, :, None, None] for layer in zip(*(metric.heads for metric in metrics), strict=True)]


def layer_maps(features_x: Sequence[Tensor], features_y: Sequence[Tensor], heads: Sequence[Tensor]) -> list[Tensor]:
    """Weighted squared differences of N pairs by M metrics, with the heads from `stack_heads`: L maps (N, M, h_l, w_l)."""
    return [
        F.conv2d((fx - fy).square(), head)  # a 1×1 convolution sums over channels, for all metrics at once
        for fx, fy, head in zip(features_x, features_y, heads, strict=True)
    ]


def layer_shares(maps: Sequence[Tensor]) -> Tensor:
    """The mean over positions of L maps (N, M, h_l, w_l): (N, M, L)."""
    return torch.stack([layer.mean((2, 3)) for layer in maps], -1)


def merge_maps(maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """The sum of L maps (N, M, h_l, w_l), each enlarged bilinearly to `size` (h, w): (N, M, h, w)."""
    enlarged = [F.interpolate(layer, size=tuple(size), mode="bilinear", align_corners=False) for layer in maps]
    return sum(enlarged[1:], enlarged[0])


@in_neutral_state
def load_metric(
    name: str,
    backbone: str = "alex",
    device: str | torch.device | None = "cpu",
    progress: DownloadProgress = weights.print_progress,
) -> PerceptualMetric:
    """A metric of the catalogue ("lpips", "rlpips-linf", "rlpips-l2", …) on a backbone ("alex", "vgg", "squeeze").

    `device` is "cpu", "cuda", or None for the GPU where there is one. The weights for AlexNet are bundled. Those of the other
    backbones, and the official checkpoints, are looked for and downloaded as in `rlpips.zoo.weights.load_trunk`;
    `progress(file, bytes so far, bytes in all or None)` is called during a download. Raises ValueError for an unknown name (it
    lists the names), a metric without heads for that backbone, or weights that are missing, damaged or cannot be downloaded.

    The metric is the caller's: to train, move or halve it touches no other.
    """
    metric = shared_metric(name, backbone, device, progress)
    return PerceptualMetric(copy.deepcopy(metric.trunk), metric.heads, name)


@in_neutral_state
def shared_metric(
    name: str,
    backbone: str = "alex",
    device: str | torch.device | None = "cpu",
    progress: DownloadProgress = weights.print_progress,
) -> PerceptualMetric:
    """The same metric on a trunk that all shared metrics have in common, so that several of them need only one pass. For use
    within the package: it must not be changed, and is handed to nobody."""
    catalog.check(name, backbone)  # before any download
    device = pick_device(device)
    if catalog.card(name).official:
        state, heads = weights.load_official(name, progress)
        return PerceptualMetric(_official_trunk(backbone, state, device), heads, name)
    heads = weights.load_heads(name, backbone)
    if catalog.card(name).trunk:
        trunk = Trunk(backbone, *weights.load_tuned_trunk(name)).to(device)
    else:
        trunk = load_trunk(backbone, device, progress)
    return PerceptualMetric(trunk, heads, name)


def _official_trunk(backbone: str, state: dict[str, Tensor], device: torch.device) -> Trunk:
    """The shared trunk if a checkpoint holds the same numbers, else a trunk with the checkpoint's."""
    shared = weights.load_trunk(backbone)
    if all(torch.equal(shared[key], value) for key, value in state.items()):
        return load_trunk(backbone, device)
    return Trunk(backbone, state).to(device)
