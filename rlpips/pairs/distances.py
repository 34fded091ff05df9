"""What metrics say about a batch of pairs of one size: distances, the shares of layers and channels, and the distances of the JPEG copies
that their equivalents hang on. Metrics on one trunk share its features, which are computed once for each distinct original."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.data.distortions import DISTORTIONS, jpeg_copy
from rlpips.engine.channels import Channels
from rlpips.engine.panel import by_trunk
from rlpips.engine.ruler import SEVERITIES, Ruler, scale_of
from rlpips.engine.ruler_search import read_off
from rlpips.metrics.backbones import Trunk
from rlpips.metrics.base import Metric

DISTORTION = "jpeg"  # whose ruler the equivalents are read from
_IN_A_PASS = 8 * 256 * 256  # pixels that go through the network at once, which bounds its memory


@dataclass(frozen=True)
class Reading:
    """What a metric reads of N pairs: lists of N entries."""

    distance: list[float]
    layer: list[str]  # the heaviest
    layer_share: list[float]
    half: list[int] | None  # how few channels make half of the distance; None for a metric without a network
    channel: list[str] | None  # the heaviest
    channel_share: list[float] | None

    @classmethod
    def of(cls, metric: Metric, per_layer: Tensor, weighted: list[Tensor] | None, differ: Tensor) -> "Reading":
        """From the shares of layers (N, L), per layer those of channels (N, C_l), and whether the pictures differ (N,), as rounding
        leaves something of the distance of equal ones."""
        per_layer = per_layer * differ[:, None]
        distance = per_layer.sum(1)
        share, layer = (per_layer / distance.clamp_min(1e-30)[:, None]).max(1)
        common = distance.double().tolist(), [metric.layers[each] for each in layer.tolist()], share.tolist()
        if weighted is None:
            return cls(*common, None, None, None)
        channels = (torch.cat(weighted, 1) * differ[:, None]).double()
        names = [f"{name}·{c}" for name, part in zip(metric.layers, weighted) for c in range(part.shape[1])]
        falling, order = channels.sort(1, descending=True)
        total = falling.sum(1, keepdim=True)
        half = (falling.cumsum(1) < total / 2).sum(1) + 1
        heaviest = falling[:, 0] / total[:, 0].clamp_min(1e-30)
        return cls(*common, half.tolist(), [names[each] for each in order[:, 0].tolist()], heaviest.tolist())


class Distances:
    """Measures batches of pairs under several metrics, with the weights that their trunks have now."""

    def __init__(self, metrics: Sequence[Metric]):
        self._groups: list[_OnTrunk | _Alone] = []  # one for each trunk, and one for each metric without
        self._members: list[list[int]] = []  # which metrics
        for trunk, members in by_trunk(metrics):
            some = [metrics[index] for index in members]
            self._groups.append(_Alone(some[0]) if trunk is None else _OnTrunk(trunk, some))
            self._members.append(members)
        self._count = len(metrics)

    def open(self, x: Tensor) -> None:
        """Take originals (N, 3, H, W) in [0, 1]."""
        for group in self._groups:
            group.open(x)

    def read(self, y: Tensor, differ: Tensor) -> list[Reading]:
        """What each metric reads of y (N, 3, H, W) beside them. `differ` (N,): which pairs differ."""
        readings: dict[int, Reading] = {}
        for group, members in zip(self._groups, self._members):
            readings |= zip(members, group.read(y, differ))
        return [readings[index] for index in range(self._count)]

    def rulers(
        self,
        levels: Sequence[np.ndarray],
        places: Sequence[int],
        distances: Sequence[np.ndarray],
        names: Sequence[str],
        each: Callable[..., Iterable[Any]] = map,
    ) -> list[Ruler]:
        """Rulers of JPEG copies that read the given distances as whole rulers do, though only the copies around them are measured.

        levels     some of the originals, uint8 (H, W, 3)
        places     where they stand among all of them
        distances  of each, those that will be read, (Q, M)
        each       `map`, or that of an executor, which makes the copies
        """

        def measure(some: Sequence[int], severities: Sequence[int]) -> np.ndarray:
            made = each(jpeg_copy, [levels[one] for one in some], [SEVERITIES[level] for level in severities])
            copies = batch(list(made), self._device)
            beside = torch.tensor([places[one] for one in some], device=self._device)
            measured = np.zeros((len(some), self._count))
            for group, members in zip(self._groups, self._members):
                measured[:, members] = group.beside(copies, beside).double().cpu().numpy()
            return measured

        tables = read_off(distances, measure, len(SEVERITIES))
        return [
            Ruler(tuple(names), {DISTORTION: scale_of(DISTORTIONS[DISTORTION], SEVERITIES, table)}) for table in tables
        ]

    @property
    def _device(self) -> torch.device:
        return self._groups[0].device


class _OnTrunk:
    """The metrics on one trunk."""

    def __init__(self, trunk: Trunk, metrics: Sequence[Any]):
        self._metrics, self._channels = metrics, Channels(trunk, _IN_A_PASS)
        self._heads = [
            torch.cat([head.reshape(1, -1) for head in heads]).detach() for heads in zip(*(m.heads for m in metrics))
        ]
        self._minus: list[Tensor] = []

    def open(self, x: Tensor) -> None:
        self._minus, self.device = self._channels.minus(x), x.device

    def read(self, y: Tensor, differ: Tensor) -> list[Reading]:
        squares, readings = self._channels.squares(y, self._minus), []
        for place, metric in enumerate(self._metrics):
            weighted = [square * head[place] for square, head in zip(squares, self._heads, strict=True)]
            per_layer = torch.stack([each.sum(1) for each in weighted], 1)
            readings.append(Reading.of(metric, per_layer, weighted, differ))
        return readings

    def beside(self, copies: Tensor, places: Tensor) -> Tensor:
        squares = self._channels.squares(copies, self._minus, places)
        return torch.cat(squares, 1) @ torch.cat(self._heads, 1).T


class _Alone:
    """A metric that is none of LPIPS's kind."""

    def __init__(self, metric: Metric):
        self._metric = metric

    def open(self, x: Tensor) -> None:
        self._x, self.device = x, x.device

    def read(self, y: Tensor, differ: Tensor) -> list[Reading]:
        return [Reading.of(self._metric, self._metric.per_layer(self._x, y), None, differ)]

    def beside(self, copies: Tensor, places: Tensor) -> Tensor:
        return self._metric(self._x[places], copies)[:, None]


def batch(pictures: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Pictures (H, W, 3), uint8 or float32, as (N, 3, H, W) in [0, 1]."""
    if all(picture.dtype == np.uint8 for picture in pictures):
        return torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).contiguous().float() / 255
    floats = [picture / np.float32(255) if picture.dtype == np.uint8 else picture for picture in pictures]
    return torch.from_numpy(np.stack(floats)).to(device).permute(0, 3, 1, 2).contiguous()
