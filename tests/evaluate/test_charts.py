"""The figures of results, and the sentences and tables beside them."""

import re

import numpy as np
import pytest

from rlpips.evaluate import charts, tables
from rlpips.ui.pages import robustness_tables as html_tables
from rlpips.ui.pages import robustness_text as text
from rlpips.zoo import catalog

FAMILIES = ("noise", "blur", "jpeg")
BUDGETS = {"linf": (1 / 255, 4 / 255, 8 / 255), "l2": (0.5, 1.0)}
STANDARD = {"linf": 4 / 255, "l2": 1.0}


def interval(value, width=0.05):
    return {"value": value, "low": value - width, "high": value + width}


def make_entry(norm, eps, score, inflation):
    generator = np.random.default_rng(int(1000 * eps))
    return {
        "eps": eps, "standard": eps == STANDARD[norm], "2afc": interval(score),
        "families": {family: interval(score - 0.1 * k) for k, family in enumerate(FAMILIES)},
        "inflation": interval(inflation), "opt": (inflation * generator.uniform(0.5, 1.5, 50)).round(4).tolist(),
    }  # fmt: skip


def make_result(score, inflation, layers):
    attacked = {
        norm: [make_entry(norm, eps, score / (k + 1), inflation * (k + 1)) for k, eps in enumerate(budgets)]
        for norm, budgets in BUDGETS.items()
    }
    natural = {"2afc": interval(0.94), "families": {family: interval(0.9) for family in FAMILIES}}
    return {"natural": natural, "attacked": attacked, "agreement": interval(0.88), "layers": layers}


@pytest.fixture
def results():
    return {
        "lpips": {**make_result(0.6, 1.2, {"conv1": 0.2, "conv2": 0.8}), "agreement": None},
        "rlpips-linf": make_result(0.9, 0.2, {"conv1": 0.7, "conv2": 0.3}),
    }


def lines(figure):
    return {trace.name: trace for trace in figure.data if trace.mode == "lines+markers"}


def bands(figure):
    return {trace.name: trace for trace in figure.data if trace.fill == "toself"}


@pytest.mark.parametrize("norm, unit", [("linf", 255), ("l2", 1)])
@pytest.mark.parametrize("key, natural", [("2afc", 0.94), ("inflation", 0.0)])
def test_a_sweep_draws_every_value_and_interval(results, norm, unit, key, natural):
    figure = charts.sweep(results, norm, key)
    assert list(lines(figure)) == ["LPIPS", "R-LPIPS l∞"]
    for name, result in results.items():
        title, entries = catalog.card(name).title, result["attacked"][norm]
        line, band = lines(figure)[title], bands(figure)[title]
        assert line.x == pytest.approx([0, *(unit * entry["eps"] for entry in entries)])
        assert line.y == pytest.approx([natural, *(entry[key]["value"] for entry in entries)])
        count = len(line.x)
        assert band.x[:count] == line.x and band.x[count:] == line.x[::-1]
        assert band.y[1:count] == pytest.approx([entry[key]["high"] for entry in entries])
        assert band.y[count:-1] == pytest.approx([entry[key]["low"] for entry in entries][::-1])
        assert band.hoverinfo == "skip" and line.line.color == band.fillcolor == catalog.card(name).color
    upright = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1]
    assert [shape.x0 for shape in upright] == pytest.approx([unit * STANDARD[norm]])  # the standard eps, and no other
    low, high = figure.layout.yaxis.range
    assert (low < 0 and high > max(max(band.y) for band in bands(figure).values())) or key == "2afc"


def test_metrics_differ_in_more_than_colour():
    marks = [charts.mark(name) for name in ("lpips", "rlpips-linf", "rlpips-l2")]
    assert all(len(set(kind)) == 3 for kind in zip(*marks))


def test_the_hover_gives_both_scales(results):
    texts = lines(charts.sweep(results, "linf", "2afc"))["LPIPS"].text
    assert texts[0].startswith("no attack") and texts[2] == "l∞ 4/255 (0.0314 on [−1, 1]): 30% (25% to 35%)"


def test_a_sweep_at_its_beginning(results):
    first = {"lpips": {"attacked": {"linf": []}}}
    for key in charts.QUANTITIES:
        figure = charts.sweep(first, "linf", key, budgets=BUDGETS["linf"])
        assert figure.layout.xaxis.tickvals == pytest.approx((0, 1, 4, 8))
        assert figure.layout.xaxis.range[1] > 8
        assert "grows" in text.sweep(first, "linf", key)
    first["lpips"]["natural"] = results["lpips"]["natural"]
    assert lines(charts.sweep(first, "linf", "2afc"))["LPIPS"].y == (0.94,)
    first["lpips"]["attacked"]["linf"].append(results["lpips"]["attacked"]["linf"][0])
    assert "l∞ 1/255" in text.sweep(first, "linf", "2afc")  # the standard budget has not been measured yet
    assert charts.sweep({}, "l2", "2afc").data == ()


def test_opt_counts_every_picture_and_keeps_its_axis(results):
    axes = set()
    for eps in BUDGETS["linf"]:
        figure = charts.opt(results, "linf", eps)
        axes.add(figure.layout.xaxis2.range)
        assert figure.layout.xaxis2.type == "log" and [bar.name for bar in figure.data] == ["LPIPS", "R-LPIPS l∞"]
        for bar, result in zip(figure.data, results.values(), strict=True):
            values = next(entry["opt"] for entry in result["attacked"]["linf"] if entry["eps"] == eps)
            left, right = np.array(bar.x) - np.array(bar.width) / 2, np.array(bar.x) + np.array(bar.width) / 2
            for share, low, high in zip(bar.y, left, right):
                assert share == pytest.approx(sum(low < value < high for value in values) / 50)
            assert sum(bar.y) == pytest.approx(1)
    assert len(axes) == 1
    assert charts.opt(results, "linf", 0.5).data == () and charts.opt({}, "l2", 1.0).data == ()


