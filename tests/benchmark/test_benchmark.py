from functools import partial

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

import rlpips
from rlpips.attacks.balls import MetricBall
from rlpips.attacks.classifier import margins
from rlpips.benchmark import __main__ as command
from rlpips.benchmark import floor, ours, packages, tables, timing
from rlpips.benchmark.accuracy import accuracy
from rlpips.benchmark.perceptual import perceptual_table
from rlpips.benchmark.published import LpipsFeatures, PublishedAttacks
from rlpips.classifiers.models import small_resnet
from rlpips.metrics.backbones import BACKBONES
from rlpips.zoo.catalog import PAIR


@pytest.fixture(params=packages.PACKAGES)
def package(request):
    pytest.importorskip(request.param, reason=f"needs {request.param}: pip install {request.param}")
    return packages.PACKAGES[request.param](PAIR)


def test_a_package_gives_our_distances_per_layer(package):
    x, y = ours.sample_pictures(3, (70, 50)), ours.sample_pictures(3, (70, 50)).flip(0)
    for name, model in zip(PAIR, package.models, strict=True):
        distance, layers = package.measure(model, x, y)
        torch.testing.assert_close(distance.flatten(), rlpips.load_metric(name)(x, y), rtol=1e-4, atol=0)
        expected = rlpips.load_metric(name).per_layer(x, y)
        torch.testing.assert_close(torch.cat(layers, 1).flatten(1), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("norm", ours.EPS)
def test_the_attack_on_a_package_is_ours(package, norm):
    reference, eps, steps = ours.sample_pictures(2, (64, 45)), ours.EPS[norm], 5
    theirs = package.attack(reference, ours.random_start(reference, norm, eps), norm, eps, steps)
    iterates = ours.AttackSteps(reference, norm, "float32").iterates(steps)
    mine = torch.stack([per_layer for _, per_layer, *_ in iterates][:-1])
    assert theirs.shape == (2, steps, 2, 2, 5)  # attacks, steps, pictures, metrics, layers
    assert (theirs[0, -1, :, 0].sum(-1) > 20 * theirs[0, 0, :, 0].sum(-1)).all()
    mine = mine.unflatten(1, (2, 2)).permute(2, 0, 1, 3, 4)  # from (steps, pictures, lanes, metrics, layers)
    torch.testing.assert_close(theirs.sum(-1), mine.sum(-1), rtol=2e-3, atol=0)


def test_sample_pictures_are_different_and_have_the_given_size():
    pictures = ours.sample_pictures(17, (32, 40))
    assert pictures.shape == (17, 3, 32, 40)
    assert torch.cdist(pictures.flatten(1), pictures.flatten(1)).fill_diagonal_(1).min() > 0.5


def test_contestants_take_turns_and_each_round_begins_with_another_one():
    called = []
    calls = {name: partial(called.append, name) for name in "abc"}
    times = timing.in_turns(calls, 4)
    assert "".join(called) == "abc" + "abc" + "bca" + "cab" + "abc"  # the first three warm up
    assert {name: len(spent) for name, spent in times.items()} == {"a": 4, "b": 4, "c": 4}
    called.clear()
    timing.in_turns(calls, 1, warm_up={"": partial(called.append, "w")})
    assert "".join(called) == "wabc"


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds():
    assert timing.ratio_text([10, 90, 40], [5, 30, 10]) == "3.00 (2.00–4.00)"
    assert timing.median_text([3, 1, 8]) == "3.0"


@pytest.mark.parametrize("height, width", [(256, 256), (67, 130)])
def test_the_multiply_adds_of_a_step_on_alexnet_follow_the_formula(height, width):
    h, w = ((side + 2 * 2 - 11) // 4 + 1 for side in (height, width))
    expected = 64 * h * w * 3 * 11 * 11
    h, w = (h - 3) // 2 + 1, (w - 3) // 2 + 1  # a max pool of 3 with stride 2; the others keep the size
    expected += 192 * h * w * 64 * 5 * 5
    h, w = (h - 3) // 2 + 1, (w - 3) // 2 + 1
    expected += h * w * 3 * 3 * (384 * 192 + 256 * 384 + 256 * 256)
    assert floor.count_macs("alex", (height, width), 2) == 2 * 2 * expected


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_multiply_adds_are_those_that_torch_counts(backbone):
    spec = BACKBONES[backbone]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        getattr(torchvision.models, spec.model)().features[: spec.taps[-1] + 1](torch.empty(3, 3, 70, 96))
    # Torch counts two operations for a multiply-add, but only the forward pass.
    assert floor.count_macs(backbone, (70, 96), 3) == counter.get_total_flops()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_implementation_computes_the_whole_convolution(dtype):
    for convolution in floor.convolutions("alex", (64, 100)):
        forward, backward = floor.implementations(convolution, 2, dtype, "cpu", prepared=True)
        assert len(forward) == (5 if convolution.stride == 4 else 3)
        for call in forward.values():
            assert call().shape == (2, convolution.outputs, *convolution.output_size)
        for name, call in backward.items():
            shape = convolution.in_blocks() if "in blocks" in name else convolution
            assert call().shape == (2, shape.inputs, *shape.size)


def test_float32_is_exact_and_bfloat16_nearly():
    reference = ours.sample_pictures(2, (64, 48))
    exact, rough = (accuracy(reference, "linf", 4 / 255, each, 4, 2) for each in ("float32", "bfloat16"))
    assert max(exact.noise, exact.attacked) < 1e-4 < rough.attacked < 2e-2
    torch.testing.assert_close(exact.strength, torch.ones(2, 2), rtol=1e-4, atol=0)
    torch.testing.assert_close(rough.strength, torch.ones(2, 2), rtol=5e-2, atol=0)


def test_tables_render_with_a_cell_for_every_column(monkeypatch):
    monkeypatch.setattr(tables, "load_packages", lambda *_: ([], ["lpips", "torchmetrics"]))
    small = {"rounds": 1, "precisions": ("float32", "bfloat16")}
    engine = tables.engine_table([((32, 40), 2, "l2")], steps=2, **small)
    floors = tables.floor_table([((32, 40), 2)], **small)
    for table in (engine, floors, tables.accuracy_table((32, 40), pictures=2, steps=2)):
        heading, _, description, _, *lines = str(table).splitlines()
        assert heading.startswith("## ") and description.endswith(".")
        assert {line.count("|") for line in lines} == {len(table.columns) + 1} and len(lines) == 2 + len(table.rows)
    assert engine.columns[-1] == "steps only"  # no columns for packages that are not installed


def test_the_command_measures_the_given_cases_and_names_missing_packages(monkeypatch, capsys):
    monkeypatch.setitem(packages.PACKAGES, "torchmetrics", lambda *_: __import__("no_such_package"))
    command.main(["floor", "--sizes", "32", "--batches", "1", "2", "--rounds", "1", "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# Benchmark" and lines[2].endswith("alex; 1 rounds.")
    assert any("left out: torchmetrics. `pip install lpips torchmetrics`" in line for line in lines)
    rows = [line.split(" | ") for line in lines if line.startswith("| 32×32")]
    assert {row[1] for row in rows} == {"1", "2"}
    with pytest.raises(SystemExit):
        command.main(["memory"])
    assert "there is no table memory; the tables are engine, floor" in capsys.readouterr().err


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return small_resnet("small").eval().requires_grad_(False)


def test_the_published_attacks_use_the_features_of_ours(classifier):
    x, ball = ours.sample_pictures(2, (32, 32)), MetricBall(rlpips.load_metric("lpips"), 0.1)
    distance = LpipsFeatures()(x).sub(LpipsFeatures()(x.flip(0))).norm(dim=1)
    torch.testing.assert_close(distance, ball.distance(x, x.flip(0)), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    "name, options",
    [
        ("ppgd", {"steps": 4, "cg_steps": 3}),
        ("lpa", {"steps": 4, "searches": 2}),
        ("fast_lpa", {"steps": 5}),
    ],
)
def test_the_published_attacks_raise_the_margin(classifier, name, options):
    x = ours.sample_pictures(3, (32, 32))
    labels = classifier(x).argmax(1)
    published = PublishedAttacks(classifier, LpipsFeatures(), 0.15)
    attacked = getattr(published, name)(x, labels, **options)
    assert attacked.shape == x.shape and attacked.min() >= 0 and attacked.max() <= 1
    assert (margins(classifier(attacked), labels) > margins(classifier(x), labels)).all()


def test_the_table_of_perceptual_attacks_gives_their_results(classifier):
    attacks = {"ppgd": {"steps": 2, "cg_steps": 2}, "fast_lpa": {"steps": 2}}
    table = perceptual_table(classifier, (0.1,), (2,), rounds=1, attacks=attacks)
    assert len(table.rows) == 2 * 2 and {len(row) for row in table.rows} == {len(table.columns)}
    assert all(float(row[-4]) <= 1.001 for row in table.rows if row[0] == "PPGD")  # the distance of ours
