"""The picture of the trade-off: every value and interval, and names that do not cover each other."""

import pytest

from rlpips.evaluate.tradeoff_chart import tradeoff
from rlpips.zoo import catalog


def interval(value, width=0.05):
    return {"value": value, "low": value - width, "high": value + 2 * width}


POINTS = {
    "lpips": {"2afc": interval(0.4), "agreement": {"value": 1.0, "low": 1.0, "high": 1.0}},
    "rlpips-linf": {"2afc": interval(0.7), "agreement": interval(0.9, 0.01)},
    "rlpips-l2": {"2afc": interval(0.71), "agreement": interval(0.89, 0.01)},
}
CURVES = {
    "rlpips-linf": {
        "points": [
            {"share": share, "2afc": interval(0.4 + 0.3 * share), "agreement": interval(1 - 0.1 * share, 0.01)}
            for share in (0, 0.5, 1)
        ]
    }
}


def test_points_have_names_and_both_intervals():
    drawn = {trace.name: trace for trace in tradeoff(POINTS, {}).data}
    assert list(drawn) == ["LPIPS", "R-LPIPS l∞", "R-LPIPS l2"]
    for name, point in POINTS.items():
        trace = drawn[catalog.card(name).title]
        for values, whiskers, key in ((trace.x, trace.error_x, "agreement"), (trace.y, trace.error_y, "2afc")):
            assert values == (point[key]["value"],)
            assert values[0] + whiskers.array[0] == pytest.approx(point[key]["high"])
            assert values[0] - whiskers.arrayminus[0] == pytest.approx(point[key]["low"])
        assert trace.name in trace.text[0] and trace.marker.color == catalog.card(name).color
    sides = {name: trace.textposition for name, trace in drawn.items()}
    assert "left" in sides["LPIPS"]  # at the right edge
    assert (sides["R-LPIPS l∞"], sides["R-LPIPS l2"]) == ("bottom right", "top left")  # close to each other


def test_a_curve_is_a_line_with_a_band():
    band, line = tradeoff({}, CURVES).data
    points = CURVES["rlpips-linf"]["points"]
    assert line.x == pytest.approx([1, 0.95, 0.9]) and line.y == pytest.approx([0.4, 0.55, 0.7])
    assert band.x == (*line.x[::-1], *line.x)  # from left to right, and back
    assert band.y[:3] == pytest.approx([point["2afc"]["high"] for point in reversed(points)])
    assert band.y[3:] == pytest.approx([point["2afc"]["low"] for point in points])
    assert line.name == "dial to R-LPIPS l∞" and band.showlegend is False
    assert line.text[1].startswith("50% of the way: 55% (50% to 65%) right under attack, agrees with LPIPS on 95%")


def test_everything_is_inside_the_axes():
    layout = tradeoff(POINTS, CURVES).layout
    assert layout.xaxis.range[0] < 0.88 and layout.xaxis.range[1] > 1
    assert layout.yaxis.range[0] < 0.35 and layout.yaxis.range[1] > 0.81
    assert tradeoff({}, {}).data == ()
