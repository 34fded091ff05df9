"""What `rlpips.evaluate` measured, as plotly figures: results in, figure out.

`results` is {metric: results} as a card stores them (`rlpips.zoo.cards`), or as much as a live sweep has yet. A metric
has one colour (the catalogue's), one dash and one marker everywhere. Figures have no title and no legend of their own,
and leave text, grid and background to the page, which draws in light and dark: nothing but the colours of the
metrics, and GREY for guides, is set here.
"""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rlpips.evaluate import tables
from rlpips.zoo import catalog

GREY = "#888888"
HEIGHT = 320
MARGIN = {"l": 12, "r": 14, "t": 26, "b": 12}  # and what the axes need
_MARKS = (("circle", "solid", ""), ("square", "dash", "/"), ("diamond", "dot", "."))  # symbol, dash, pattern of bars
_BINS = 40
_LIGHTEST = 0.01


@dataclass(frozen=True)
class Quantity:
    """Something measured at every eps: where it stands in the results, and how it is drawn."""

    key: str
    axis: str
    format: str  # of one value, for people
    tick: str  # of the axis, d3's
    guide: float  # a value to compare with, and what it means
    guide_text: str

    def natural(self, results):
        """Its interval at eps = 0; None where it has not been measured."""
        if self.key == "2afc":
            return results.get("natural", {}).get("2afc")
        return {"value": 0.0, "low": 0.0, "high": 0.0}  # d(x, x) = 0

    def say(self, interval):
        """ "81 % (75 % to 87 %)"."""
        value, low, high = (self.format.format(interval[part]) for part in ("value", "low", "high"))
        return f"{value} ({low} to {high})"


QUANTITIES = {
    quantity.key: quantity
    for quantity in (
        Quantity("2afc", "right choices (2AFC)", "{:.0%}", ".0%", 0.5, "guessing"),
        Quantity("inflation", "d(x, x + δ), natural distortions", "{:.2f}×", "", 1.0, "a natural<br>distortion"),
    )
}


def mark(name):
    """(symbol, dash, pattern of bars) of a metric."""
    return _MARKS[list(catalog.CATALOG).index(name) % len(_MARKS)]


def sweep(results, norm, key, budgets=()):
    """A quantity ("2afc" or "inflation") over eps, from 0: a line for each metric, its 95 % intervals as a band. The
    standard eps is marked. `budgets` are those for which there shall be room, measured or not."""
    quantity, unit = QUANTITIES[key], 255 if norm == "linf" else 1
    bands, lines = [], []
    for name, found in results.items():
        entries = found.get("attacked", {}).get(norm, [])
        points = [(0.0, quantity.natural(found)), *((entry["eps"], entry[key]) for entry in entries)]
        points = [(eps, interval) for eps, interval in points if interval]
        if points:
            bands.append(_band(name, unit, points))
            lines.append(_line(name, norm, unit, points, quantity))
    figure = _figure(bands + lines)
    measured = [entry for result in results.values() for entry in result.get("attacked", {}).get(norm, [])]
    marks = dict.fromkeys((0.0, *budgets), False) | {entry["eps"]: entry["standard"] for entry in measured}
    what = "n/255 of the pixel range" if norm == "linf" else "l2 norm over the patch, pixels in [0, 1]"
    figure.update_xaxes(
        title_text=f"ε, {what}", tickvals=[eps * unit for eps in marks],
        ticktext=[f"{eps * unit:.3g}" for eps in marks], range=[share * unit * max(marks) for share in (-0.04, 1.04)],
    )  # fmt: skip
    figure.update_yaxes(title_text=quantity.axis, tickformat=quantity.tick)
    top = 1.0 if key == "2afc" else max([1.0, *(max(band.y) for band in bands)])
    figure.update_yaxes(range=[-0.02 * top, 1.05 * top])
    _guide(figure, "y", quantity.guide, quantity.guide_text)
    for eps, standard in marks.items():
        if standard:
            _guide(figure, "x", eps * unit, "standard ε")
    return figure.update_layout(uirevision=norm)


