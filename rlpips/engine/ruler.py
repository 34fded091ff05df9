"""The ruler: distances have no unit, so it gives the natural distortion of the same picture that a metric finds equally far."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.data.distortions import DISTORTIONS, Distortion
from rlpips.device import in_neutral_state
from rlpips.engine.panel import Panel
from rlpips.metrics.base import Metric, check_images

# The severities that a ruler measures, closer together at the mild end: from JPEG quality 88 to 1.
SEVERITIES = tuple((k / 7) ** 1.5 for k in range(1, 8))


@dataclass(frozen=True)
class Scale:
    """The table of one distortion: a text for each of S rising severities, and the distances (S, M) under M metrics.

    `channels` has for each trunk of the metrics the mean squared difference of every channel, weights not applied, (S', C), at every
    `every`-th entry: what a browser needs to make the table under other weights. Only JPEG, which the page's sentences are about, has them.
    """

    name: str
    title: str
    words: tuple[str, ...]
    distance: np.ndarray
    channels: tuple[np.ndarray, ...] = ()
    every: int = 1

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
        "distance": [S][M]}]}; and of a scale with channels also "channels": {"every", "values": [float32 in base64]}."""
        return {"metrics": list(self.metrics), "distortions": [_scale_json(scale) for scale in self.scales.values()]}

    @classmethod
    def from_json(cls, value: Any) -> "Ruler":
        """The ruler of a value that `to_json` returned; ValueError for anything else."""
        try:
            metrics = tuple(value["metrics"])
            scales = {
                entry["name"]: Scale(
                    entry["name"],
                    entry["title"],
                    tuple(entry["words"]),
                    np.array(entry["distance"], dtype=float),
                    *_channels(entry),
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


def _scale_json(scale: Scale) -> dict[str, Any]:
    value = {"name": scale.name, "title": scale.title, "words": list(scale.words), "distance": scale.distance.tolist()}
    if not scale.channels:
        return value
    values = [base64.b64encode(np.ascontiguousarray(each, "<f4").tobytes()).decode() for each in scale.channels]
    return {**value, "channels": {"every": scale.every, "values": values}}


def _channels(entry: Any) -> tuple[tuple[np.ndarray, ...], int]:
    if entry.get("channels") is None:
        return (), 1
    every = max(1, int(entry["channels"]["every"]))
    count = (len(entry["words"]) - 1) // every + 1
    texts = entry["channels"]["values"]
    return tuple(np.frombuffer(base64.b64decode(text), "<f4").reshape(count, -1) for text in texts), every


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
