"""A row of measured numbers, as tables and files have it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rlpips.engine.ruler import Ruler
from rlpips.pairs.distances import DISTORTION, Reading
from rlpips.pairs.eye import Look
from rlpips.pairs.verdict import FURTHER, NEARER

Row = dict[str, Any]


def of_metric(name: str, reading: Reading, rounded: Reading, place: int, ruler: Ruler | None, exact: bool) -> Row:
    """What one metric says about the pair at a place of a batch: `reading` as it is, `rounded` once it is saved in 8 bits, which changes
    nothing if it is `exact`."""
    distance, saved = reading.distance[place], rounded.distance[place]
    row: Row = {name: short(distance), f"{name}_8bit": short(saved)}
    row |= {f"{name}_jpeg": None, f"{name}_jpeg_8bit": None, f"{name}_place": None, f"{name}_equivalent": ""}
    if ruler:
        row[f"{name}_jpeg"], row[f"{name}_place"] = _on_ruler(ruler, name, distance)
        row[f"{name}_jpeg_8bit"] = row[f"{name}_jpeg"]
        if not exact:
            row[f"{name}_jpeg_8bit"], _ = _on_ruler(ruler, name, saved)
        row[f"{name}_equivalent"] = ruler.read(name, distance)
    said = distance > 0
    row[f"{name}_layer"] = reading.layer[place] if said else ""
    row[f"{name}_layer_share"] = short(reading.layer_share[place], 4)
    if reading.half and reading.channel and reading.channel_share:
        row[f"{name}_half"] = reading.half[place] if said else 0
        row[f"{name}_channel"] = reading.channel[place] if said else ""
        row[f"{name}_channel_share"] = short(reading.channel_share[place], 4)
    return row


def _on_ruler(ruler: Ruler, name: str, distance: float) -> tuple[int, float]:
    """The JPEG quality of a distance's equivalent, and its place among the ruler's S entries: whole numbers are the entries, -1 to 0
    is nearer than the mildest, S - 1 to S further than the strongest."""
    scale = ruler.scales[DISTORTION]
    index, count = ruler.metrics.index(name), len(scale.words)
    distances = scale.distance[:, index]
    entry = -1 if distance == 0 else scale.nearest(index, distance)
    if entry < 0:
        return NEARER, short(-1 + 0.5 * min(1, distance / max(distances[0], 1e-12)), 4)
    if entry == count:
        beyond = np.log(distance / max(distances[-1], 1e-12)) / np.log(10)  # ten times as far is the edge of a chart
        return FURTHER, short(count - 0.5 + 0.5 * float(min(1, beyond)), 4)
    logs = np.log(distances + 1e-12)
    near = float(np.interp(np.log(distance + 1e-12), logs, np.arange(count)))
    return quality_of(scale.words[entry]), short(min(max(near, entry - 0.49), entry + 0.49), 4)


def quality_of(words: str) -> int:
    """7 for "JPEG quality 7"."""
    return int(words.rpartition(" ")[2])


def of_eye(look: Look | None) -> Row:
    """What a model of the eye says, if it was asked."""
    if look is None:
        return {"eye": None, "eye_jpeg": None}
    (name,) = look.ruler.metrics
    return {"eye": short(look.distance), "eye_jpeg": _on_ruler(look.ruler, name, look.distance)[0]}


def notes_of(notes: Sequence[str], row: Mapping[str, Any], first: str) -> Iterator[str]:
    """Sentences about a row: what was changed of its pictures, and what saving them changes for the metric `first`."""
    yield from notes
    if row["linf"] == 0:
        yield "The two pictures are identical."
    elif row["bits"] == "float" and row["changed"] == 0:
        yield "Saved in 8 bits, the two pictures are identical."
    elif row["bits"] == "float" and row[f"{first}_jpeg"] != row[f"{first}_jpeg_8bit"]:
        quality = row[f"{first}_jpeg_8bit"]
        words = {FURTHER: "beyond the ruler", NEARER: "nearer than the mildest JPEG"}.get(
            quality, f"JPEG quality {quality}"
        )
        yield f"Saved in 8 bits, {first} finds it {words}."


def short(value: float, digits: int = 7) -> float:
    """A number without the digits that mean nothing, for files."""
    return float(f"{value:.{digits}g}")
