"""What several metrics say about several lanes against their references, in one forward pass per trunk."""

from typing import NamedTuple

import numpy as np
import torch

from rlpips.data import images
from rlpips.engine.lanes import Lanes
from rlpips.metrics.fidelity import psnr, ssim
from rlpips.metrics.lpips import layer_shares, merge_maps, stack_heads
from rlpips.norms import L2, LINF
from rlpips.traces.schema import Frame, Step

_MAP_SIDE = 96  # the longer side of a stored map: AlexNet's finest layer has 63 positions at 256 pixels


class Panel:
    """Metrics reading batches of pictures against fixed references (N, 3, H, W), whose features are computed once.

    A batch holds K lanes of every reference, one reference after the other: (N·K, 3, H, W). `precision` is that of `shares`,
    "float32" or "bfloat16" (see `rlpips.engine.bfloat16`); `maps` and `frame` are float32 always, or tf32 where torch is set so.
    """

    def __init__(self, metrics, reference, precision="float32"):
        self.metrics = list(metrics)
        self.reference = reference
        self._groups, order = [], []
        with torch.no_grad():
            for trunk in {id(metric.trunk): metric.trunk for metric in self.metrics}.values():
                members = [index for index, metric in enumerate(self.metrics) if metric.trunk is trunk]
                heads = [head[:, :, 0, 0] for head in stack_heads([self.metrics[index] for index in members])]
                self._groups.append(Lanes(trunk, heads, reference, precision))
                order += members
        # Back to the order in which metrics were given.
        self._order = torch.tensor(sorted(range(len(order)), key=order.__getitem__), device=reference.device)

    def shares(self, x):
        """Distances per layer, (N·K, M, L); they sum over layers to the distances. Gradients flow to `x`."""
        return self._joined([group.shares(x) for group in self._groups])

    def read(self, x, start):
        """The `Reading` of `x`, which was `start` before it was pushed, both (N·K, 3, H, W)."""
        moved = x.detach() - start
        return Reading(self.shares(x), LINF.measure(moved), L2.measure(moved))

    @torch.no_grad()
    def maps(self, x):
        """A list of L maps (N·K, M, h_l, w_l), whose means are the `shares`."""
        return [self._joined(layer) for layer in zip(*(group.maps(x) for group in self._groups))]

    def _joined(self, parts):
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)[:, self._order]

    @torch.no_grad()
    def frame(self, step, lanes, x, start):
        """The `Frame` of each of the N references: its lanes `x` (N·K, 3, H, W) rounded to 8 bits and measured as such.

        `start` (N·K, 3, H, W) is what was pushed, in 8 bits (see `in_8_bits`), as that is what people see.
        """
        shown = in_8_bits(x)
        maps = self.maps(shown)
        height, width = maps[0].shape[-2:]
        scale = min(1, _MAP_SIDE / max(height, width))
        parts = {
            "attacked": torch.from_numpy(images.to_uint8(shown)),
            "maps": merge_maps(maps, (max(1, round(height * scale)), max(1, round(width * scale)))),
            "distance_8bit": layer_shares(maps).sum(-1),
            "linf_8bit": LINF.measure(shown - start),
            "l2_8bit": L2.measure(shown - start),
            "psnr": psnr(shown, start),
            "ssim": ssim(shown, start),
        }
        parts = {key: _by_picture(value, len(self.reference)) for key, value in parts.items()}
        return [
            Frame(step=step, lanes=tuple(lanes), **{key: value[index] for key, value in parts.items()})
            for index in range(len(self.reference))
        ]


def in_8_bits(x):
    """Images (N, 3, H, W) in [0, 1], rounded to multiples of 1/255."""
    return (x * 255).round() / 255


class Reading(NamedTuple):
    """What there is to say about a batch of N·K lanes: distances per layer (N·K, M, L), and the norms reached, (N·K,)."""

    shares: torch.Tensor
    linf: torch.Tensor
    l2: torch.Tensor


def to_steps(readings, noise, last, restart, frames, count):
    """Consecutive iterates of `count` pictures, of which the last has this index: yields a list of N `Step` for each.

    `readings` holds a `Reading` for every iterate and `noise` that of the lane which never moves; `frames` are those of the last
    iterate, a tuple per picture, or none.
    """
    moving = [_by_picture(torch.stack(part), count, 1) for part in zip(*readings)]  # each (T, N, K, …), in one transfer
    still = [_by_picture(part, count) for part in noise]
    for at in range(len(readings)):
        shares, linf, l2 = (np.concatenate([part[at], rest], 1) for part, rest in zip(moving, still))
        shown = frames if frames and at == len(readings) - 1 else [()] * count
        yield [
            Step(last + 1 + at - len(readings), restart, shares[n].sum(-1), shares[n], linf[n], l2[n], shown[n])
            for n in range(count)
        ]


def _by_picture(tensor, count, dim=0):  # (…, N·K, …) on any device -> numpy (…, N, K, …)
    return tensor.detach().cpu().unflatten(dim, (count, -1)).numpy()
