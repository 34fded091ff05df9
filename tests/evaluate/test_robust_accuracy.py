"""Accuracy of classifiers under attack: the bounds, the trials, the report and the findings, with attacks that cost nothing
and with the real ones."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from truth import official

from rlpips.attacks import by_card
from rlpips.classifiers.cifar10 import Pictures
from rlpips.data.distortions import DISTORTIONS
from rlpips.evaluate import classifier_tables, matching
from rlpips.evaluate.attacked_classifier import Trial, cost_of
from rlpips.evaluate.matching import SEVERITIES, match, natural_roots
from rlpips.evaluate.robust_accuracy import AUTHORS, PAIRS, YARDSTICKS, authors_distances, compare, robust_accuracy
from rlpips.metrics.lpips import load_metric
from rlpips.zoo import classifier_cards
from rlpips.zoo.attack_cards import ATTACKS
from rlpips.zoo.catalog import PAIR


class Bright(nn.Module):
    """Class 1 for pictures with a mean above one half, else class 0."""

    def forward(self, x):
        mean = x.mean((1, 2, 3))
        return torch.stack([0.5 - mean, mean - 0.5], 1)


class Tiny(nn.Module):
    """Five classes from the means of 8×8 blocks, by random weights."""

    def __init__(self):
        super().__init__()
        weights = torch.randn(5, 48, generator=torch.Generator().manual_seed(0))
        self.register_buffer("weights", weights - weights.mean(1, keepdim=True))

    def forward(self, x):
        return F.avg_pool2d(x, 8).flatten(1) @ self.weights.T


def brighten(card, classifier, x, labels, bound, metrics, steps, seed):
    """In place of an attack: every value grows, by the radius in the l_inf ball, by very little in other balls."""
    yield x
    yield (x + (bound if card.norm == "linf" else 0.001)).clamp(0, 1)


def flat(*means):
    return torch.stack([torch.full((3, 32, 32), mean) for mean in means])


def textured(count, seed=0):
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(32, 32), mode="bilinear").clamp(0, 1)


@pytest.fixture
def metrics():
    return {name: load_metric(name) for name in PAIR}


@pytest.fixture
def cheap_attacks(monkeypatch):
    """Attacks that cost nothing, and cards for two classifiers."""
    monkeypatch.setattr(by_card, "iterates", brighten)
    monkeypatch.setattr(matching, "SEVERITIES", tuple(np.linspace(0, 1, 4)))
    monkeypatch.setattr(matching, "DISTORTIONS", {name: DISTORTIONS[name] for name in ("noise", "blur")})
    cards = {name: SimpleNamespace(title=name, sha256=f"sha of {name}") for name in ("dim", "dimmer")}
    monkeypatch.setattr(classifier_cards, "CLASSIFIERS", cards)


def test_clean_mistakes_count_as_wrong_and_are_not_attacked(cheap_attacks):
    x, labels = flat(0.2, 0.48, 0.49, 0.52, 0.9, 0.1), torch.tensor([0, 0, 0, 0, 1, 1])
    trial = Trial(Bright(), x, labels, {name: lambda a, b: (a - b).square().sum((1, 2, 3)) for name in PAIR})
    assert trial.right.tolist() == [True, True, True, False, True, False]
    clean, attacked = trial.row("none", None), trial.row("apgd-linf", 8 / 255)
    assert clean["robust"] == "111010" and clean["accuracy"]["value"] == round(4 / 6, 4)
    assert clean["attacked"] == 0 and clean["cost"] is None
    assert attacked["robust"] == "100010" and attacked["attacked"] == 4 and attacked["outside"] == 0
    assert attacked["accuracy"]["value"] == round(2 / 6, 4)
    assert attacked["cost"]["linf"] == pytest.approx(8 / 255, abs=1e-6)


def test_a_result_outside_its_bound_fools_nobody(cheap_attacks, monkeypatch):
    x, labels = flat(0.49, 0.3), torch.tensor([0, 0])
    trial = Trial(Bright(), x, labels, {name: lambda a, b: (a - b).square().sum((1, 2, 3)) for name in PAIR})
    distance = 0.05 * (3 * 64 * 64) ** 0.5  # of the enlarged pictures, which the metric sees

    def add_a_constant(card, classifier, x, labels, *others):
        yield x + 0.05

    monkeypatch.setattr(by_card, "iterates", add_a_constant)
    inside, outside = trial.row("ppgd", distance * 1.001), trial.row("ppgd", distance * 0.99)
    assert (inside["robust"], inside["outside"]) == ("01", 0) and (outside["robust"], outside["outside"]) == ("11", 2)


def test_no_picture_is_right_without_an_attack(cheap_attacks):
    trial = Trial(Bright(), flat(0.2, 0.3), torch.tensor([1, 1]), {})
    row = trial.row("apgd-l2", 1.0)
    assert (row["robust"], row["attacked"], row["cost"]) == ("00", 0, None)
    assert row["accuracy"] == {"value": 0, "low": 0, "high": 0}


def test_cost(metrics):
    x = textured(3)
    pushed = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    cost = cost_of(metrics, x, pushed)
    large = [F.interpolate(batch, (64, 64), mode="bilinear") for batch in (x, pushed)]
    with torch.no_grad():
        expected = official("alex")(*(2 * batch - 1 for batch in large)).flatten()
    torch.testing.assert_close(cost["lpips"], expected, rtol=1e-4, atol=1e-6)
    change = (pushed - x).numpy().reshape(3, -1)
    np.testing.assert_allclose(cost["l2"], np.linalg.norm(change, axis=1), rtol=1e-5)
    np.testing.assert_allclose(cost["linf"], np.abs(change).max(1), rtol=1e-6)
    assert ((cost["ssim"] > 0) & (cost["ssim"] < 1)).all() and not torch.equal(cost["rlpips-linf"], cost["lpips"])


def test_matched_bounds_of_straight_lines():
    slopes = {"noise": (1.0, 0.5), "blur": (0.8, 0.8), "shift": (0.6, 1.2), "quantise": (0.4, 4.0)}
    roots = {name: np.outer(SEVERITIES, (0.1, *pair)) for name, pair in slopes.items()}  # columns as in COLUMNS
    there = match(roots, "lpips", "rlpips-linf", 0.5)
    # quantise never reaches 0.5; the others match 0.25, 0.5 and 1, of which 0.5 is the geometric mean
    assert (there["matched"], there["low"], there["high"]) == (0.5, 0.25, 1.0)
    assert (there["reached"], there["of"]) == (3, 4) and there["families"]["quantise"] is None
    assert there["families"]["blur"]["severity"] == pytest.approx(0.625)
    assert there["families"]["noise"]["words"] == DISTORTIONS["noise"].describe(0.5)

    back = match(roots, "rlpips-linf", "lpips", 0.6)  # noise does not reach 0.6; 0.6, 0.3, 0.06
    assert back["matched"] == pytest.approx((0.6 * 0.3 * 0.06) ** (1 / 3), abs=6e-4) and back["reached"] == 3
    with pytest.raises(ValueError, match="No natural distortion reaches the bound 5 of lpips"):
        match(roots, "lpips", "rlpips-linf", 5)


def test_matched_bounds_of_closed_forms():
    """Where one distance is nine times the other everywhere, its root is three times the other's."""
    x = textured(4)

    def distances(pictures):
        error = (pictures - x).square().mean((1, 2, 3))
        return torch.stack([0.25 * error, error, 9 * error], 1)

    roots = natural_roots(x, distances, seed=5)
    assert set(roots) == set(DISTORTIONS)
    noisy = DISTORTIONS["noise"](x, SEVERITIES[7], torch.Generator().manual_seed(5)).numpy()
    expected = np.sqrt(((noisy - x.numpy()) ** 2).mean((1, 2, 3))).mean()
    np.testing.assert_allclose(roots["noise"][7], [expected / 2, expected, 3 * expected], rtol=1e-5)
    assert match(roots, "lpips", "rlpips-linf", 0.02)["matched"] == pytest.approx(0.06, abs=1e-3)
    assert match(roots, "rlpips-linf", "lpips", 0.06)["matched"] == pytest.approx(0.02, abs=1e-3)


