"""The ranges in which arrays hold pixels: recognised from the dtype and the least and greatest value, always stated, never guessed.

An attack may leave its range a little when nobody clips it; what is outside is clipped, and that is stated too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of red, green, blue
_ROUNDING = 1e-3
_OVERSHOOT = 0.1  # of a range's width: how far attacked pictures may leave the range of the originals


@dataclass(frozen=True)
class Range:
    """One way to write pixels. `unit(values)` takes float32 (…, H, W, 3) to [0, 1]."""

    name: str  # as an option
    title: str  # in sentences
    low: float
    high: float
    unit: Callable[[np.ndarray], np.ndarray]


RANGES = {
    each.name: each
    for each in (
        Range("unit", "[0, 1]", 0, 1, lambda x: x),
        Range("signed", "[-1, 1]", -1, 1, lambda x: (x + 1) / 2),
        Range("centred", "[-0.5, 0.5]", -0.5, 0.5, lambda x: x + 0.5),
        Range("bytes", "[0, 255]", 0, 255, lambda x: x / 255),
        Range("uint16", "[0, 65535]", 0, 65535, lambda x: x / 65535),
        Range(
            "imagenet",
            "ImageNet-normalised",
            -MEAN[0] / STD[0],
            (1 - MEAN[2]) / STD[2],
            lambda x: x * np.array(STD, np.float32) + np.array(MEAN, np.float32),
        ),
    )
}


@dataclass(frozen=True)
class Span:
    """What is known of an array's values before their range is."""

    dtype: Any
    low: float
    high: float

    @property
    def text(self) -> str:
        """The dtype and the values, for sentences."""
        return f"{self.dtype}, values from {self.low:.4g} to {self.high:.4g}"


def span_of(array: np.ndarray, name: str) -> Span:
    """The `Span` of an array. ValueError for values that are no pixels, with a sentence that begins with `name`."""
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds {array.dtype}; pixels are numbers, uint8 or float.")
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise ValueError(f"{name} holds values that are not finite (NaN or infinity).")
    return Span(array.dtype, low, high)


def recognise(span: Span) -> str:
    """The name of the range that values of this span have. ValueError, a clause that says what they may be, where it is not clear."""
    low, high = span.low, span.high
    if span.dtype == np.uint8:
        return "bytes"
    if np.dtype(span.dtype).kind in "iu":
        if low >= 0 and 1 < high <= 255:
            return "bytes"
        if low >= 0 and 255 < high <= 65535:
            return "uint16"
    elif low >= -_ROUNDING:
        if high <= 1 + _ROUNDING:
            return "unit"
        if 16 <= high <= 255 + _ROUNDING * 255:  # a picture of float levels below 16 would be all but black
            return "bytes"
    elif low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:
        if low < -0.5 - _ROUNDING or high > 0.5 + _ROUNDING:
            return "signed"
    elif _within("imagenet", span, _ROUNDING) and low < -1:
        return "imagenet"
    raise ValueError(f"holds {span.text}; say which range that is, one of {', '.join(RANGES)}")


def recognise_both(clean: Span, attacked: Span) -> tuple[str, str]:
    """The ranges of originals and of attacked pictures. Where the two seem to differ, but the attacked ones only leave the range of the
    originals a little, it is that range, left by an attack without clipping. ValueError as from `recognise`."""
    first = recognise(clean)
    if clean.dtype == attacked.dtype and _within(first, attacked, _OVERSHOOT):
        return first, first
    return first, recognise(attacked)


def clipped(name: str, span: Span) -> str:
    """A clause about values outside the range called `name`, or ""."""
    return "" if _within(name, span, _ROUNDING) else f"values from {span.low:.4g} to {span.high:.4g} were clipped to it"


def to_unit(array: np.ndarray, name: str) -> np.ndarray:
    """Pixels (…, H, W, 3) of the range called `name` as float32 in [0, 1]; uint8 of the range "bytes" stays uint8."""
    if array.dtype == np.uint8 and name == "bytes":
        return array
    return np.clip(RANGES[name].unit(array.astype(np.float32)), 0, 1).astype(np.float32)


def _within(name: str, span: Span, slack: float) -> bool:
    each = RANGES[name]
    slack *= each.high - each.low
    return each.low - slack <= span.low and span.high <= each.high + slack
