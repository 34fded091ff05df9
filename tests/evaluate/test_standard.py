"""Intervals, families, one budget and the whole standard evaluation, against numpy and against the parts by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlpips.attacks.triplets import attack_references, attack_triplets, push
from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import Triplets
from rlpips.evaluate import scores
from rlpips.evaluate.scores import by_family, interval, score_2afc
from rlpips.evaluate.standard import at_eps, standard
from rlpips.metrics.lpips import load_metric
from rlpips.metrics.pixel import PixelMSE
from rlpips.norms import NORMS


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def robust():
    return load_metric("rlpips-linf")


@pytest.fixture(scope="module")
def triplets():
    """Seven triplets of 36×48 pixels with noise and brightness by turns; the judges find the milder candidate nearer."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(7, 3, 6, 8, generator=generator)
    x = torch.nn.functional.interpolate(x, (36, 48), mode="bicubic").clamp(0, 1)
    family = tuple(("noise", "brightness")[n % 2] for n in range(7))
    mild, strong = (
        torch.cat([DISTORTIONS[name](x[n : n + 1], severity) for n, name in enumerate(family)])
        for severity in (0.3, 0.7)
    )
    judge = torch.tensor([0, 0, 1, 1, 0, 0.2, 1])
    swap = (judge > 0.5).view(-1, 1, 1, 1)
    severity = torch.full((7, 2), torch.nan)
    photograph = torch.tensor([0, 1, 2, 0, 1, 2, 3])
    return Triplets(
        x, torch.where(swap, strong, mild), torch.where(swap, mild, strong), judge, family, severity, photograph
    )


def test_interval_against_numpy():
    values = np.random.default_rng(0).gamma(2.0, size=60)
    rng = np.random.default_rng(1)
    means = values[rng.integers(0, 60, (20_000, 60))].mean(1)
    ours = interval(torch.tensor(values))
    assert ours["value"] == pytest.approx(values.mean(), abs=1e-4)
    expected = np.quantile(means, [0.025, 0.975])
    assert [ours["low"], ours["high"]] == pytest.approx(list(expected), abs=0.1 * np.diff(expected)[0])
    assert interval(torch.tensor(values)) == ours != interval(torch.tensor(values), seed=1)
    assert interval(torch.full((3,), 0.25)) == {"value": 0.25, "low": 0.25, "high": 0.25}
    assert all(type(number) is float for number in ours.values())


def test_photographs_are_resampled_with_all_their_values():
    rng = np.random.default_rng(2)
    counts = rng.integers(1, 9, 50)
    photograph = np.repeat(np.arange(50), counts)
    values = rng.normal(size=50)[photograph] + 0.3 * rng.normal(size=len(photograph))
    order = rng.permutation(len(values))
    ours = interval(torch.tensor(values[order]), torch.tensor(photograph[order]))
    assert ours["value"] == pytest.approx(values.mean(), abs=1e-4)

    # numpy: how often each photograph is drawn
    drawn = rng.multinomial(50, np.full(50, 1 / 50), 20_000)
    sums = np.bincount(photograph, values)
    expected = np.quantile(drawn @ sums / (drawn @ counts), [0.025, 0.975])
    assert [ours["low"], ours["high"]] == pytest.approx(list(expected), abs=0.1 * np.diff(expected)[0])
    # the closed form for the mean of clusters: the ratio estimator's standard error
    error = np.sqrt((sums - values.mean() * counts).var() * 50) / counts.sum()
    assert ours["high"] - ours["low"] == pytest.approx(2 * 1.96 * error, rel=0.15)
    alone = interval(torch.tensor(values))
    assert alone["high"] - alone["low"] < 0.7 * (ours["high"] - ours["low"])

    # copies of the values of a photograph are no more evidence
    few = torch.tensor(rng.normal(size=30))
    assert interval(few.repeat(4), torch.arange(30).repeat(4)) == interval(few)


def test_interval_in_pieces_for_many_values(monkeypatch):
    values = torch.rand(50, generator=torch.Generator().manual_seed(0))
    whole = interval(values)
    monkeypatch.setattr(scores, "_DRAWN_AT_ONCE", 50 * 7)
    assert interval(values) == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [[0.5, 0.5]]])
def test_interval_needs_finite_numbers(values):
    with pytest.raises(ValueError, match="finite numbers"):
        interval(torch.tensor(values))


def test_by_family_in_the_order_of_the_distortions(triplets):
    scores = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0])
    some = replace(triplets[:5], family=("cnn", "shift", "noise", "cnn", "cnn"))
    intervals = by_family(scores, some)
    assert list(intervals) == ["noise", "shift", "cnn"]
    assert [each["value"] for each in intervals.values()] == [0.5, 0.0, pytest.approx(2 / 3, abs=1e-4)]
    assert intervals["cnn"] == interval(scores[[0, 3, 4]], torch.tensor([0, 0, 1]))


