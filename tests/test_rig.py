import gc
import weakref

import numpy as np
import pytest
import torch

import rlpips
from rlpips import ascent, rig

METRICS = ("lpips", "rlpips-linf")


@pytest.fixture(autouse=True)
def nothing_idle(monkeypatch):
    monkeypatch.setattr(rig, "IDLE", {})
    return rig.IDLE


def pictures(count, seed, size=(45, 64)):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def metrics():
    return [rlpips.load_metric(name) for name in METRICS]


def memory(held):
    """Where everything lies that a recording of a step would read."""
    lanes = [*held.panel._groups]
    kept = [each for lane in lanes for pair in getattr(lane.way, "_kept", {}).values() for each in pair]
    tensors = [
        *kept,
        *(each for lane in lanes for each in lane.minus),
        *(made.start for made in held._ascents.values()),
    ]
    return [each.data_ptr() for each in tensors]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_next_attack_finds_everything_in_the_same_memory_but_its_own_picture(precision, nothing_idle):
    first, second = pictures(2, 0), pictures(2, 1)
    fresh = rlpips.attack(second, eps=2 / 255, steps=3, seed=5, precision=precision)
    nothing_idle.clear()
    rlpips.attack(first, eps=8 / 255, steps=3, precision=precision)
    (held,) = nothing_idle.values()
    before = memory(held)
    again = rlpips.attack(second, eps=2 / 255, steps=3, seed=5, precision=precision)
    assert list(nothing_idle.values()) == [held] and memory(held) == before and before
    for found, expected in zip(again, fresh):
        assert np.array_equal(found.distance, expected.distance)
        assert np.array_equal(found.adversarial, expected.adversarial)


def test_two_at_once_do_not_share_one():
    x, y = pictures(2, 0), pictures(2, 1)
    alone = rlpips.attack(x, steps=3)
    steps, others = rlpips.attack_steps(x, steps=3), rlpips.attack_steps(y, steps=3)
    for mine, _ in zip(steps, others):
        last = mine
    for picture, trace in zip(last, alone):
        assert np.array_equal(picture.distance, trace.distance[-1])


def test_only_the_last_is_kept_and_nothing_large_or_broken(nothing_idle):
    for size in ((45, 64), (64, 45)):
        rlpips.attack(pictures(2, 0, size), steps=1)
    (key,) = nothing_idle
    assert key[1] == (2, 3, 64, 45)
    nothing_idle.clear()
    x = torch.rand(5, 3, 256, 257)  # more than is kept
    with rig.lent(metrics(), x[:1], "float32"):
        pass
    assert not nothing_idle
    with pytest.raises(ZeroDivisionError), rig.lent(metrics(), x[:1, :, :45, :64], "float32"):
        1 / 0
    assert not nothing_idle
    steps = rlpips.attack_steps(x[:2, :, :45, :64], steps=3)
    next(steps)
    steps.close()  # stopped
    assert len(nothing_idle) == 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_numbers_where_a_recording_finds_them_are_the_same_numbers(norm, monkeypatch):
    x = pictures(2, 0)
    plain = [rlpips.attack(x, norm=norm, eps=eps, steps=4) for eps in (0.02, 0.01)]
    rig.IDLE.clear()
    monkeypatch.setattr(ascent, "_where_a_recording_finds_it", lambda number, device: torch.tensor(number))
    held = [rlpips.attack(x, norm=norm, eps=eps, steps=4) for eps in (0.02, 0.01)]
    for found, expected in zip(sum(held, []), sum(plain, [])):
        np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-5)


def test_nothing_of_the_callers_graph_is_held_and_a_rig_goes_when_it_is_let_go(nothing_idle):
    x = pictures(2, 0).requires_grad_()
    rlpips.attack(0.5 * x, steps=2)
    ((key, held),) = nothing_idle.items()
    assert not held._reference.requires_grad and not any(each.start.requires_grad for each in held._ascents.values())
    gone = weakref.ref(held)
    gc.disable()  # it must not wait for that
    try:
        del held, nothing_idle[key]
        assert gone() is None
    finally:
        gc.enable()


def test_a_trunk_that_was_moved_is_read_anew():
    metric, x = rlpips.load_metric("lpips"), pictures(1, 0)
    before = rlpips.attack(x, steps=2, precision="bfloat16")
    metric.trunk.to("cpu")
    assert np.array_equal(rlpips.attack(x, steps=2, precision="bfloat16").distance, before.distance)
