"""The Markdown tables, line by line, for small made-up results."""

import subprocess
import sys

from rlpips.evaluate import tables


def figure(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def result(natural, attacked, agreement, eps=4 / 255):
    def entry(budget, standard, score):
        families = {"noise": figure(score), "blur": figure(score - 0.1)}
        return {
            "eps": budget,
            "standard": standard,
            "2afc": figure(score),
            "families": families,
            "inflation": figure(2 * score),
        }

    return {
        "natural": {"2afc": figure(natural), "families": {"noise": figure(natural), "blur": figure(natural)}},
        "attacked": {"linf": [entry(1 / 255, False, 0.9), entry(eps, True, attacked)], "l2": []},
        "agreement": agreement and figure(agreement),
        "how": {"gap": 0.1},
    }


RESULTS = {"lpips": result(0.95, 0.4, None), "rlpips-linf": result(0.9, 0.8, 0.85)}


def test_headline():
    assert tables.table(RESULTS).splitlines() == [
        "| synthetic 2AFC, ordered by severity | LPIPS | R-LPIPS l∞ |",
        "|---|---|---|",
        "| natural 2AFC | 0.950 (0.900–1.000) | 0.900 (0.850–0.950) |",
        "| attacked 2AFC, l∞ 4/255 | 0.400 (0.350–0.450) | 0.800 (0.750–0.850) |",
        "| inflation, l∞ 4/255 | 0.800 (0.750–0.850) | 1.600 (1.550–1.650) |",
        "| agreement with LPIPS | – | 0.850 (0.800–0.900) |",
    ]


def test_headline_with_references_other_settings_and_pixels():
    pixels = result(0.99, 0.95, 0.78)
    pixels["attacked"]["linf"][1]["reference"] = figure(0.7)
    pixels["attacked"]["l2"] = [
        {"eps": 1.5, "standard": False, "2afc": figure(0.6), "families": {}, "inflation": figure(0.5)}
    ]
    pixels["official"] = {"linf": {"eps": 0.05, "steps": 50, "inflation": figure(3.0)}}
    lines = tables.table({"lpips": {**RESULTS["lpips"], "how": {"gap": None}}, "mse": pixels}).splitlines()
    assert lines[0] == "| 2AFC | LPIPS | pixel MSE |"  # people judged
    assert "| attacked 2AFC, reference, l∞ 4/255 | – | 0.700 (0.650–0.750) |" in lines
    assert "| inflation, OPT as published (l∞ 0.05, 50 steps) | – | 3.000 (2.950–3.050) |" in lines
    assert "| attacked 2AFC, l2 1.5 | – | 0.600 (0.550–0.650) |" in lines
    assert "l2 1.5" not in tables.table({"mse": pixels}, ("linf",)) and "l∞ 4/255" in tables.table(
        {"mse": pixels}, ("linf",)
    )


HOW = {"natural": 90, "triplets": 50, "steps": 20, "restarts_at_standard": 2, "restarts": 1, "mixed": 80, "size": 64, "gap": 0.1,
       "data": "some photographs", "command": "python x"}  # fmt: skip


def test_conditions_of_this_layout_and_of_an_earlier_one():
    how = {**HOW, "elsewhere": 30, "references": 12, "schedule": "cosine"}
    assert tables.conditions({"lpips": {"how": how}}) == (
        "The milder of two strengths of one distortion counts as nearer; no people judged. Measured on 90 triplets with a judge, 50 of "
        "which were attacked at the standard budget, 30 elsewhere (PGD, 20 steps on a cosine schedule; 2 restarts at the standard "
        "budget, 1 elsewhere), and on 80 for the agreement; inflation of 12 references; 64-pixel patches, some photographs. `python x`"
    )
    earlier = tables.conditions({"lpips": {"how": {**HOW, "gap": None}}})
    assert earlier.startswith("Measured on 90") and "50 of which were attacked (PGD, 20 steps; 2 restarts" in earlier


def test_families():
    lines = tables.family_table(RESULTS, "linf").splitlines()
    assert lines[0].startswith("| 2AFC, attacks of l∞ 4/255 | LPIPS, natural | LPIPS, attacked | R-LPIPS l∞, natural |")
    assert lines[3].startswith("| blur | 0.950 (0.900–1.000) | 0.300 (0.250–0.350) |")
    assert tables.family_table(RESULTS, "l2").splitlines()[0] == "| 2AFC | LPIPS, natural | R-LPIPS l∞, natural |"


def test_budgets():
    # a dash where a metric was not measured at a budget
    lines = tables.eps_table({**RESULTS, "rlpips-l2": result(0.9, 0.8, 0.85, eps=8 / 255)}).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| l∞ 1/255", "| l∞ 4/255", "| l∞ 8/255"]
    assert lines[3].endswith("| – | – |") and lines[4].startswith("| l∞ 8/255 | – | – | – | – | 0.800")


def test_masking():
    rows = [
        {"attack": "no attack", "2afc": figure(0.9), "inflation": None},
        {"attack": "x", "2afc": figure(0.5), "inflation": figure(1)},
    ]
    lines = tables.masking_table({"rows": rows}).splitlines()
    assert lines[2] == "| no attack | 0.900 (0.850–0.950) | – |" and lines[3].endswith("1.000 (0.950–1.050) |")


def test_what_is_found_beyond_the_standard_attack():
    masking = {
        "how": {"triplets": 48, "eps": 4 / 255, "command": "python x"},
        "rows": [
            {"attack": "x", "2afc": figure(0.5)},
            {"attack": tables.TOGETHER, "2afc": figure(0.4), "inflation": figure(2.5)},
        ],
        "beyond": {"2afc": 0.05, "inflation": 0.2},
    }
    assert tables.beyond_table({"lpips": masking}).splitlines() == [
        "| from the standard attack to the strongest | LPIPS |",
        "|---|---|",
        "| attacked 2AFC | 0.450 → 0.400 |",
        "| inflation | 2.300 → 2.500 |",
        "",
        "Measured on 48 triplets and a quarter as many references, l∞ 4/255. `python x`",
    ]


def test_budget_as_text():
    texts = [tables.budget(norm, eps) for norm, eps in (("linf", 4 / 255), ("linf", 0.5 / 255), ("l2", 0.25))]
    assert texts == ["l∞ 4/255", "l∞ 0.5/255", "l2 0.25"]


def test_needs_no_torch():
    subprocess.run(
        [sys.executable, "-c", "import rlpips.evaluate.tables, sys; sys.exit('torch' in sys.modules)"],
        check=True,
        timeout=60,
    )
