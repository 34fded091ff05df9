"""`python -m rlpips.evaluate`, all its commands: what it prints, stores and refuses."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from processes import run_processes
from truth import official

from rlpips import paths
from rlpips.classifiers.models import small_resnet
from rlpips.evaluate import __main__ as evaluate
from rlpips.evaluate import classifier_command, classifier_tables, metric_commands, tables
from rlpips.evaluate.report import Report, read_earlier
from rlpips.zoo import cards
from rlpips.zoo.classifier_cards import CIFAR10_CLASSES

TINY = [
    "--all", "--natural", "40", "--triplets", "30", "--mixed", "12", "--size", "32", "--steps", "2", "--eps-linf", "4",
    "--eps-l2", "1", "--brief",
]  # fmt: skip


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


def test_standard(photographs, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    evaluate.main(["--images", str(photographs), f"--out={out}", "--metrics", "rlpips-l2", "lpips", *TINY])
    printed = capsys.readouterr()
    results = json.loads((out / "results.json").read_text())
    assert list(results) == ["rlpips-l2", "lpips"]
    assert tables.table(results) in printed.out and tables.family_table(results) in (out / "results.md").read_text()
    assert "rlpips-l2: measured in" in printed.err

    how = results["lpips"]["how"]
    assert how["command"] == (
        "python -m rlpips.evaluate --images FOLDER --out=DIR --metrics rlpips-l2 lpips " + " ".join(TINY)
    )
    assert str(tmp_path) not in json.dumps(results) + printed.out
    expected = {"photographs": 4, "natural": 40, "triplets": 30, "mixed": 12, "size": 32, "gap": 0.1, "seed": 3, "steps": 2,
                "elsewhere": 30, "references": 40, "schedule": "cosine", "restarts": 1, "restarts_at_standard": 2, "backbone": "alex", "device": "CPU"}  # fmt: skip
    assert {key: how[key] for key in expected} == expected and "all photographs" in how["data"]
    assert [entry["eps"] for entry in results["lpips"]["attacked"]["linf"]] == [4 / 255]
    assert len(results["lpips"]["attacked"]["l2"][0]["opt"]) == 30
    assert results["lpips"]["agreement"] is None and 0 < results["rlpips-l2"]["agreement"]["value"] <= 1


def test_two_processes_give_the_results_of_one(photographs, tmp_path):
    arguments = ["--images", str(photographs), "--metrics", "rlpips-linf", *TINY, "--out"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each of several processes has
    evaluate.main([*arguments, str(tmp_path / "one")])
    torch.set_num_threads(threads)
    run_processes(2, "-m", "rlpips.evaluate", *arguments, tmp_path / "two")
    one, two = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two"))
    for results in (one, two):
        results["rlpips-linf"]["how"].pop("seconds")
    assert one == two and len(one["rlpips-linf"]["attacked"]["linf"][0]["opt"]) == 30  # two pieces, one each


def test_masking(photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("rlpips.evaluate.masking.USUAL", ("cosine", 1, 2))
    monkeypatch.setattr("rlpips.evaluate.masking.LONG", ("apgd", 2, 2))
    monkeypatch.setattr(metric_commands, "LARGE", 40)
    options = ["--all", "--triplets", "4", "--mixed", "5", "--large", "2", "--size", "32", "--queries", "3"]
    evaluate.main(["masking", "--metrics", "lpips", "--images", str(photographs), *options, "--out", str(tmp_path)])
    result = json.loads((tmp_path / "masking.json").read_text())["lpips"]
    assert result["verdict"] in capsys.readouterr().out and result["verdict"] in (tmp_path / "masking.md").read_text()
    names = [row["attack"] for row in result["rows"]]
    assert "transfer, PGD against R-LPIPS l∞" in names  # another metric than the one that is measured
    assert names[-1] == "PGD, 1 steps, 2 restarts, 40-pixel pictures (2 triplets)"
    assert result["how"]["queries"] == 3 and result["how"]["triplets"] == 4


def test_flow(photographs, tmp_path, capsys):
    options = ["--all", "--triplets", "6", "--mixed", "5", "--size", "32", "--steps", "2", "--references", "4"]
    arguments = [
        "flow",
        "--metrics",
        "rlpips-linf",
        "ssim",
        "--images",
        str(photographs),
        *options,
        "--out",
        str(tmp_path),
    ]
    evaluate.main(arguments)
    results = json.loads((tmp_path / "flow.json").read_text())
    assert tables.flow_table(results) in capsys.readouterr().out
    assert [(row["norm"], row["eps"]) for row in results["ssim"]["rows"]] == [
        ("linf", 4 / 255),
        ("flow", 0.5),
        ("flow", 1.0),
    ]
    for result in results.values():
        assert all(row["inflation"]["value"] > row["random"]["value"] > 0 for row in result["rows"])
    assert results["ssim"]["how"]["triplets"] == 6 and results["ssim"]["how"]["references"] == 4
    assert "4 references" in tables.flow_conditions(results)


def test_dial(photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "DIAL", tmp_path / "dial.json")
    options = ["--all", "--natural", "6", "--triplets", "4", "--references", "3", "--mixed", "7", "--size", "32"]
    options += ["--steps", "1", "--restarts", "1", "--cards", "--images", str(photographs)]
    evaluate.main(["dial", "--metrics", "rlpips-l2", "--points", "2", *options])
    evaluate.main(["dial", *options, "--points", "3", "--out", str(tmp_path / "out")])
    curves = json.loads(paths.DIAL.read_text())
    assert list(curves) == ["rlpips-l2", "rlpips-linf", "rlpips-tune"]  # the earlier curve is kept
    assert [len(curve["points"]) for curve in curves.values()] == [2, 3, 3]
    assert [point["share"] for point in curves["rlpips-tune"]["points"]] == [0, 0.5, 1]
    how = curves["rlpips-tune"]["how"]
    expected = {"triplets": 4, "references": 3, "mixed": 7, "steps": 1, "restarts": 1, "eps": 4 / 255, "photographs": 4}
    assert {key: how[key] for key in expected} == expected and str(tmp_path) not in json.dumps(curves)
    assert how["weights"]["rlpips-tune"].count("+") == 1  # heads and a trunk of its own
    assert "## From LPIPS to R-LPIPS tune" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "dial.json").read_text()) == curves


def test_transfer(photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "TRANSFER", tmp_path / "transfer.json")
    options = [
        "--all",
        "--natural",
        "6",
        "--references",
        "3",
        "--mixed",
        "7",
        "--size",
        "32",
        "--steps",
        "1",
        "--cards",
    ]
    evaluate.main(["transfer", "--metrics", "mse", "lpips", "--images", str(photographs), *options])
    result = json.loads(paths.TRANSFER.read_text())
    assert list(result["rows"]) == ["mse", "lpips", "noise"]
    assert all(list(row) == ["mse", "lpips"] for row in result["rows"].values())
    assert result["how"]["references"] == 3 and result["how"]["weights"]["mse"] == ""
    assert "| noise (a random point) |" in capsys.readouterr().out


def test_cards(photographs, tmp_path, monkeypatch):
    for pattern in ("rlpips-linf_alex.*", "lpips_alex.*", "alexnet_features.*"):
        for file in paths.WEIGHTS.glob(pattern):
            shutil.copy(file, tmp_path)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    before = cards.read("rlpips-linf")
    evaluate.main(["--images", str(photographs), "--metrics", "rlpips-linf", "--cards", *TINY])
    after = cards.read("rlpips-linf")
    assert after["results"]["how"]["triplets"] == 30
    assert {**after, "results": None} == {**before, "results": None}

    options = [option for option in TINY if option != "--brief"] + ["--references", "2", "--restarts", "1"]
    monkeypatch.setattr("rlpips.evaluate.standard.OFFICIAL_OPT_STEPS", 1)
    evaluate.main(["--images", str(photographs), "--metrics", "mse", "--cards", *options])  # its card is made
    (entry,) = cards.read("mse")["results"]["attacked"]["linf"]
    how = cards.read("mse")["results"]["how"]
    assert (
        len(entry["opt"]) == 2
        and entry["reference"]
        and how["heads_sha256"] is None
        and how["restarts_at_standard"] == 1
    )


def test_a_torn_card_is_refused_before_anything_is_measured(photographs, tmp_path, monkeypatch, capsys):
    for pattern in ("rlpips-linf_alex.*", "lpips_alex.*", "alexnet_features.*"):
        for file in paths.WEIGHTS.glob(pattern):
            shutil.copy(file, tmp_path)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    (tmp_path / "rlpips-linf_alex.json").write_text('{"file": ')
    with pytest.raises(SystemExit) as stop:
        evaluate.main(["--images", str(photographs), "--metrics", "rlpips-linf", "--cards", *TINY])
    assert stop.value.code == 2 and "rlpips-linf_alex.json in assets/weights is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", '{"how": {"pict', "[1, 2]", '{"other": 1}', b"\xff\xfe\0"])
def test_a_torn_or_foreign_file_of_results_is_refused_in_a_sentence(tmp_path, content):
    file = tmp_path / "results.json"
    assert read_earlier(file, "how") is None
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"results\.json holds no results of an earlier run; move it away, or .*\.$"):
        read_earlier(file, "how")


def test_stored_results_are_read_again(tmp_path):
    Report("results", {"how": {"steps": 2}}, ["# One", "two"]).store(tmp_path)
    assert read_earlier(tmp_path / "results.json", "how") == {"how": {"steps": 2}}
    assert (tmp_path / "results.md").read_text() == "# One\n\ntwo\n"
    assert {file.name for file in tmp_path.iterdir()} == {"results.json", "results.md"}


def write_cifar10(folder):
    """Write one picture of each class and return the folder."""
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

    monkeypatch.setattr(classifier_command, "load_classifier", load)
    monkeypatch.setattr("rlpips.evaluate.matching.SEVERITIES", (0.0, 0.5, 1.0))
    folder = write_cifar10(tmp_path / "cifar")
    arguments = ["classifiers", "--images", str(folder), "--pictures", "9", "--steps", "1"]
    arguments += ["--out", str(tmp_path / "out")]
    evaluate.main([*arguments, "--classifiers", "at-linf"])
    evaluate.main([*arguments, "--classifiers", "undefended", "at-linf"])
    printed = capsys.readouterr()
    report = json.loads((tmp_path / "out" / "classifiers.json").read_text())
    assert list(report["classifiers"]) == ["undefended", "at-linf"]
    assert classifier_tables.accuracy_table(report) in printed.out
    assert classifier_tables.findings_table(report) in (tmp_path / "out" / "classifiers.md").read_text()
    assert str(tmp_path) not in json.dumps(report) + printed.out
    assert printed.err.count("at-linf: no attack") == printed.err.count("undefended: no attack") == 1
    assert "drawn from 10 test pictures" in report["how"]["data"] and report["how"]["pictures"] == 9
    assert report["how"]["command"].startswith("python -m rlpips.evaluate classifiers --images FOLDER --pictures 9")

    (tmp_path / "out" / "classifiers.json").write_text('{"how": {')
    with pytest.raises(SystemExit) as stop:
        evaluate.main([*arguments, "--classifiers", "at-linf"])
    assert stop.value.code == 2 and "holds no results of an earlier run" in " ".join(capsys.readouterr().err.split())


def write_bapps(folder, families, count=4):
    """Write a folder of BAPPS's layout, with fractional judgements; return its triplets, family by family."""
    rng = np.random.default_rng(0)
    triplets = {}
    for family in families:
        subfolder = folder / "2afc" / "val" / family
        x = np.kron(rng.integers(40, 215, (count, 5, 6, 3)), np.ones((1, 8, 8, 1)))  # 40×48
        pictures = {"ref": x, "p0": x + rng.normal(0, 25, x.shape), "p1": x + rng.normal(0, 25, x.shape)}
        judge = rng.integers(0, 6, count) / 5
        for part, stack in pictures.items():
            (subfolder / part).mkdir(parents=True)
            pictures[part] = np.clip(stack, 0, 255).astype(np.uint8)
            for index, pixels in enumerate(pictures[part]):
                Image.fromarray(pixels).save(subfolder / part / f"{index:06}.png")
        (subfolder / "judge").mkdir()
        for index, value in enumerate(judge):
            np.save(subfolder / "judge" / f"{index:06}.npy", np.array([value]))
        triplets[family] = (*pictures.values(), judge)
    return triplets


