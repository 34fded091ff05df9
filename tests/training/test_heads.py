import json
from dataclasses import asdict, replace

import pytest
import torch
from pictures import make_pictures, write_bapps, write_pictures
from processes import run_processes
from safetensors.torch import load

from rlpips import paths
from rlpips.data.images import read_picture
from rlpips.data.triplets import make_triplets
from rlpips.evaluate.scores import inflation
from rlpips.metrics.backbones import load_trunk
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.training import heads as training
from rlpips.training.data import Source, look
from rlpips.training.heads import rank, train
from rlpips.training.settings import Settings

TINY = Settings(
    size=32, triplets=24, rounds=2, attacked=4, attack_steps=2, updates=10, batch=16, lr=0.1, validation=3, memory=8
)


def options(settings):
    """The settings as words of the command line, those that differ from the defaults."""
    default = asdict(Settings())
    return [f"--{key.replace('_', '-')}={value}" for key, value in asdict(settings).items() if value != default[key]]


@pytest.fixture(scope="module")
def photographs():
    return make_pictures()


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def material(photographs, lpips):
    return look(TINY, Source(photographs[:16]), Source(photographs[16:]), lpips)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("photographs"))


def test_rank_gives_nothing_for_robustness_that_costs_agreement():
    baseline = {"inflation": 2.0}
    good = {"attacked_2afc": 0.6, "inflation": 0.3, "agreement_with_lpips": 0.9}
    assert rank(good, baseline) > rank({**good, "agreement_with_lpips": 0.85}, baseline)
    assert rank(good, baseline) > rank({**good, "attacked_2afc": 0.55}, baseline)
    assert rank(good, baseline) > rank({**good, "inflation": 0.5}, baseline)
    assert rank(good, baseline) == rank({**good, "agreement_with_lpips": 0.95}, baseline)
    pixels = {"attacked_2afc": 0.65, "inflation": 0.2, "agreement_with_lpips": 0.8}
    assert rank(good, baseline) > rank(pixels, baseline)


def test_training_repeats_and_learns(photographs, material, lpips):
    settings = replace(TINY, rounds=3)
    heads, _ = train(settings, material, lpips)
    again, _ = train(settings, material, lpips)
    other, _ = train(replace(settings, seed=1, rounds=1), material, lpips)
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


