import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from rlpips import training
from rlpips.backbones import load_trunk
from rlpips.images import read_picture
from rlpips.metrics import PerceptualMetric, load_metric
from rlpips.training import Settings, evidence, rank, split_photographs, train
from rlpips.twoafc import inflation, make_triplets

ROOT = Path(__file__).resolve().parents[1]
TINY = Settings(
    size=32, triplets=24, rounds=2, attacked=4, attack_steps=2, updates=10, batch=16, lr=0.1, validation=3, report=3
)


@pytest.fixture(scope="module")
def photographs():
    """Twenty pictures of slopes, edges and texture, uint8, no two sizes alike."""
    made = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: 40 + seed, : 60 - seed] / 9
        a, b = rng.uniform(0.2, 1, (2, 3))
        picture = np.stack([np.sin(x * a[c] + c) + np.cos(y * b[c]) for c in range(3)], -1)
        picture[20:, 25:] *= -0.7
        made.append(np.clip(127 + 50 * picture + 8 * rng.standard_normal(picture.shape), 0, 255).astype(np.uint8))
    return made


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


def test_evidence_is_the_metric_without_its_heads(lpips):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 3, 3, 40, 56, generator=generator)
    rows = evidence(lpips.trunk, x, y)
    assert rows.shape == (3, 64 + 192 + 384 + 256 + 256)
    torch.testing.assert_close(rows @ torch.cat(lpips.heads), lpips(x, y))


def test_photographs_are_split_without_overlap():
    paths = [f"{index:03}" for index in range(47)]
    train_on, choosing, reporting = split_photographs(paths)
    assert sorted(train_on + choosing + reporting) == paths
    assert len(choosing) == len(reporting) == 5
    assert set(choosing + reporting) == {path for path in paths if int(path) % 5 == 0}


def test_rank_gives_nothing_for_robustness_that_costs_agreement():
    baseline = {"inflation": 2.0}
    good = {"attacked_2afc": 0.6, "inflation": 0.3, "agreement_with_lpips": 0.9}
    assert rank(good, baseline) > rank({**good, "agreement_with_lpips": 0.85}, baseline)
    assert rank(good, baseline) > rank({**good, "attacked_2afc": 0.55}, baseline)
    assert rank(good, baseline) > rank({**good, "inflation": 0.5}, baseline)
    assert rank(good, baseline) == rank({**good, "agreement_with_lpips": 0.95}, baseline)
    pixels = {"attacked_2afc": 0.65, "inflation": 0.2, "agreement_with_lpips": 0.8}
    assert rank(good, baseline) > rank(pixels, baseline)


def test_training_repeats_and_learns(photographs, lpips):
    settings = replace(TINY, rounds=3)
    heads = train(settings, photographs[:16], photographs[16:])
    again = train(settings, photographs[:16], photographs[16:])
    other = train(replace(settings, seed=1, rounds=1), photographs[:16], photographs[16:])
    assert all(torch.equal(a, b) for a, b in zip(heads, again))
    assert not all(torch.equal(a, b) for a, b in zip(heads, other))
    assert tuple(map(len, heads)) == load_trunk("alex").spec.channels
    assert all((head >= 0).all() and head.isfinite().all() for head in heads)

    unseen = make_triplets(photographs[16:], 12, True, TINY.size, seed=9)
    ours = PerceptualMetric(lpips.trunk, heads, "ours")
    assert inflation(ours, unseen, steps=4) < 0.75 * inflation(lpips, unseen, steps=4)

    # and the scale is LPIPS's, on what the training saw
    seen = make_triplets(photographs[:16], TINY.triplets, True, TINY.size, TINY.seed + 1)
    both = torch.cat([seen.reference] * 2), torch.cat([seen.p0, seen.p1])
    assert ours(*both).mean().item() == pytest.approx(lpips(*both).mean().item(), rel=1e-3)


def test_a_loss_that_is_not_finite_stops_it(photographs):
    with pytest.raises(FloatingPointError, match="round 1 .*floor"):
        train(replace(TINY, floor_weight=math.inf, floor=0.9), photographs[:16], photographs[16:])


def test_the_command(photographs, tmp_path, capsys):
    from PIL import Image

    for index, picture in enumerate(photographs):
        Image.fromarray(picture).save(tmp_path / f"{index:02}.png")
    out = tmp_path / "heads.safetensors"
    words = [f"--{key.replace('_', '-')}={getattr(TINY, key)}" for key in (
        "size", "triplets", "rounds", "attacked", "attack_steps", "updates", "batch", "validation", "report",
    )]  # fmt: skip
    training.main(["--images", str(tmp_path), "--out", str(out), "--norm", "l2", "--data", "drawn pictures", *words])
    card = json.loads(out.with_suffix(".json").read_text())
    assert json.loads(capsys.readouterr().out) == card
    assert card["data"] == "drawn pictures" and card["settings"]["eps"] == 1.0
    assert card["photographs"] == {"trained on": 16, "held out to choose": 2, "held out to report": 2}
    for figures in (card["measured"]["heads"], card["measured"]["lpips"]):
        assert 0 <= figures["attacked_2afc"] <= 1 and figures["inflation"] > 0
        assert sum(figures["share_of_layers"].values()) == pytest.approx(1, abs=1e-5)
    assert card["measured"]["lpips"]["agreement_with_lpips"] == 1
    assert sorted(load(out.read_bytes())) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("name, norm, eps", [("rlpips-linf", "linf", 4 / 255), ("rlpips-l2", "l2", 1.0)])
def test_the_shipped_heads_are_robust_on_the_sample_pictures(name, norm, eps, lpips):
    samples = sorted((ROOT / "assets" / "samples").glob("*.png"))
    photographs = [read_picture(path).pixels for path in samples]
    mixed = make_triplets(photographs, 24, mixed=True, seed=4)
    ours = load_metric(name)
    assert all((head >= 0).all() for head in ours.heads)
    found, baseline = (inflation(metric, mixed, norm, eps, steps=5) for metric in (ours, lpips))
    assert found < baseline / 4
