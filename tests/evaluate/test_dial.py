"""The dial between LPIPS and a robust metric, against distances that numpy mixes and against its ends."""

import numpy as np
import pytest
import torch

from rlpips.data.triplets import make_triplets
from rlpips.evaluate import dial
from rlpips.evaluate.standard import at_eps
from rlpips.metrics.lpips import load_metric


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def photographs():
    """Three pictures with slopes and texture, uint8 (44, 60, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:44, :60] / 9
    pictures = [np.stack([np.sin(x * (k + 1) + c) + np.cos(y + k * c) for c in range(3)], -1) for k in range(3)]
    return [np.clip(127 + 50 * one + 9 * rng.standard_normal(one.shape), 0, 255).astype(np.uint8) for one in pictures]


@pytest.fixture(scope="module")
def triplets(photographs):
    return make_triplets(photographs, 8, size=36, seed=1), make_triplets(photographs, 30, mixed=True, size=36, seed=2)


def distances_of(metric, triplets):
    with torch.no_grad():
        return [metric(triplets.reference, part).double().numpy() for part in (triplets.p0, triplets.p1)]


def test_a_mixture_has_the_mixed_distance(lpips, triplets):
    robust, (same, _) = load_metric("rlpips-linf"), triplets
    for share in (0, 0.3, 1):
        mixed = distances_of(dial.mix(lpips, dial.scaled(robust, 2.5), share), same)
        for ours, a, b in zip(mixed, distances_of(lpips, same), distances_of(robust, same), strict=True):
            assert ours == pytest.approx((1 - share) * a + share * 2.5 * b, rel=1e-4)


@pytest.mark.parametrize("name", ["rlpips-linf", "rlpips-tune"])
def test_the_points_are_those_of_the_mixed_metrics(lpips, triplets, name):
    robust, (same, mixed) = load_metric(name), triplets
    points = dial.dial(lpips, robust, same, mixed, shares=(0, 0.5, 1), steps=2, restarts=1, seed=4, references=3)
    assert [point["share"] for point in points] == [0, 0.5, 1]

    start = dial.mix(lpips, robust, 0)  # LPIPS's heads on the trunk of the robust metric
    ends = [distances_of(metric, mixed) for metric in (start, robust)]
    means = [np.concatenate(pair).mean() for pair in ends]
    l0, l1 = distances_of(lpips, mixed)
    for point in points:
        a, b = (1 - point["share"]) / means[0], point["share"] / means[1]
        d0, d1 = (a * of_start + b * of_robust for of_start, of_robust in zip(*ends))
        assert point["agreement"]["value"] == pytest.approx(np.mean((d0 < d1) == (l0 < l1)), abs=1e-4)
    assert (points[0]["agreement"]["value"] == 1) == (name == "rlpips-linf")

    end = at_eps(robust, same, "linf", 4 / 255, means[1], 2, 1, 4, 3)
    assert points[-1]["2afc"] == end["2afc"]
    assert points[-1]["inflation"]["value"] == pytest.approx(end["inflation"]["value"], rel=0.01)


def test_triplets_without_judges_are_refused(lpips, triplets):
    with pytest.raises(ValueError, match="no judge"):
        dial.dial(lpips, load_metric("rlpips-linf"), triplets[1], triplets[1], shares=(1,), steps=1)
