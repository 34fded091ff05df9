"""What `rlpips.evaluate` measured, as plotly figures.

`results` is {metric: results} as a card stores them (`rlpips.zoo.cards`), or the part that a live sweep has measured so
far. A metric has one colour (the catalogue's), one dash and one marker everywhere. Figures have no title and no legend, and
leave text, grid and background to the page, which is light or dark: only the colours of the metrics are set here, and GREY
for guides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rlpips.evaluate import tables
from rlpips.evaluate.tables import Interval, Results
from rlpips.zoo import catalog

GREY = "#888888"
HEIGHT = 320
MARGIN = {"l": 12, "r": 14, "t": 26, "b": 12}  # besides what the axes need
_MARKS = (("circle", "solid", ""), ("square", "dash", "/"), ("diamond", "dot", "."))  # symbol, dash, pattern of bars
_BINS = 40
_LIGHTEST = 0.01  # the smallest weight that is drawn, as a share of the metric's mean


@dataclass(frozen=True)
class Quantity:
    """A quantity that is measured at every eps: its key in the results, and how it is drawn."""

    key: str
    axis: str
    format: str  # of one value, for people
    tick: str  # of the axis, in d3's format
    guide: float  # a value to compare with, and what it means
    guide_text: str

    def natural(self, result: Mapping[str, Any]) -> Interval | None:
        """The interval at eps = 0; None where it has not been measured."""
        if self.key == "2afc":
            return result.get("natural", {}).get("2afc")
        return {"value": 0.0, "low": 0.0, "high": 0.0}  # d(x, x) = 0

    def text(self, interval: Interval) -> str:
        """The interval for people, such as "81% (75% to 87%)"."""
        value, low, high = (self.format.format(interval[part]) for part in ("value", "low", "high"))
        return f"{value} ({low} to {high})"


QUANTITIES = {
    quantity.key: quantity
    for quantity in (
        Quantity("2afc", "right choices (2AFC)", "{:.0%}", ".0%", 0.5, "guessing"),
        Quantity("inflation", "d(x, x + δ), natural distortions", "{:.2f}×", "", 1.0, "a natural<br>distortion"),
    )
}


def mark(name: str) -> tuple[str, str, str]:
    """(symbol, dash, pattern of bars) of a metric."""
    return _MARKS[list(catalog.CATALOG).index(name) % len(_MARKS)]


def at(results: Results, norm: str, eps: float) -> dict[str, dict[str, Any]]:
    """{metric: what was measured at this budget}, of the metrics that were measured at it."""
    return {
        name: entry
        for name, result in results.items()
        for entry in _entries(result, norm)
        if abs(entry["eps"] - eps) < 1e-6
    }


# ---- over the budgets


def sweep(results: Results, norm: str, key: str, budgets: Iterable[float] = ()) -> go.Figure:
    """The quantity `key` ("2afc" or "inflation") over eps, from 0: a line for each metric, with its 95 % intervals as a
    band. The standard eps is marked. The axis has room for `budgets` even before they are measured."""
    quantity, unit = QUANTITIES[key], 255 if norm == "linf" else 1
    bands, lines = [], []
    for name, result in results.items():
        points = [(0.0, quantity.natural(result)), *((entry["eps"], entry[key]) for entry in _entries(result, norm))]
        measured = [(eps, interval) for eps, interval in points if interval]
        if measured:
            bands.append(_band(name, unit, measured))
            lines.append(_line(name, norm, unit, measured, quantity))
    figure = make_figure(bands + lines)
    standard_at = dict.fromkeys((0.0, *budgets), False)  # {eps: whether it is the standard}
    standard_at |= {entry["eps"]: entry["standard"] for result in results.values() for entry in _entries(result, norm)}
    unit_text = "n/255 of the pixel range" if norm == "linf" else "l2 norm over the patch, pixels in [0, 1]"
    figure.update_xaxes(
        title_text=f"ε, {unit_text}", tickvals=[eps * unit for eps in standard_at],
        ticktext=[f"{eps * unit:.3g}" for eps in standard_at],
        range=[share * unit * max(standard_at) for share in (-0.04, 1.04)],
    )  # fmt: skip
    top = 1.0 if key == "2afc" else max([1.0, *(max(band.y) for band in bands)])
    figure.update_yaxes(title_text=quantity.axis, tickformat=quantity.tick, range=[-0.02 * top, 1.05 * top])
    add_guide(figure, "y", quantity.guide, quantity.guide_text)
    for eps, standard in standard_at.items():
        if standard:
            add_guide(figure, "x", eps * unit, "standard ε")
    return figure.update_layout(uirevision=norm)


def _band(name: str, unit: float, points: Sequence[tuple[float, Interval]]) -> go.Scatter:
    across = [eps * unit for eps, _ in points]
    edge = [interval["high"] for _, interval in points] + [interval["low"] for _, interval in reversed(points)]
    card = catalog.card(name)
    return go.Scatter(
        x=across + across[::-1], y=edge, fill="toself", fillcolor=card.color, opacity=0.18, mode="lines",
        line={"width": 0, "color": card.color}, hoverinfo="skip", showlegend=False, name=card.title,
    )  # fmt: skip


def _line(
    name: str, norm: str, unit: float, points: Sequence[tuple[float, Interval]], quantity: Quantity
) -> go.Scatter:
    card, (symbol, dash, _) = catalog.card(name), mark(name)
    texts = []
    for eps, interval in points:
        budget = f"{tables.budget(norm, eps)} ({2 * eps:.3g} on [−1, 1])" if eps else "no attack"
        texts.append(f"{budget}: {quantity.text(interval)}")
    return go.Scatter(
        x=[eps * unit for eps, _ in points], y=[interval["value"] for _, interval in points], name=card.title,
        mode="lines+markers", line={"color": card.color, "dash": dash, "width": 2.4},
        marker={"color": card.color, "symbol": symbol, "size": 9},
        text=texts, hovertemplate="%{text}<extra>" + card.title + "</extra>",
    )  # fmt: skip


def add_guide(figure: go.Figure, axis: str, value: float, text: str) -> None:
    """A dotted line across the chart with a label at its end; that of an upright line stands above the data."""
    line = {"color": GREY, "width": 1, "dash": "dot"}
    if axis == "x":
        figure.add_vline(x=value, line=line)
        place = {"x": value, "y": 1, "yref": "paper", "yanchor": "bottom"}
    else:
        figure.add_hline(y=value, line=line)
        place = {"x": 0.01, "xref": "paper", "xanchor": "left", "y": value, "yanchor": "bottom", "align": "left"}
    figure.add_annotation(text=text, showarrow=False, font={"size": 11, "color": GREY}, borderpad=1, **place)


# ---- at one budget


def opt(results: Results, norm: str, eps: float) -> go.Figure:
    """The paper's OPT experiment: how far the worst change of each reference in one ball looks to each metric.

    Histograms one above the other, in units of the metric's mean natural distance, on a log scale that is the same for
    every eps.
    """
    entries = {name: entry for name, entry in at(results, norm, eps).items() if entry["opt"]}
    if not entries:
        return make_figure([])
    edges = _edges([d for name in entries for entry in _entries(results[name], norm) for d in entry["opt"]])
    figure = make_subplots(rows=len(entries), shared_xaxes=True, vertical_spacing=0.1 if len(entries) > 1 else 0)
    for row, (name, entry) in enumerate(entries.items(), 1):
        _add_histogram(figure, row, name, entry["opt"], edges)
    figure.add_vline(x=1, line={"color": GREY, "width": 1, "dash": "dot"})
    highest = max(float(np.max(trace.y)) for trace in figure.data)
    figure.update_yaxes(tickformat=".0%", nticks=4, range=[0, 1.08 * highest])
    figure.update_yaxes(title_text="share of pictures", row=(len(entries) + 1) // 2, col=1)
    figure.update_xaxes(type="log", range=np.log10(edges[[0, -1]]).tolist(), tickvals=_ticks(edges), ticksuffix="×")
    figure.update_xaxes(title_text="d(x, x + δ), natural distortions", row=len(entries), col=1)
    return _style(figure, height=130 * len(entries) + 80).update_layout(bargap=0, uirevision=norm)


def _edges(values: Sequence[float]) -> np.ndarray:
    """The edges of the bins of a histogram of these values on a log scale, with room around 1."""
    low, high = np.log10(np.clip([min(values), max(values)], 1e-3, None))
    return np.logspace(min(low, -0.1) - 0.02, max(high, 0.1) + 0.02, _BINS + 1)


def _add_histogram(figure: go.Figure, row: int, name: str, opt: Sequence[float], edges: np.ndarray) -> None:
    """A histogram of one metric in a row of the figure, with its median as a line."""
    title, color = catalog.card(name).title, catalog.card(name).color
    values = np.clip(opt, edges[0], None)
    shares = np.histogram(values, edges)[0] / len(values)
    ranges = [f"{low:.2g} to {high:.2g} × natural" for low, high in pairwise(edges)]
    figure.add_bar(
        x=((edges[1:] + edges[:-1]) / 2).tolist(), width=np.diff(edges).tolist(), y=shares.tolist(), name=title,
        marker={"color": color, "line": {"width": 0}},
        customdata=ranges, hovertemplate="%{customdata}: %{y:.0%} of pictures<extra>" + title + "</extra>",
        row=row, col=1,
    )  # fmt: skip
    median = float(np.median(values))
    figure.add_vline(x=median, line={"color": color, "width": 2}, row=row, col=1)
    figure.add_annotation(
        text=f"<b>{title}</b>, median {median:.2f}×", font={"color": color}, showarrow=False, x=0, xanchor="left",
        xref="paper", y=1, yref=f"y{row if row > 1 else ''} domain", yanchor="bottom",
    )  # fmt: skip


def _ticks(edges: np.ndarray) -> list[float]:
    return [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if edges[0] <= tick <= edges[-1]]


# ---- layers and channels


def layers(results: Results) -> go.Figure:
    """Each layer's share of a metric's mean natural distance, as bars side by side."""
    bars = []
    for name, result in results.items():
        shares = result.get("layers") or {}
        card = catalog.card(name)
        bars.append(
            go.Bar(
                x=list(shares), y=list(shares.values()), name=card.title,
                text=[f"{100 * share:.0f}" for share in shares.values()], textposition="outside", cliponaxis=False,
                textangle=0, constraintext="none", textfont={"size": 10.5},
                marker={"color": card.color, "pattern": _pattern(name)},
                hovertemplate="%{x}: %{y:.1%} of the natural distance<extra>" + card.title + "</extra>",
            )
        )  # fmt: skip
    figure = make_figure(bars)
    figure.update_yaxes(title_text="share of the natural distance", tickformat=".0%", rangemode="tozero")
    return figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.06)


def _pattern(name: str) -> dict[str, Any]:
    return {
        "shape": mark(name)[2],
        "size": 7,
        "solidity": 0.2,
        "fillmode": "overlay",
        "fgcolor": "#ffffff",
        "fgopacity": 0.55,
    }


def weights(heads: Mapping[str, Mapping[str, np.ndarray]]) -> go.Figure:
    """The weight of every channel, sorted within its layer, the layers side by side.

    `heads` is {metric: {layer: (C,)}}. The unit is the metric's mean weight, as metrics have different scales. Weights
    below _LIGHTEST of it hardly count and are left out.
    """
    figure = make_figure([])
    for name, by_layer in heads.items():
        card, (_, dash, _) = catalog.card(name), mark(name)
        x, y, text = _sorted_weights(by_layer)
        figure.add_scatter(
            x=x, y=y, text=text, name=card.title, mode="lines",
            line={"color": card.color, "dash": dash, "width": 2, "shape": "hv"},
            hovertemplate="%{text}: %{y:.2f} × the mean weight<extra>" + card.title + "</extra>",
        )  # fmt: skip
    names = list(next(iter(heads.values()))) if heads else []
    figure.update_xaxes(
        title_text="channels of each layer, heaviest first", showgrid=False,
        tickvals=[i + 0.47 for i in range(len(names))], ticktext=names, range=[-0.04, len(names)],
    )  # fmt: skip
    figure.update_yaxes(title_text="weight, × the metric's mean", type="log", dtick=1, range=[np.log10(_LIGHTEST), 2])
    for border in range(1, len(names)):
        figure.add_vline(x=border - 0.03, line={"color": GREY, "width": 1, "dash": "dot"})
    return figure


def _sorted_weights(by_layer: Mapping[str, np.ndarray]) -> tuple[list[float | None], list[float | None], list[str]]:
    """(x, y, text) of the line of one metric; layer n takes the places from n to n + 0.94, and None parts two layers."""
    mean = np.concatenate(list(by_layer.values())).mean()
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for index, (layer, values) in enumerate(by_layer.items()):
        order = np.argsort(-values)
        places = (index + np.arange(len(values)) / len(values) * 0.94).round(4)
        shares = (values[order] / mean).round(4)
        x += [*places.tolist(), None]
        y += [*(share if share > _LIGHTEST else None for share in shares.tolist()), None]
        text += [*(f"{layer}, channel {channel}" for channel in order), ""]
    return x, y, text


# ---- what all figures share


def _entries(result: Mapping[str, Any], norm: str) -> list[dict[str, Any]]:
    """What was measured of one metric under attacks of this norm, budget by budget."""
    return result.get("attacked", {}).get(norm, [])


def make_figure(traces: Sequence[Any], height: float = HEIGHT) -> go.Figure:
    """A figure of traces in the style that all figures share."""
    return _style(go.Figure(traces), height)


def _style(figure: go.Figure, height: float) -> go.Figure:
    figure.update_xaxes(automargin=True, title_standoff=8)
    figure.update_yaxes(automargin=True, title_standoff=10)
    return figure.update_layout(template="none", height=height, margin=MARGIN, showlegend=False, hovermode="closest")
