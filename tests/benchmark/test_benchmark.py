import argparse
from functools import partial

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

import rlpips
from rlpips.attacks.balls import MetricBall
from rlpips.attacks.classifier import margins
from rlpips.benchmark import __main__ as program
from rlpips.benchmark import contestants, floor, ours, tables, timing
from rlpips.benchmark import perceptual as contest
from rlpips.benchmark.accuracy import accuracy
from rlpips.classifiers.models import small_resnet
from rlpips.metrics.backbones import BACKBONES
from rlpips.zoo.catalog import PAIR


@pytest.fixture(params=contestants.PACKAGES)
def package(request):
    pytest.importorskip(request.param, reason=f"needs {request.param}: pip install {request.param}")
    return contestants.PACKAGES[request.param](PAIR)


def test_a_package_gives_our_distances_per_layer(package):
    x, y = ours.pictures(3, (70, 50)), ours.pictures(3, (70, 50)).flip(0)
    for name, model in zip(PAIR, package.models, strict=True):
        distance, layers = package.read(model, x, y)
        torch.testing.assert_close(distance.flatten(), rlpips.load_metric(name)(x, y), rtol=1e-4, atol=0)
        expected = rlpips.load_metric(name).per_layer(x, y)
        torch.testing.assert_close(torch.cat(layers, 1).flatten(1), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("norm", ours.EPS)
def test_a_package_makes_the_attack_that_ours_makes(package, norm):
    reference, eps, steps = ours.pictures(2, (64, 45)), ours.EPS[norm], 5
    theirs = package.loops(reference, ours.first_point(reference, norm, eps), eps, steps, norm)
    mine = torch.stack([shares for _, shares, *_ in ours.Steps(reference, norm, "float32").iterates(steps)][:-1])
    assert theirs.shape == (2, steps, 2, 2, 5)  # attacks, steps, pictures, metrics, layers
    assert (theirs[0, -1, :, 0].sum(-1) > 20 * theirs[0, 0, :, 0].sum(-1)).all()
    mine = mine.unflatten(1, (2, 2)).permute(2, 0, 1, 3, 4)  # from (steps, pictures, lanes, metrics, layers)
    torch.testing.assert_close(theirs.sum(-1), mine.sum(-1), rtol=2e-3, atol=0)


def test_pictures_are_different_and_have_the_size_asked_for():
    made = ours.pictures(17, (32, 40))
    assert made.shape == (17, 3, 32, 40)
    assert torch.cdist(made.flatten(1), made.flatten(1)).fill_diagonal_(1).min() > 0.5


def test_contestants_take_turns_and_another_begins_every_round():
    called = []
    calls = {name: partial(called.append, name) for name in "abc"}
    times = timing.in_turns(calls, 4)
    assert "".join(called) == "abc" + "abc" + "bca" + "cab" + "abc"  # the first to warm up
    assert {name: len(spent) for name, spent in times.items()} == {"a": 4, "b": 4, "c": 4}
    called.clear()
    timing.in_turns(calls, 1, warm={"": partial(called.append, "w")})
    assert "".join(called) == "wabc"


def test_a_ratio_is_the_median_of_the_rounds_own():
    assert timing.ratio([10, 90, 40], [5, 30, 10]) == "3.00 (2.00–4.00)"
    assert timing.median([3, 1, 8]) == "3.0"


@pytest.mark.parametrize("height,width", [(256, 256), (67, 130)])
def test_the_count_of_a_step_on_alexnet_is_that_of_the_formula(height, width):
    h, w = ((side + 2 * 2 - 11) // 4 + 1 for side in (height, width))
    expected = 64 * h * w * 3 * 11 * 11
    h, w = (h - 3) // 2 + 1, (w - 3) // 2 + 1  # a max pool of 3 with stride 2; the others keep the size
    expected += 192 * h * w * 64 * 5 * 5
    h, w = (h - 3) // 2 + 1, (w - 3) // 2 + 1
    expected += h * w * 3 * 3 * (384 * 192 + 256 * 384 + 256 * 256)
    assert floor.macs("alex", (height, width), 2) == 2 * 2 * expected


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_count_of_a_forward_pass_is_that_of_torch(backbone):
    spec = BACKBONES[backbone]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        getattr(torchvision.models, spec.model)().features[: spec.taps[-1] + 1](torch.empty(3, 3, 70, 96))
    assert floor.macs(backbone, (70, 96), 3) == counter.get_total_flops()  # 2 FLOP each, forward; MAC, there and back


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_way_computes_the_whole_convolution(dtype):
    for convolution in floor.convolutions("alex", (64, 100)):
        forward, backward = floor.ways(convolution, 2, dtype, "cpu")
        assert len(forward) == (4 if convolution.stride == 4 else 2)
        for call in forward.values():
            assert call().shape == (2, convolution.outputs, *convolution.output_size)
        for name, call in backward.items():
            made, each = call(), convolution.in_blocks() if "in blocks" in name else convolution
            assert (made if torch.is_tensor(made) else made[0]).shape == (2, each.inputs, *each.size)


def test_float32_is_exact_and_bfloat16_nearly():
    reference = ours.pictures(2, (64, 48))
    exact, rough = (accuracy(reference, "linf", 4 / 255, each, 4, 2) for each in ("float32", "bfloat16"))
    assert max(exact.noise, exact.attacked) < 1e-4 < rough.attacked < 2e-2
    torch.testing.assert_close(exact.strength, torch.ones(2, 2), rtol=1e-4, atol=0)
    torch.testing.assert_close(rough.strength, torch.ones(2, 2), rtol=5e-2, atol=0)


def test_tables_render_with_a_cell_for_every_column(monkeypatch):
    monkeypatch.setattr(tables, "packages", lambda *_: ([], ["lpips", "torchmetrics"]))
    small = {"rounds": 1, "precisions": ("float32", "bfloat16")}
    made = [
        tables.engine_table([((32, 40), 2, "l2")], steps=2, **small), tables.floor_table([((32, 40), 2)], **small),
        tables.accuracy_table((32, 40), pictures=2, steps=2),
    ]  # fmt: skip
    for table in made:
        heading, _, sentence, _, *lines = str(table).splitlines()
        assert heading.startswith("## ") and sentence.endswith(".")
        assert {line.count("|") for line in lines} == {len(table.columns) + 1} and len(lines) == 2 + len(table.rows)
    assert made[0].columns[-1] == "steps only"  # nothing of packages that are not there


def test_the_program_says_what_is_missing_and_measures_what_is_asked_for(monkeypatch):
    monkeypatch.setitem(contestants.PACKAGES, "torchmetrics", lambda *_: __import__("no_such_package"))
    given = argparse.Namespace(
        tables=["floor"], sizes=[32], batches=[1, 2], norms=None, steps=2, rounds=1, device="cpu", backbone="alex"
    )
    head, missing, table = program.made(given)
    assert "2 rounds" not in head and "left out: torchmetrics. `pip install lpips torchmetrics`" in missing
    assert {tuple(row[:2]) for row in table.rows} == {("32×32", 1), ("32×32", 2)}


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return small_resnet("small").eval().requires_grad_(False)


def test_the_published_attacks_stand_on_the_features_of_ours(classifier):
    x, ball = ours.pictures(2, (32, 32)), MetricBall(rlpips.load_metric("lpips"), 0.1)
    distance = contest.Plain()(x).sub(contest.Plain()(x.flip(0))).norm(dim=1)
    torch.testing.assert_close(distance, ball.distance(x, x.flip(0)), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name,given", [("ppgd", {"steps": 4, "cg_steps": 3}), ("lpa", {"steps": 4, "searches": 2}),
                                        ("fast_lpa", {"steps": 5})])  # fmt: skip
def test_the_published_attacks_raise_the_margin(classifier, name, given):
    x = ours.pictures(3, (32, 32))
    labels = classifier(x).argmax(1)
    published = contest.Published(classifier, contest.Plain(), 0.15)
    found = getattr(published, name)(x, labels, **given)
    assert found.shape == x.shape and 0 <= found.min() and found.max() <= 1
    assert (margins(classifier(found), labels) > margins(classifier(x), labels)).all()


def test_the_table_of_perceptual_attacks_says_what_was_reached(classifier):
    attacks = {"ppgd": {"steps": 2, "cg_steps": 2}, "fast_lpa": {"steps": 2}}
    table = contest.perceptual_table(classifier, (0.1,), (2,), rounds=1, attacks=attacks)
    assert len(table.rows) == 2 * 2 and {len(row) for row in table.rows} == {len(table.columns)}
    assert all(float(row[-4]) <= 1.001 for row in table.rows if row[0] == "PPGD")  # the distance of ours
