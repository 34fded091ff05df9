"""Whatever the caller has switched on: numbers are the same, and nothing that is kept is spoilt for later calls."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

import rlpips
from rlpips import paths
from rlpips.attacks.lpa import fast_lpa_iterates
from rlpips.device import in_neutral_state, neutral_state, pick_device


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


STATES = {
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "bfloat16 autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float16 autocast": lambda: torch.autocast("cpu", torch.float16),
    "float64 by default": lambda: default_dtype(torch.float64),
    "another default device": lambda: torch.device("meta"),
}
in_every_state = pytest.mark.parametrize("state", STATES.values(), ids=STATES)


def pictures(count=2):
    x = torch.rand(count, 3, 64, 48, generator=torch.Generator().manual_seed(0), device="cpu")
    return x, (x + 0.002).clamp(0, 1)


@in_every_state
def test_a_metric_gives_the_same_numbers(state):
    x, y = pictures()
    expected = {name: rlpips.load_metric(name)(x, y) for name in ("lpips", "rlpips-linf")}
    with state():
        for name, distance in expected.items():
            metric = rlpips.load_metric(name)
            assert torch.equal(metric(x, y), distance)
            assert torch.equal(metric.per_layer(x, y).sum(-1), distance)
            assert not metric.distance_map(x, y).requires_grad


@in_every_state
def test_an_attack_gives_the_same_trace(state):
    x, _ = pictures(1)
    expected = rlpips.attack(x, steps=2, seed=1)
    with state():
        trace = rlpips.attack(x, steps=2, seed=1)
    assert (trace.distance == expected.distance).all() and (trace.adversarial == expected.adversarial).all()
    assert trace.receipt == expected.receipt


@pytest.mark.parametrize("attack", [rlpips.ppgd, rlpips.lpa, rlpips.fast_lpa])
def test_attacks_on_a_classifier_give_the_same_pictures(attack):
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    labels, classifier = torch.tensor([1, 7]), rlpips.load_classifier("pat-self")
    ball = rlpips.MetricBall(rlpips.load_metric("lpips"), 0.16)
    *_, expected = attack(classifier, x, labels, ball, steps=1)
    apart = ball.distance(x, expected)
    for state in STATES.values():
        with state():
            *_, inside = attack(classifier, x, labels, ball, steps=1)
            assert torch.equal(ball.distance(x, inside), apart)
        assert torch.equal(inside, expected)


def test_a_training_attacks_under_its_own_autocast():
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    labels, classifier, seen = torch.tensor([1, 7]), rlpips.load_classifier("pat-self"), []
    ball = rlpips.MetricBall(rlpips.load_metric("lpips"), 0.16)
    classifier.stages[0].register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        list(fast_lpa_iterates(classifier, x, labels, ball, 1, ball.bound, 0))
        assert set(seen) == {torch.bfloat16}
        seen.clear()
        list(rlpips.fast_lpa(classifier, x, labels, ball, steps=1))
        assert set(seen) == {torch.float32}


def test_what_is_loaded_and_kept_in_inference_mode_has_gradients_later():
    code = """
import torch, rlpips
x, y = torch.rand(2, 1, 3, 32, 32)
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
    metric, classifier = rlpips.load_metric("lpips"), rlpips.load_classifier("pat-self")
    ball = rlpips.MetricBall(metric, 0.16)
    ball.distance(x, y), metric(x, y), rlpips.attack(torch.rand(1, 3, 64, 48), steps=1)
metric(x.requires_grad_(), y).sum().backward()
list(rlpips.ppgd(classifier, y, torch.tensor([1]), ball, steps=1))
rlpips.attack(torch.rand(1, 3, 64, 48), steps=1)
"""
    subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=True)


def test_gradients_stay_off_and_the_callers_state_comes_back():
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), default_dtype(torch.float64):
        with neutral_state():
            assert not torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
            assert not torch.is_autocast_enabled("cpu") and torch.tensor(1.0).dtype == torch.float32
        assert torch.is_inference_mode_enabled() and torch.is_autocast_enabled("cpu")
        assert torch.tensor(1.0).dtype == torch.float64


def test_between_its_steps_a_generator_leaves_the_callers_state():
    ended = []

    @in_neutral_state
    def steps():
        try:
            for _ in range(3):
                yield torch.is_inference_mode_enabled()
        finally:
            ended.append(True)

    with torch.inference_mode():
        assert [(inside, torch.is_inference_mode_enabled()) for inside in steps()] == 3 * [(False, True)]
        cut = steps()
        next(cut)
        cut.close()
    assert ended == [True, True]


def test_newer_names_of_the_flags_of_cudnn_stop_nothing():
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("this torch has only the older names")
    convolutions = torch.backends.cudnn.conv
    before, convolutions.fp32_precision = convolutions.fp32_precision, "ieee"
    try:
        trace = rlpips.attack(pictures(1)[0], steps=1)
    finally:
        convolutions.fp32_precision = before
    assert trace.state == "done" and trace.receipt["precision"] in ("float32", "bfloat16")


@pytest.mark.parametrize("device", ["mps", "xpu", "meta", "gpu", "cuda:99", 7, object()])
def test_devices_that_are_not_there(device):
    with pytest.raises(ValueError, match="device"):
        pick_device(device)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_attacks_on_a_classifier_refuse_other_dtypes_in_a_sentence(dtype):
    x, classifier = torch.rand(2, 3, 32, 40), rlpips.load_classifier("pat-self")
    labels, metric = torch.tensor([1, 7]), rlpips.load_metric("lpips")
    ball = rlpips.MetricBall(metric, 0.16)
    for attack in (rlpips.ppgd, rlpips.lpa, rlpips.fast_lpa):
        with pytest.raises(
            ValueError, match=rf"x must be torch.float32; got {dtype}. x.to\(torch.float32\) makes it so."
        ):
            attack(classifier, x.to(dtype), labels, ball, steps=1)
    with pytest.raises(ValueError, match=r"y must be torch\.float32"):
        ball.distance(x, x.to(dtype))
    if dtype != torch.float64:
        with pytest.raises(ValueError, match="The metric of a ball must be in float32 or float64"):
            rlpips.MetricBall(metric.to(dtype), 0.16)


def test_a_wrong_argument_is_named_in_one_line():
    with pytest.raises(ValueError, match=r"Unknown metric 3.5; the metrics are"):
        rlpips.attack(torch.rand(1, 3, 64, 48), metrics=[3.5])
