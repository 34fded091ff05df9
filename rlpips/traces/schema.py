"""Traces as JSON and as files. No torch in here, and no trust: a file may come from a stranger.

A trace is saved as a zip archive that anybody can read without this library:
    trace.json   everything but the pictures, as `to_json` builds it; a picture stands there as its file name
    *.png        reference, start (where it is not the reference) and the maps of each frame
    *.webp       the perturbation of each frame, lossless
The pictures of a frame hold its lanes one below the other. A perturbation is RGB: (attacked - base + 128) mod 256, so
that attacked = (base + byte - 128) mod 256 exactly; base is the attacked picture of the same lanes' frame before, as
little changes from one to the next, and for the first frame it is start. A map is grey, one tile per lane and metric,
with the value peak · (byte / 255)².

Attacks on a classifier add what it says: "verdicts" to meta (the classes, the label that is led away from, and the clean
picture's probabilities), "probabilities" to the curve and "probabilities_8bit" to each frame.
"""

from dataclasses import dataclass

import numpy as np

FORMAT = "rlpips-trace-1"
NOISE = "noise"  # the lane that is never pushed
CURVES = ("distance", "per_layer", "linf", "l2")
MEASURES = ("distance_8bit", "linf_8bit", "l2_8bit", "psnr", "ssim")


def curve_keys(of):
    """The names of the readings that a `Trace` or a `Step` has."""
    return CURVES if of.probabilities is None else (*CURVES, "probabilities")


def measure_keys(frame):
    """The names of the numbers that a `Frame` has."""
    return MEASURES if frame.probabilities_8bit is None else (*MEASURES, "probabilities_8bit")


def keyframes(steps, height, width):
    """The steps at which pictures and maps are kept, denser early: about 16, fewer for large pictures."""
    count = max(6, min(16, round(16 * (256 * 256) / (height * width))))
    return sorted({round(steps * (index / (count - 1)) ** 1.6) for index in range(count)})


@dataclass(frozen=True, eq=False)
class Frame:
    """The n lanes of one step as they are shown: rounded to 8 bits, and measured as such, against M metrics."""

    step: int
    lanes: tuple[int, ...]  # which lanes, (n,)
    attacked: np.ndarray  # (n, H, W, 3) uint8
    maps: np.ndarray  # (n, M, h, w) float32, where each metric sees the difference to the reference
    distance_8bit: np.ndarray  # (n, M)
    linf_8bit: np.ndarray  # (n,), of attacked - start, in [0, 1] pixel units
    l2_8bit: np.ndarray  # (n,)
    psnr: np.ndarray  # (n,) dB, against start
    ssim: np.ndarray  # (n,), against start
    probabilities_8bit: np.ndarray | None = None  # (n, K), of an attack on a classifier: its softmax


@dataclass(frozen=True, eq=False)
class Step:
    """One iterate of an attack: every lane under every metric, of the float picture."""

    index: int
    restart: int
    distance: np.ndarray  # (lanes, metrics)
    per_layer: np.ndarray  # (lanes, metrics, layers)
    linf: np.ndarray  # (lanes,), norm of the perturbation reached, in [0, 1] pixel units
    l2: np.ndarray  # (lanes,)
    frames: tuple[Frame, ...]  # at keyframes: the pushed lanes, and at step 0 the noise; else none
    probabilities: np.ndarray | None = None  # (lanes, K), of an attack on a classifier: its softmax
