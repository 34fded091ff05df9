"""What is taken from a trace: the name of its files, the table, the Python that makes it again, and the papers."""

import ast
import csv
import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import rlpips
from rlpips import Trace, paths
from rlpips.attacks.by_card import total_steps
from rlpips.attacks.side_by_side import fool
from rlpips.engine.compare import compare
from rlpips.traces import papers, program
from rlpips.traces.ruler import Ruler
from rlpips.zoo import references
from rlpips.zoo.attack_cards import ATTACKS


@pytest.fixture(scope="module")
def duel():
    return Trace.load(paths.PRECOMPUTED / "chelsea-away-linf-4.zip")


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A picture of one's own, (48, 61), in a file."""
    path = tmp_path_factory.mktemp("own") / "my cat.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (48, 61, 3), np.uint8)).save(path)
    return path


def of(trace, **receipt):
    return replace(trace, receipt={**trace.receipt, **receipt})


def test_files_are_called_after_picture_attack_and_seed(duel):
    assert duel.stem == "chelsea_linf4_cosine20_seed0"
    assert of(duel, norm="l2", eps=3.0, schedule="apgd", seed=7).stem == "chelsea_l2-3_apgd20_seed7"
    assert of(duel, norm="flow", eps=0.5, objective="toward").stem == "chelsea_toward_flow-0.5_cosine20_seed0"
    assert of(duel, restarts=3, backbone="vgg").stem == "chelsea_linf4_cosine20x3_seed0_vgg"
    others = replace(duel, metrics=("lpips", "rlpips-l2"))
    assert others.stem == "chelsea_linf4_lpips_rlpips-l2_cosine20_seed0"
    assert Trace.load(paths.PRECOMPUTED_CLASSIFIER / "cat-02-undefended-ppgd-r-ppgd.zip").stem.startswith(
        "cat-02_undefended_ppgd_r-ppgd_steps"
    )


@pytest.mark.parametrize(
    "name, safe",
    [
        ("../../etc/passwd", "etc-passwd"), ("a b\nc", "a-b-c"), ("-rf", "rf"), ("<img src=x>", "img-src-x"),
        ("\u202egnp.exe", "gnp.exe"), ("猫", "猫"), ("$HOME;`x`", "HOME-x"), ("x" * 500, "x" * 60), ("...", ""),
    ],
)  # fmt: skip
def test_a_hostile_name_is_made_safe(duel, name, safe):
    stem = replace(duel, name=name).stem
    assert stem == "_".join(filter(None, [safe, "linf4_cosine20_seed0"]))
    assert not set(stem) & set("/\\\n\u202e:*?\"<>| '$`")


def test_the_table_has_every_step_lane_and_metric(duel, tmp_path):
    path = duel.to_csv(tmp_path)
    assert path.name == "chelsea_linf4_cosine20_seed0.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert len(rows) == 21 * 3 * 2 and path.read_text("utf-8") == duel.to_csv()
    ruler = Ruler.from_json(duel.ruler)
    for place in (0, 7, 100, len(rows) - 1):
        step, lane, metric = np.unravel_index(place, duel.distance.shape)
        row, distance = rows[place], duel.distance[step, lane, metric]
        assert (int(row["step"]), row["lane"], row["metric"]) == (step, duel.lanes[lane], duel.metrics[metric])
        assert float(row["distance"]) == pytest.approx(distance, rel=1e-6)
        assert row["equivalent"] == ruler.read(duel.metrics[metric], float(distance))
        assert float(row["linf"]) == pytest.approx(duel.linf[step, lane], rel=1e-6)
        assert float(row["l2"]) == pytest.approx(duel.l2[step, lane], rel=1e-6)
        layers = [float(row[f"layer_{name}"]) for name in duel.layers]
        np.testing.assert_allclose(layers, duel.per_layer[step, lane, metric], rtol=1e-6)
        assert sum(layers) == pytest.approx(float(row["distance"]), rel=1e-4)
    last = [float(row["distance_8bit"]) for row in rows[-6:]]
    np.testing.assert_allclose(last, duel.distance_8bit.ravel(), rtol=1e-6)
    assert {int(row["step"]) for row in rows if row["lane"] == "lpips" and row["distance_8bit"]} == set(duel.keyframes)
    assert all(row["distance_8bit"] for row in rows if row["lane"] == "noise")
    assert not any(row["equivalent"] for row in csv.DictReader(io.StringIO(replace(duel, ruler=None).to_csv())))