def test_bounds_of_the_metrics(metrics):
    x = textured(3)
    bounds = matching.bounds_of(x, list(metrics.values()), 0.4)
    assert bounds["settings"]["paper"] == dict.fromkeys(PAIR, 0.4)
    assert [(each["metric"], each["other"], each["bound"]) for each in bounds["matches"]] == [
        ("alexnet", name, size) for size in (0.4, 0.2) for name in PAIR
    ]
    for index, setting in enumerate(("matched", "milder")):
        for each in bounds["matches"][2 * index : 2 * index + 2]:
            assert bounds["settings"][setting][each["other"]] == each["matched"]
            assert each["low"] <= each["matched"] <= each["high"]

    twice = matching.bounds_of(x, list(metrics.values())[:1] * 2, 0.4)["settings"]
    assert len(set(twice["matched"].values())) == 1  # the same metric under both names


def test_the_unweighted_metric_is_the_distance_of_the_features(metrics):
    """As Laidlaw et al. define them: of unit length over the channels, divided by the root of the positions, all layers
    together."""
    x, y = textured(2), textured(2, seed=9)
    large = [F.interpolate(batch, (64, 96), mode="bilinear") for batch in (x, y)]
    trunk = metrics["lpips"].trunk
    with torch.no_grad():
        rows = [
            np.concatenate([(layer / layer[0, 0].numel() ** 0.5).numpy().reshape(2, -1) for layer in trunk(batch)], 1)
            for batch in large
        ]
        roots = matching.unweighted(metrics["lpips"])(*large).sqrt()
    np.testing.assert_allclose(roots, np.linalg.norm(rows[0] - rows[1], axis=1), rtol=1e-5)


