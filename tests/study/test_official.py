from dataclasses import replace

import lpips as published
import pytest
import torch
from pictures import make_pictures

from rlpips.attacks.triplets import attack_triplets
from rlpips.data.triplets import make_triplets
from rlpips.metrics.lpips import load_metric
from rlpips.study.official import FreeRanking, official_attack


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def triplets():
    triplets = make_triplets(make_pictures(4), 7, size=32, seed=1)
    return replace(triplets, p0=(triplets.p0 * 3 - 1).clamp(0, 1))  # many pixels at the ends of the range


def test_the_ranking_network_is_that_of_lpips():
    ours, theirs = FreeRanking(torch.Generator().manual_seed(0)), published.lpips.Dist2LogitLayer(use_sigmoid=False)
    values = [v[:, :, None, None] if v.ndim == 2 else v for v in ours.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), values, strict=True)))
    d0, d1 = torch.rand(2, 7, generator=torch.Generator().manual_seed(1))
    expected = theirs(d0.view(-1, 1, 1, 1), d1.view(-1, 1, 1, 1)).flatten()
    torch.testing.assert_close(ours(d0, d1), expected)


def test_the_ranking_network_is_drawn_from_its_generator():
    one, again, other = (FreeRanking(torch.Generator().manual_seed(seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.values(), again.values()))
    assert not any(torch.equal(a, b) for a, b in zip(one.values(), other.values()))
    assert 0.4 < one["layers.0.weight"].abs().max() <= 5**-0.5
    assert 0.1 < one["layers.1.bias"].abs().max() <= 32**-0.5


@pytest.mark.parametrize("norm, eps", [("linf", 4 / 255), ("l2", 0.8)])
def test_the_attack_stays_in_its_ball_and_ignores_the_range_of_images(triplets, lpips, norm, eps):
    attacked = official_attack(lpips, triplets, norm, eps, steps=2, seed=2)
    assert torch.equal(attacked.reference, triplets.reference) and torch.equal(attacked.judge, triplets.judge)
    moves = [(a - b).flatten(1) for a, b in ((attacked.p0, triplets.p0), (attacked.p1, triplets.p1))]
    moved = torch.stack([move.abs().amax(1) > 0 for move in moves])
    assert (moved.sum(0) == 1).all() and moved.any(1).all()  # one candidate of each triplet, and not always the same
    delta = torch.where(moved[0][:, None], *moves)
    if norm == "linf":
        assert (delta.abs() <= eps + 1e-6).all()
    else:
        assert (delta.norm(dim=1) <= eps + 1e-5).all()
    # by sign: nearly all values change by the same amount, in l2 too
    largest = delta.abs().amax(1, keepdim=True)
    assert (((delta.abs() - largest).abs() < 1e-6).float().mean(1) > 0.9).all()
    assert min(attacked.p0.min(), attacked.p1.min()) < -1e-4 or max(attacked.p0.max(), attacked.p1.max()) > 1 + 1e-4

    # the same candidates as in the attack it is compared with; the same seed gives the same result
    ours = attack_triplets(lpips, triplets, norm, eps, steps=1, seed=2)
    assert torch.equal((ours.p0 != triplets.p0).flatten(1).any(1), moved[0])
    again = official_attack(lpips, triplets, norm, eps, steps=2, seed=2)
    assert torch.equal(again.p0, attacked.p0) and torch.equal(again.p1, attacked.p1)
