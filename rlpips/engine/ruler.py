"""Measures rulers: for one picture, the natural distortions that each metric finds as far as a distance (`rlpips.traces.ruler`)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rlpips.data.distortions import DISTORTIONS, Distortion
from rlpips.device import in_neutral_state
from rlpips.engine.panel import Panel
from rlpips.metrics.base import Metric, check_images
from rlpips.traces.ruler import Ruler, Scale

# The severities that a ruler measures, closer together at the mild end: from JPEG quality 88 to 1.
SEVERITIES = tuple((k / 7) ** 1.5 for k in range(1, 8))

_AT_ONCE = 16 * 256 * 256  # pixels in one pass of the network, which bounds its memory


def make_ruler(
    reference: Tensor,
    metrics: Sequence[Metric],
    severities: Sequence[float] = SEVERITIES,
    distortions: Sequence[str] = tuple(DISTORTIONS),
    between: int = 2,
    precision: str = "float32",
    panel: type[Panel] = Panel,
) -> Ruler:
    """Measure distortions of one picture under several metrics at once.

    reference   (1, 3, H, W) in [0, 1]
    severities  each is measured, in [0, 1]
    between     entries between two severities, interpolated linearly, because a pass of the network costs more than a text
    precision   as for `rlpips.engine.panel.Panel`
    panel       what measures: `Panel` or a subclass

    A metric may find a stronger distortion nearer (a shift by a whole period, say); the running maximum makes every table rise.
    ValueError for more than one picture.
    """
    scales = make_scales(reference, metrics, severities, distortions, between, precision, panel)
    return Ruler(tuple(metric.name for metric in metrics), {scale.name: scale for scale in scales})


@in_neutral_state
def make_scales(
    reference: Tensor,
    metrics: Sequence[Metric],
    severities: Sequence[float] = SEVERITIES,
    distortions: Sequence[str] = tuple(DISTORTIONS),
    between: int = 2,
    precision: str = "float32",
    panel: type[Panel] = Panel,
) -> Iterator[Scale]:
    """The scales of a ruler, one after another, each when it is measured. The arguments are those of `make_ruler`."""
    check_images(reference, "reference")
    if len(reference) != 1:
        raise ValueError(f"A ruler belongs to one picture; got {len(reference)}.")
    severities = sorted(severities)
    measuring = panel(metrics, reference, precision)
    for name in distortions:
        family = DISTORTIONS[name]
        with torch.no_grad():  # ends before the yield, because the caller has a gradient mode of their own
            pictures = torch.cat([family(reference, severity) for severity in severities])
            chunks = pictures.split(max(1, _AT_ONCE // reference[0, 0].numel()))
            channels: list[Tensor] = []  # (S, C) of each trunk
            if name == "jpeg":
                distances, channels = measuring.open(chunks)
            else:
                distances = torch.cat([measuring.per_layer(chunk).sum(-1) for chunk in chunks])
            measured = distances.double().cpu().numpy()  # (S, M)
        vectors = tuple(each.float().cpu().numpy() for each in channels)
        yield replace(scale_of(family, severities, measured, between), channels=vectors, every=between + 1)


def scale_of(family: Distortion, severities: Sequence[float], measured: np.ndarray, between: int = 2) -> Scale:
    """The scale of a family of distortions from the distances (S, M) at S rising severities, with `between` entries more between two
    of them. The running maximum makes it rise."""
    count = len(severities)
    entries = np.interp(np.linspace(0, count - 1, (count - 1) * (between + 1) + 1), np.arange(count), severities)
    distance = np.stack([np.interp(entries, severities, column) for column in measured.T], 1)
    words = tuple(family.describe(severity) for severity in entries)
    return Scale(family.name, family.title, words, np.maximum.accumulate(distance))
