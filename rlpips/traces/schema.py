"""What a trace is made of, and how it is stored. No torch in this room: a page can open on a trace.

A trace is saved as a zip archive that anybody can read without this library:
    trace.json   everything but the pictures, as `rlpips.traces.writer.to_json` builds it; a file is named by its file name
    *.png        reference, start (where it is not the reference) and the maps of each frame
    *.webp       the perturbation of each frame, lossless
    *.f32        float32 numbers, little-endian: the weights of the metrics, and the channels of each frame
The pictures of a frame hold its lanes one below the other. A perturbation is RGB: (attacked - base + 128) mod 256, so
that attacked = (base + byte - 128) mod 256 exactly. For the first frame base is start; for later ones it is the attacked
picture of the same lanes in the frame before, as little changes from one to the next.

Maps say where a metric sees a difference, one for each of its layers, at the layer's resolution; their mean is the layer's
share of the distance. The maps of a frame are one grey picture: a tile for each lane, metric and layer, in this order, one below the
other at the left edge. `map_size[metric][layer]` is [h, w], null where the layer is another metric's, which has no tile. A
value is `map_peak[lane][metric][layer]` · (byte / 255)². Enlarged bilinearly to the size of the picture and summed over the layers they
are `Metric.distance_map`; `peak[lane][metric]` is the largest value of the sum at the resolution of the finest layer. Traces read from the
earlier format have one map for each metric, that sum, and no trunks.

Channels open the metrics of LPIPS's kind. `meta.trunks` lists the networks: its metrics compare the same features, and differ by their
weights alone. For each a frame has `channels[trunk]`, a file of (n, C) numbers: of each lane the mean squared difference of every
channel, all layers' in order, weights not applied. With the weights, `meta.trunks[trunk].heads`, a file of (metrics, C) numbers:
    distance_8bit[lane][metric] = Σ_c heads[metric, c] · channels[lane, c]
and so under any other weights w: Σ_c w_c · channels[lane, c]. Layer l has `meta.trunks[trunk].channels[l]` of the C channels. In a ruler,
`distortions[…].channels` has the same vectors for every `every`-th entry of JPEG's table: (S, C) numbers in base64, one for each trunk.
The distance at the entries between is interpolated linearly, and the table is the running maximum.

Attacks that move pixels (norm "flow") add to each frame "flow", a grey picture of the flows at their nodes, "flow_size", the
nodes of one, [h, w], and "flow_peak". Lane by lane there is a tile of arrows' parts to the right and one of those down, in pixels:
flow_peak · (byte - 128) / 127. A position has the colour that the original has at the arrow's tip.

Attacks on a classifier add its verdicts: "verdicts" to meta (the classes, the label, and the probabilities of the clean picture),
"probabilities" to the curve and "probabilities_8bit" to each frame.

Where a model of the eye was asked, there is "eye" with its distances, its ruler and eye.png: its maps, stored as those of a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from rlpips.zoo import catalog

FORMAT = "rlpips-trace-2"
EARLIER = "rlpips-trace-1"  # without the maps of single layers, channels, weights and a model of the eye; it can still be read
NOISE = "noise"  # the lane that is never pushed
CURVES = ("distance", "per_layer", "linf", "l2")
MEASURES = ("distance_8bit", "linf_8bit", "l2_8bit", "psnr", "ssim")


def keyframes(steps: int, height: int, width: int, backbone: str = "alex", metrics: Any = ()) -> list[int]:
    """The steps at which pictures and maps are kept, denser early: at most 8, and at most 6 where a pass of the network takes longer.
    Step 1 is among them, so that the first growth comes with its pictures."""
    cost = height * width * catalog.cost(metrics, backbone)
    count = max(6, min(8, round(8 * (256 * 256) / cost)))
    last = count - 2
    return sorted({0, *(round(1 + (steps - 1) * (index / last) ** 1.35) for index in range(last + 1))})


@dataclass(frozen=True, eq=False)
class Frame:
    """n lanes of one step as they are shown: rounded to 8 bits, and measured as such by M metrics."""

    step: int
    lanes: tuple[int, ...]  # which lanes, (n,)
    attacked: np.ndarray  # (n, H, W, 3) uint8
    maps: tuple[
        tuple[np.ndarray | None, ...], ...
    ]  # [metric][layer] (n, h, w) float32; None for another metric's layer
    distance_8bit: np.ndarray  # (n, M)
    linf_8bit: np.ndarray  # (n,), of attacked - start, in [0, 1] pixel units
    l2_8bit: np.ndarray  # (n,)
    psnr: np.ndarray  # (n,) dB, against start
    ssim: np.ndarray  # (n,), against start
    probabilities_8bit: np.ndarray | None = None  # (n, K), the classifier's softmax, if one is attacked
    channels: tuple[
        np.ndarray, ...
    ] = ()  # for each `SharedTrunk` (n, C) float32, mean squared differences, without weights
    flow: np.ndarray | None = None  # (n, 2, h, w), moves right and down in pixels, if pixels are moved


@dataclass(frozen=True, eq=False)
class SharedTrunk:
    """A network, and the metrics on it: they compare the same features, and differ by the weights of the C channels alone."""

    metrics: tuple[str, ...]
    layers: tuple[str, ...]
    channels: tuple[int, ...]  # of each layer; C in all
    heads: np.ndarray  # (metrics, C) float32


@dataclass(frozen=True, eq=False)
class Eye:
    """What FLIP, a model of the eye, says about the last picture of every lane, in 8 bits, against the reference."""

    distance: np.ndarray  # (lanes,), in [0, 1]
    maps: np.ndarray  # (lanes, h, w) float32, where it sees a difference, in [0, 1]
    ruler: dict[str, Any]  # `rlpips.engine.ruler.Ruler.to_json`, with JPEG for the one metric "flip"


@dataclass(frozen=True, eq=False)
class Step:
    """One iterate of an attack: every lane measured by every metric, as float pictures."""

    index: int
    restart: int
    distance: np.ndarray  # (lanes, metrics)
    per_layer: np.ndarray  # (lanes, metrics, layers)
    linf: np.ndarray  # (lanes,), norm of the perturbation, in [0, 1] pixel units
    l2: np.ndarray  # (lanes,)
    frames: tuple[Frame, ...]  # at keyframes: the pushed lanes, and at step 0 the noise; else none
    probabilities: np.ndarray | None = None  # (lanes, K), the classifier's softmax, if one is attacked


def curve_keys(source: Any) -> tuple[str, ...]:
    """The names of the curves that a `Trace` or a `Step` has."""
    return CURVES if source.probabilities is None else (*CURVES, "probabilities")


def joined(step: int, lanes: tuple[int, ...], rows: Sequence[tuple[Frame, int]]) -> Frame:
    """A frame whose lanes are rows of others, (frame, row) each."""
    frames = [frame for frame, _ in rows]

    def stacked(arrays):
        return None if arrays[0] is None else np.stack([array[row] for array, (_, row) in zip(arrays, rows)])

    return Frame(
        step=step,
        lanes=lanes,
        maps=tuple(tuple(map(stacked, zip(*layers))) for layers in zip(*(frame.maps for frame in frames))),
        channels=tuple(map(stacked, zip(*(frame.channels for frame in frames)))),
        **{
            key: stacked([getattr(frame, key) for frame in frames])
            for key in ("attacked", "flow", *measure_keys(frames[0]))
        },
    )


def measure_keys(frame: Frame) -> tuple[str, ...]:
    """The names of the numbers that a `Frame` has."""
    return MEASURES if frame.probabilities_8bit is None else (*MEASURES, "probabilities_8bit")


def merged_maps(frame: Frame, row: int) -> np.ndarray:
    """(metrics, h, w): the maps of one lane of a frame, enlarged bilinearly to the size of the finest and summed."""
    sizes = [each.shape[1:] for layers in frame.maps for each in layers if each is not None]
    height, width = (max(sides) for sides in zip(*sizes))
    return np.stack(
        [
            sum(
                np.asarray(Image.fromarray(each[row]).resize((width, height), Image.Resampling.BILINEAR))
                for each in layers
                if each is not None
            )
            for layers in frame.maps
        ]
    )
