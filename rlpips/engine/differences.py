"""What every channel answers at every position, at one step of a trace: to the reference, and how the answer to each attacked picture
differs from that; in a file small enough for a page to fetch.

At 256×256 AlexNet has 640,000 numbers a picture. A file holds
    4 bytes   the length of the header, little-endian
    header    JSON: "format", "step", "lanes" (names), "metrics" (of the trunk, names), "octaves", and "layers": of each its "name",
              "channels", "size" [h, w] and "peak", the largest difference
    body      packed by zlib: layer after layer, (1 + lanes, channels, h, w) bytes, the answers to the reference first
A picture's bytes of a layer are sorted, stably, by those of the picture before it, ties by those before that: then neighbours are alike, and
the file is a quarter smaller. An answer, in [0, 1], is (b / 255)². A difference is 0 if b & 127 is 0, else
peak · 2^(((b & 127) - 127) · octaves / 126), and negative for b above 128: so it is off by 2 % at most, as far as 2^-8 of the layer's largest; smaller ones become 0 or that. Weights are not applied: the
mean of the squared differences over positions is the trace's `per_channel`.
"""

import json
import math
import zlib
from collections.abc import Iterator
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

FORMAT = "rlpips-differences-2"
OCTAVES = 8
MOST = 10_000_000  # numbers a picture
_NUMBERS = {"alex": 10, "vgg": 122, "squeeze": 60}  # for each pixel, roughly


@dataclass(frozen=True, eq=False)
class Differences:
    """The answers of every channel at one step, to the reference and to some lanes' pictures, weights not applied."""

    step: int
    lanes: tuple[str, ...]
    metrics: tuple[str, ...]  # those that share them
    layers: tuple[str, ...]
    answers: tuple[np.ndarray, ...]  # to the reference, of each layer (C_l, h_l, w_l) float32 in [0, 1]
    changes: tuple[np.ndarray, ...]  # of the lanes' from these, of each layer (lanes, C_l, h_l, w_l) float32

    @property
    def squared(self) -> tuple[np.ndarray, ...]:
        """The squared differences, of each layer (lanes, C_l, h_l, w_l)."""
        return tuple(np.square(changes) for changes in self.changes)

    def to_bytes(self) -> bytes:
        """The file described above."""
        layers, parts = [], []
        for name, answers, changes in zip(self.layers, self.answers, self.changes, strict=True):
            size = np.abs(changes)
            peak = float(size.max())
            channels, *positions = answers.shape
            layers.append({"name": name, "channels": channels, "size": positions, "peak": peak})
            with np.errstate(divide="ignore", invalid="ignore"):
                level = np.rint(127 + np.log2(size / peak) * (126 / OCTAVES))
            level = np.where(size > 0, np.clip(level, 0, 127), 0)
            level = np.where((changes < 0) & (level > 0), level + 128, level)
            pictures = np.stack([np.rint(255 * np.sqrt(np.clip(answers, 0, 1))), *level]).astype(np.uint8)
            parts += [row.tobytes() for row in _sorted(pictures.reshape(len(pictures), -1))]
        about = {"step": self.step, "lanes": self.lanes, "metrics": self.metrics, "octaves": OCTAVES, "layers": layers}
        header = json.dumps({"format": FORMAT, **about}).encode()
        # Repeated bytes and Huffman codes for a few thousand bytes each: with longer matches it is larger, and takes longer.
        packer = zlib.compressobj(9, memLevel=6, strategy=zlib.Z_RLE)
        return len(header).to_bytes(4, "little") + header + packer.compress(b"".join(parts)) + packer.flush()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Differences":
        """What `to_bytes` wrote, to a byte's accuracy. ValueError for anything else."""
        try:
            start = 4 + int.from_bytes(data[:4], "little")
            about = json.loads(data[4:start])
            if about["format"] != FORMAT:
                raise ValueError("another format")
            shapes = [(1 + len(about["lanes"]), each["channels"], *each["size"]) for each in about["layers"]]
            sizes = [math.prod(shape) for shape in shapes]
            if min(sizes) < 0 or sum(sizes) > MOST * (1 + len(about["lanes"])):
                raise ValueError("too large")
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(data[start:], sum(sizes) + 1)
            if len(body) != sum(sizes):
                raise ValueError("another length")
            levels = np.arange(256) & 127
            powers = np.where(levels, np.exp2((levels - 127) * about["octaves"] / 126), 0)
            powers[128:] *= -1
            parts = np.split(np.frombuffer(body, np.uint8), np.cumsum(sizes)[:-1])
            parts = [_unsorted(part.reshape(shape[0], -1)).reshape(shape) for part, shape in zip(parts, shapes)]
            answers = tuple(np.square(part[0].astype(np.float32) / 255) for part in parts)
            changes = tuple(
                (layer["peak"] * powers).astype(np.float32)[part[1:]] for layer, part in zip(about["layers"], parts)
            )
            names = (tuple(map(str, about[key])) for key in ("lanes", "metrics"))
            return cls(
                int(about["step"]), *names, tuple(str(each["name"]) for each in about["layers"]), answers, changes
            )
        except (ValueError, KeyError, TypeError, IndexError, zlib.error, RecursionError) as error:
            raise ValueError("This is no readable file of differences.") from error


def _sorted(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """The bytes (P, n) of pictures as a file has them, each (n,)."""
    order = np.arange(pictures.shape[1])
    for picture in pictures:
        yield picture[order]
        order = order[np.argsort(picture[order], kind="stable")]


def _unsorted(rows: np.ndarray) -> np.ndarray:
    """The bytes (P, n) that `_sorted` made these of."""
    pictures, order = np.empty_like(rows), np.arange(rows.shape[1])
    for picture, row in zip(pictures, rows):
        picture[order] = row
        order = order[np.argsort(row, kind="stable")]
    return pictures


@in_neutral_state
def differences_of(trace: Trace, step: int | None = None, trunk: int = 0, device: Any = None) -> Differences:
    """The `Differences` of the pushed lanes of a trace at the last keyframe up to `step` (None: the last of all), of its pictures in 8
    bits, on `trace.trunks[trunk]`. `device` as for `rlpips.load_metric`.

    ValueError for a step or a trunk that is not there, a trunk that no metric of the catalogue has, more than ten million numbers a picture,
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
            f"These are {numbers / 1e6:.0f} million numbers a picture; at most {MOST / 1e6:.0f} million are computed."
        )
    device = pick_device(device)
    network = shared_metric(known[0], trace.receipt["backbone"], device).trunk
    with torch.no_grad():
        features = network(images.to_tensor(np.concatenate([trace.reference[None], shown.attacked]), device))
        answers = tuple(layer[0].cpu().numpy() for layer in features)
        changes = tuple((layer[1:] - layer[:1]).cpu().numpy() for layer in features)
    names = tuple(trace.lanes[lane] for lane in lanes)
    return Differences(shown.step, names, shared.metrics, shared.layers, answers, changes)