def test_an_interrupted_training_ends_as_one_that_was_not(material, lpips, tmp_path):
    settings, state = replace(TINY, rounds=6), tmp_path / "heads.state.safetensors"
    heads, _ = train(settings, material, lpips)

    def interrupt(words, done=0, total=0, keep=False):
        if words.startswith("round 6/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, material, lpips, interrupt, state)
    said = []
    resumed, seconds = train(settings, material, lpips, lambda words, *_, **__: said.append(words), state)
    assert "going on from round 5" in said[0] and not any("round 5/" in words for words in said)
    assert all(torch.equal(a, b) for a, b in zip(heads, resumed, strict=True))
    finished, longer = train(settings, material, lpips, state=state)  # nothing is left to do
    assert all(torch.equal(a, b) for a, b in zip(heads, finished, strict=True)) and longer >= seconds * 0.9

    said.clear()  # the state of another training is not continued
    train(replace(settings, rounds=1), material, lpips, lambda words, *_, **__: said.append(words), state)
    assert "of another training" in said[0] and not any("going on" in words for words in said)
    state.write_bytes(b"no state")
    with pytest.raises(ValueError, match="no state of this training"):
        train(settings, material, lpips, state=state)


def test_a_loss_that_is_not_finite_stops_it(material, lpips):
    with pytest.raises(FloatingPointError, match="round 1 .*floor"):
        train(replace(TINY, lr=1e4), material, lpips)


def test_the_command(folder, tmp_path, capsys):
    out = tmp_path / "heads.safetensors"
    settings = replace(TINY, norm="l2")
    training.main(["--images", str(folder), "--out", str(out), "--data", "drawn pictures", *options(settings)])
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert card["file"] == "heads.safetensors" and len(card["sha256"]) == 64
    assert (card["backbone"], card["norm"], card["data"]) == ("alex", "l2", "drawn pictures")
    assert card["settings"] == {**asdict(settings), "eps": 1.0}
    assert card["photographs"] == {"trained on": 16, "held out to choose": 2, "held out to report": 2}
    assert "judged triplets" not in card and "LPIPS as the judge" in card["limits"]
    assert "--images FOLDER --out heads.safetensors" in card["command"] and str(tmp_path) not in str(card)
    assert "--data 'drawn pictures' --norm l2 --size 32" in card["command"] and "--seed" not in card["command"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["heads.json", "heads.safetensors"]  # no state left
    assert sorted(load(out.read_bytes())) == ["0", "1", "2", "3", "4"]


def test_the_command_with_human_judgements(tmp_path):
    out = tmp_path / "heads.safetensors"
    training.main(["--bapps", str(write_bapps(tmp_path / "bapps")), "--out", str(out), *options(TINY)])
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert card["judged triplets"] == {"trained on": 14, "held out to choose": 2, "held out to report": 2}
    assert "photographs" not in card and "human judgements alone" in card["limits"]
    assert "--bapps FOLDER" in card["command"]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--rounds=-3"], "rounds must be a whole number of at least 1; got -3."),
        (["--norm=l1"], "norm must be one of linf, l2; got 'l1'."),
        (["--backbone=resnet"], "backbone must be one of alex, vgg, squeeze; got 'resnet'."),
        (["--size=31"], "size must be a whole number of at least 32; got 31."),
        (["--eps=1.5"], "eps must be at most 1; got 1.5."),
        (["--lr=nan"], "lr must be a finite number that is not negative; got nan."),
        (["--sharpness=0"], "sharpness must be above 0; got 0.0."),
        (["--floor=0.3"], "floor must be at most 0.2; got 0.3."),
        (["--device=tpu"], "device must be"),
        (["--out=heads.pt"], "--out must be a .safetensors file in a folder that is there; got heads.pt."),
        (["--out=/nowhere/heads.safetensors"], "--out must be"),
        (["--images=/nowhere"], "There are no pictures"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(words, sentence, folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        training.main([f"--images={folder}", f"--out={tmp_path / 'heads.safetensors'}", *words])
    said = capsys.readouterr().err.strip()
    assert refused.value.code == 2 and said.startswith(sentence) and "\n" not in said
    assert not list(tmp_path.iterdir())


def test_neither_photographs_nor_judgements(tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        training.main([f"--out={tmp_path / 'heads.safetensors'}"])
    assert refused.value.code == 2 and "got neither" in capsys.readouterr().err


def test_two_processes_train_the_same_heads(folder, tmp_path):
    settings = replace(TINY, attacked=50, triplets=60)  # more than one piece to attack
    found = []
    for count in (1, 2):
        out = tmp_path / str(count) / "heads.safetensors"
        out.parent.mkdir()
        run_processes(count, "-m", "rlpips.training", "--images", folder, "--out", out, *options(settings))
        assert sorted(path.name for path in out.parent.iterdir()) == ["heads.json", "heads.safetensors"]
        found.append(out.read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("name, norm, eps", [("rlpips-linf", "linf", 4 / 255), ("rlpips-l2", "l2", 1.0)])
def test_the_shipped_heads_are_robust_on_the_sample_pictures(name, norm, eps, lpips):
    samples = sorted((paths.ROOT / "assets" / "samples").glob("*.png"))
    photographs = [read_picture(path).pixels for path in samples]
    mixed = make_triplets(photographs, 24, mixed=True, seed=4)
    ours = load_metric(name)
    assert all((head >= 0).all() for head in ours.heads)
    found, baseline = (inflation(metric, mixed, norm, eps, steps=5) for metric in (ours, lpips))
    assert found < baseline / 4
