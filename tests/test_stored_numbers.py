"""The README and the page "How it works" say what the cards and the study say, and these belong to the heads shipped."""

import json
from dataclasses import asdict

import pytest

from rlpips import paths
from rlpips.evaluate import tables
from rlpips.evaluate.robust_accuracy import CLASSIFIERS, PAIRS, compare
from rlpips.study.report import table as study_table
from rlpips.study.variants import VARIANTS
from rlpips.training.settings import Settings
from rlpips.ui.pages import how_it_works
from rlpips.zoo import cards, catalog
from rlpips.zoo.catalog import PAIR

OURS = [(name, backbone) for name in ("rlpips-linf", "rlpips-l2") for backbone in catalog.card(name).heads]
MEASURED = [("lpips", "alex"), ("lpips", "vgg"), *OURS]


def results(backbone):
    return {name: cards.read(name, backbone)["results"] for name, one in MEASURED if one == backbone}


def block(name):
    """What the README has between two marks; to renew it, paste what the failing test prints."""
    text = (paths.ROOT / "README.md").read_text("utf-8")
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip()


def test_the_readme_has_the_stored_figures():
    assert block("results") == tables.table(results("alex")) + "\n\n" + tables.conditions(results("alex"))
    assert block("results vgg") == tables.table(results("vgg")) + "\n\n" + tables.conditions(results("vgg"))


def test_the_readme_has_the_stored_study():
    report = json.loads((paths.STUDY).read_text("utf-8"))
    assert block("study") == study_table(report)
    assert {row["variant"] for row in report["rows"]} >= {variant.name for variant in VARIANTS}


def attacked():
    return json.loads((paths.RESULTS).read_text("utf-8"))


def test_the_readme_has_the_stored_attacks_on_classifiers():
    found = attacked()
    parts = tables.accuracy_table(found), tables.findings_table(found), tables.classifier_conditions(found)
    assert block("classifiers") == "\n\n".join(parts)


def test_the_attacks_on_classifiers_are_whole_and_belong_to_what_is_shipped():
    found = attacked()
    assert tuple(found["classifiers"]) == CLASSIFIERS
    assert found["how"]["metrics"] == {name: catalog.card(name).heads["alex"].sha256 for name in PAIR}
    assert found["findings"] == compare(found["classifiers"], found["bounds"]["settings"])
    assert len(found["findings"]) == len(CLASSIFIERS) * len(found["bounds"]["settings"]) * len(PAIRS)
    for name, one in found["classifiers"].items():
        assert one["sha256"] == catalog.CLASSIFIERS[name].sha256
        for row in one["rows"]:
            robust = [int(digit) for digit in row["robust"]]
            assert len(robust) == found["how"]["pictures"] and row["outside"] == 0
            assert row["accuracy"]["value"] == pytest.approx(sum(robust) / len(robust), abs=1e-4)
            assert all(one >= other for one, other in zip(map(int, one["right"]), robust))


def test_what_the_readme_says_of_the_finding_is_what_was_found():
    at_papers, matched = [], []
    for one in attacked()["findings"]:
        (at_papers if one["setting"] == "paper" else matched).append(one["difference"]["value"])
        assert one["verdict"] != "held"
    assert set(at_papers) == {0} and min(matched) >= 0
    rows = {
        name: {row["attack"]: row["accuracy"]["value"] for row in one["rows"] if (row["bound"] or 1) > 0.1}
        for name, one in attacked()["classifiers"].items()
    }
    for attack in ("ppgd", "lpa"):  # at the matched bound, the last one above 0.1
        best = sorted(rows, key=lambda name: rows[name][attack])[-2:]
        assert set(best) == {"pat-self", "pat-alexnet"}


def test_how_it_works_has_the_stored_figures():
    page = how_it_works.text()
    assert "[[" not in page
    assert tables.table(results("alex")) in page and tables.layer_table(results("alex")) in page
    for name, backbone in OURS:
        assert catalog.card(name).heads[backbone].sha256 in page


@pytest.mark.parametrize("name, backbone", MEASURED)
def test_the_figures_are_whole_and_belong_to_these_heads(name, backbone):
    card = cards.read(name, backbone)
    found = card["results"]
    assert found["how"]["backbone"] == backbone
    assert found["how"]["heads_sha256"] == catalog.card(name).heads[backbone].sha256
    for norm in ("linf", "l2"):
        assert tables.standard(found, norm)["2afc"]["low"] <= tables.standard(found, norm)["2afc"]["value"]
    if backbone == "alex":
        masking = card["masking"]
        assert masking["how"]["heads_sha256"] == found["how"]["heads_sha256"] and len(masking["rows"]) >= 8


@pytest.mark.parametrize("name, backbone", OURS)
def test_the_settings_are_those_of_the_training(name, backbone):
    assert set(cards.read(name, backbone)["settings"]) == set(asdict(Settings()))


def test_the_heads_on_alexnet_are_what_the_project_says_of_them():
    """Robust, and still perceptual: inflation at most a sixth of LPIPS's, agreement at least 0.88, natural choices as good."""
    found = results("alex")
    lpips = found["lpips"]
    for name, norm in (("rlpips-linf", "linf"), ("rlpips-l2", "l2")):
        ours, theirs = tables.standard(found[name], norm), tables.standard(lpips, norm)
        assert ours["inflation"]["value"] <= theirs["inflation"]["value"] / 6
        assert ours["2afc"]["low"] > theirs["2afc"]["high"]
        assert found[name]["agreement"]["value"] >= 0.88
        assert found[name]["natural"]["2afc"]["high"] >= lpips["natural"]["2afc"]["value"]
