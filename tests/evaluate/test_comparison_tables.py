"""The tables of the dial, of the transfer and of published figures, line by line."""

import subprocess
import sys

from rlpips.evaluate import comparison_tables


def figure(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


HOW = {"triplets": 50, "references": 12, "mixed": 80, "size": 64, "data": "some photographs", "command": "python x",
       "norm": "linf", "eps": 4 / 255, "steps": 40, "restarts": 1, "schedule": "cosine"}  # fmt: skip
POINT = {"share": 0.25, "2afc": figure(0.5), "inflation": figure(1.5), "agreement": figure(0.9)}


def test_a_curve_of_the_dial():
    assert comparison_tables.dial_table({"how": HOW, "points": [POINT]}).splitlines() == [
        "| share of the robust heads | agreement with LPIPS | attacked 2AFC, l∞ 4/255 | inflation, l∞ 4/255 |",
        "|---|---|---|---|",
        "| 0.25 | 0.900 (0.850–0.950) | 0.500 (0.450–0.550) | 1.500 (1.450–1.550) |",
    ]
    assert comparison_tables.dial_conditions(HOW) == (
        "Measured on 50 attacked triplets and 12 attacked references (PGD, l∞ 4/255, 40 steps on a cosine schedule, 1 restart), and on 80 "
        "triplets for the agreement; 64-pixel patches, some photographs. `python x`"
    )
    (block,) = comparison_tables.dial_blocks({"rlpips-linf": {"how": HOW, "points": [POINT]}})
    assert block.startswith("## From LPIPS to R-LPIPS l∞\n\n| share")


def test_the_transfer():
    rows = {"lpips": {"lpips": figure(2), "mse": figure(0.1)}, "noise": {"lpips": figure(0.2), "mse": figure(0.05)}}
    lines = comparison_tables.transfer_table({"how": HOW, "rows": rows}).splitlines()
    assert lines[0] == "| inflation: attacked on ↓, judged by → | LPIPS | pixel MSE |"
    assert lines[2] == "| LPIPS | 2.000 (1.950–2.050) | 0.100 (0.050–0.150) |"
    assert lines[3].startswith("| noise (a random point) | 0.200")
    conditions = comparison_tables.transfer_conditions({**HOW, "restarts": 2})
    assert "12 attacked references" in conditions and "2 restarts)" in conditions and "80 triplets;" in conditions


def test_points_of_the_trade_off():
    entry = {"standard": True, "2afc": figure(0.4), "inflation": figure(0.3)}
    measured = {"attacked": {"linf": [entry]}, "agreement": figure(0.8)}
    results = {
        "lpips": {**measured, "agreement": None},
        "mse": measured,
        "rlpips-l2": {"attacked": {"linf": [{**entry, "standard": False}]}, "agreement": figure(0.8)},
    }
    points = comparison_tables.tradeoff_points(results)
    assert list(points) == ["lpips", "mse"] and points["lpips"]["agreement"]["value"] == 1
    assert points["mse"] == {"2afc": figure(0.4), "agreement": figure(0.8)}
    lines = comparison_tables.tradeoff_table(results).splitlines()
    assert lines[0] == "| metric | agreement with LPIPS | attacked 2AFC, l∞ 4/255 | inflation, l∞ 4/255 |"
    assert lines[2].startswith("| LPIPS | 1.000 (1.000–1.000) | 0.400")
    assert lines[3:] == ["| pixel MSE | 0.800 (0.750–0.850) | 0.400 (0.350–0.450) | 0.300 (0.250–0.350) |"]


def test_published_figures():
    lines = comparison_tables.published_table().splitlines()
    assert lines[0] == "| 2AFC on NIGHTS, % | clean | l∞ 4/255 | l2 3 |"
    assert "| R-LPIPS (its authors' checkpoint) | 71.6 | 16.2 | 26.9 |" in lines


def test_needs_no_torch():
    code = "import rlpips.evaluate.comparison_tables, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
