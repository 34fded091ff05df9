"""The ruler: which natural distortion of a picture a metric finds as far as a given distance, which has no unit of its own."""

from dataclasses import dataclass

import numpy as np
import torch

from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import check_images

# Where a ruler measures: closer together at the mild end, from JPEG quality 88 to 1.
SEVERITIES = tuple((k / 7) ** 1.5 for k in range(1, 8))


@dataclass(frozen=True)
class Scale:
    """One distortion's table: its words and the distances (S, M) at rising severities, under M metrics."""

    name: str
    title: str
    words: tuple[str, ...]
    distance: np.ndarray


@dataclass(frozen=True)
class Ruler:
    """What natural distortion of one picture each metric finds as far as a given distance. Made by
    `make_ruler`."""

    metrics: tuple[str, ...]
    scales: dict[str, Scale]

    def read(self, metric, distance, distortion="jpeg"):
        """In words: "as far as JPEG quality 7", "further than any JPEG tried (quality 1)" or "nearer than the
        mildest JPEG tried (quality 88)"; the table's entry nearest in log distance. ValueError for a name it
        does not have."""
        for what, value, known in (("metric", metric, self.metrics), ("distortion", distortion, self.scales)):
            if value not in known:
                raise ValueError(f"This ruler's {what} must be one of {', '.join(known)}; got {value!r}.")
        if not distance >= 0:
            raise ValueError(f"A distance is a number of at least 0; got {distance!r}.")
        scale = self.scales[distortion]
        known = scale.distance[:, self.metrics.index(metric)]
        if distance > known[-1]:
            return f"further than any {scale.title} tried ({scale.words[-1].removeprefix(scale.title + ' ')})"
        if distance < known[0]:
            return f"nearer than the mildest {scale.title} tried ({scale.words[0].removeprefix(scale.title + ' ')})"
        tiny = 1e-12  # a grey picture is as far from its grey version as from itself: 0
        return f"as far as {scale.words[np.abs(np.log((known + tiny) / (distance + tiny))).argmin()]}"

    def to_json(self):
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
    def from_json(cls, value):
        """The ruler that `to_json` wrote; ValueError for anything else."""
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


@torch.no_grad()
def make_ruler(
    reference,
    metrics,
    severities=SEVERITIES,
    distortions=tuple(DISTORTIONS),
    between=2,
    precision="float32",
    panel=Panel,
):
    """Measure distortions of one picture, (1, 3, H, W) in [0, 1], under several metrics at once; `precision` as
    `rlpips.engine.panel.Panel` has it, of which `panel` may be another kind.

    Every severity is measured, and `between` entries are filled in between two of them, linearly in severity,
    because a pass of the network costs more than a word. A metric may find a stronger distortion nearer (a
    shift by a whole period, say); the running maximum makes every table rise.
    """
    check_images(reference, "reference")
    if len(reference) != 1:
        raise ValueError(f"A ruler belongs to one picture; got {len(reference)}.")
    severities = sorted(severities)
    count = len(severities)
    entries = np.interp(np.linspace(0, count - 1, (count - 1) * (between + 1) + 1), np.arange(count), severities)
    panel = panel(metrics, reference, precision)
    scales = {}
    for name in distortions:
        family = DISTORTIONS[name]
        pictures = torch.cat([family(reference, severity) for severity in severities])
        chunks = pictures.split(max(1, _AT_ONCE // reference[0, 0].numel()))
        measured = torch.cat([panel.per_layer(chunk).sum(-1) for chunk in chunks]).double().cpu().numpy()  # (S, M)
        distance = np.stack([np.interp(entries, severities, column) for column in measured.T], 1)
        words = tuple(family.words(severity) for severity in entries)
        scales[name] = Scale(name, family.title, words, np.maximum.accumulate(distance))
    return Ruler(tuple(metric.name for metric in metrics), scales)
