import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from pictures import make_pictures, write_pictures

from rlpips.attacks.triplets import attack_triplets
from rlpips.data.triplets import make_triplets
from rlpips.evaluate.scores import distances
from rlpips.metrics.lpips import load_metric
from rlpips.study import __main__ as command
from rlpips.study import compare
from rlpips.study.compare import pixels, study
from rlpips.study.report import FIGURES, table
from rlpips.study.variants import VARIANTS
from rlpips.training.data import Source
from rlpips.training.settings import Settings

TINY = Settings(size=32, triplets=12, rounds=1, attacked=4, attack_steps=1, updates=3, batch=8, validation=1)
HELD_OUT = {"triplets": 6, "mixed": 8, "size": 32, "gap": 0.1, "seed": 3, "steps": 2}
TWO = ["baseline", "official attack and network"]


@pytest.fixture(scope="module")
def sources():
    photographs = make_pictures()
    return Source(photographs[:14]), Source(photographs[14:17]), Source(photographs[17:])


@pytest.fixture(scope="module")
def report(sources):
    return list(study(TINY, sources, HELD_OUT, TWO))[-1]


def test_the_rows(report):
    assert [row["variant"] for row in report["rows"]] == ["LPIPS", "pixels", *TWO]
    assert report["how"]["photographs"] == [14, 3, 3] and report["how"]["settings"]["eps"] == 4 / 255
    for row in report["rows"]:
        assert 0 <= row["natural_2afc"] <= 1 and 0 <= row["attacked_2afc"] <= 1 and row["inflation"] > 0 and row["why"]
    lpips, _, ours, official = report["rows"]
    assert lpips["agreement_with_lpips"] == 1 and sum(ours["share_of_layers"].values()) == pytest.approx(1, abs=1e-5)
    assert ours["settings"] == asdict(TINY) and official["settings"]["lpips_weight"] == 0
    assert any(ours[key] != official[key] for key in ("inflation", "attacked_2afc"))


def test_the_table(report):
    lines = table(report).splitlines()
    assert [line.count("|") for line in lines[:6]] == [8] * 6
    assert lines[4].startswith("| baseline | ") and f" {report['rows'][2]['inflation']:.3f} " in lines[4]
    assert any(line.startswith("| official attack and network | The official recipe") for line in lines)
    assert "l∞ 4/255" in lines[7] and "6 triplets of one family" in lines[7]


def test_rows_of_an_earlier_report_are_not_trained_again(report, sources, monkeypatch):
    earlier = json.loads(json.dumps(report))
    monkeypatch.setattr(compare, "train", lambda *_, **__: pytest.fail("trained again"))
    assert list(study(TINY, sources, HELD_OUT, TWO, earlier=earlier))[-1] == report
    first = next(study(TINY, sources, HELD_OUT, [], earlier=earlier))
    assert first == report  # an interruption loses no row
    earlier["rows"][2]["settings"]["lr"] = 1.0
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        list(study(TINY, sources, HELD_OUT, TWO, earlier=earlier))
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        list(study(TINY, sources, {**HELD_OUT, "steps": 1}, TWO, earlier=report))


def test_variants_have_different_names_and_valid_settings():
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    baseline, *others = ((variant.changes, variant.free_ranking, variant.attack) for variant in VARIANTS)
    assert baseline == ({}, False, attack_triplets) and baseline not in others
    assert all(Settings(**variant.changes) for variant in VARIANTS)


def test_the_worst_case_of_the_pixels():
    """The closed form agrees with a search over a grid of values, pixel by pixel."""
    lpips, eps = load_metric("lpips"), 0.05
    same, mixed = (make_triplets(make_pictures(5), 6, mix, 32, seed) for mix, seed in ((False, 0), (True, 1)))
    figures = pixels(lpips, same, mixed, eps, seed=4)

    def worst(x, reference, best):
        values = np.clip(x + np.linspace(-eps, eps, 41)[:, None, None, None], 0, 1)
        return best((values - reference) ** 2, axis=0).mean()

    p0_is_attacked = torch.rand(6, generator=torch.Generator().manual_seed(4)) < 0.5
    score = []
    arrays = (getattr(same, name).numpy() for name in ("reference", "p0", "p1", "judge"))
    for r, p0, p1, judge, attack_p0 in zip(*arrays, p0_is_attacked.tolist(), strict=True):
        away = attack_p0 == (judge < 0.5)
        error = [((p - r) ** 2).mean() for p in (p0, p1)]
        error[0 if attack_p0 else 1] = worst(p0 if attack_p0 else p1, r, np.max if away else np.min)
        score.append((error[0] < error[1]) * (1 - judge) + (error[1] < error[0]) * judge)
    assert figures["attacked_2afc"] == pytest.approx(np.mean(score), abs=1e-6)
    natural = [((p - mixed.reference) ** 2).mean((1, 2, 3)) for p in (mixed.p0, mixed.p1)]
    farthest = np.mean([worst(r, r, np.max) for r in mixed.reference.numpy()])
    assert figures["inflation"] == pytest.approx(farthest / torch.cat(natural).mean().item(), rel=1e-3)
    d0, d1 = distances(lpips, mixed)
    assert figures["agreement_with_lpips"] == pytest.approx(
        ((natural[0] < natural[1]) == (d0 < d1)).float().mean().item()
    )


def test_the_command_writes_the_report_and_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "HELD_OUT", HELD_OUT)
    folder, out = write_pictures(tmp_path / "photographs"), tmp_path / "deep" / "study"
    options = [f"--{key.replace('_', '-')}={value}" for key, value in asdict(TINY).items()]
    command.main(["--images", str(folder), "--out", str(out), *options, "--only", "baseline"])
    rows = json.loads((out / "study.json").read_text("utf-8"))["rows"]
    assert [row["variant"] for row in rows] == ["LPIPS", "pixels", "baseline"] and set(FIGURES) < set(rows[2])
    assert (out / "study.md").read_text("utf-8").startswith("| variant |")
    assert {file.name for file in out.iterdir()} == {"study.json", "study.md"}
    (out / "study.json").write_text('{"how": {')
    with pytest.raises(SystemExit) as refused:
        command.main(["--images", str(folder), "--out", str(out)])
    assert refused.value.code == 2 and "study.json holds no results of an earlier run" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        command.main(["--images", str(folder), "--out", str(out), "--norm", "l2"])
    assert refused.value.code == 2 and "l_inf ball; got norm 'l2'" in capsys.readouterr().err