def test_a_layer_of_another_metric_is_an_empty_cell(photo):
    pair = compare(photo, photo, metrics=("lpips", "mse"))
    of_lpips, of_mse = csv.DictReader(io.StringIO(pair.to_csv()))
    empty = {name for name, cell in of_mse.items() if name.startswith("layer_") and not cell}
    assert empty == {"layer_conv1", "layer_conv2", "layer_conv3", "layer_conv4", "layer_conv5"}
    assert [name for name, cell in of_lpips.items() if name.startswith("layer_") and not cell] == ["layer_pixels"]


def test_a_lane_cannot_be_a_formula(duel):
    named = replace(duel, metrics=("=1+1", "b"), lanes=("=1+1", "b", "noise"), ruler=None)
    assert {row["metric"] for row in csv.DictReader(io.StringIO(named.to_csv()))} == {"'=1+1", "b"}


def test_the_table_of_a_classifier_has_its_verdicts():
    trace = Trace.load(paths.PRECOMPUTED_CLASSIFIER / "cat-02-undefended-ppgd-r-ppgd.zip")
    *_, last = csv.DictReader(io.StringIO(trace.to_csv()))
    assert last["verdict"] == trace.classes[trace.probabilities[-1, -1].argmax()]
    assert float(last["label_probability"]) == pytest.approx(trace.probabilities[-1, -1, trace.label], rel=1e-6)


def again(trace, **pictures):
    """The trace that its Python makes, after what it says about pictures of one's own is done."""
    text = trace.to_python()
    for placeholder, path in pictures.items():
        assert f'"{placeholder}.png"' in text
        text = text.replace(f'"{placeholder}.png"', repr(str(path)))
    names = {}
    exec(compile(text, "again.py", "exec"), names)
    return names["trace"]


def check(made, trace, **tolerance):
    assert (made.lanes, made.metrics, made.stem) == (trace.lanes, trace.metrics, trace.stem)
    np.testing.assert_allclose(made.distance, trace.distance, **{"rtol": 1e-5, **tolerance})
    np.testing.assert_array_equal(made.adversarial, trace.adversarial)


def test_the_python_makes_a_duel_on_a_sample_again():
    settings = {"metrics": ("rlpips-l2", "mse"), "norm": "l2", "eps": 1.5, "steps": 3, "seed": 5, "schedule": "fixed"}
    trace = rlpips.attack(paths.SAMPLES / "rocket.png", **settings, precision="float32", device="cpu")
    assert 'paths.SAMPLES / "rocket.png"' in trace.to_python()
    check(again(trace), trace)


def test_the_python_of_a_picture_of_one_s_own_says_where_its_name_goes(photo):
    trace = rlpips.attack(photo, steps=2, restarts=2, eps=2.5 / 255, schedule="apgd", precision="float32")
    text = trace.to_python()
    assert "The file name of your picture goes here" in text and "eps=2.5 / 255" in text
    check(again(trace, **{"my-cat": photo}), trace)


def test_the_python_of_a_pull_takes_the_start_from_the_trace_s_file(photo, tmp_path, monkeypatch):
    start = np.random.default_rng(4).integers(0, 256, (48, 61, 3), np.uint8)
    trace = rlpips.attack(photo, candidate=start, objective="toward", norm="flow", eps=0.5, steps=2)
    trace.save(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / f"{trace.stem}.trace.zip").is_file()
    check(again(trace, **{"my-cat": photo}), trace)


