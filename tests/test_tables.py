import subprocess
import sys

from rlpips import tables


def figure(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def one(natural, attacked, agreement, eps=4 / 255):
    def entry(budget, standard, part):
        families = {"noise": figure(part), "blur": figure(part - 0.1)}
        return {
            "eps": budget,
            "standard": standard,
            "2afc": figure(part),
            "families": families,
            "inflation": figure(2 * part),
        }

    return {
        "natural": {"2afc": figure(natural), "families": {"noise": figure(natural), "blur": figure(natural)}},
        "attacked": {"linf": [entry(1 / 255, False, 0.9), entry(eps, True, attacked)], "l2": []},
        "agreement": agreement and figure(agreement),
    }


RESULTS = {"lpips": one(0.95, 0.4, None), "rlpips-linf": one(0.9, 0.8, 0.85)}


def test_headline():
    assert tables.table(RESULTS).splitlines() == [
        "|  | LPIPS | R-LPIPS l∞ |",
        "|---|---|---|",
        "| natural 2AFC | 0.950 (0.900–1.000) | 0.900 (0.850–0.950) |",
        "| attacked 2AFC, l∞ 4/255 | 0.400 (0.350–0.450) | 0.800 (0.750–0.850) |",
        "| inflation, l∞ 4/255 | 0.800 (0.750–0.850) | 1.600 (1.550–1.650) |",
        "| agreement with LPIPS | – | 0.850 (0.800–0.900) |",
    ]


def test_families():
    lines = tables.family_table(RESULTS, "linf").splitlines()
    assert lines[0].startswith("| 2AFC, attacks of l∞ 4/255 | LPIPS, natural | LPIPS, attacked | R-LPIPS l∞, natural |")
    assert lines[3].startswith("| blur | 0.950 (0.900–1.000) | 0.300 (0.250–0.350) |")
    assert tables.family_table(RESULTS, "l2").splitlines()[0] == "| 2AFC | LPIPS, natural | R-LPIPS l∞, natural |"


def test_budgets():
    # a budget that one metric was not measured at is a dash
    lines = tables.eps_table({**RESULTS, "rlpips-l2": one(0.9, 0.8, 0.85, eps=8 / 255)}).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| l∞ 1/255", "| l∞ 4/255", "| l∞ 8/255"]
    assert lines[3].endswith("| – | – |") and lines[4].startswith("| l∞ 8/255 | – | – | – | – | 0.800")


def test_masking():
    rows = [
        {"attack": "no attack", "2afc": figure(0.9), "inflation": None},
        {"attack": "x", "2afc": figure(0.5), "inflation": figure(1)},
    ]
    lines = tables.masking_table({"rows": rows}).splitlines()
    assert lines[2] == "| no attack | 0.900 (0.850–0.950) | – |" and lines[3].endswith("1.000 (0.950–1.050) |")


def test_budget_in_words():
    found = [tables.budget(*each) for each in (("linf", 4 / 255), ("linf", 0.5 / 255), ("l2", 0.25))]
    assert found == ["l∞ 4/255", "l∞ 0.5/255", "l2 0.25"]


def test_needs_no_torch():
    subprocess.run(
        [sys.executable, "-c", "import rlpips.tables, sys; sys.exit('torch' in sys.modules)"], check=True, timeout=60
    )
