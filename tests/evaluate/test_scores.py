"""Triplets, their 2AFC scores, attacks on them, inflation and agreement; and triplets read from folders."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from rlpips.attacks import triplets as triplets_module
from rlpips.attacks.pgd import scheduled
from rlpips.attacks.triplets import attack_references, attack_triplets, push
from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import Triplets, find_pictures, make_triplets, read_bapps, read_photographs
from rlpips.evaluate.scores import agreement, distances, inflation, score_2afc
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.metrics.pixel import PixelMSE
from rlpips.norms import NORMS


def photograph(height, width, seed):
    """A picture with slopes, edges and texture, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 20
    a, b = rng.uniform(0.2, 1, (2, 3))
    picture = np.stack([np.sin(x * a[c] + c) + np.cos(y * b[c] - c) for c in range(3)], -1)
    picture[height // 3 :, width // 2 :] *= -0.7
    return np.clip(127 + 50 * picture + 10 * rng.standard_normal(picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photographs():
    return [photograph(90, 120, 0), photograph(150, 70, 1), photograph(40, 50, 2)]  # the last is smaller than a patch


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def same(photographs):
    return make_triplets(photographs, 7, mixed=False, size=48, seed=5)


def test_same_family(photographs, same):
    assert len(same) == 7
    for part in (same.reference, same.p0, same.p1):
        assert part.shape == (7, 3, 48, 48) and part.min() >= 0 and part.max() <= 1
    assert set(same.judge.tolist()) == {0.0, 1.0}
    assert set(same.family) <= set(DISTORTIONS)
    again = make_triplets(photographs, 7, mixed=False, size=48, seed=5)
    assert torch.equal(again.p1, same.p1) and torch.equal(again.judge, same.judge)
    assert not torch.equal(make_triplets(photographs, 7, size=48, seed=6).reference, same.reference)


def test_the_judge_prefers_the_milder(photographs):
    triplets = make_triplets(photographs, 200, size=32, seed=0)
    rows = [i for i, family in enumerate(triplets.family) if family in ("noise", "contrast", "brightness")]
    assert len(rows) > 20
    part = triplets[rows]
    change = [(p - part.reference).abs().mean((1, 2, 3)) for p in (part.p0, part.p1)]
    assert torch.equal((change[1] < change[0]).float(), part.judge)


def test_mixed_families_have_no_judge(photographs, lpips):
    mixed = make_triplets(photographs, 5, mixed=True, size=40, seed=1)
    assert mixed.judge.isnan().all()
    assert all(a != b for a, b in (family.split("/") for family in mixed.family))
    with pytest.raises(ValueError, match="no judge"):
        score_2afc(*distances(lpips, mixed), mixed.judge)
    with pytest.raises(ValueError, match="no judge"):
        attack_triplets(lpips, mixed)


def test_wrong_counts(photographs):
    with pytest.raises(ValueError, match="at least 1"):
        make_triplets(photographs, 0)
    with pytest.raises(ValueError, match="photographs"):
        make_triplets([], 3)


def test_slices_and_lists(same):
    assert [len(batch) for batch in same.batches(3)] == [3, 3, 1]
    assert set(same.photograph.tolist()) == {0, 1, 2}
    part = same[[4, 1]]
    assert torch.equal(part.photograph, same.photograph[[4, 1]])
    assert torch.equal(part.p1, same.p1[[4, 1]]) and part.family == (same.family[4], same.family[1])


def test_distances(same, lpips):
    d0, d1 = distances(lpips, same)
    torch.testing.assert_close(d0, lpips(same.reference, same.p0))
    torch.testing.assert_close(d1, lpips(same.reference, same.p1))


def test_score_by_hand():
    d0 = torch.tensor([1.0, 1.0, 3.0, 3.0, 2.0])
    d1 = torch.tensor([2.0, 2.0, 2.0, 2.0, 2.0])
    judge = torch.tensor([0.0, 0.3, 1.0, 0.3, 0.9])
    torch.testing.assert_close(score_2afc(d0, d1, judge), torch.tensor([1.0, 0.7, 1.0, 0.3, 0.5]))


@pytest.mark.parametrize("norm, eps", [("linf", 4 / 255), ("l2", 0.8)])
def test_an_attack_moves_one_candidate_within_its_ball_against_the_judges(same, lpips, norm, eps):
    attacked = attack_triplets(lpips, same, norm, eps, steps=4, seed=2)
    moves = torch.stack([NORMS[norm].measure(a - b) for a, b in ((attacked.p0, same.p0), (attacked.p1, same.p1))])
    # one candidate of each triplet, sometimes p0 and sometimes p1
    assert ((moves == 0).sum(0) >= 1).all() and (moves > 0).any(1).all()
    assert (moves <= eps * 1.0001).all() and moves.max() > eps * 0.9
    for part in (attacked.p0, attacked.p1):
        assert part.min() >= 0 and part.max() <= 1
    assert torch.equal(attacked.reference, same.reference)

    # the margin by which the metric sides with the judges falls for every triplet
    toward_judge = 2 * same.judge - 1
    before, after = ((d0 - d1) * toward_judge for d0, d1 in (distances(lpips, t) for t in (same, attacked)))
    assert (after <= before).all() and (after < before).sum() >= 6
    assert torch.equal(attack_triplets(lpips, same, norm, eps, steps=4, seed=2).p0, attacked.p0)


@pytest.mark.parametrize("norm, eps", [("linf", 4 / 255), ("l2", 0.8)])
def test_an_attack_on_references_moves_them_against_the_judges(same, lpips, norm, eps):
    attacked = attack_references(lpips, same, norm, eps, steps=4, seed=2)
    moves = NORMS[norm].measure(attacked.reference - same.reference)
    assert (moves <= eps * 1.0001).all() and moves.max() > eps * 0.9
    assert attacked.reference.min() >= 0 and attacked.reference.max() <= 1
    assert torch.equal(attacked.p0, same.p0) and torch.equal(attacked.p1, same.p1)
    toward_judge = 2 * same.judge - 1
    before, after = ((d0 - d1) * toward_judge for d0, d1 in (distances(lpips, t) for t in (same, attacked)))
    assert (after <= before).all() and (after < before).sum() >= 6

    # as far as the same attack gets with the two distances, each measured by the metric itself
    def difference(x):
        values = -toward_judge * (lpips(x, same.p0) - lpips(x, same.p1))
        return values, values.detach()

    start = same.reference
    (seed,) = torch.randint(2**53, (1,), generator=torch.Generator().manual_seed(2)).tolist()
    initial = start + NORMS[norm].random(start, eps, torch.Generator().manual_seed(seed))
    *_, (x, _) = scheduled("cosine", start, initial, difference, NORMS[norm], eps, 4)
    torch.testing.assert_close(difference(x)[0], difference(attacked.reference)[0], rtol=0.02, atol=1e-4)
    with pytest.raises(ValueError, match="no judge"):
        attack_references(lpips, replace(same, judge=torch.full((7,), torch.nan)))


def test_attacks_on_pixels_reach_the_closed_form(same):
    """The gradient of d(x, p0) - d(x, p1) does not depend on x: the best point of the l2 ball lies along p1 - p0."""
    inner = replace(
        same, **{part: 0.3 + 0.4 * getattr(same, part) for part in ("reference", "p0", "p1")}
    )  # no clipping
    eps, sign = 0.4, torch.where(inner.judge < 0.5, 1.0, -1.0)
    away = sign.view(-1, 1, 1, 1) * (inner.p1 - inner.p0)
    best = inner.reference + eps * away / away.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    attacked = attack_references(PixelMSE(), inner, "l2", eps, steps=10)
    torch.testing.assert_close(attacked.reference, best, atol=1e-4, rtol=0)
    # a candidate moves along its own difference from the reference
    pushed = attack_triplets(PixelMSE(), inner, "linf", 4 / 255, steps=20)
    for part in ("p0", "p1"):
        delta, difference = getattr(pushed, part) - getattr(inner, part), getattr(inner, part) - inner.reference
        clear = difference.abs() > 12 / 255
        assert ((delta[clear].abs() - 4 / 255).abs() < 1e-4).logical_or(delta[clear] == 0).all()


def test_a_restart_is_for_those_whose_choice_is_not_turned(same, lpips, monkeypatch):
    counts, original = [], triplets_module.scheduled

    def spy(schedule, centre, *others):
        counts.append(len(centre))
        return original(schedule, centre, *others)

    monkeypatch.setattr(triplets_module, "scheduled", spy)
    attacked = attack_triplets(lpips, same, "linf", 4 / 255, steps=3, restarts=2, seed=2, until_turned=True)
    after_one = attack_triplets(lpips, same, "linf", 4 / 255, steps=3, restarts=1, seed=2)
    wrong = score_2afc(*distances(lpips, after_one), same.judge) == 0
    assert 0 < wrong.sum() < 7 and counts == [7, 7 - wrong.sum().item(), 7]
    assert torch.equal(attacked.p0[wrong], after_one.p0[wrong]) and torch.equal(attacked.p1[wrong], after_one.p1[wrong])
    assert not torch.equal(attacked.p0[~wrong], after_one.p0[~wrong])
    both = attack_triplets(lpips, same, "linf", 4 / 255, steps=3, restarts=2, seed=2)
    scores = [score_2afc(*distances(lpips, each), same.judge) for each in (attacked, both)]
    assert torch.equal(*scores) and counts[3:] == [7, 7]


def test_push_keeps_the_best_of_steps_and_restarts(same, lpips):
    def reached(steps, restarts):
        draw = torch.Generator().manual_seed(0)
        x = push(lpips, same.reference, same.p0, 1.0, "linf", 4 / 255, steps, restarts, draw)
        return lpips(same.reference, x)

    one, two = reached(3, 1), reached(3, 2)
    assert (two >= one - 1e-6).all() and (two > one + 1e-6).any()
    assert (one >= lpips(same.reference, same.p0) - 1e-6).all()


def test_inflation_and_agreement(photographs, lpips):
    triplets = make_triplets(photographs, 6, mixed=True, size=32, seed=3)
    double = PerceptualMetric(lpips.trunk, [2 * head for head in lpips.heads], "double")
    ours, of_double = (inflation(metric, triplets, steps=3) for metric in (lpips, double))
    assert ours > 0.5 and of_double == pytest.approx(ours, rel=1e-3)  # no unit
    assert agreement(lpips, double, triplets) == 1
    tiny = inflation(lpips, triplets, eps=1e-4, steps=3)
    assert tiny < 0.05 * ours


def test_bapps_folder(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("ref", "p0", "p1"):
        (tmp_path / "cnn" / part).mkdir(parents=True)
        for name in ("000001", "000000", "000002"):
            pixels = rng.integers(0, 256, (36, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "cnn" / part / f"{name}.png")
    (tmp_path / "cnn" / "judge").mkdir()
    for index in range(3):
        np.save(tmp_path / "cnn" / "judge" / f"00000{index}.npy", np.array([index / 5]))  # BAPPS: shape (1,)
    triplets = read_bapps(tmp_path / "cnn")
    assert triplets.photograph.tolist() == [0, 1, 2]
    assert triplets.reference.shape == (3, 3, 36, 44) and triplets.family == ("cnn",) * 3
    torch.testing.assert_close(triplets.judge, torch.tensor([0.0, 0.2, 0.4]))
    expected = np.asarray(Image.open(tmp_path / "cnn" / "p1" / "000002.png"))
    np.testing.assert_array_equal((triplets.p1[2] * 255).round().byte().permute(1, 2, 0).numpy(), expected)

    np.save(tmp_path / "cnn" / "judge" / "000001.npy", np.array([1.5]))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        read_bapps(tmp_path / "cnn")
    (tmp_path / "cnn" / "p0" / "000002.png").unlink()
    with pytest.raises(ValueError, match="2 in p0"):
        read_bapps(tmp_path / "cnn")


def test_folder_of_photographs(tmp_path):
    with pytest.raises(ValueError, match="no pictures"):
        find_pictures(tmp_path)
    for name in ("b.png", "a.jpg"):
        Image.fromarray(photograph(40, 60, 0)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    paths = find_pictures(tmp_path)
    assert [path.name for path in paths] == ["a.jpg", "b.png"]
    assert [pixels.shape for pixels in read_photographs(paths)] == [(40, 60, 3)] * 2


def test_triplets_can_be_replaced(same):
    assert isinstance(replace(same, p0=same.p1), Triplets)
