"""The trade-off in one picture: how often a metric is right under attack, against how often it agrees with LPIPS.

Colours, marks and what is left to the page are those of `rlpips.evaluate.charts`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from rlpips.evaluate import charts, tables
from rlpips.evaluate.comparison_tables import Curve, Point
from rlpips.zoo import catalog

_HEIGHT = 460
_NEAR = (0.035, 0.05)  # points that are closer than this along both axes get their names on opposite sides


def tradeoff(points: Mapping[str, Point], curves: Mapping[str, Curve]) -> go.Figure:
    """Attacked 2AFC (up) against agreement with LPIPS (right): each metric as a point with its name and both 95 % intervals, and each
    curve of the dial with the interval of its 2AFC as a band. `points` are those of `comparison_tables.tradeoff_points`."""
    traces = [trace for name, curve in curves.items() for trace in _curve(name, curve["points"])]
    sides = _sides(points)
    traces += [_point(name, point, sides[name]) for name, point in points.items()]
    figure = charts.make_figure(traces, _HEIGHT)
    everything = [*points.values(), *(point for curve in curves.values() for point in curve["points"])]
    left = min((point["agreement"]["low"] for point in everything), default=0.7)
    low = min((point["2afc"]["low"] for point in everything), default=0.0)
    figure.update_xaxes(title_text="agreement with LPIPS", tickformat=".0%", range=[left - 0.03, 1.015])
    figure.update_yaxes(title_text="right choices under attack (2AFC)", tickformat=".0%", range=[low - 0.04, 1.02])
    charts.add_guide(figure, "y", 0.5, "guessing")
    return figure


def _curve(name: str, points: Sequence[Mapping[str, Any]]) -> list[go.Scatter]:
    """The band and the line of the dial that leads to a metric."""
    card, (_, dash, _) = catalog.card(name), charts.mark(name)
    title = f"dial to {card.title}"
    across = sorted(points, key=lambda point: point["agreement"]["value"])  # so that the band does not cross itself
    x = [point["agreement"]["value"] for point in across]
    edge = [point["2afc"]["high"] for point in across] + [point["2afc"]["low"] for point in reversed(across)]
    band = go.Scatter(
        x=x + x[::-1], y=edge, fill="toself", fillcolor=card.color, opacity=0.13, mode="lines",
        line={"width": 0, "color": card.color}, hoverinfo="skip", showlegend=False, name=title,
    )  # fmt: skip
    line = go.Scatter(
        x=[point["agreement"]["value"] for point in points], y=[point["2afc"]["value"] for point in points], name=title, mode="lines+markers",
        line={"color": card.color, "dash": dash, "width": 2}, marker={"color": card.color, "symbol": "circle", "size": 5},
        text=[f"{point['share']:.0%} of the way: {_text(point)}" for point in points],
        hovertemplate="%{text}<extra>" + title + "</extra>",
    )  # fmt: skip
    return [band, line]


def _point(name: str, point: Point, side: str) -> go.Scatter:
    card, (symbol, _, _) = catalog.card(name), charts.mark(name)
    gap = "\N{NO-BREAK SPACE}" * 2  # from the whisker
    label = f"<b>{card.title}</b>"
    return go.Scatter(
        x=[point["agreement"]["value"]], y=[point["2afc"]["value"]], name=card.title, showlegend=False,
        mode="markers+text", text=[label + gap if "left" in side else gap + label], textposition=side, textfont={"color": card.color, "size": 12},
        marker={"color": card.color, "symbol": symbol, "size": 11}, line={"color": card.color}, cliponaxis=False,
        error_x=_whiskers(point["agreement"], card.color), error_y=_whiskers(point["2afc"], card.color),
        customdata=[_text(point)], hovertemplate="%{customdata}<extra>" + card.title + "</extra>",
    )  # fmt: skip


def _whiskers(interval: tables.Interval, color: str) -> dict[str, Any]:
    value = interval["value"]
    return {
        "array": [interval["high"] - value], "arrayminus": [value - interval["low"]],
        "color": color, "thickness": 1.2, "width": 3,
    }  # fmt: skip


def _sides(points: Mapping[str, Point]) -> dict[str, str]:
    """On which side of each point its name stands: inside the chart, and away from the nearest point."""
    sides = {}
    for name, point in points.items():
        x, y = point["agreement"]["value"], point["2afc"]["value"]
        near = [
            (other["agreement"]["value"], other["2afc"]["value"])
            for other_name, other in points.items()
            if other_name != name
            and abs(other["agreement"]["value"] - x) < _NEAR[0]
            and abs(other["2afc"]["value"] - y) < _NEAR[1]
        ]
        up = "top" if all(y >= other_y for _, other_y in near) else "bottom"
        left = x > 0.95 or any(x < other_x for other_x, _ in near)
        sides[name] = f"{up} {'left' if left else 'right'}"
    return sides


def _text(point: Mapping[str, Any]) -> str:
    quantity = charts.QUANTITIES["2afc"]
    return (
        f"{quantity.text(point['2afc'])} right under attack, agrees with LPIPS on {quantity.text(point['agreement'])}"
    )
