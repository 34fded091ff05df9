"""A picture's ruler as a trace holds it: distances have no unit, so it gives the natural distortion of the same picture that a metric
finds equally far. `rlpips.engine.ruler` measures it; to read it takes no network."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np


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
    """For one picture, the natural distortions that each metric finds as far as a distance. `rlpips.engine.ruler.make_ruler` makes it."""

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
