"""What several metrics say about several lanes against their references, in one forward pass per trunk."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.engine.lanes import Lanes
from rlpips.metrics.backbones import Trunk
from rlpips.metrics.base import FeatureMetric, Metric, layer_shares
from rlpips.metrics.fidelity import Ssim, psnr
from rlpips.metrics.lpips import stack_heads
from rlpips.norms import L2, LINF
from rlpips.traces.schema import Frame, SharedTrunk, Step

_MAP_SIDE = 128  # the longer side of a stored map, at most; AlexNet's finest layer has 127 positions at 512 pixels


class Reading(NamedTuple):
    """What is measured of a batch of N·K lanes: distances per layer (N·K, M, L), and the norms of the perturbations, (N·K,)."""

    per_layer: Tensor
    linf: Tensor
    l2: Tensor


class Seen(NamedTuple):
    """What a group of M metrics sees: for each layer a map (N·K, M, h_l, w_l), whose means are the distances per layer; and, of metrics
    on a trunk, the mean squared difference of every channel, (N·K, C), without weights."""

    maps: list[Tensor]
    channels: Tensor | None


class Panel:
    """M metrics that measure batches of pictures against fixed references (N, 3, H, W), whose features are computed once.

    A batch holds K lanes of every reference, one reference after another: (N·K, 3, H, W). `precision` is that of `per_layer`,
    "float32" or "bfloat16" (see `rlpips.engine.bfloat16`); `see` and `frame` are always float32, or tf32 where torch is set so.
    `layers` has the layers of all metrics; a metric has a share of 0 in those that are not its own.
    """

    def __init__(self, metrics: Sequence[Metric], reference: Tensor, precision: str = "float32"):
        self.metrics = list(metrics)
        self.reference = reference
        self.layers = layers_of(self.metrics)
        self._groups: list[
            Lanes | Pairs
        ] = []  # one for each trunk, and one for each metric that is none of LPIPS's kind
        self._members: list[list[int]] = []  # which metrics
        with torch.no_grad():
            for trunk, members in by_trunk(self.metrics):
                some = [self.metrics[index] for index in members]
                if trunk is None:
                    self._groups.append(Pairs(some[0], reference))
                else:
                    heads = [head[:, :, 0, 0] for head in stack_heads(some)]  # type: ignore[arg-type]
                    self._groups.append(Lanes(trunk, heads, reference, precision))
                self._members.append(members)
        order = [index for members in self._members for index in members]
        # Brings the groups' results back into the order of `metrics`, and their layers to their places.
        self._order = torch.tensor(sorted(range(len(order)), key=order.__getitem__), device=reference.device)
        identity = torch.eye(len(self.layers), device=reference.device)
        self._places = [identity[[self.layers.index(name) for name in group.layers]] for group in self._groups]
        self._ssim: tuple[Tensor, Ssim] | None = None  # of the last start: an attack has one for all its frames

    def per_layer(self, x: Tensor) -> Tensor:
        """Distances per layer, (N·K, M, L); they sum over layers to the distances. Gradients flow to `x`."""
        parts = [group.per_layer(x) for group in self._groups]
        if len(parts) == 1:
            return parts[0]
        return self._join([part @ place for part, place in zip(parts, self._places, strict=True)])

    def read(self, x: Tensor, start: Tensor) -> Reading:
        """The `Reading` of `x`, which was `start` before it was pushed, both (N·K, 3, H, W)."""
        perturbation = x.detach() - start
        return Reading(self.per_layer(x), LINF.measure(perturbation), L2.measure(perturbation))

    @torch.no_grad()
    def see(self, x: Tensor) -> list[Seen]:
        """What each group of metrics sees, the groups in the order of their first metrics."""
        return [
            Seen(
                [maps for maps, _ in layers], None if isinstance(group, Pairs) else torch.cat([c for _, c in layers], 1)
            )
            for group in self._groups
            for layers in [list(group.see(x))]
        ]

    @torch.no_grad()
    def open(self, chunks: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Of batches of lanes together the distances (N·K, M), and for each trunk the mean squared difference of every channel,
        (N·K, C), without weights; always in float32."""
        seen = [self.see(chunk) for chunk in chunks]
        distances = [self._join([layer_shares(group.maps).sum(-1) for group in groups]) for groups in seen]
        channels = [[group.channels for group in groups if group.channels is not None] for groups in seen]
        return torch.cat(distances), [torch.cat(parts) for parts in zip(*channels)]

    def _join(self, parts: Sequence[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.cat(list(parts), 1)[:, self._order]

    @torch.no_grad()
    def frame(self, step: int, lanes: Sequence[int], x: Tensor, start: Tensor) -> list[Frame]:
        """The `Frame` of each of the N references: its lanes `x` (N·K, 3, H, W), rounded to 8 bits and measured as such.

        `start` (N·K, 3, H, W) is the picture that was pushed, in 8 bits (see `in_8_bits`), as people see it.
        """
        levels = (x * 255).round()
        x = levels / 255
        groups = self.see(x)
        tensors = {
            "attacked": levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous(),
            "distance_8bit": self._join([layer_shares(group.maps).sum(-1) for group in groups]),
            "linf_8bit": LINF.measure(x - start),
            "l2_8bit": L2.measure(x - start),
            "psnr": psnr(x, start),
            "ssim": self._ssim_with(start)(x),
        }
        maps = {f"map {g} {k}": _stored(each) for g, group in enumerate(groups) for k, each in enumerate(group.maps)}
        channels = {f"channels {g}": group.channels for g, group in enumerate(groups) if group.channels is not None}
        arrays = _by_picture({**tensors, **maps, **channels}, len(self.reference))
        return [
            Frame(
                step=step,
                lanes=tuple(lanes),
                maps=self._maps_of_metrics(arrays, index),
                channels=tuple(arrays[key][index] for key in channels),
                **{key: arrays[key][index] for key in tensors},
            )
            for index in range(len(self.reference))
        ]

    def _maps_of_metrics(
        self, arrays: Mapping[str, np.ndarray], index: int
    ) -> tuple[tuple[np.ndarray | None, ...], ...]:
        """The maps of one picture by metric and layer."""
        maps: list[list[np.ndarray | None]] = [[None] * len(self.layers) for _ in self.metrics]
        for g, (group, members) in enumerate(zip(self._groups, self._members)):
            for k, layer in enumerate(group.layers):
                for row, metric in enumerate(members):
                    maps[metric][self.layers.index(layer)] = arrays[f"map {g} {k}"][index][:, row]
        return tuple(map(tuple, maps))

    def _ssim_with(self, start: Tensor) -> Ssim:
        if self._ssim is None or self._ssim[0] is not start:
            self._ssim = start, Ssim(start)
        return self._ssim[1]


def _stored(maps: Tensor) -> Tensor:
    """Maps (N, M, h, w) as a frame keeps them: at their own resolution, or averaged where that has too many positions."""
    longest = max(maps.shape[-2:])
    if longest <= _MAP_SIDE:
        return maps
    return F.adaptive_avg_pool2d(maps, [max(1, round(side * _MAP_SIDE / longest)) for side in maps.shape[-2:]])


def trunks_of(metrics: Sequence[Metric]) -> tuple[SharedTrunk, ...]:
    """The trunks that a `Panel` of these metrics has, in the order of `Frame.channels`."""
    trunks = []
    for trunk, members in by_trunk(metrics):
        if trunk:
            heads = [torch.cat(metrics[index].heads).detach().cpu().float().numpy() for index in members]  # type: ignore[arg-type]
            names = tuple(metrics[index].name for index in members)
            trunks.append(SharedTrunk(names, trunk.spec.layers, trunk.spec.channels, np.stack(heads)))
    return tuple(trunks)


def layers_of(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """The names of the layers that a `Panel` of these metrics has."""
    return tuple(dict.fromkeys(layer for metric in metrics for layer in metric.layers))


class Pairs:
    """A metric that is none of LPIPS's kind, pair by pair, with the methods of `Lanes`."""

    def __init__(self, metric: Metric, reference: Tensor):
        self._metric, self._reference, self.layers = metric, reference, metric.layers
        self._features = metric.features(reference) if isinstance(metric, FeatureMetric) else None

    def per_layer(self, x: Tensor) -> Tensor:
        """The shares of its layers (N·K, 1, L)."""
        return layer_shares([maps for maps, _ in self.see(x)])

    def see(self, x: Tensor) -> Iterator[tuple[Tensor, None]]:
        """For each layer a map (N·K, 1, h_l, w_l); there are no channels."""
        lanes = len(x) // len(self._reference)
        if isinstance(self._metric, FeatureMetric) and self._features:
            beside = [each.repeat_interleave(lanes, 0) for each in self._features]
            maps = self._metric.compare(beside, self._metric.features(x))
        else:
            maps = self._metric.layer_maps(self._reference.repeat_interleave(lanes, 0), x)
        return ((layer[:, None], None) for layer in maps)


def by_trunk(metrics: Sequence[Metric]) -> list[tuple[Trunk | None, list[int]]]:
    """Each different trunk, with the places of the metrics that have it or an equal one: a pass of it serves all of them. A metric
    without a trunk stands alone."""
    groups: list[tuple[Trunk | None, list[int]]] = []
    for index, metric in enumerate(metrics):
        trunk = getattr(metric, "trunk", None)
        for other, members in groups:
            if trunk and other and (other is trunk or other.equals(trunk)):
                members.append(index)
                break
        else:
            groups.append((trunk, [index]))
    return groups


def in_8_bits(x: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [0, 1], rounded to multiples of 1/255."""
    return (x * 255).round() / 255


def steps_of_batch(
    readings: Sequence[Reading],
    noise: Reading,
    last: int,
    restart: int,
    frames: Sequence[tuple[Frame, ...]],
    count: int,
) -> Iterator[list[Step]]:
    """Yield a list of `count` `Step`, one for each picture, for each of several consecutive iterates.

    readings  a `Reading` for every iterate; the last iterate has the index `last`
    noise     the reading of the lane that never moves
    frames    those of the last iterate, a tuple for each picture, or none
    """
    still = _by_picture(noise._asdict(), count)
    stacked = {key: torch.stack([getattr(reading, key) for reading in readings], 1) for key in still}
    pushed = _by_picture(stacked, count)  # (N, K, T, …)
    for at in range(len(readings)):
        per_layer, linf, l2 = (np.concatenate([pushed[key][:, :, at], still[key]], 1) for key in still)
        shown = frames if frames and at == len(readings) - 1 else [()] * count
        yield [
            Step(last + 1 + at - len(readings), restart, per_layer[n].sum(-1), per_layer[n], linf[n], l2[n], shown[n])
            for n in range(count)
        ]


def _by_picture(tensors: Mapping[str, Tensor], count: int) -> dict[str, np.ndarray]:
    """Tensors (N·K, …) on one device as arrays (N, K, …)."""
    copies = {key: tensor.detach().to("cpu", non_blocking=True) for key, tensor in tensors.items()}
    for device in {tensor.device for tensor in tensors.values() if tensor.is_cuda}:
        torch.cuda.current_stream(device).synchronize()  # once for all of them
    return {key: copy.unflatten(0, (count, -1)).numpy() for key, copy in copies.items()}