def bits(values):
    return "".join("01"[int(value)] for value in values)


def test_paired_differences_against_a_bootstrap_in_numpy():
    rng = np.random.default_rng(0)
    plain = rng.random(120) < 0.5
    strong, same, weak = plain & (rng.random(120) < 0.7), rng.random(120) < 0.5, plain | (rng.random(120) < 0.4)
    settings = {"paper": {"lpips": 0.5, "rlpips-linf": 0.5}, "matched": {"lpips": 0.5, "rlpips-linf": 0.6}}
    rows = [
        {"attack": name, "bound": bound, "robust": bits(robust)}
        for name, bound, robust in (
            ("ppgd", 0.5, plain),
            ("r-ppgd", 0.5, strong),
            ("r-ppgd", 0.6, weak),
            ("lpa", 0.5, plain),
            ("r-lpa", 0.5, same),
        )
    ]
    findings = compare({"some classifier": {"rows": rows}}, settings)
    assert [(finding["setting"], finding["attack"], finding["verdict"]) for finding in findings] == [
        ("paper", "r-ppgd", "held"), ("paper", "r-lpa", "undecided"), ("matched", "r-ppgd", "did not hold"),
    ]  # fmt: skip
    for finding, robust in zip(findings, (strong, same, weak)):
        paired = robust.astype(float) - plain
        means = paired[rng.integers(120, size=(20_000, 120))].mean(1)
        assert finding["difference"]["value"] == pytest.approx(paired.mean(), abs=1e-4)
        for end, share in (("low", 2.5), ("high", 97.5)):
            expected = np.percentile(means, share)
            assert finding["difference"][end] == pytest.approx(expected, abs=0.025)  # 1000 resamples, steps of 1/120


def pictures(count=4):
    return Pictures((textured(count, seed=2) * 255).byte(), torch.arange(count) % 2)


def final_report(names, metrics, earlier=None, load=lambda name: Bright(), **options):
    *_, last = robust_accuracy(names, load, pictures(), metrics, earlier=earlier, **options)
    return json.loads(json.dumps(last))


def without_seconds(report):
    report = json.loads(json.dumps(report))
    report["how"].pop("seconds")
    for classifier in report["classifiers"].values():
        for row in classifier["rows"]:
            row.pop("seconds")
    return report


def test_an_interrupted_run_ends_with_the_same_report(metrics, cheap_attacks):
    whole = final_report(["dim", "dimmer"], metrics)
    rows = whole["classifiers"]["dim"]["rows"]
    names = [(row["attack"], row["bound"]) for row in rows]
    assert len(set(names)) == len(names) and [name for name, _ in names[:9]] == [
        "none", "apgd-linf", "apgd-l2", "stadv", "recolour", "ppgd", "r-ppgd", "lpa", "r-lpa",
    ]  # fmt: skip
    assert names[-4:] == [(name, 0.5) for name in ("r-ppgd-authors", "r-lpa-authors", "r-ppgd-sums", "r-lpa-sums")]
    assert len(whole["findings"]) == 2 * 3 * len(PAIRS) and whole["how"]["pictures"] == 4

    for count in (2, len(rows) + 1):
        reports = robust_accuracy(["dim", "dimmer"], lambda name: Bright(), pictures(), metrics)
        earlier = json.loads(json.dumps([next(reports) for _ in range(count)][-1]))
        assert sum(len(classifier["rows"]) for classifier in earlier["classifiers"].values()) == count
        assert without_seconds(final_report(["dim", "dimmer"], metrics, earlier)) == without_seconds(whole)


