"""The documents and the page "How it works" give the figures of the cards and of the study, which belong to the heads shipped;
and what the documents name exists."""

import importlib.util
import json
import re
from dataclasses import asdict

import numpy as np
import pytest

import rlpips
from rlpips import paths
from rlpips.engine.provenance import weights_digest
from rlpips.evaluate import classifier_tables, comparison_tables, tables
from rlpips.evaluate.robust_accuracy import CLASSIFIERS, PAIRS, compare
from rlpips.study.report import table as study_table
from rlpips.study.variants import VARIANTS
from rlpips.training.settings import Settings
from rlpips.ui.pages import how_it_works, robustness
from rlpips.zoo import cards, catalog, classifier_cards
from rlpips.zoo.catalog import PAIR

OURS = [(name, backbone) for name in ("rlpips-linf", "rlpips-l2") for backbone in catalog.card(name).heads]
JUDGED = ("lpips", "rlpips-linf", "rlpips-l2", "rlpips-tune", "mse", "ssim")
MEASURED = [("lpips", "alex"), ("lpips", "vgg"), *OURS]


def results(backbone):
    names = [name for name, one in MEASURED if one == backbone] + [catalog.PIXELS] * (backbone == "alex")
    return {name: cards.read(name, backbone)["results"] for name in names}


def of_metrics(results):
    return {name: result for name, result in results.items() if name != catalog.PIXELS}


GITHUB = paths.ROOT / ".github"
DOCUMENTS = [
    paths.ROOT / "README.md",
    *sorted(paths.ASSETS.glob("*.md")),
    *sorted(paths.DOCS.glob("*.md")),
    *sorted(GITHUB.rglob("*.md")),
]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(paths.ROOT)))


def block(document, name):
    """The text between two marks of a document; to renew it, paste what the failing test prints."""
    text = document.read_text("utf-8")
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip()


def test_the_readme_fits_one_screen():
    assert len((paths.ROOT / "README.md").read_bytes()) <= 8000


