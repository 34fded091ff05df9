from dataclasses import replace

import pytest
import torch
from pictures import make_pictures

from rlpips import paths
from rlpips.data.images import read_picture
from rlpips.data.triplets import make_triplets
from rlpips.evaluate.scores import inflation
from rlpips.metrics.backbones import load_trunk
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.training.data import Source, prepare
from rlpips.training.heads import rank, train
from rlpips.training.settings import Settings

TINY = Settings(
    size=32, triplets=24, rounds=2, attacked=4, attack_steps=2, updates=10, batch=16, lr=0.1, validation=3, memory=8
)


@pytest.fixture(scope="module")
def photographs():
    return make_pictures()


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def data(photographs, lpips):
    return prepare(TINY, Source(photographs[:16]), Source(photographs[16:]), lpips)


def test_robustness_that_costs_agreement_does_not_raise_the_rank():
    baseline = {"inflation": 2.0}
    good = {"attacked_2afc": 0.6, "inflation": 0.3, "agreement_with_lpips": 0.9}
    assert rank(good, baseline) > rank({**good, "agreement_with_lpips": 0.85}, baseline)
    assert rank(good, baseline) > rank({**good, "attacked_2afc": 0.55}, baseline)
    assert rank(good, baseline) > rank({**good, "inflation": 0.5}, baseline)
    assert rank(good, baseline) == rank({**good, "agreement_with_lpips": 0.95}, baseline)
    pixels = {"attacked_2afc": 0.65, "inflation": 0.2, "agreement_with_lpips": 0.8}
    assert rank(good, baseline) > rank(pixels, baseline)


def test_training_repeats_and_learns(photographs, data, lpips):
    settings = replace(TINY, rounds=3)
    heads, _ = train(settings, data, lpips)
    again, _ = train(settings, data, lpips)
    other, _ = train(replace(settings, seed=1, rounds=1), data, lpips)
    assert all(torch.equal(a, b) for a, b in zip(heads, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(heads, other, strict=True))
    assert tuple(map(len, heads)) == load_trunk("alex").spec.channels
    assert all((head >= 0).all() and head.isfinite().all() for head in heads)

    unseen = make_triplets(photographs[16:], 12, True, TINY.size, seed=9)
    ours = PerceptualMetric(lpips.trunk, heads, "ours")
    assert inflation(ours, unseen, steps=4) < 0.75 * inflation(lpips, unseen, steps=4)

    # the scale is that of LPIPS, on the triplets of the training
    seen = make_triplets(photographs[:16], TINY.triplets, True, TINY.size, TINY.seed + 1)
    reference, candidates = torch.cat([seen.reference] * 2), torch.cat([seen.p0, seen.p1])
    assert ours(reference, candidates).mean().item() == pytest.approx(
        lpips(reference, candidates).mean().item(), rel=1e-3
    )


def test_a_resumed_training_gives_the_same_heads(data, lpips, tmp_path):
    settings, state = replace(TINY, rounds=6), tmp_path / "heads.state.safetensors"
    texts = []

    def note(text, done=0, total=0, keep=False):
        texts.append(text)

    def interrupt(text, done=0, total=0, keep=False):
        if text.startswith("round 6/"):
            raise KeyboardInterrupt

    heads, _ = train(settings, data, lpips)
    with pytest.raises(KeyboardInterrupt):
        train(settings, data, lpips, interrupt, state)
    resumed, seconds = train(settings, data, lpips, note, state)
    assert "continuing after round 5" in texts[0] and not any("round 5/" in text for text in texts)
    assert all(torch.equal(a, b) for a, b in zip(heads, resumed, strict=True))
    finished, longer = train(settings, data, lpips, state=state)  # all rounds are done
    assert all(torch.equal(a, b) for a, b in zip(heads, finished, strict=True)) and longer >= seconds * 0.9

    texts.clear()
    train(replace(settings, rounds=1), data, lpips, note, state)
    assert "of another training" in texts[0] and not any("continuing" in text for text in texts)
    state.write_bytes(b"no state")
    with pytest.raises(ValueError, match="not a state of this training"):
        train(settings, data, lpips, state=state)


def test_a_loss_that_is_not_finite_stops_the_training(data, lpips):
    with pytest.raises(FloatingPointError, match=r"round 1 .*floor"):
        train(replace(TINY, lr=1e4), data, lpips)


@pytest.mark.parametrize("name, norm, eps", [("rlpips-linf", "linf", 4 / 255), ("rlpips-l2", "l2", 1.0)])
def test_the_shipped_heads_are_robust_on_the_sample_pictures(name, norm, eps, lpips):
    samples = sorted((paths.ROOT / "assets" / "samples").glob("*.png"))
    photographs = [read_picture(path).pixels for path in samples]
    mixed = make_triplets(photographs, 24, mixed=True, seed=4)
    ours = load_metric(name)
    assert all((head >= 0).all() for head in ours.heads)
    robust, baseline = (inflation(metric, mixed, norm, eps, steps=5) for metric in (ours, lpips))
    assert robust < baseline / 4
