"""Agreement with a judge that is no relative of LPIPS, with a made-up one, and the command that measures it."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from rlpips import paths
from rlpips.data.triplets import Triplets, make_triplets
from rlpips.evaluate import __main__ as evaluate
from rlpips.evaluate import judge, metric_commands, tables
from rlpips.metrics.base import OwnMetric
from rlpips.metrics.lpips import load_metric
from rlpips.zoo import cards


def mean_difference(x, y):
    return (x.mean((1, 2, 3)) - y.mean((1, 2, 3))).abs()


def as_bright(reference, candidate):
    """A judge that looks at the brightness alone."""
    return 10 - 20 * mean_difference(reference, candidate)


@pytest.fixture(scope="module")
def mixed():
    """Twelve triplets of smooth random pictures, 40 pixels a side."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(4, 3, 9, 12, generator=generator), (60, 80), mode="bicubic")
    photographs = list((255 * smooth.clamp(0, 1)).byte().permute(0, 2, 3, 1).numpy())
    return make_triplets(photographs, 12, mixed=True, size=40, seed=1)


def test_qualities_are_those_of_both_candidates(mixed):
    q0, q1 = judge.qualities(as_bright, mixed)
    torch.testing.assert_close(q0, as_bright(mixed.reference, mixed.p0))
    torch.testing.assert_close(q1, as_bright(mixed.reference, mixed.p1))


def test_a_metric_that_chooses_as_the_judge_agrees_and_its_opposite_does_not(mixed):
    judged, lpips = judge.qualities(as_bright, mixed), load_metric("lpips")
    agrees = judge.agreement(OwnMetric(mean_difference), lpips, mixed, judged)
    assert agrees["agreement"] == {"value": 1, "low": 1, "high": 1}
    opposite = judge.agreement(OwnMetric(lambda x, y: 1 - mean_difference(x, y)), lpips, mixed, judged)
    assert opposite["agreement"]["value"] == 0 and opposite["lpips"]["value"] == pytest.approx(
        1 - agrees["lpips"]["value"], abs=1e-3
    )
    assert judge.agreement(lpips, lpips, mixed, judged)["lpips"] is None


def flat(judges):
    """Triplets whose candidates are grey, at these distances from a black reference; a photograph for every two."""
    grey = torch.tensor(judges).view(2, -1, 1, 1, 1).expand(2, len(judges[0]), 3, 32, 32)
    count = len(judges[0])
    return Triplets(
        torch.zeros_like(grey[0]), grey[0].clone(), grey[1].clone(), torch.full((count,), torch.nan), ("noise/blur",) * count,
        torch.zeros(count, 2), torch.arange(count) // 2,
    )  # fmt: skip


def test_clear_differences_are_counted_apart_and_ties_count_one_half():
    triplets = flat([[0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.9, 0.4]])  # the metric chooses p0, p1, p0 and neither
    judged = torch.tensor([9.0, 9.0, 7.0, 8.0]), torch.tensor([8.9, 8.0, 9.0, 9.0])  # p0, p0, p1, p1
    said = judge.agreement(OwnMetric(mean_difference), OwnMetric(mean_difference), triplets, judged)
    assert said["agreement"]["value"] == (1 + 0 + 0 + 0.5) / 4
    assert said["clear_triplets"] == 3 and said["clear"]["value"] == pytest.approx(0.5 / 3, abs=1e-4)
    tie = judge.agreement(OwnMetric(mean_difference), OwnMetric(mean_difference), triplets[:1], (judged[0][:1],) * 2)
    assert tie["agreement"]["value"] == 0.5 and tie["clear"] is None and tie["clear_triplets"] == 0


def test_without_its_package_the_judge_is_asked_for_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycvvdp", None)
    with pytest.raises(ValueError, match="pip install cvvdp"):
        judge.load_judge()


def test_the_judge_itself_finds_no_difference_and_sees_strong_ones():
    pytest.importorskip("pycvvdp", reason="needs cvvdp, which only this measurement uses")
    ask = judge.load_judge()
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 40, 56, generator=generator)
    noise = 0.1 * torch.randn(x.shape, generator=generator)
    same, noisy = ask(x, x), ask(x, (x + torch.tensor([0.1, 1]).view(2, 1, 1, 1) * noise).clamp(0, 1))
    assert same.tolist() == [10, 10] and 10 > noisy[0] > noisy[1]
    assert ask(x[:1], x[:1]).shape == (1,)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "my photographs"
    folder.mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (50 + seed, 61, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


def test_the_command(photographs, tmp_path, monkeypatch, capsys):
    weights, out = tmp_path / "weights", tmp_path / "out"
    weights.mkdir()
    for pattern in ("rlpips-linf_alex.*", "lpips_alex.*", "alexnet_features.*"):
        for file in paths.WEIGHTS.glob(pattern):
            shutil.copy(file, weights)
    monkeypatch.setattr(paths, "WEIGHTS", weights)
    monkeypatch.setattr(judge, "load_judge", lambda device: as_bright)
    monkeypatch.setattr(metric_commands, "version", lambda package: f"0 of {package}")
    before = cards.read("rlpips-linf")
    options = ["--all", "--mixed", "9", "--size", "32", "--cards", "--out", str(out)]
    evaluate.main(["judge", "--images", str(photographs), "--metrics", "rlpips-linf", "mse", *options])

    results = json.loads((out / "judge.json").read_text())
    assert tables.judge_table(results) in capsys.readouterr().out
    assert tables.judge_table(results) in (out / "judge.md").read_text()
    after = cards.read("rlpips-linf")
    assert after["judge"] == results["rlpips-linf"] and {**after, "judge": None} == {**before, "judge": None}
    assert cards.read("mse") == {"judge": results["mse"]}
    how = after["judge"]["how"]
    assert how["mixed"] == 9 and "natural" not in how and how["judge"] == "ColorVideoVDP 0 of cvvdp"
    assert how["command"].startswith("python -m rlpips.evaluate judge --images FOLDER --metrics rlpips-linf mse --all")
    assert "ColorVideoVDP 0 of cvvdp, display standard_fhd" in tables.judge_conditions(results)


def test_without_the_judge_nothing_is_measured(photographs, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pycvvdp", None)
    with pytest.raises(SystemExit) as stop:
        evaluate.main(["judge", "--images", str(photographs), "--metrics", "mse"])
    assert stop.value.code == 2 and "pip install cvvdp" in capsys.readouterr().err
