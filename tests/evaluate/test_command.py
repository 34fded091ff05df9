import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from truth import official

from rlpips import paths
from rlpips.classifiers.models import small_resnet
from rlpips.evaluate import __main__ as evaluate
from rlpips.evaluate import tables
from rlpips.zoo import cards
from rlpips.zoo.catalog import CIFAR10_CLASSES

TINY = [
    "--all",
    "--natural",
    "40",
    "--triplets",
    "30",
    "--mixed",
    "12",
    "--size",
    "32",
    "--steps",
    "2",
    "--eps-linf",
    "4",
    "--eps-l2",
    "1",
]


@pytest.fixture
def photographs(tmp_path):
    """A folder of four pictures with slopes, edges and texture."""
    folder = tmp_path / "my photographs"
    folder.mkdir()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: 50 + seed, : 60 - seed] / 7
        a, b = rng.uniform(0.2, 1, (2, 3))
        picture = np.stack([np.sin(x * a[c] + c) + np.cos(y * b[c]) for c in range(3)], -1)
        picture[20:, 25:] *= -0.7
        pixels = np.clip(127 + 50 * picture + 8 * rng.standard_normal(picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


def test_the_command(photographs, tmp_path, capsys):
    out = tmp_path / "made" / "here"
    words = ["--images", str(photographs), f"--out={out}", "--metrics", "rlpips-l2", "lpips", *TINY]
    evaluate.main(words)
    printed = capsys.readouterr()
    found = json.loads((out / "results.json").read_text())
    assert list(found) == ["rlpips-l2", "lpips"]
    assert tables.table(found) in printed.out and tables.family_table(found) in (out / "results.md").read_text()
    assert "rlpips-l2: measured in" in printed.err

    how = found["lpips"]["how"]
    assert how["command"] == (
        "python -m rlpips.evaluate --images FOLDER --out=DIR --metrics rlpips-l2 lpips " + " ".join(TINY)
    )
    assert str(tmp_path) not in json.dumps(found) + printed.out
    expected = {"photographs": 4, "natural": 40, "triplets": 30, "mixed": 12, "size": 32, "gap": 0.1, "seed": 3, "steps": 2,
                "restarts": 1, "restarts_at_standard": 2, "backbone": "alex", "device": "CPU"}  # fmt: skip
    assert {key: how[key] for key in expected} == expected and "all photographs" in how["data"]
    assert [entry["eps"] for entry in found["lpips"]["attacked"]["linf"]] == [4 / 255]
    assert len(found["lpips"]["attacked"]["l2"][0]["opt"]) == 30
    assert found["lpips"]["agreement"] is None and 0 < found["rlpips-l2"]["agreement"]["value"] <= 1


def test_two_processes_find_the_same_as_one(photographs, tmp_path):
    words = ["-m", "rlpips.evaluate", "--images", str(photographs), "--metrics", "rlpips-linf", *TINY]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(paths.ROOT)}
    jobs = [
        subprocess.Popen([sys.executable, *how, *words, "--out", str(tmp_path / name)], env=environment, cwd=paths.ROOT)
        for name, how in (("one", []), ("two", launch))
    ]
    assert [job.wait(timeout=300) for job in jobs] == [0, 0]
    one, two = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two"))
    for found in (one, two):
        found["rlpips-linf"]["how"].pop("seconds")
    assert one == two and len(one["rlpips-linf"]["attacked"]["linf"][0]["opt"]) == 30  # two pieces, one each


def test_masking(photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("rlpips.evaluate.masking.PGD", ((1, 1), (1, 2), (2, 2)))
    monkeypatch.setattr(evaluate, "LARGE", 40)
    words = ["masking", "--metrics", "lpips", "--images", str(photographs), "--all", "--triplets", "4", "--mixed", "5"]
    evaluate.main([*words, "--large", "2", "--size", "32", "--queries", "3", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "masking.json").read_text())["lpips"]
    assert found["verdict"] in capsys.readouterr().out and found["verdict"] in (tmp_path / "masking.md").read_text()
    names = [row["attack"] for row in found["rows"]]
    assert "transfer, PGD against R-LPIPS l∞" in names  # LPIPS is not its own stranger
    assert names[-1] == "PGD, 1 steps, 2 restarts, 40-pixel pictures (2 triplets)"
    assert found["how"]["queries"] == 3 and found["how"]["triplets"] == 4


def test_cards(photographs, tmp_path, monkeypatch):
    for each in ("rlpips-linf_alex.*", "lpips_alex.*", "alexnet_features.*"):
        for file in paths.WEIGHTS.glob(each):
            shutil.copy(file, tmp_path)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    before = cards.read("rlpips-linf")
    evaluate.main(["--images", str(photographs), "--metrics", "rlpips-linf", "--cards", *TINY])
    after = cards.read("rlpips-linf")
    assert after["results"]["how"]["triplets"] == 30
    assert {**after, "results": None} == {**before, "results": None}


def cifar10(folder):
    """One picture of each class, as files."""
    rng = np.random.default_rng(0)
    for name in CIFAR10_CLASSES:
        (folder / "test" / name).mkdir(parents=True)
        pixels = np.kron(rng.integers(40, 215, (8, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "test" / name / "0.png")
    return folder


def test_classifiers(tmp_path, monkeypatch, capsys):
    def load(name, device="cpu"):
        torch.manual_seed(0)
        return small_resnet(name).eval().requires_grad_(False)

    monkeypatch.setattr(evaluate, "load_classifier", load)
    monkeypatch.setattr("rlpips.evaluate.matching.SEVERITIES", (0.0, 0.5, 1.0))
    words = ["classifiers", "--images", str(cifar10(tmp_path / "cifar")), "--pictures", "9", "--steps", "1"]
    words += ["--out", str(tmp_path / "out")]
    evaluate.main([*words, "--classifiers", "at-linf"])
    evaluate.main([*words, "--classifiers", "undefended", "at-linf"])
    printed = capsys.readouterr()
    found = json.loads((tmp_path / "out" / "classifiers.json").read_text())
    assert list(found["classifiers"]) == ["undefended", "at-linf"]
    assert tables.accuracy_table(found) in printed.out
    assert tables.findings_table(found) in (tmp_path / "out" / "classifiers.md").read_text()
    assert str(tmp_path) not in json.dumps(found) + printed.out
    assert printed.err.count("at-linf: no attack") == printed.err.count("undefended: no attack") == 1
    assert "drawn from 10 test pictures" in found["how"]["data"] and found["how"]["pictures"] == 9
    assert found["how"]["command"].startswith("python -m rlpips.evaluate classifiers --images FOLDER --pictures 9")


def bapps(folder, families, count=4):
    """A folder of BAPPS's layout, with fractional judgements; returns its triplets, family by family."""
    rng = np.random.default_rng(0)
    made = {}
    for family in families:
        place = folder / "2afc" / "val" / family
        x = np.kron(rng.integers(40, 215, (count, 5, 6, 3)), np.ones((1, 8, 8, 1)))  # 40×48
        pictures = {"ref": x, "p0": x + rng.normal(0, 25, x.shape), "p1": x + rng.normal(0, 25, x.shape)}
        judge = rng.integers(0, 6, count) / 5
        for part, stack in pictures.items():
            (place / part).mkdir(parents=True)
            pictures[part] = np.clip(stack, 0, 255).astype(np.uint8)
            for index, pixels in enumerate(pictures[part]):
                Image.fromarray(pixels).save(place / part / f"{index:06}.png")
        (place / "judge").mkdir()
        for index, value in enumerate(judge):
            np.save(place / "judge" / f"{index:06}.npy", np.array([value]))
        made[family] = (*pictures.values(), judge)
    return made


def test_bapps_scored_as_lpips_does(tmp_path):
    made = bapps(tmp_path, ("superres", "cnn"))
    words = ["--bapps", str(tmp_path), "--metrics", "lpips", "--steps", "1", "--eps-linf", "4", "--eps-l2", "1"]
    evaluate.main([*words, "--all", "--out", str(tmp_path / "out")])
    found = json.loads((tmp_path / "out" / "results.json").read_text())["lpips"]

    model, scores = official("alex"), {}
    for family, (*pictures, judge) in made.items():
        x, p0, p1 = (torch.from_numpy(part).permute(0, 3, 1, 2).float() / 127.5 - 1 for part in pictures)
        d0, d1 = (model(x, part).flatten().numpy() for part in (p0, p1))
        # as in LPIPS's score_2afc_dataset
        scores[family] = (d0 < d1) * (1 - judge) + (d1 < d0) * judge + (d1 == d0) * 0.5
    assert list(found["natural"]["families"]) == ["cnn", "superres"]
    for family, expected in scores.items():
        assert found["natural"]["families"][family]["value"] == pytest.approx(expected.mean(), abs=1e-4)
    assert found["natural"]["2afc"]["value"] == pytest.approx(np.concatenate([*scores.values()]).mean(), abs=1e-4)
    assert found["how"]["data"] == "BAPPS, cnn, superres" and found["how"]["triplets"] == 8
    assert found["how"]["gap"] is found["how"]["photographs"] is None

    evaluate.main([*words, "--natural", "3", "--out", str(tmp_path / "part")])  # as many of each family
    part = json.loads((tmp_path / "part" / "results.json").read_text())["lpips"]
    assert part["how"]["triplets"] == 4 and list(part["natural"]["families"]) == ["cnn", "superres"]


def test_without_names_all_metrics_at_hand(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("rlpips.zoo.weights.find", lambda file: None)
    measured = []
    run = evaluate.of_metrics(lambda _, name, *__: measured.append(name) or {"how": {}}, lambda found: ["table"], "x")
    monkeypatch.setitem(evaluate.COMMANDS, "standard", run)
    evaluate.main(["--triplets", "2", "--mixed", "2"])
    assert measured == ["lpips", "rlpips-linf", "rlpips-l2"]
    said = capsys.readouterr()
    assert "rlpips-official-x0 is left out: latest_net_linf_x0.pth would have to be downloaded" in said.err
    assert "8 sample pictures, which are few" in said.err and "8 sample pictures, which are few" in said.out

    with pytest.raises(SystemExit) as stop:
        evaluate.main(["--backbone", "squeeze"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "No metric is at hand" in said and "no heads for SqueezeNet" in said


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--metrics", "ssim"], "Unknown metric 'ssim'; the metrics are lpips"),
        (["--metrics", "lpips", "lpips"], "each once"),
        (["--metrics", "rlpips-l2", "--backbone", "squeeze"], "has no heads for SqueezeNet"),
        (["--images", "/nowhere/at/all"], "no pictures"),
        (["--bapps", "/nowhere/at/all"], "There is no BAPPS in /nowhere/at/all"),
        (["--bapps", "a", "--images", "b"], "not from both"),
        (["--triplets", "0"], "expected a whole number from 1 to 100000; got '0'"),
        (["--size", "31"], "expected a whole number from 32 to 512"),
        (["--gap", "nan"], "expected a number from 0 to 0.9; got 'nan'"),
        (["--eps-linf", "4", "x"], "got 'x'"),
        (["--eps-l2", "0"], "expected a number from 0.001"),
        (["--device", "quantum"], "device must be"),
        (["--out", "/dev/null/x", "--metrics", "lpips"], "/dev/null"),
        (["--cards", "--metrics", "lpips", "--steps", "-1"], "whole number"),
        (["masking", "--bapps", "x"], "unrecognized arguments"),
        (["masking", "--queries", "1"], "from 2"),
        (["masking", "--metrics", "lpips", "--backbone", "squeeze"], "R-LPIPS l∞ has no heads for SqueezeNet"),
        (["measure"], "unrecognized arguments: measure"),
        (["classifiers", "--classifiers", "resnet50-imagenet"], "(choose from"),
        (["classifiers", "--metrics", "lpips"], "unrecognized arguments: --metrics"),
        (["classifiers", "--bound", "0"], "expected a number from 0.01"),
        (["classifiers", "--images", "/nowhere/at/all"], "/nowhere/at/all/test/airplane"),
    ],
)
def test_what_is_wrong_is_said(words, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        evaluate.main(words)
    assert stop.value.code == 2 and sentence in " ".join(capsys.readouterr().err.split())