@pytest.mark.parametrize("norm, eps", [("linf", 4 / 255), ("l2", 0.5)])
def test_at_eps_by_hand(lpips, triplets, norm, eps):
    entry = at_eps(lpips, triplets, norm, eps, natural_mean=0.2, steps=3, restarts=2, seed=5, references=4)
    attacked = attack_triplets(lpips, triplets, norm, eps, steps=3, restarts=2, seed=5)
    d0, d1 = (lpips(triplets.reference, part).numpy() for part in (attacked.p0, attacked.p1))
    judge = triplets.judge.numpy()
    scores = np.where(d0 < d1, 1 - judge, judge)
    assert entry["2afc"]["value"] == pytest.approx(scores.mean(), abs=1e-4)
    assert list(entry["families"]) == ["noise", "brightness"]
    assert entry["families"]["brightness"]["value"] == pytest.approx(scores[1::2].mean(), abs=1e-4)

    x = triplets.reference[:4]
    worst = push(lpips, x, x, 1.0, norm, eps, 3, 2, torch.Generator().manual_seed(5))
    assert (NORMS[norm].measure(worst - x) <= eps * 1.0001).all()
    assert entry["opt"] == pytest.approx((lpips(x, worst) / 0.2).tolist(), abs=1e-3)
    assert entry["inflation"]["value"] == pytest.approx(np.mean(entry["opt"]), abs=1e-3)
    assert entry["eps"] == eps and entry["standard"] == (norm == "linf")
    assert entry["2afc"] == interval(torch.tensor(scores), triplets.photograph)


def test_standard(lpips, robust, triplets, monkeypatch):
    restarts = []
    original = attack_triplets

    def spy(metric, same, norm, eps, steps, count, seed, **settings):
        restarts.append((norm, round(eps, 4), count, len(same)))
        return original(metric, same, norm, eps, steps, count, seed, **settings)

    monkeypatch.setattr("rlpips.evaluate.standard.attack_triplets", spy)
    messages = []
    eps = {"linf": (4 / 255, 1 / 255), "l2": (1.0,)}
    monkeypatch.setattr("rlpips.evaluate.standard.OFFICIAL_OPT_STEPS", 3)
    results = standard(
        robust,
        lpips,
        triplets,
        triplets,
        lambda *message: messages.append(message),
        eps,
        steps=2,
        elsewhere=4,
        references=3,
    )
    assert restarts == [("linf", 0.0039, 1, 4), ("linf", 0.0157, 2, 7), ("l2", 1.0, 2, 7)]
    assert [(done, total) for _, done, total in messages] == [(0, 5), (0, 5), (1, 5), (3, 5)]
    assert [entry["standard"] for entry in results["attacked"]["linf"]] == [False, True]
    assert all(len(entry["opt"]) == 3 for entry in results["attacked"]["linf"])

    assert ["reference" in entry for entry in results["attacked"]["linf"]] == [False, True]
    moved = attack_references(robust, triplets, "linf", 4 / 255, 2, 2, seed=0)
    scored = score_2afc(*(robust(moved.reference, part) for part in (moved.p0, moved.p1)), moved.judge)
    assert results["attacked"]["linf"][1]["reference"] == interval(scored, triplets.photograph)

    x = triplets.reference[:3]
    worst = push(robust, x, x, 1.0, "linf", 0.05, 3, 1, torch.Generator().manual_seed(0))
    official = results["official"]["linf"]
    expected = robust(x, worst).mean().item() / results["natural_distance"]["mean"]
    assert official["eps"] == 0.05 and official["steps"] == 3
    assert official["inflation"]["value"] == pytest.approx(expected, rel=1e-3)
    assert results["official"]["l2"]["eps"] == 1.0

    pairs = [triplets.p0, triplets.p1]
    d0, d1 = (robust(triplets.reference, part).numpy() for part in pairs)
    l0, l1 = (lpips(triplets.reference, part).numpy() for part in pairs)
    judge = triplets.judge.numpy()
    assert results["natural"]["2afc"]["value"] == pytest.approx(np.where(d0 < d1, 1 - judge, judge).mean(), abs=1e-4)
    assert results["natural_distance"]["mean"] == pytest.approx(np.concatenate([d0, d1]).mean(), rel=1e-4)
    assert results["agreement"]["value"] == pytest.approx(((d0 < d1) == (l0 < l1)).mean(), abs=1e-4)
    assert list(results["layers"]) == list(robust.layers)
    assert sum(results["layers"].values()) == pytest.approx(1, abs=1e-3)
    brief = standard(lpips, lpips, triplets, triplets, eps={"linf": (4 / 255,), "l2": ()}, steps=1, brief=True)
    assert brief["agreement"] is None and brief["official"] == {} and "reference" not in brief["attacked"]["linf"][0]


def test_the_pixels_are_measured_as_a_metric_is(lpips, triplets):
    results = standard(PixelMSE(), lpips, triplets, triplets, eps={"linf": (4 / 255,), "l2": ()}, steps=4, brief=True)
    d0, d1 = (((triplets.reference - part).numpy() ** 2).mean((1, 2, 3)) for part in (triplets.p0, triplets.p1))
    assert results["natural_distance"]["mean"] == pytest.approx(np.concatenate([d0, d1]).mean(), rel=1e-3)
    l0, l1 = (lpips(triplets.reference, part).numpy() for part in (triplets.p0, triplets.p1))
    assert results["agreement"]["value"] == pytest.approx(((d0 < d1) == (l0 < l1)).mean(), abs=1e-4)
    assert results["layers"] == {"pixels": 1.0}
    # no change within the ball gives more than eps², and nearly all of it is found
    (entry,) = results["attacked"]["linf"]
    most = (4 / 255) ** 2 / np.concatenate([d0, d1]).mean()
    assert 0.9 * most < entry["inflation"]["value"] <= 1.001 * most
