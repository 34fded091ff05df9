"""All attacks on one metric: the rows, the verdict, and a metric whose gradients are masked."""

import pytest
import torch

from rlpips.attacks.triplets import attack_triplets
from rlpips.data.triplets import make_triplets
from rlpips.engine import lanes
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.evaluate.masking import LONG, USUAL, masking, verdict
from rlpips.evaluate.scores import distances, inflation, interval, score_2afc
from rlpips.evaluate.standard import RESTARTS_AT_STANDARD, STANDARD, STEPS
from rlpips.evaluate.tables import TOGETHER
from rlpips.metrics.backbones import Trunk
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.zoo.weights import load_trunk


@pytest.fixture(scope="module")
def parts():
    """Triplets of random smooth pictures: same, mixed, and two larger ones of each."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(4, 3, 9, 12, generator=generator)
    smooth = torch.nn.functional.interpolate(small, (60, 80), mode="bicubic").clamp(0, 1)
    photographs = list((255 * smooth).byte().permute(0, 2, 3, 1).numpy())
    kinds = ((8, False, 32), (8, True, 32), (2, False, 40), (2, True, 40))  # count, mixed, size
    return [make_triplets(photographs, *kind, seed=1) for kind in kinds]


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rlpips.evaluate.masking.USUAL", ("cosine", 6, 2))
        patch.setattr("rlpips.evaluate.masking.LONG", ("apgd", 12, 2))
        yield


def test_rows(parts):
    lpips, robust = load_metric("lpips"), load_metric("rlpips-linf")
    messages = []
    result = masking(robust, lpips, *parts, lambda *message: messages.append(message), queries=6, seed=4)
    rows = {row["attack"]: row for row in result["rows"]}
    assert list(rows) == [
        "no attack", "PGD, 6 steps, 2 restarts", "APGD, 12 steps, 2 restarts",
        "a random point of the ball", "transfer, PGD against LPIPS", "Square, 6 queries", TOGETHER,
        "PGD, 6 steps, 2 restarts, 40-pixel pictures (2 triplets)",
    ]  # fmt: skip
    assert all(row["seconds"] >= 0 for row in rows.values()) and len(messages) == 6

    # the same PGD as in `attack_triplets`, on the same candidates
    same = parts[0]
    natural = score_2afc(*distances(robust, same), same.judge)
    assert rows["no attack"]["2afc"] == interval(natural, same.photograph) and rows["no attack"]["inflation"] is None
    attacked = attack_triplets(robust, same, "linf", STANDARD["linf"], 6, 2, seed=4)
    scores = score_2afc(*distances(robust, attacked), same.judge)
    assert rows["PGD, 6 steps, 2 restarts"]["2afc"] == interval(scores, same.photograph)
    all_references = inflation(robust, same, "linf", STANDARD["linf"], 6, 2, seed=4)
    assert 0.3 * all_references < rows["PGD, 6 steps, 2 restarts"]["inflation"]["value"] < 3 * all_references

    # all attacks together reach at least as far as each of them
    small = [row for name, row in rows.items() if "pixel" not in name and name != "no attack"]
    assert rows[TOGETHER]["2afc"]["value"] == min(row["2afc"]["value"] for row in small)
    assert rows[TOGETHER]["inflation"]["value"] >= max(row["inflation"]["value"] for row in small)
    usual = rows["PGD, 6 steps, 2 restarts"]
    assert result["beyond"] == {
        "2afc": pytest.approx(usual["2afc"]["value"] - rows[TOGETHER]["2afc"]["value"], abs=1e-4),
        "inflation": pytest.approx(rows[TOGETHER]["inflation"]["value"] - usual["inflation"]["value"], abs=1e-4),
    }
    assert result["verdict"] == verdict(rows, list(rows)[3:6]) and result["verdict"].startswith("No attack without")


class Rounding(Trunk):
    """A trunk that rounds its pictures first: the gradient is zero everywhere, and the features nearly the same."""

    def forward(self, x):
        return super().forward((255 * x).round() / 255)


class FastRounding(FastTrunk):
    """The same for attacks."""

    def __init__(self, trunk):
        super().__init__(trunk)
        self.rounds = isinstance(trunk, Rounding)

    def features(self, x, *convolve):
        return super().features((255 * x).round() / 255 if self.rounds else x, *convolve)

    def stages(self, x, convolver):
        for features, back in super().stages((255 * x).round() / 255 if self.rounds else x, convolver):
            yield features, lambda gradient, back=back: (0 if self.rounds else 1) * back(gradient)


def test_masked_gradients_are_detected(parts, monkeypatch):
    monkeypatch.setattr(lanes, "FastTrunk", FastRounding)
    lpips = load_metric("lpips")
    masked = PerceptualMetric(Rounding("alex", load_trunk("alex")), lpips.heads, "masked")
    result = masking(masked, lpips, *parts, queries=6)
    rows = {row["attack"]: row for row in result["rows"]}
    best = max(rows[name]["inflation"]["value"] for name in ("transfer, PGD against LPIPS", "Square, 6 queries"))
    assert best > 2 * rows["APGD, 12 steps, 2 restarts"]["inflation"]["value"]
    assert result["verdict"].startswith("An attack without the metric's own gradients did better than PGD")


def test_the_verdict_gives_the_figures():
    def row(choice, inflation):
        return {"2afc": {"value": choice}, "inflation": {"value": inflation}}

    rows = {"PGD, 6 steps, 2 restarts": row(0.8, 0.3), "APGD, 12 steps, 2 restarts": row(0.75, 0.35)}
    rows |= {TOGETHER: row(0.7, 0.36), "a": row(0.9, 0.1), "b": row(0.95, 0.2)}
    text = verdict(rows, ["a", "b"])
    assert text.startswith("No attack") and "2AFC 0.900 and inflation 0.200" in text
    assert all(f"2AFC {c} and inflation {i}" in text for c, i in (("0.800", "0.300"), ("0.750", "0.350")))
    assert verdict({**rows, "b": row(0.95, 0.31)}, ["a", "b"]).startswith("An attack")
    assert verdict({**rows, "a": row(0.79, 0.1)}, ["a", "b"]).startswith("An attack")


def test_the_real_schedules():
    # imported before `few_steps` replaces them in the module
    assert (USUAL, LONG) == (("cosine", STEPS, RESTARTS_AT_STANDARD), ("apgd", 500, 5)) and STEPS == 40
