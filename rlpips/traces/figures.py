"""A trace as still figures, for slides and papers: `overview(trace).savefig("duel.pdf")`, `curves(trace)`, `maps(trace)`.

`image` writes one as print wants it. The colours are those of the metrics' cards, which colour-blind people can tell apart, and every
curve has a line style, too.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from rlpips.traces.schema import NOISE, merged_maps
from rlpips.traces.trace import Trace
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

_LINES: dict[str, dict[str, Any]] = {
    "attacked": {"linewidth": 2},
    "the other attack": {"linestyle": "--"},
    "noise": {"linestyle": ":"},
}


class _Unlisted(NamedTuple):
    """A metric that is not in the catalogue."""

    title: str
    color: str = "#777777"


def overview(trace: Trace, amplify: float | None = None) -> Figure:
    """A matplotlib `Figure` of a `Trace`: for each pushed lane its last picture, the perturbation times `amplify` around
    grey, and where each metric sees a difference (one scale for all); below them every distance over the steps.

    For attacks on a classifier (`rlpips.attacks.side_by_side`) there is a row and a line for each of the two. For a pair
    (`rlpips.engine.compare.compare`) it shows the other picture, the difference to it, and a bar for each metric.
    `amplify` None makes the largest perturbation 100/255.
    """
    cards = [catalog.CATALOG.get(name, _Unlisted(name)) for name in trace.metrics]
    rows = sum(lane != NOISE for lane in trace.lanes)
    pair = trace.lanes == ("pair",)
    delta = trace.adversarial[:rows].astype(int) - trace.start
    amplify = amplify or max(1, round(100 / max(1, np.abs(delta).max())))
    maps = trace.maps[:rows]

    height, width = trace.start.shape[:2]
    columns = 2 + len(cards)
    tall = 2.4 * rows * height / width
    figure = Figure(figsize=(2.4 * columns, tall + 3), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(tall, 3))  # type: ignore[misc]  # an array of two
    first, second = ("the other picture", "difference") if pair else ("attacked, 8 bits", "perturbation")
    titles = [first, f"{second} × {amplify}", *(f"seen by {card.title}" for card in cards)]
    for row, axes in enumerate(above.subplots(rows, columns, squeeze=False)):
        perturbation = np.clip(128 + amplify * delta[row], 0, 255).astype(np.uint8)
        for axis, picture in zip(axes, [trace.adversarial[row], perturbation, *maps[row]], strict=True):
            axis.imshow(picture, cmap="inferno", vmin=0, vmax=maps.max())
            axis.set(xticks=[], yticks=[])
        if row == 0:
            for axis, title in zip(axes, titles, strict=True):
                axis.set_title(title, fontsize=9)
        if trace.classes:
            attack = ATTACKS[trace.lanes[row]]
            axes[0].set_ylabel(attack.title, color=attack.color)
        elif not pair:
            axes[0].set_ylabel(f"against {cards[row].title}", color=cards[row].color)

    above.supxlabel(f"maps on one scale, 0 to {maps.max():.3g}", fontsize=8)

    axis = below.subplots()
    (_bars if pair else _curves)(axis, trace, cards)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def curves(trace: Trace) -> Figure:
    """A matplotlib `Figure` of every distance over the steps of a `Trace`, for a column of text; a bar for each metric of a pair."""
    cards = [catalog.CATALOG.get(name, _Unlisted(name)) for name in trace.metrics]
    pair = trace.lanes == ("pair",)
    figure = Figure(figsize=(6.5, 1 + 0.4 * len(cards) if pair else max(3, 0.5 + 0.2 * len(cards) * len(trace.lanes))))
    figure.set_layout_engine("constrained")
    axis = figure.subplots()
    (_bars if pair else _curves)(axis, trace, cards)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


SCALES = ("own", "common", "log")
_DECADES = 3  # of the logarithmic scale, as in the viewer
_SIDE, _CELL, _TITLE = 2.6, 3.4, 0.42  # inches: of a map, from one to the next, above it


def maps(
    trace: Trace,
    step: int | None = None,
    scale: str = "own",
    lanes: Sequence[int] | None = None,
    metrics: Sequence[int] | None = None,
) -> Figure:
    """A matplotlib `Figure` of where each metric sees a difference, a row for each lane of a `Trace` and a column for each metric.

    step            the last one with a picture up to this; None for the last
    scale           of the colours, which stands beside each map: "own", each to its own maximum; "common", all to the largest; "log",
                    the same, logarithmic over three decades
    lanes, metrics  the places of those that are shown; None for all

    ValueError for another scale, and for places that there are not.
    """
    if scale not in SCALES:
        raise ValueError(f"The scale is one of {', '.join(SCALES)}; got {scale!r}.")
    rows, columns = _places(lanes, trace.lanes, "lane"), _places(metrics, trace.metrics, "metric")
    values = [[merged_maps(*trace.at(lane, step))[metric] for metric in columns] for lane in rows]
    largest = max(float(each.max()) for row in values for each in row)
    height, width = trace.start.shape[:2]
    wide = min(_SIDE, 1.4 * _SIDE * width / height)
    tall = wide * height / width
    # Laid out by hand, in inches: matplotlib's own layout takes several times as long.
    figure = Figure(figsize=(_CELL * len(columns), (tall + _TITLE) * len(rows) + 0.05))
    size = figure.get_size_inches()

    def box(left, bottom, right, top):
        return (left / size[0], bottom / size[1], (right - left) / size[0], (top - bottom) / size[1])

    for row, column in np.ndindex(len(rows), len(columns)):
        lane, metric, each = rows[row], columns[column], values[row][column]
        left, bottom = 0.1 + _CELL * column, 0.05 + (tall + _TITLE) * (len(rows) - 1 - row)
        axis = figure.add_axes(box(left, bottom, left + wide, bottom + tall))
        top = max(float(each.max()) if scale == "own" else largest, 1e-12)
        norm = LogNorm(top / 10**_DECADES, top) if scale == "log" else Normalize(0, top)
        shown = np.maximum(each, top / 10**_DECADES) if scale == "log" else each
        drawn = axis.imshow(shown, cmap="inferno", norm=norm, aspect="auto", interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        title = f"seen by {_title(trace.metrics[metric])}\n{_lane(trace, lane)}"
        axis.set_title(title, fontsize=8, loc="left", pad=4, parse_math=False, linespacing=1.1)
        bar = figure.colorbar(
            drawn, cax=figure.add_axes(box(left + wide + 0.07, bottom, left + wide + 0.17, bottom + tall))
        )
        bar.ax.tick_params(labelsize=7, pad=2)
    return figure


_LONGEST = 30  # letters of the name of a metric of one's own


def _places(chosen, names, what):
    places = range(len(names)) if chosen is None else list(chosen)
    if not places or not all(type(place) is int and 0 <= place < len(names) for place in places):
        raise ValueError(f"A {what} is a place from 0 to {len(names) - 1}; got {chosen!r}.")
    return places


def _title(name):
    return catalog.CATALOG[name].title if name in catalog.CATALOG else name[:_LONGEST]


def _lane(trace, lane):
    name = trace.lanes[lane]
    if trace.classes:
        return ATTACKS[name].title
    return {"pair": "the pair", NOISE: "noise"}.get(name) or f"attacked against {_title(name)}"


# Text stays text in a PDF, and of a kind that journals take.
_PRINT: dict[Any, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "rlpips"}


def image(figure: Figure, kind: str, dpi: int = 200) -> bytes:
    """A figure as the bytes of a "png", "svg" or "pdf", the same for the same figure. ValueError for another kind.

    Not for several threads at once, as matplotlib's settings are the process's.
    """
    if kind not in ("png", "svg", "pdf"):
        raise ValueError(f"A figure is written as png, svg or pdf; got {kind!r}.")
    file, undated = io.BytesIO(), {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with matplotlib.rc_context(_PRINT):
        figure.savefig(file, format=kind, dpi=dpi, metadata=undated)
    return file.getvalue()


def _bars(axis, trace, cards):
    axis.barh([card.title for card in cards], trace.distance[-1, 0], color=[card.color for card in cards])
    axis.invert_yaxis()  # the first on top
    axis.set(xlabel="distance to the reference")


def _curves(axis, trace, cards):
    for column, card in enumerate(cards):
        for lane, name in enumerate(trace.lanes):
            if trace.classes:  # two attacks on a classifier, neither of which pushes a metric
                line, label = "the other attack" if lane else "attacked", ATTACKS[name].title
            else:
                line = label = "noise" if name == NOISE else "attacked" if lane == column else "the other attack"
            style = {"color": card.color, "label": f"{card.title}, {label}", **_LINES[line]}
            axis.semilogy(trace.distance[:, lane, column], **style)
    axis.set(xlabel="step", ylabel="distance to the reference")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
