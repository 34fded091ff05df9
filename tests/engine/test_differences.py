"""What every channel answers at a step, against the channels of the trace and the metric itself; and damaged files."""

import numpy as np
import pytest
import torch

import rlpips
from rlpips.attacks.side_by_side import fool
from rlpips.data import images
from rlpips.engine.differences import Differences, differences_of


@pytest.fixture(scope="module")
def trace():
    picture = torch.rand(1, 3, 64, 81, generator=torch.Generator().manual_seed(0))
    return rlpips.attack(picture, metrics=("lpips", "rlpips-linf", "rlpips-tune"), steps=4)


def test_weighted_and_averaged_they_are_the_channels_and_layers(trace):
    found = differences_of(trace)
    assert found.lanes == trace.metrics and found.metrics == ("lpips", "rlpips-linf") and found.step == 4
    means = np.concatenate([values.mean((2, 3)) for values in found.squared], 1)
    np.testing.assert_allclose(means, trace.per_channel[-1, :3], rtol=2e-3, atol=1e-8)
    x, y = images.to_tensor(trace.reference).expand(3, -1, -1, -1), images.to_tensor(trace.adversarial[:3])
    metric = rlpips.load_metric("rlpips-linf")
    for values, head, expected in zip(found.squared, metric.heads, metric.layer_maps(x, y), strict=True):
        weighted = np.einsum("nchw,c->nhw", values, head.numpy())
        np.testing.assert_allclose(weighted, expected.numpy(), rtol=2e-3, atol=1e-6)


def test_a_trunk_of_its_own_and_an_earlier_step(trace):
    found = differences_of(trace, step=2, trunk=1)
    assert found.metrics == ("rlpips-tune",) and found.step in trace.keyframes and found.step <= 2
    means = np.concatenate([values.mean((2, 3)) for values in found.squared], 1)
    expected = trace.channels_of("rlpips-tune")[trace.keyframes.index(found.step), :3]
    np.testing.assert_allclose(means, expected, rtol=2e-3, atol=1e-8)


def test_answers_are_those_of_the_trunk(trace):
    found, trunk = differences_of(trace), rlpips.load_metric("lpips").trunk
    pictures = np.concatenate([trace.reference[None], trace.adversarial[:3]])
    for answers, changes, expected in zip(found.answers, found.changes, trunk(images.to_tensor(pictures)), strict=True):
        np.testing.assert_allclose(answers, expected[0], atol=1e-5)
        np.testing.assert_allclose(answers + changes, expected[1:], atol=1e-5)


def test_a_file_keeps_them_to_a_byte(trace):
    found = differences_of(trace)
    again = Differences.from_bytes(found.to_bytes())
    names = ("step", "lanes", "metrics", "layers")
    assert [getattr(again, name) for name in names] == [getattr(found, name) for name in names]
    for ours, theirs in zip(again.answers, found.answers, strict=True):
        np.testing.assert_allclose(np.sqrt(ours), np.sqrt(theirs), atol=0.5 / 255 + 1e-6)
    for ours, theirs in zip(again.changes, found.changes, strict=True):
        large = np.abs(theirs) > np.abs(theirs).max() * 2.0**-7.9
        np.testing.assert_allclose(ours[large], theirs[large], rtol=0.03)
        assert (np.abs(ours[~large]) <= np.abs(theirs).max() * 2.0**-7.8).all() and (ours[theirs == 0] == 0).all()


def test_what_a_file_sums_to_is_near_the_distance(trace):
    again = Differences.from_bytes(differences_of(trace).to_bytes())
    means = np.concatenate([values.mean((2, 3)) for values in again.squared], 1)
    distances = means @ trace.trunks[0].heads.T
    np.testing.assert_allclose(distances, [trace.distance_8bit[lane, :2] for lane in range(3)], rtol=0.02)


def test_equal_pictures_have_no_differences():
    nothing = Differences(
        0, ("a",), ("b",), ("c",), (np.ones((2, 3, 4), np.float32),), (np.zeros((1, 2, 3, 4), np.float32),)
    )
    again = Differences.from_bytes(nothing.to_bytes())
    np.testing.assert_array_equal(again.changes[0], nothing.changes[0])
    np.testing.assert_array_equal(again.answers[0], nothing.answers[0])


def test_two_lanes_of_the_widest_sample_drawn_from_another_picture_take_less_than_a_megabyte():
    picture = images.read_picture("assets/samples/china.png").pixels
    trace = rlpips.attack(picture, np.ascontiguousarray(picture[:, ::-1]), objective="toward", steps=1)
    assert len(differences_of(trace).to_bytes()) < 1_000_000


@pytest.mark.parametrize("change", [lambda d: b"", lambda d: d[:50], lambda d: d[:-20], lambda d: b"\xff" * 200])
def test_damaged_files_are_refused(trace, change):
    with pytest.raises(ValueError, match="no readable file of differences"):
        Differences.from_bytes(change(differences_of(trace).to_bytes()))


def test_what_is_not_there_is_refused(trace):
    for arguments, message in (({"trunk": 2}, "trunk"), ({"trunk": -1}, "trunk"), ({"step": -1}, "step")):
        with pytest.raises(ValueError, match=message):
            differences_of(trace, **arguments)
    own = rlpips.load_metric("lpips")
    own.name = "mine"
    with pytest.raises(ValueError, match="not in the catalogue"):
        differences_of(rlpips.attack(torch.rand(1, 3, 40, 40), metrics=(own,), steps=1))
    with pytest.raises(ValueError, match="enlarged"):
        differences_of(fool(torch.rand(1, 3, 32, 32), steps=1))
    with pytest.raises(ValueError, match="million"):
        large = rlpips.attack(torch.rand(1, 3, 64, 64), steps=1)
        big = np.zeros((1024, 1024, 3), np.uint8)
        differences_of(type(large)(**{**vars(large), "reference": big}))