def test_earlier_rows_are_not_measured_again(metrics, cheap_attacks, monkeypatch):
    earlier = final_report(["dim"], metrics, how={"command": "one"})
    same = final_report(["dim"], metrics, earlier, pytest.fail, how={"command": "two"})
    assert without_seconds(same) == without_seconds({**earlier, "how": {**earlier["how"], "command": "two"}})
    both = final_report(["dimmer"], metrics, earlier)  # the other classifier's rows stay
    assert list(both["classifiers"]) == ["dim", "dimmer"]

    older = json.loads(
        json.dumps(earlier)
    )  # of another version of torch, with other settings of one attack, without a row
    older["how"]["attacks"]["apgd-l2"]["steps"] += 1
    for row in older["classifiers"]["dim"]["rows"]:
        row["torch"] = "0.1"
    del older["classifiers"]["dim"]["rows"][3]
    *reports, mended = robust_accuracy(["dim"], lambda name: Bright(), pictures(), metrics, earlier=older)
    versions = {row["attack"]: row["torch"] for row in mended["classifiers"]["dim"]["rows"]}
    assert {name for name, version in versions.items() if version == torch.__version__} == {"apgd-l2", "stadv"}
    assert len(reports) == 2 and list(versions) == list(
        dict.fromkeys(row["attack"] for row in earlier["classifiers"]["dim"]["rows"])
    )
    assert classifier_tables.versions(mended).startswith(
        "Measured with torch 0.1 ("
    ) and f"{torch.__version__} (2 acc" in classifier_tables.versions(mended)

    loaded = []
    monkeypatch.setattr(classifier_cards.CLASSIFIERS["dim"], "sha256", "another training")
    final_report(["dim"], metrics, earlier, lambda name: loaded.append(name) or Bright())
    final_report(["dimmer"], metrics, both, pytest.fail)
    final_report(["dimmer"], metrics, both, lambda name: loaded.append(name) or Bright(), seed=1)
    assert loaded == ["dim", "dimmer"]


def test_no_pictures(metrics, cheap_attacks):
    none = Pictures(torch.zeros(0, 3, 32, 32).byte(), torch.zeros(0))
    with pytest.raises(ValueError, match="no pictures"):
        next(robust_accuracy(["dim"], Bright, none, metrics))


def test_the_attacks_themselves(metrics, monkeypatch):
    """Every attack on a small classifier stays in its ball, and the strong ones fool it."""
    classifier, x = Tiny().eval(), textured(5, seed=3)
    trial = Trial(classifier, x, classifier(x).argmax(1), metrics, steps=3)
    rows = {}
    for attack in (*YARDSTICKS, *(name for pair in PAIRS for name in pair), *AUTHORS):
        card = ATTACKS[attack]
        row = rows[attack] = trial.row(attack, card.bound)
        assert (row["attacked"], row["outside"]) == (5, 0) and row["cost"]["l2"] > 0
        if (key := card.metric or card.norm) in row["cost"]:
            assert row["cost"][key] <= (card.bound**2 if card.metric else card.bound) * 1.01
    assert trial.row("r-ppgd", 0.5)["robust"] == rows["r-ppgd"]["robust"]
    assert min(rows["lpa"]["accuracy"]["value"], rows["r-lpa"]["accuracy"]["value"]) < 1
    # What holds every picture lets an attack change a picture beyond recognition.
    for attack in ("r-ppgd-authors", "r-lpa-authors"):
        assert rows[attack]["accuracy"]["value"] == 0 and rows[attack]["cost"]["l2"] > 10


def test_what_the_authors_code_bounds_holds_every_picture(metrics):
    """Their features, written out in numpy as in their file: weighted sums over the channels of the unit features, and those once
    more scaled to unit length over their one channel."""
    x = torch.rand(3, 3, 64, 72, generator=torch.Generator().manual_seed(4))
    metric = metrics["rlpips-linf"]

    def features(pictures, scaled):
        rows = []
        for layer, weights in zip(metric.trunk(pictures), metric.heads, strict=True):
            sums = np.einsum("nchw,c->nhw", layer.numpy().astype(float), weights.numpy())[:, None]
            if scaled:
                sums = sums / ((sums**2).sum(1, keepdims=True) ** 0.5 + 1e-10) / (sums.shape[2] * sums.shape[3]) ** 0.5
            rows.append(sums.reshape(3, -1))
        return np.concatenate(rows, 1)

    report = authors_distances(x, metrics)
    with torch.no_grad():
        for norm in ("scaled sums", "sums"):
            for name, other in (("unrelated", x.roll(1, 0)), ("negative", 1 - x)):
                expected = np.linalg.norm(features(x, norm[1] == "c") - features(other, norm[1] == "c"), axis=1)
                measured = report[norm][name]
                if norm == "scaled sums":
                    assert measured["most"] < 1e-5 and expected.max() < 1e-5  # where their bound is 0.5
                else:
                    assert measured["mean"] == pytest.approx(expected.mean(), rel=0.01)
                    assert measured["least"] == pytest.approx(expected.min(), rel=0.01)
    root = metric(x, 1 - x).sqrt()
    assert report["features"]["negative"]["most"] == pytest.approx(root.max().item(), rel=0.01)
