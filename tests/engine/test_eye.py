"""What a model of the eye says about several pictures, with a stand-in for FLIP whose numbers are known."""

import numpy as np
import pytest

from rlpips.data import images
from rlpips.data.distortions import DISTORTIONS, jpeg_copy
from rlpips.engine.eye import look
from rlpips.engine.ruler import SEVERITIES, Ruler, make_ruler
from rlpips.metrics.base import OwnMetric
from rlpips.traces.schema import Eye


def stand_in(x, y):
    """The mean absolute difference, and where it is."""
    errors = np.abs(x.astype(np.float32) - y).mean(-1) / 255
    return float(errors.mean()), errors


@pytest.fixture(scope="module")
def pictures():
    """A reference and two others, uint8 (2·H ≠ W)."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:120, :200]
    reference = np.stack([x, 2 * y, 255 - x], -1) + generator.integers(-20, 20, (120, 200, 3))
    reference = np.clip(reference, 0, 255).astype(np.uint8)
    darker, marked = reference // 2, reference.copy()
    marked[:20, 160:] = 0
    return reference, np.stack([darker, marked])


def test_every_picture_is_measured_and_so_is_the_ruler(pictures):
    reference, others = pictures
    *waiting, said = look(reference, others, stand_in)
    assert waiting == [None] * (len(others) + len(SEVERITIES)) and isinstance(said, Eye)
    np.testing.assert_allclose(said.distance, [stand_in(reference, other)[0] for other in others], rtol=1e-6)

    def distance(x, y):
        return (x - y).abs().mean((1, 2, 3))

    x = images.to_tensor(reference)
    (scale,) = make_ruler(x, [OwnMetric(distance)], distortions=("jpeg",)).scales.values()
    mine = Ruler.from_json(said.ruler)
    assert mine.metrics == ("flip",) and mine.scales["jpeg"].words == scale.words
    np.testing.assert_allclose(mine.scales["jpeg"].distance, scale.distance, rtol=1e-4)
    assert mine.read("flip", float(mine.scales["jpeg"].distance[9, 0])) == f"as far as {scale.words[9]}"


def test_maps_are_small_and_keep_the_mean(pictures):
    reference, others = pictures
    *_, said = look(reference, others, stand_in)
    assert said.maps.shape == (2, 58, 96) and said.maps.dtype == np.float32
    np.testing.assert_allclose(said.maps.mean((1, 2)), said.distance, rtol=0.05)
    assert (said.maps[1, 15:] == 0).all() and said.maps[1, :8, 80:].min() > 0  # where the mark is

    *_, of_a_small_one = look(reference[:40, :50], others[:, :40, :50], stand_in)
    assert of_a_small_one.maps.shape == (2, 40, 50)


def test_copies_of_a_picture_are_measured_once(pictures):
    reference, others = pictures
    known, asked = {}, []

    def counting(x, y):
        asked.append(y)
        return stand_in(x, y)

    *_, first = look(reference, others, counting, known)
    assert set(known) == set(SEVERITIES) and len(asked) == len(others) + len(SEVERITIES)
    *_, again = look(reference, others[:1], counting, known)
    assert len(asked) == len(others) + len(SEVERITIES) + 1 and again.ruler == first.ruler


def test_a_copy_is_what_the_family_makes():
    reference = np.random.default_rng(1).integers(0, 256, (33, 47, 3), np.uint8)
    for severity in SEVERITIES[::3]:
        family = images.to_uint8(DISTORTIONS["jpeg"](images.to_tensor(reference), severity))[0]
        np.testing.assert_array_equal(jpeg_copy(reference, severity), family)