def test_bapps_is_scored_as_lpips_does(tmp_path):
    triplets = write_bapps(tmp_path, ("superres", "cnn"))
    arguments = ["--bapps", str(tmp_path), "--metrics", "lpips", "--steps", "1", "--eps-linf", "4", "--eps-l2", "1"]
    evaluate.main([*arguments, "--all", "--out", str(tmp_path / "out")])
    result = json.loads((tmp_path / "out" / "results.json").read_text())["lpips"]

    model, scores = official("alex"), {}
    for family, (*pictures, judge) in triplets.items():
        x, p0, p1 = (torch.from_numpy(part).permute(0, 3, 1, 2).float() / 127.5 - 1 for part in pictures)
        d0, d1 = (model(x, part).flatten().numpy() for part in (p0, p1))
        # as in LPIPS's score_2afc_dataset
        scores[family] = (d0 < d1) * (1 - judge) + (d1 < d0) * judge + (d1 == d0) * 0.5
    assert list(result["natural"]["families"]) == ["cnn", "superres"]
    for family, expected in scores.items():
        assert result["natural"]["families"][family]["value"] == pytest.approx(expected.mean(), abs=1e-4)
    assert result["natural"]["2afc"]["value"] == pytest.approx(np.concatenate([*scores.values()]).mean(), abs=1e-4)
    assert result["how"]["data"] == "BAPPS, cnn, superres" and result["how"]["triplets"] == 8
    assert result["how"]["gap"] is result["how"]["photographs"] is None

    evaluate.main([*arguments, "--natural", "3", "--out", str(tmp_path / "part")])  # two of each family
    part = json.loads((tmp_path / "part" / "results.json").read_text())["lpips"]
    assert part["how"]["triplets"] == 4 and list(part["natural"]["families"]) == ["cnn", "superres"]


