"""The transfer of attacks, against closed forms: within l_inf the mean square of a change is largest at the corners of the ball."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlpips.data.triplets import make_triplets
from rlpips.evaluate.transfer import transfer
from rlpips.metrics.pixel import PixelMSE

EPS = 4 / 255


def red(x, y):
    """Twice the mean square of the red channel's change."""
    return 2 * (x - y)[:, 0].square().mean((1, 2))


@pytest.fixture(scope="module")
def triplets():
    photographs = list(np.random.default_rng(0).integers(60, 190, (4, 40, 52, 3), np.uint8))
    same, mixed = (make_triplets(photographs, count, mixed, 36, count) for count, mixed in ((5, False), (9, True)))
    return replace(same, reference=same.reference.clamp(0.2, 0.8)), mixed  # no ball is cut by black or white


def natural(distance, mixed):
    parts = (distance(mixed.reference.double(), part.double()).numpy() for part in (mixed.p0, mixed.p1))
    return np.concatenate(list(parts)).mean()


def test_every_attack_is_judged_by_every_metric(triplets):
    same, mixed = triplets
    rows = transfer({"mse": PixelMSE(), "red": red}, same, mixed, steps=10, restarts=1, seed=5)
    assert list(rows) == ["mse", "red", "noise"] and all(list(row) == ["mse", "red"] for row in rows.values())
    units = {"mse": natural(lambda x, y: (x - y).square().mean((1, 2, 3)), mixed), "red": natural(red, mixed)}

    def value(attacked, judge):
        return rows[attacked][judge]["value"] * units[judge]

    def closely(expected, judge):
        return pytest.approx(expected, abs=1e-4 * units[judge] + 1e-7)  # four digits are stored

    assert value("mse", "mse") == closely(EPS**2, "mse") and value("red", "red") == closely(2 * EPS**2, "red")
    assert value("mse", "red") == closely(2 * EPS**2, "red")
    # The attack on red leaves the other channels at their uniform start, of a mean square of a third.
    assert value("red", "mse") == pytest.approx(EPS**2 * (1 / 3 + 2 / 3 / 3), rel=0.05)
    assert value("noise", "mse") == pytest.approx(EPS**2 / 3, rel=0.05)
    start = torch.rand(same.reference.shape, generator=torch.Generator().manual_seed(5)).double() * 2 - 1
    assert value("noise", "red") == closely(2 * EPS**2 * start[:, 0].square().mean().item(), "red")
    for row in rows.values():
        assert all(one["low"] <= one["value"] <= one["high"] for one in row.values())