def anchors(document):
    """The names that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_links_lead_to_something(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if not re.match(r"\w+:", target):
            name, _, anchor = target.partition("#")
            file = document.parent / name if name else document
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


@every_document
def test_commands_and_programs_exist(document):
    text = document.read_text("utf-8")
    for module in re.findall(r"-m (rlpips\.[a-z_.]*[a-z])", text):
        spec = importlib.util.find_spec(module)
        assert spec, module
        assert not spec.submodule_search_locations or importlib.util.find_spec(f"{module}.__main__"), module
    for program in re.findall(r"(?:python|bash) ([\w./]+/\w[\w.]*)", text):
        assert (paths.ROOT / program).is_file(), program


@every_document
def test_names_of_the_library_exist(document):
    for code in re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL):
        compile(code, document.name, "exec")
        for name in re.findall(r"rlpips\.(\w+)", code):
            assert hasattr(rlpips, name), name


def test_contributors_are_told_of_every_room():
    folder = paths.ROOT / "rlpips"
    rooms = {f"`{path.name}/`" for path in folder.iterdir() if (path / "__init__.py").is_file()}
    rooms |= {f"`{path.name}`" for path in folder.glob("*.py") if path.name != "__init__.py"}
    table = re.findall(r"^\| (`.+?) \|", (GITHUB / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    assert {room for cell in table for room in cell.split(", ")} == rooms


def test_the_documents_have_the_stored_figures():
    measured = results("alex")
    for document, norms in ((paths.ROOT / "README.md", ["linf"]), (paths.DOCS / "results.md", ["linf", "l2"])):
        assert block(document, "results") == tables.table(measured, norms) + "\n\n" + tables.conditions(measured)
    assert block(paths.DOCS / "results.md", "masking") == tables.beyond_table(robustness.stored("masking"))
    judged = {name: cards.read(name)["judge"] for name in JUDGED}
    assert block(paths.DOCS / "results.md", "judge") == tables.judge_table(judged) + "\n\n" + tables.judge_conditions(
        judged
    )
    assert block(paths.DOCS / "results.md", "results vgg") == tables.table(results("vgg")) + "\n\n" + tables.conditions(
        results("vgg")
    )


def test_the_document_on_results_compares_the_metrics():
    document = paths.DOCS / "results.md"
    tune = {name: cards.read(name)["results"] for name in ("lpips", "rlpips-linf", "rlpips-tune")}
    assert block(document, "results tune") == tables.table(tune) + "\n\n" + tables.conditions(
        {"rlpips-tune": tune["rlpips-tune"]}
    )
    *_, large = cards.read("rlpips-tune")["masking"]["rows"]
    assert "256-pixel pictures (24 triplets)" in large["attack"]
    for figure in (large["2afc"], large["inflation"]):
        assert tables.with_interval(figure) in document.read_text("utf-8")
    assert block(document, "tradeoff") == comparison_tables.tradeoff_table(robustness.stored("results"))
    for name, curve in cards.read_stored(paths.DIAL).items():
        expected = comparison_tables.dial_table(curve) + "\n\n" + comparison_tables.dial_conditions(curve["how"])
        assert block(document, f"dial {name}") == expected
    transfer = cards.read_stored(paths.TRANSFER)
    assert block(document, "transfer") == "\n\n".join(comparison_tables.transfer_blocks(transfer))
    assert block(document, "published") == comparison_tables.published_table()


def test_the_comparisons_are_whole_and_belong_to_what_is_shipped():
    dial, transfer = cards.read_stored(paths.DIAL), cards.read_stored(paths.TRANSFER)
    assert set(dial) == {"rlpips-linf", "rlpips-tune"}
    for name, curve in dial.items():
        assert curve["how"]["weights"] == {each: weights_digest(each, "alex") for each in ("lpips", name)}
        assert [point["share"] for point in curve["points"]] == pytest.approx([n / 10 for n in range(11)])
    assert transfer["how"]["weights"] == {name: weights_digest(name, "alex") for name in transfer["how"]["weights"]}
    assert list(transfer["rows"]) == [*transfer["how"]["weights"], "noise"]
    assert all(list(row) == list(transfer["how"]["weights"]) for row in transfer["rows"].values())


def test_the_document_on_results_has_the_stored_figures_of_moved_pixels():
    names = ("lpips", "rlpips-linf", "rlpips-l2", "rlpips-tune", "mse", "ssim")
    stored = {name: cards.read(name)["flow"] for name in names}
    expected = tables.flow_table(stored) + "\n\n" + tables.flow_conditions(stored)
    assert block(paths.DOCS / "results.md", "flow") == expected
    for name in names:
        heads = catalog.card(name).heads.get("alex")
        assert stored[name]["how"]["heads_sha256"] == (heads.sha256 if heads else None)


def test_what_the_documents_say_of_moved_pixels_is_what_was_measured():
    def inflation(name):
        return np.array([row["inflation"]["value"] for row in cards.read(name)["flow"]["rows"]])

    lead = inflation("lpips") / inflation("rlpips-linf")
    assert lead[0] > 5 and (lead[1:] < 4).all() and (lead > 1).all()
    gain = inflation("rlpips-linf") / inflation("rlpips-tune")
    assert gain[0] > 1.5 > gain[1:].max()
    assert inflation("ssim")[2] > max(inflation(name)[2] for name in ("rlpips-linf", "rlpips-l2", "rlpips-tune"))
    assert all((inflation("mse") < inflation(name)).all() for name in ("lpips", "rlpips-linf", "rlpips-tune", "ssim"))


def test_the_document_on_results_has_the_figures_of_the_metrics_of_others():
    measured = {name: cards.read(name)["results"] for name in ("dists", "st-lpips", "elpips")}
    expected = tables.table(measured) + "\n\n" + tables.conditions(measured)
    assert block(paths.DOCS / "results.md", "results others") == expected


def test_the_document_on_training_has_the_stored_study():
    report = json.loads(paths.STUDY.read_text("utf-8"))
    assert block(paths.DOCS / "training.md", "study") == study_table(report)
    assert {row["variant"] for row in report["rows"]} >= {variant.name for variant in VARIANTS}


def classifier_results():
    return json.loads(paths.RESULTS.read_text("utf-8"))


def test_the_document_on_results_has_the_stored_attacks_on_classifiers():
    report = classifier_results()
    parts = [
        classifier_tables.accuracy_table(report), classifier_tables.findings_table(report), classifier_tables.authors_table(report), classifier_tables.classifier_conditions(report),
    ]  # fmt: skip
    assert block(paths.DOCS / "results.md", "classifiers") == "\n\n".join(parts)


def test_the_attacks_on_classifiers_are_whole_and_belong_to_what_is_shipped():
    report = classifier_results()
    assert tuple(report["classifiers"]) == CLASSIFIERS
    assert report["how"]["metrics"] == {name: catalog.card(name).heads["alex"].sha256 for name in PAIR}
    assert report["findings"] == compare(report["classifiers"], report["bounds"]["settings"])
    assert len(report["findings"]) == len(CLASSIFIERS) * len(report["bounds"]["settings"]) * len(PAIRS)
    for name, one in report["classifiers"].items():
        assert one["sha256"] == classifier_cards.CLASSIFIERS[name].sha256
        for row in one["rows"]:
            robust = [int(digit) for digit in row["robust"]]
            assert len(robust) == report["how"]["pictures"] and row["outside"] == 0
            assert row["accuracy"]["value"] == pytest.approx(sum(robust) / len(robust), abs=1e-4)
            assert all(one >= other for one, other in zip(map(int, one["right"]), robust))


def test_what_the_documents_say_of_the_finding_is_what_was_measured():
    at_papers, matched = [], []
    for one in classifier_results()["findings"]:
        (at_papers if one["setting"] == "paper" else matched).append(one["difference"]["value"])
        assert one["verdict"] != "held"
    assert set(at_papers) == {0} and min(matched) >= 0
    rows = {
        name: {row["attack"]: row["accuracy"]["value"] for row in one["rows"] if (row["bound"] or 1) > 0.1}
        for name, one in classifier_results()["classifiers"].items()
    }
    for attack in ("ppgd", "lpa"):  # at the comparable bound, the last one above 0.1
        best = sorted(rows, key=lambda name: rows[name][attack])[-3:]
        assert set(best) == {"pat-self", "pat-alexnet", "pat-rlpips"}
    for one, other in zip(
        *(classifier_results()["classifiers"][name]["rows"] for name in ("pat-rlpips", "pat-alexnet"))
    ):
        assert max(row["accuracy"]["low"] for row in (one, other)) <= min(
            row["accuracy"]["high"] for row in (one, other)
        )
    # What the authors' code bounds holds every picture, and no classifier is right in it.
    assert all(one[attack] == 0 for one in rows.values() for attack in ("r-ppgd-authors", "r-lpa-authors"))
    scaled = classifier_results()["bounds"]["authors"]["scaled sums"]
    assert max(pair["most"] for pair in scaled.values()) < 1e-6


def test_how_it_works_has_the_stored_figures():
    page = how_it_works.text()
    assert "[[" not in page
    assert tables.table(results("alex")) in page and tables.layer_table(of_metrics(results("alex"))) in page
    for name, backbone in OURS:
        assert catalog.card(name).heads[backbone].sha256 in page


@pytest.mark.parametrize("name, backbone", [*MEASURED, ("rlpips-tune", "alex")])
def test_the_figures_are_whole_and_belong_to_these_heads(name, backbone):
    card = cards.read(name, backbone)
    measured = card["results"]
    assert measured["how"]["backbone"] == backbone
    assert measured["how"]["heads_sha256"] == catalog.card(name).heads[backbone].sha256
    for norm in ("linf", "l2"):
        assert tables.standard(measured, norm)["2afc"]["low"] <= tables.standard(measured, norm)["2afc"]["value"]
    assert measured["how"]["schedule"] == "cosine"
    if backbone == "alex":
        masking = card["masking"]
        assert masking["how"]["heads_sha256"] == measured["how"]["heads_sha256"] and len(masking["rows"]) == 8


@pytest.mark.parametrize("name, backbone", OURS)
def test_the_settings_are_those_of_the_training(name, backbone):
    assert set(cards.read(name, backbone)["settings"]) == set(asdict(Settings()))


def test_the_heads_on_alexnet_are_what_the_project_says_of_them():
    """Robust, and still perceptual: inflation at most a fifth of LPIPS's, agreement at least 0.88, natural choices as good."""
    measured = results("alex")
    lpips = measured["lpips"]
    for name, norm in (("rlpips-linf", "linf"), ("rlpips-l2", "l2")):
        ours, theirs = tables.standard(measured[name], norm), tables.standard(lpips, norm)
        assert ours["inflation"]["value"] <= theirs["inflation"]["value"] / 5
        assert ours["2afc"]["low"] > theirs["2afc"]["high"]
        assert measured[name]["agreement"]["value"] >= 0.88
        assert measured[name]["natural"]["2afc"]["high"] >= lpips["natural"]["2afc"]["value"]