def test_layers_and_weights(results):
    figure = charts.layers(results)
    assert [(bar.name, bar.x, bar.y) for bar in figure.data] == [
        ("LPIPS", ("conv1", "conv2"), (0.2, 0.8)), ("R-LPIPS l∞", ("conv1", "conv2"), (0.7, 0.3)),
    ]  # fmt: skip
    heads = {"lpips": {"conv1": np.array([1.0, 0.0, 3.0]), "conv2": np.array([2.0, 4.0])}}
    line = charts.weights(heads).data[0]
    assert line.y == (1.5, 0.5, None, None, 2.0, 1.0, None)  # over the mean of 2; zero is left out
    assert line.text[:3] == ("conv1, channel 2", "conv1, channel 0", "conv1, channel 1")
    assert all(0 <= x < 1 for x in line.x[:3]) and all(1 <= x < 2 for x in line.x[4:6])
    assert "2 of 5 channels" in text.weights(heads) and "on conv1 lies 40 % in LPIPS" in text.weights(heads)


def test_sentences_give_the_figures(results):
    sentence = text.sweep(results, "linf", "2afc")
    assert (
        "l∞ 4/255" in sentence
        and "LPIPS in 30 %" in sentence
        and "R-LPIPS l∞ in 45 %" in sentence
        and "94 %" in sentence
    )
    assert "2.40 to LPIPS and 0.40 to R-LPIPS l∞" in text.sweep(results, "linf", "inflation")
    entries = charts.at(results, "linf", 4 / 255)
    opt = [entry["opt"] for entry in entries.values()]
    sentence = text.opt(entries, "linf")
    assert sentence.startswith("Each of 50 pictures") and f"to LPIPS {np.median(opt[0]):.2f}" in sentence
    assert f"{np.mean(np.array(opt[0]) > 1):.0%}".replace("%", " %") + " and 0 % of the pictures" in sentence
    sentence = text.families(results, entries, "linf")
    assert "LPIPS does worst on jpeg (10 %)" in sentence and "below guessing on 3 of 3" in sentence
    assert sentence.endswith("Without an attack (the tick) all are right on at least 90 % of every family.")
    assert "LPIPS takes 80 % from conv2 and R-LPIPS l∞ takes 70 % from conv1" in text.layers(results)
    assert charts.at(results, "l2", 0.7) == {} and "Nothing" in text.families({}, {}, "l2")


def test_tables_show_every_interval(results):
    table = html_tables.families(results, charts.at(results, "linf", 4 / 255))
    rows = re.findall(r"<tr.*?</tr>", table)
    assert [re.search(r'scope="row">(.*?)<', row)[1] for row in rows[1:]] == ["all", *FAMILIES]
    assert re.findall(r"<b>(.*?)</b><small>(.*?)</small>", rows[2]) == [("30 %", "25–35"), ("45 %", "40–50")]
    assert re.findall(r"--natural:([\d.]+)", rows[2]) == ["0.9", "0.9"] and "94 % without an attack" in rows[1]
    assert table.count("--low") == 2 * 4
    assert html_tables.families(results, {}).count("<td>–</td>") == 2 * 4  # a budget that was not measured
    summary = html_tables.summary(results, "linf")
    assert summary.count("<article") == 2 and "<b>45 %</b> right under attack, l∞\u00a04/255" in summary
    for count, in_a_row in ((2, 2), (4, 4), (5, 3), (6, 3), (7, 4), (8, 4)):
        some = dict(zip(catalog.CATALOG, [results["rlpips-linf"]] * count))
        assert f"--in-a-row:{in_a_row}" in html_tables.summary(some, "linf")
    row = {"attack": "a <b>", "2afc": interval(0.3), "inflation": None}
    strongest = {"attack": tables.TOGETHER, "2afc": interval(0.4), "inflation": interval(2.5)}
    masking = {"lpips": {"rows": [strongest, row], "beyond": {"2afc": 0.05, "inflation": 0.4}}}
    table = html_tables.masking(masking)
    assert "a &lt;b&gt;" in table and table.count("–</td>") == 1
    assert "LPIPS's attacked 2AFC goes from 0.45 to 0.40 and its inflation from 2.10 to 2.50." in text.masking(masking)
    del masking["lpips"]["beyond"]  # as earlier versions stored it
    assert text.masking(masking).endswith("another attack would do much better.")


def test_the_pixels_have_a_tile_and_a_sentence(results):
    pixels = {**results["rlpips-linf"], "agreement": interval(0.78)}
    pixels["attacked"] = {
        "linf": [{**entry, "reference": interval(0.61)} for entry in pixels["attacked"]["linf"]],
        "l2": [],
    }
    summary = html_tables.summary({**results, "mse": pixels}, "linf")
    assert "<h3>pixel MSE</h3>" in summary and "61 % with the reference attacked instead" in summary
    assert "agrees with LPIPS on 78 % of mixed distortions" in summary
    assert text.pixels(results, "linf") == "" == text.pixels({**results, "mse": pixels}, "l2")
