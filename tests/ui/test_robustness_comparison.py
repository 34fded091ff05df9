"""The trade-off and the transfer on the Robustness page: sentences, the matrix, and figures published elsewhere."""

import re

from rlpips.ui.pages import robustness_tradeoff, robustness_transfer


def interval(value):
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def point(right, agreement, **more):
    return {"2afc": interval(right), "agreement": interval(agreement), **more}


def test_the_sentence_on_the_trade_off():
    points = {"lpips": point(0.37, 1), "mse": point(0.88, 0.8)}
    ends = point(0.3, 1, share=0), point(0.5, 0.95, share=0.5), point(0.7, 0.9, share=1)
    curve = {"points": ends, "how": {"triplets": 30}}
    sentence = robustness_tradeoff.sentence(points, {"rlpips-linf": curve, "rlpips-tune": curve})
    assert sentence == (
        "Right under attack, l∞ 4/255, and in agreement with LPIPS: LPIPS 37 % and 100 % and pixel MSE 88 % and 80 %. "
        "Half LPIPS's heads, half those of R-LPIPS l∞: 50 % and 95 %. "
        "On the trunk of R-LPIPS tune, LPIPS's own heads reach 30 % and 100 %, and half of each 50 % and 95 %. "
        "The curves are measured on 30 triplets."
    )


ROWS = {
    "lpips": {"lpips": interval(2), "rlpips-linf": interval(0.25)},
    "rlpips-linf": {"lpips": interval(0.8), "rlpips-linf": interval(0.4)},
    "noise": {"lpips": interval(0.02), "rlpips-linf": interval(0.03)},
}


def test_the_matrix_is_a_table_with_heads():
    table = robustness_transfer.matrix({"rows": ROWS})
    assert re.findall(r'scope="row".*?>(.*?)</th>', table) == ["LPIPS", "R-LPIPS l∞", "noise (a random point)"]
    assert re.findall(r'scope="col" class.*?<span>(.*?)</span>', table) == ["LPIPS", "R-LPIPS l∞"]
    cells = re.findall(r'<td(.*?) style="--shade:(.*?)"><b>(.*?)</b><small>(.*?)</small>', table)
    assert [cell[2:] for cell in cells[:2]] == [("2.00", "1.99–2.01"), ("0.25", "0.24–0.26")]
    assert [bool(cell[0]) for cell in cells] == [True, False, False, True, False, False]  # attacks on the judge itself
    shades = [float(cell[1]) for cell in cells]
    assert all(0 <= shade <= 1 for shade in shades) and shades[4] < shades[5] < shades[1] < shades[3] < shades[2]
    stronger = robustness_transfer.matrix({"rows": {"lpips": {"lpips": interval(50)}}})
    assert "--shade:1.00" in stronger


def test_the_sentence_on_the_transfer():
    sentence = robustness_transfer.sentence({"rows": ROWS})
    assert "looks 2.00 average natural distortions far to LPIPS and 0.25 to R-LPIPS l∞" in sentence
    assert "on R-LPIPS l∞, 0.80 to LPIPS and 0.40 to R-LPIPS l∞" in sentence and "0.020 and 0.030 far" in sentence
    assert robustness_transfer.sentence({"rows": {"mse": {"mse": interval(1)}}}) == ""


def test_published_figures_say_that_they_are():
    table = robustness_tradeoff.published()
    assert "Published elsewhere, not measured here" in table and "github.com/fra31/perceptual-metrics" in table
    assert re.findall(r"<td>(.*?)</td>", table)[:3] == ["92.3", "81.9", "78.5"]