def opt(results, norm, eps):
    """The paper's OPT experiment: how far each reference's worst change in one ball looks to each metric, as histograms
    one above the other, in units of the metric's mean natural distance, on a log scale that is the same for every eps.
    """
    found = {name: entry for name, entry in at(results, norm, eps).items() if entry["opt"]}
    if not found:
        return _figure([])
    everything = [d for name in found for entry in results[name]["attacked"][norm] for d in entry["opt"]]
    low, high = np.log10(np.clip([min(everything), max(everything)], 1e-3, None))
    edges = np.logspace(min(low, -0.1) - 0.02, max(high, 0.1) + 0.02, _BINS + 1)
    figure = make_subplots(rows=len(found), shared_xaxes=True, vertical_spacing=0.1 if len(found) > 1 else 0)
    for row, (name, entry) in enumerate(found.items(), 1):
        title, color = catalog.card(name).title, catalog.card(name).color
        values = np.clip(entry["opt"], edges[0], None)
        share = np.histogram(values, edges)[0] / len(values)
        ranges = [f"{a:.2g} to {b:.2g} × natural" for a, b in zip(edges, edges[1:])]
        figure.add_bar(
            x=((edges[1:] + edges[:-1]) / 2).tolist(), width=np.diff(edges).tolist(), y=share.tolist(), name=title,
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
    figure.add_vline(x=1, line={"color": GREY, "width": 1, "dash": "dot"})
    highest = max(float(np.max(trace.y)) for trace in figure.data)
    figure.update_yaxes(tickformat=".0%", nticks=4, range=[0, 1.08 * highest])
    figure.update_yaxes(title_text="share of pictures", row=(len(found) + 1) // 2, col=1)
    figure.update_xaxes(type="log", range=np.log10(edges[[0, -1]]).tolist(), tickvals=_ticks(edges), ticksuffix="×")
    figure.update_xaxes(title_text="d(x, x + δ), natural distortions", row=len(found), col=1)
    return _dress(figure, height=130 * len(found) + 80).update_layout(bargap=0, uirevision=norm)


def layers(results):
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
    figure = _figure(bars)
    figure.update_yaxes(title_text="share of the natural distance", tickformat=".0%", rangemode="tozero")
    return figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.06)


def weights(heads):
    """The weight of every channel, sorted within its layer, the layers side by side: `heads` is {metric: {layer:
    (C,)}}. In units of the metric's mean weight, for the metrics have different scales; lighter than _LIGHTEST of it
    is as good as nothing and left out."""
    figure = _figure([])
    for name, of_layer in heads.items():
        card, (_, dash, _) = catalog.card(name), mark(name)
        mean = np.concatenate(list(of_layer.values())).mean()
        x, y, text = [], [], []
        for index, (layer, values) in enumerate(of_layer.items()):
            order = np.argsort(-values)
            x += [*(index + (np.arange(len(values)) / len(values) * 0.94)).round(4).tolist(), None]
            y += [*(v if v > _LIGHTEST else None for v in (values[order] / mean).round(4).tolist()), None]
            text += [*(f"{layer}, channel {channel}" for channel in order), ""]
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


def at(results, norm, eps):
    """{metric: what was measured at one budget}, of the metrics that have it."""
    return {
        name: entry
        for name, result in results.items()
        for entry in result.get("attacked", {}).get(norm, [])
        if abs(entry["eps"] - eps) < 1e-6
    }


def _pattern(name):
    return {
        "shape": mark(name)[2],
        "size": 7,
        "solidity": 0.2,
        "fillmode": "overlay",
        "fgcolor": "#ffffff",
        "fgopacity": 0.55,
    }


def _band(name, unit, points):
    across = [eps * unit for eps, _ in points]
    edge = [interval["high"] for _, interval in points] + [interval["low"] for _, interval in reversed(points)]
    card = catalog.card(name)
    return go.Scatter(
        x=across + across[::-1], y=edge, fill="toself", fillcolor=card.color, opacity=0.18, mode="lines",
        line={"width": 0, "color": card.color}, hoverinfo="skip", showlegend=False, name=card.title,
    )  # fmt: skip


def _line(name, norm, unit, points, quantity):
    card, (symbol, dash, _) = catalog.card(name), mark(name)
    said = [
        (f"{tables.budget(norm, eps)} ({2 * eps:.3g} on [−1, 1])" if eps else "no attack")
        + f": {quantity.say(interval)}"
        for eps, interval in points
    ]
    return go.Scatter(
        x=[eps * unit for eps, _ in points], y=[interval["value"] for _, interval in points], name=card.title,
        mode="lines+markers", line={"color": card.color, "dash": dash, "width": 2.4},
        marker={"color": card.color, "symbol": symbol, "size": 9},
        text=said, hovertemplate="%{text}<extra>" + card.title + "</extra>",
    )  # fmt: skip


def _guide(figure, axis, value, text):
    """A dotted line across the chart with a word at its end, outside of the data where it stands upright."""
    line = {"color": GREY, "width": 1, "dash": "dot"}
    if axis == "x":
        figure.add_vline(x=value, line=line)
        place = {"x": value, "y": 1, "yref": "paper", "yanchor": "bottom"}
    else:
        figure.add_hline(y=value, line=line)
        place = {"x": 0.01, "xref": "paper", "xanchor": "left", "y": value, "yanchor": "bottom", "align": "left"}
    _label(figure, text, **place)


def _label(figure, text, **place):
    figure.add_annotation(text=text, showarrow=False, font={"size": 11, "color": GREY}, borderpad=1, **place)


def _ticks(edges):
    return [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if edges[0] <= tick <= edges[-1]]


def _figure(traces):
    return _dress(go.Figure(traces), HEIGHT)


def _dress(figure, height):
    figure.update_xaxes(automargin=True, title_standoff=8)
    figure.update_yaxes(automargin=True, title_standoff=10)
    return figure.update_layout(template="none", height=height, margin=MARGIN, showlegend=False, hovermode="closest")
