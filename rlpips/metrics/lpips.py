"""LPIPS-style metrics: a frozen trunk and one non-negative weight per channel (Zhang et al., arXiv 1801.03924, eq. 1).

    d(x, y) = sum over layers l of the mean over positions of  sum over channels c of  w[l, c] (f_l(x) - f_l(y))²

with f the unit-normalised features of the trunk. R-LPIPS (Ghazanfari et al., arXiv 2307.15157) is the same formula with
weights learnt against an attacker.
"""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.device import in_neutral_state, pick_device
from rlpips.metrics.backbones import Trunk, load_trunk
from rlpips.metrics.base import Metric, OwnMetric, check_device, check_pair
from rlpips.metrics.dists import DISTS
from rlpips.metrics.elpips import ELPIPS
from rlpips.metrics.heads import SUFFIX, Heads
from rlpips.metrics.pixel import PIXEL_METRICS
from rlpips.metrics.st_lpips import ShiftTolerantLPIPS
from rlpips.zoo import catalog, weights
from rlpips.zoo.weights import DownloadProgress


class PerceptualMetric(Metric):
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

    @in_neutral_state
    def layer_maps(self, x: Tensor, y: Tensor) -> list[Tensor]:
        features = self._features(x, y)
        return [layer[:, 0] for layer in weighted_maps(*features, stack_heads([self]))]

    @in_neutral_state
    def per_channel(self, x: Tensor, y: Tensor) -> Tensor:
        """Each channel's share of the distance, (N, C), the channels of all layers in order; the shares sum to `self(x, y)`."""
        layers = zip(*self._features(x, y), self.heads, strict=True)
        return torch.cat([(fx - fy).square().mean((2, 3)) * head for fx, fy, head in layers], 1)

    def _features(self, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        check_pair(x, y)
        scale = self.trunk.scale
        check_device(x, y, scale.device)
        return self.trunk(x.to(scale.dtype)), self.trunk(y.to(scale.dtype))


def stack_heads(metrics: Sequence[PerceptualMetric]) -> list[Tensor]:
    """The weights of M metrics on one trunk, layer by layer: a list of L tensors (M, C_l, 1, 1)."""
    return [torch.stack(layer)[:, :, None, None] for layer in zip(*(metric.heads for metric in metrics), strict=True)]


def weighted_maps(features_x: Sequence[Tensor], features_y: Sequence[Tensor], heads: Sequence[Tensor]) -> list[Tensor]:
    """Weighted squared differences of N pairs by M metrics, with the heads from `stack_heads`: L maps (N, M, h_l, w_l)."""
    return [
        F.conv2d((fx - fy).square(), head)  # a 1×1 convolution sums over channels, for all metrics at once
        for fx, fy, head in zip(features_x, features_y, heads, strict=True)
    ]


@in_neutral_state
def load_metric(
    name: str | os.PathLike | Heads,
    backbone: str = "alex",
    device: str | torch.device | None = "cpu",
    progress: DownloadProgress = weights.print_progress,
) -> Any:
    """A metric of the catalogue ("lpips", "rlpips-linf", "rlpips-l2", "rlpips-tune", …) on a backbone ("alex", "vgg", "squeeze"), which
    those without a network ("mse", "ssim") do not use, nor "dists", which is always on VGG16: a `PerceptualMetric`, or another
    `rlpips.metrics.base.Metric`. Or the metric of heads, or of a file of heads (`Heads.save`), on the trunk that they are for; it is
    called by the name of its file.

    `device` is "cpu", "cuda", or None for the GPU where there is one. The weights for AlexNet are bundled. Those of the other
    backbones, and the official checkpoints, are looked for and downloaded as in `rlpips.zoo.weights.load_trunk`;
    `progress(file, bytes so far, bytes in all or None)` is called during a download. Raises ValueError for an unknown name (it
    lists the names), a metric without heads for that backbone, or weights that are missing, damaged or cannot be downloaded.

    The metric is the caller's: to train, move or halve it touches no other.
    """
    if isinstance(name, Heads):
        return _with_heads(name, "heads", pick_device(device), progress)
    if isinstance(name, os.PathLike) or (isinstance(name, str) and name.endswith(SUFFIX)):
        return _with_heads(Heads.load(name), Path(name).stem, pick_device(device), progress)
    return copy.deepcopy(shared_metric(name, backbone, device, progress))


def _with_heads(heads: Heads, name: str, device: torch.device, progress: DownloadProgress) -> PerceptualMetric:
    if heads.trunk is None:
        trunk = load_trunk(heads.backbone, device, progress)
    else:
        trunk = shared_metric(heads.trunk, heads.backbone, device, progress).trunk
    return PerceptualMetric(copy.deepcopy(trunk), [torch.from_numpy(layer.copy()) for layer in heads.layers], name)


@in_neutral_state
def shared_metric(
    name: str,
    backbone: str = "alex",
    device: str | torch.device | None = "cpu",
    progress: DownloadProgress = weights.print_progress,
) -> Any:
    """The same metric on a trunk that all shared metrics have in common, so that several of them need only one pass. For use
    within the package: it must not be changed, and is handed to nobody."""
    catalog.check(name, backbone)  # before any download
    device = pick_device(device)
    if name in PIXEL_METRICS:
        return PIXEL_METRICS[name]()
    if name == "dists":
        return DISTS(load_trunk(catalog.card(name).always, device, progress), *weights.load_dists())
    if name == "st-lpips":
        return ShiftTolerantLPIPS(backbone, *weights.load_shift_tolerant(backbone)).to(device)
    if name == "elpips":
        return ELPIPS(load_trunk(backbone, device, progress), weights.load_heads("lpips", backbone))
    if catalog.card(name).official:
        state, heads = weights.load_official(name, progress)
        return PerceptualMetric(_official_trunk(backbone, state, device), heads, name)
    heads = weights.load_heads(name, backbone)
    if catalog.card(name).trunk:
        trunk = Trunk(backbone, *weights.load_tuned_trunk(name)).to(device)
    else:
        trunk = load_trunk(backbone, device, progress)
    return PerceptualMetric(trunk, heads, name)


def load_metrics(metrics: Any, backbone: str, device: str | torch.device | None = "cpu") -> list[Metric]:
    """The metrics of a list as `rlpips.zoo.catalog.check_metrics` takes it: shared ones by their names, a `Metric` as it is, or a copy on the
    device, and any other callable as an `OwnMetric`. ValueError as from `shared_metric`."""
    device = pick_device(device)
    return [
        shared_metric(each, backbone, device)
        if isinstance(each, str)
        else _on(each, device)
        if isinstance(each, Metric)
        else OwnMetric(each)
        for each in catalog.check_metrics(metrics, backbone)
    ]


def _on(metric: Metric, device: torch.device) -> Metric:
    here = next(metric.buffers(), None)
    return metric if here is None or here.device == device else copy.deepcopy(metric).to(device)


def _official_trunk(backbone: str, state: dict[str, Tensor], device: torch.device) -> Trunk:
    """The shared trunk if a checkpoint holds the same numbers, else a trunk with the checkpoint's."""
    shared = weights.load_trunk(backbone)
    if all(torch.equal(shared[key], value) for key, value in state.items()):
        return load_trunk(backbone, device)
    return Trunk(backbone, state).to(device)
