"""The ruler: distances have no unit, so it gives the natural distortion of the same picture that a metric finds equally far."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.data.distortions import DISTORTIONS
from rlpips.device import in_neutral_state
from rlpips.engine.panel import Panel
from rlpips.metrics.base import Metric, check_images

# The severities that a ruler measures, closer together at the mild end: from JPEG quality 88 to 1.
SEVERITIES = tuple((k / 7) ** 1.5 for k in range(1, 8))


@dataclass(frozen=True)
class Scale:
    """The table of one distortion: a text for each of S rising severities, and the distances (S, M) under M metrics."""

    name: str
    title: str
    words: tuple[str, ...]
    distance: np.ndarray

    def nearest(self, metric: int, distance: float) -> int:
        """The entry nearest in log distance to a distance under the metric of that index; -1 below all of them, S above."""
        distances = self.distance[:, metric]
        if distance > distances[-1]:
            return len(distances)
        if distance < distances[0]:
            return -1
        tiny = 1e-12  # a grey picture is at distance 0 from its grey version
        return int(np.abs(np.log((distances + tiny) / (distance + tiny))).argmin())


@dataclass(frozen=True)
class Ruler:
    """For one picture, the natural distortions that each metric finds as far as a distance. `make_ruler` makes it."""

    metrics: tuple[str, ...]
    scales: dict[str, Scale]

    def read(self, metric: str, distance: float, distortion: str = "jpeg") -> str:
        """A distance as a text: "as far as JPEG quality 7", "further than any JPEG tried (quality 1)" or "nearer than the mildest
        JPEG tried (quality 88)", or "identical" for 0. It is the table's entry nearest in log distance. ValueError for an unknown name."""
        for what, value, names in (("metric", metric, self.metrics), ("distortion", distortion, tuple(self.scales))):
            if value not in names:
                raise ValueError(f"This ruler's {what} must be one of {', '.join(names)}; got {value!r}.")
        if not distance >= 0:
            raise ValueError(f"A distance is a number of at least 0; got {distance!r}.")
        if distance == 0:
            return "identical"
        scale = self.scales[distortion]
        entry = scale.nearest(self.metrics.index(metric), distance)
        if entry == len(scale.words):
            return f"further than any {scale.title} tried ({scale.words[-1].removeprefix(scale.title + ' ')})"
        if entry < 0:
            return f"nearer than the mildest {scale.title} tried ({scale.words[0].removeprefix(scale.title + ' ')})"
        return f"as far as {scale.words[entry]}"

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and floats: {"metrics": […], "distortions": [{"name", "title", "words": [S],
        "distance": [S][M]}]}."""
        return {
            "metrics": list(self.metrics),
            "distortions": [
                {"name": s.name, "title": s.title, "words": list(s.words), "distance": s.distance.tolist()}
                for s in self.scales.values()
            ],
        }

    @classmethod
    def from_json(cls, value: Any) -> "Ruler":
        """The ruler of a value that `to_json` returned; ValueError for anything else."""
        try:
            metrics = tuple(value["metrics"])
            scales = {
                entry["name"]: Scale(
                    entry["name"], entry["title"], tuple(entry["words"]), np.array(entry["distance"], dtype=float)
                )
                for entry in value["distortions"]
            }
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("Expected a ruler as Ruler.to_json writes it, with metrics and distortions.") from error
        for scale in scales.values():
            if not scale.words or scale.distance.shape != (len(scale.words), len(metrics)):
                raise ValueError(
                    f"The ruler's {scale.name} needs {len(scale.words)}×{len(metrics)} distances; "
                    f"got shape {scale.distance.shape}."
                )
        return cls(metrics, scales)


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
            measured = (
                torch.cat([measuring.per_layer(chunk).sum(-1) for chunk in chunks]).double().cpu().numpy()
            )  # (S, M)
        yield scale_of(name, severities, measured, between)


def scale_of(name: str, severities: Sequence[float], measured: np.ndarray, between: int = 2) -> Scale:
    """The scale of the distortion called `name` from the distances (S, M) measured at S rising severities, with `between` entries
    between two of them, as `make_ruler` describes."""
    count, family = len(severities), DISTORTIONS[name]
    entries = np.interp(np.linspace(0, count - 1, (count - 1) * (between + 1) + 1), np.arange(count), severities)
    distance = np.stack([np.interp(entries, severities, column) for column in measured.T], 1)
    words = tuple(family.describe(severity) for severity in entries)
    return Scale(name, family.title, words, np.maximum.accumulate(distance))
