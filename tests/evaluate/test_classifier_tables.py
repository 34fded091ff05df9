"""The Markdown tables of attacks on classifiers, line by line, for small made-up results."""

from rlpips.evaluate import classifier_tables


def figure(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def row(attack, bound, accuracy, cost=None):
    return {"attack": attack, "bound": bound, "accuracy": figure(accuracy), "cost": cost, "torch": "2.0"}


COST = {"lpips": 0.25, "rlpips-linf": 0.2, "linf": 0.1, "l2": 1.2345, "ssim": 0.9}
ATTACKED = {
    "how": {
        "pictures": 8,
        "data": "drawn from 80 others",
        "command": "python x",
        "attacks": {
            "apgd-linf": {"steps": 20, "targets": 3}, "ppgd": {"steps": 20, "cg_steps": 5}, "lpa": {"steps": 20, "searches": 5},
        },
    },
    "bounds": {
        "authors": {"sums": {"unrelated": {"least": 2.0, "mean": 3.0, "most": 4.0}, "negative": {"least": 5, "mean": 6, "most": 7}}},
        "settings": {"paper": {"lpips": 0.5, "rlpips-linf": 0.5}, "matched": {"lpips": 0.5, "rlpips-linf": 0.52}},
        "pictures": 4,
        "matches": [
            {"metric": "lpips", "bound": 0.5, "other": "rlpips-linf", "matched": 0.52, "low": 0.4, "high": 0.7,
             "reached": 1, "of": 2, "families": {"noise": {"words": "noise σ 20/255", "matched": 0.52}, "blur": None}},
        ],
    },
    "classifiers": {
        "undefended": {"rows": [row("none", None, 0.9), row("apgd-linf", 8 / 255, 0.1, COST), row("stadv", 0.8, 0.2, COST)]},
        "at-linf": {"rows": [row("none", None, 0.7), row("ppgd", 0.5, 0.3, COST), row("r-ppgd", 0.52, 0.2, COST)]},
    },
    "findings": [
        {"classifier": "at-linf", "setting": "matched", "attack": "r-ppgd", "than": "ppgd",
         "difference": {"value": -0.1, "low": -0.15, "high": -0.05}, "verdict": "held"},
    ],
}  # fmt: skip


def test_accuracy_of_classifiers():
    undefended, robust = map(classifier_tables.classifier_title, ATTACKED["classifiers"])
    assert classifier_tables.accuracy_table(ATTACKED).splitlines() == [
        f"| accuracy | {undefended} | {robust} |",
        "|---|---|---|",
        "| no attack | 0.900 (0.850–0.950) | 0.700 (0.650–0.750) |",
        "| APGD, l∞ 8/255 | 0.100 (0.050–0.150) | – |",
        "| stAdv, 0.8 px | 0.200 (0.150–0.250) | – |",
        "| PPGD, √LPIPS 0.5 | – | 0.300 (0.250–0.350) |",
        "| R-PPGD, √R-LPIPS l∞ 0.52 | – | 0.200 (0.150–0.250) |",
    ]


def test_findings_on_classifiers():
    undefended, robust = map(classifier_tables.classifier_title, ATTACKED["classifiers"])
    assert classifier_tables.findings_table(ATTACKED).splitlines() == [
        f"| difference in accuracy | {undefended} | {robust} |",
        "|---|---|---|",
        "| R-PPGD minus PPGD, comparable bounds (0.52 and 0.5) | – | −0.100 (−0.150 to −0.050), held |",
    ]


def test_costs_of_attacks_on_classifiers():
    assert classifier_tables.cost_table(ATTACKED, "at-linf").splitlines()[2:] == [
        "| PPGD, √LPIPS 0.5 | 0.25 | 0.2 | 25.5 | 1.23 | 0.9 |",
        "| R-PPGD, √R-LPIPS l∞ 0.52 | 0.25 | 0.2 | 25.5 | 1.23 | 0.9 |",
    ]


def test_how_bounds_were_matched():
    assert classifier_tables.match_table(ATTACKED).splitlines() == [
        "| natural distortion | where √LPIPS is 0.5: √R-LPIPS l∞ |",
        "|---|---|",
        "| noise | 0.520 (noise σ 20/255) |",
        "| blur | not reached |",
        "| geometric mean | 0.520 |",
    ]
    text = classifier_tables.classifier_conditions(ATTACKED)
    assert "8 pictures drawn from 80 others" in text and text.endswith("`python x`")
    assert "0.5 away are R-LPIPS l∞ 0.52 (0.4 to 0.7) away, by the geometric mean over the 1 of 2 families" in text
    assert "Measured with torch 2.0." in text


def test_what_the_authors_code_bounds():
    assert classifier_tables.authors_table(ATTACKED).splitlines() == [
        "| mean distance (least–most) | unrelated pictures | a picture and its negative |",
        "|---|---|---|",
        "| unscaled sums | 3 (2–4) | 6 (5–7) |",
    ]
