import json
from dataclasses import asdict, replace

import pytest
import torch
from pictures import write_bapps, write_pictures
from processes import run_processes
from safetensors.torch import load

from rlpips.training.__main__ import main
from rlpips.training.settings import Settings

TINY = Settings(
    size=32, triplets=24, rounds=2, attacked=4, attack_steps=2, updates=10, batch=16, lr=0.1, validation=3, memory=8
)


def options(settings):
    """The options of the command for the settings that differ from the defaults."""
    default = asdict(Settings())
    return [f"--{key.replace('_', '-')}={value}" for key, value in asdict(settings).items() if value != default[key]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("photographs"))


def test_the_command_writes_heads_and_a_card(folder, tmp_path):
    out = tmp_path / "heads.safetensors"
    settings = replace(TINY, norm="l2")
    main(["--images", str(folder), "--out", str(out), "--data", "drawn pictures", *options(settings)])
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
    main(["--bapps", str(write_bapps(tmp_path / "bapps")), "--out", str(out), *options(TINY)])
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert card["judged triplets"] == {"trained on": 14, "held out to choose": 2, "held out to report": 2}
    assert "photographs" not in card and "human judgements alone" in card["limits"]
    assert "--bapps FOLDER" in card["command"]


@pytest.mark.parametrize(
    "arguments, sentence",
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
        (["--out=heads.pt"], "--out must be a .safetensors file in a folder that exists; got heads.pt."),
        (["--out=/nowhere/heads.safetensors"], "--out must be"),
        (["--images=/nowhere"], "There are no pictures"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(arguments, sentence, folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        main([f"--images={folder}", f"--out={tmp_path / 'heads.safetensors'}", *arguments])
    error = capsys.readouterr().err.strip()
    assert refused.value.code == 2 and error.startswith(sentence) and "\n" not in error
    assert not list(tmp_path.iterdir())


def test_neither_photographs_nor_judgements(tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        main([f"--out={tmp_path / 'heads.safetensors'}"])
    assert refused.value.code == 2 and "got neither" in capsys.readouterr().err


def test_two_processes_train_the_same_heads(folder, tmp_path):
    settings = replace(TINY, attacked=50, triplets=60)  # more than one piece to attack
    one, two = (tmp_path / name / "heads.safetensors" for name in ("one", "two"))
    for out in (one, two):
        out.parent.mkdir()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each of several processes has
    main(["--images", str(folder), "--out", str(one), *options(settings)])
    torch.set_num_threads(threads)
    run_processes(2, "-m", "rlpips.training", "--images", folder, "--out", two, *options(settings))
    assert sorted(path.name for path in two.parent.iterdir()) == ["heads.json", "heads.safetensors"]
    assert one.read_bytes() == two.read_bytes()