def test_the_default_is_all_metrics_that_need_no_download(monkeypatch, capsys):
    monkeypatch.setattr("rlpips.zoo.weights.find", lambda file: None)
    monkeypatch.setattr("rlpips.zoo.weights.find_packaged", lambda file: None)
    measured = []

    def measure(options, name, data, progress):
        measured.append(name)
        return {"how": {}}

    command = metric_commands.Command(measure, lambda results: iter(["table"]), "x")
    monkeypatch.setitem(metric_commands.COMMANDS, "standard", command)
    evaluate.main(["--triplets", "2", "--mixed", "2"])
    assert measured == ["lpips", "rlpips-linf", "rlpips-l2", "rlpips-tune", "mse", "ssim", "elpips"]
    printed = capsys.readouterr()
    assert "rlpips-official-x0 is left out: latest_net_linf_x0.pth would have to be downloaded" in printed.err
    assert "dists is left out: vgg16-397923af.pth would have to be downloaded" in printed.err
    assert "st-lpips is left out: it needs `pip install stlpips-pytorch --no-deps`" in printed.err
    assert "8 sample pictures, which are few" in printed.err and "8 sample pictures, which are few" in printed.out

    with pytest.raises(SystemExit) as stop:
        evaluate.main(["--backbone", "squeeze"])
    printed = capsys.readouterr()
    assert stop.value.code == 2 and "No metric is at hand" in printed.err and "no heads for SqueezeNet" in printed.err


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--metrics", "psnr"], "Unknown metric 'psnr'; the metrics are lpips"),
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
        (["flow", "--bapps", "x"], "unrecognized arguments"),
        (["dial", "--metrics", "lpips"], "A dial leads from LPIPS to a metric with heads of its own; lpips is none"),
        (["dial", "--metrics", "mse"], "mse is none"),
        (["dial", "--points", "1"], "from 2 to 101"),
        (["transfer", "--metrics", "psnr"], "Unknown metric 'psnr'"),
        (["measure"], "unrecognized arguments: measure"),
        (["classifiers", "--classifiers", "resnet50-imagenet"], "(choose from"),
        (["classifiers", "--metrics", "lpips"], "unrecognized arguments: --metrics"),
        (["classifiers", "--bound", "0"], "expected a number from 0.01"),
        (["classifiers", "--images", "/nowhere/at/all"], "/nowhere/at/all/test/airplane"),
    ],
)
def test_wrong_arguments_end_with_a_message(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        evaluate.main(arguments)
    assert stop.value.code == 2 and sentence in " ".join(capsys.readouterr().err.split())