def test_the_python_of_a_pair_and_of_attacks_on_a_classifier(photo, tmp_path):
    other = tmp_path / "b.png"
    Image.fromarray(255 - np.asarray(Image.open(photo))).save(other)
    pair = compare(photo, other, metrics=("lpips", "mse"))
    check(again(pair, **{"my-cat": photo, "changed": other}), pair)
    attacks = fool(
        paths.SAMPLES / "cifar10" / "frog-01.png", 6, attacks=("r-lpa", "apgd-l2"), bounds=(0.3, 0.5), steps=2
    )
    made = again(attacks)
    check(made, attacks)
    np.testing.assert_array_equal(made.fooled, attacks.fooled)


def test_the_python_of_a_metric_of_one_s_own_says_where_its_file_goes(photo, tmp_path, monkeypatch):
    from rlpips.metrics.heads import Heads

    Heads.mix("lpips", "rlpips-linf", 0.5).save(tmp_path / "heads.safetensors")
    own = rlpips.load_metric(tmp_path / "heads.safetensors")
    own.name = "yours"
    trace = rlpips.attack(photo, metrics=("lpips", own), steps=2)
    monkeypatch.chdir(tmp_path)
    check(again(trace, **{"my-cat": photo}), trace)


def test_hostile_names_run_nothing(duel, photo):
    evil = 'x"\nimport os; os.abort()  #\u2028\u202e'
    trace = compare(photo, photo, metrics="lpips")
    named = replace(
        of(trace, device=evil, precision=evil, torch=evil, rlpips=evil), name=evil, metrics=(evil,), lanes=(evil,)
    )
    tree = ast.parse(named.to_python())
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls == {"read_picture", "rlpips.load_metric", "compare", "zip", "print"}
    assert not set(named.to_python()) & set("\u2028\u202e")
    assert "<img" not in replace(named, metrics=("<img src=x>",))._repr_html_()


def test_what_a_search_is_told_fits_the_attacks():
    for card in ATTACKS.values():
        assert program.RUNS.get(card.kind, 1) * 7 == total_steps(card, 7)


@pytest.mark.parametrize(
    "receipt, eye, expected",
    [
        ({}, True, "LPIPS AlexNet R-LPIPS PGD FLIP"), ({"schedule": "apgd"}, False, "LPIPS AlexNet R-LPIPS APGD"),
        ({"norm": "flow"}, False, "LPIPS AlexNet R-LPIPS PGD stAdv"), ({"backbone": "vgg"}, False, "LPIPS VGG16 R-LPIPS PGD"),
    ],
)  # fmt: skip
def test_the_papers_are_those_that_were_used(duel, receipt, eye, expected):
    trace = of(duel, **receipt)
    trace = trace if eye else replace(trace, eye=None)
    assert [references.reference(key).short for key in papers.papers(trace)] == expected.split()
    assert trace.to_bibtex().count("\n@") + 1 == len(expected.split())


def test_the_papers_of_other_metrics_and_of_attacks_on_classifiers(duel):
    shorts = lambda trace: [references.reference(key).short for key in papers.papers(trace)]  # noqa: E731
    others = replace(duel, metrics=("dists", "elpips", "ssim"), eye=None)
    assert shorts(others) == ["DISTS", "VGG16", "E-LPIPS", "LPIPS", "AlexNet", "SSIM", "PGD"]
    fooled = Trace.load(paths.PRECOMPUTED_CLASSIFIER / "truck-01-at-linf-pgd-linf-ppgd.zip")
    assert shorts(fooled) == ["LPIPS", "AlexNet", "R-LPIPS", "PGD", "PPGD, LPA, PAT"]


def test_a_notebook_shows_the_last_distances(duel):
    shown = duel._repr_html_()
    assert "chelsea_linf4_cosine20_seed0" in shown and f"{duel.distance[-1, 0, 0]:.4g}" in shown
    assert "further than any JPEG tried" in shown and "4/255" in shown


def test_what_is_recorded_is_exported_without_torch(tmp_path):
    program = (
        "import sys; from rlpips import Trace, paths; from rlpips.traces import figures\n"
        "trace = Trace.load(paths.PRECOMPUTED / 'coffee-toward-linf-8.zip')\n"
        "trace.to_csv(), trace.to_python(), trace.to_bibtex(), trace._repr_html_(), figures.curves(trace)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=paths.ROOT, check=True)
