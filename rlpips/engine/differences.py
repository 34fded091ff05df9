"""Every squared difference of one step of a trace: all channels at all positions, in a file small enough for a page to fetch.

At 256×256 AlexNet has 640,000 numbers a lane. A file holds
    4 bytes   the length of the header, little-endian
    header    JSON: "format", "step", "lanes" (names), "metrics" (of the trunk, names), "octaves", and "layers": of each its "name",
              "channels", "size" [h, w] and "peak", the largest value
    body      packed by zlib: layer after layer, (lanes, channels, h, w) bytes
A byte b stands for 0 if it is 0, else for peak · 2^((b - 255) · octaves / 254): so a value is off by 2 % at most, as far as 2^-16 of the
layer's largest; smaller ones become 0 or that. Weights are not applied: the mean over positions is the trace's `per_channel`.
"""

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlpips.data import images
from rlpips.device import in_neutral_state, pick_device
from rlpips.metrics.lpips import shared_metric
from rlpips.traces.schema import joined
from rlpips.traces.trace import Trace
from rlpips.zoo.catalog import CATALOG

FORMAT = "rlpips-differences-1"
OCTAVES = 16
MOST = 10_000_000  # numbers a lane
_NUMBERS = {"alex": 10, "vgg": 122, "squeeze": 60}  # for each pixel, roughly


@dataclass(frozen=True, eq=False)
class Differences:
    """The squared differences of some lanes of one step, weights not applied."""

    step: int
    lanes: tuple[str, ...]
    metrics: tuple[str, ...]  # those that share them
    layers: tuple[str, ...]
    values: tuple[np.ndarray, ...]  # of each layer (lanes, C_l, h_l, w_l) float32

    def to_bytes(self) -> bytes:
        """The file described above."""
        layers, parts = [], []
        for name, values in zip(self.layers, self.values, strict=True):
            peak = float(values.max())
            _, channels, *size = values.shape
            layers.append({"name": name, "channels": channels, "size": size, "peak": peak})
            with np.errstate(divide="ignore", invalid="ignore"):
                bytes_ = np.rint(255 + np.log2(values / peak) * (254 / OCTAVES))
            parts.append(np.where(values > 0, np.clip(bytes_, 0, 255), 0).astype(np.uint8).tobytes())
        about = {"step": self.step, "lanes": self.lanes, "metrics": self.metrics, "octaves": OCTAVES, "layers": layers}
        header = json.dumps({"format": FORMAT, **about}).encode()
        return len(header).to_bytes(4, "little") + header + zlib.compress(b"".join(parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Differences":
        """What `to_bytes` wrote, to a byte's accuracy. ValueError for anything else."""
        try:
            start = 4 + int.from_bytes(data[:4], "little")
            about = json.loads(data[4:start])
            if about["format"] != FORMAT:
                raise ValueError("another format")
            shapes = [(len(about["lanes"]), each["channels"], *each["size"]) for each in about["layers"]]
            sizes = [math.prod(shape) for shape in shapes]
            if min(sizes) < 0 or sum(sizes) > MOST * len(about["lanes"]):
                raise ValueError("too large")
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(data[start:], sum(sizes) + 1)
            if len(body) != sum(sizes):
                raise ValueError("another length")
            powers = np.exp2((np.arange(256) - 255) * about["octaves"] / 254)
            powers[0] = 0
            parts = np.split(np.frombuffer(body, np.uint8), np.cumsum(sizes)[:-1])
            values = tuple(
                (layer["peak"] * powers).astype(np.float32)[part].reshape(shape)
                for layer, part, shape in zip(about["layers"], parts, shapes)
            )
            names = (tuple(map(str, about[key])) for key in ("lanes", "metrics"))
            return cls(int(about["step"]), *names, tuple(str(each["name"]) for each in about["layers"]), values)
        except (ValueError, KeyError, TypeError, IndexError, zlib.error, RecursionError) as error:
            raise ValueError("This is no readable file of squared differences.") from error


@in_neutral_state
def differences_of(trace: Trace, step: int | None = None, trunk: int = 0, device: Any = None) -> Differences:
    """The `Differences` of the pushed lanes of a trace at the last keyframe up to `step` (None: the last of all), of its pictures in 8
    bits, on `trace.trunks[trunk]`. `device` as for `rlpips.load_metric`.

    ValueError for a step or a trunk that is not there, a trunk that no metric of the catalogue has, more than ten million numbers a lane,
    and an attack on a classifier, whose small picture the metrics see enlarged.
    """
    if trace.classes:
        raise ValueError("The metrics see a classifier's small picture enlarged: there are no differences of its own.")
    if not 0 <= trunk < len(trace.trunks):
        raise ValueError(f"trunk must be one of the trace's {len(trace.trunks)}; got {trunk}.")
    shared = trace.trunks[trunk]
    known = [name for name in shared.metrics if name in CATALOG]
    if not known:
        raise ValueError(f"The network of {', '.join(shared.metrics)} is not in the catalogue.")
    if step is not None and step < 0:
        raise ValueError(f"step must be at least 0; got {step}.")
    lanes = [lane for lane, name in enumerate(trace.lanes) if name != "noise"]
    rows = [trace.at(lane, step) for lane in lanes]
    shown = joined(rows[0][0].step, tuple(lanes), rows)
    height, width = trace.reference.shape[:2]
    numbers = height * width * _NUMBERS[trace.receipt["backbone"]]
    if numbers > MOST:
        raise ValueError(
            f"These are {numbers / 1e6:.0f} million numbers a lane; at most {MOST / 1e6:.0f} million are computed."
        )
    device = pick_device(device)
    network = shared_metric(known[0], trace.receipt["backbone"], device).trunk
    with torch.no_grad():
        features = network(images.to_tensor(np.concatenate([trace.reference[None], shown.attacked]), device))
        values = tuple((layer[1:] - layer[:1]).square().cpu().numpy() for layer in features)
    return Differences(shown.step, tuple(trace.lanes[lane] for lane in lanes), shared.metrics, shared.layers, values)
