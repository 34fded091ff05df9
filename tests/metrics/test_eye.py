"""FLIP: closed forms, its order of JPEG copies, and what it says without its package."""

import sys

import numpy as np
import pytest
from PIL import Image

from rlpips import paths
from rlpips.data.distortions import jpeg_copy
from rlpips.metrics import eye

installed = pytest.mark.skipif(
    not eye.is_installed(), reason="needs flip-evaluator, which some machines have no build of"
)


@pytest.fixture(scope="module")
def picture():
    """uint8 (64, 96, 3), a part of a photograph."""
    return np.array(Image.open(paths.SAMPLES / "chelsea.png").convert("RGB"))[60:124, 100:196]


def color_error(first, second):
    """FLIP's error of two even colours (its paper, section 4.1): without edges there is nothing else."""

    def hunt_lab(rgb):
        srgb = np.array(rgb) / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        to_xyz = np.array(
            [
                [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
                [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
                [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
            ]
        )
        x, y, z = (to_xyz @ linear) / to_xyz.sum(1)
        f = [t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z)]
        lightness = 116 * f[1] - 16
        return np.array([lightness, 0.01 * lightness * 500 * (f[0] - f[1]), 0.01 * lightness * 200 * (f[1] - f[2])])

    def distance(first, second):
        lightness, a, b = hunt_lab(first) - hunt_lab(second)
        return (abs(lightness) + np.hypot(a, b)) ** 0.7

    most, found = distance((0, 255, 0), (0, 0, 255)), distance(first, second)
    knee = 0.4 * most
    return 0.95 * found / knee if found < knee else 0.95 + 0.05 * (found - knee) / (most - knee)


def even(colour):
    return np.full((40, 56, 3), colour, np.uint8)


@installed
@pytest.mark.parametrize("first, second", [(0, 255), (100, 110), (20, 24), ((200, 30, 40), (190, 35, 60))])
def test_even_colours_differ_as_the_paper_says(first, second):
    distance, errors = eye.flip(even(first), even(second))
    expected = color_error(*(np.broadcast_to(colour, 3) for colour in (first, second)))
    assert distance == pytest.approx(expected, rel=2e-3)
    np.testing.assert_allclose(errors, expected, rtol=2e-3)


@installed
def test_identical_pictures_do_not_differ(picture):
    distance, errors = eye.flip(picture, picture)
    assert distance == 0 and (errors == 0).all()


@installed
def test_errors_lie_in_the_unit_interval_and_both_orders_are_equal(picture):
    noise = np.random.default_rng(0).integers(0, 256, picture.shape, np.uint8)
    (distance, errors), (swapped, _) = eye.flip(picture, noise), eye.flip(noise, picture)
    assert errors.shape == picture.shape[:2] and errors.dtype == np.float32
    assert errors.min() >= 0 and errors.max() <= 1 and distance == pytest.approx(errors.mean(), rel=1e-4)
    assert distance == pytest.approx(swapped, rel=1e-5)


@installed
def test_stronger_jpeg_differs_more(picture):
    distances = [eye.flip(picture, jpeg_copy(picture, severity))[0] for severity in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert distances == sorted(distances) and distances[0] > 0


@installed
def test_the_value_of_the_package_has_not_changed():
    """flip-evaluator 1.7, of a ramp and the same ramp with a square on it."""
    y, x = np.mgrid[:48, :64]
    ramp = np.stack([4 * x, 5 * y, 2 * (x + y)], -1).astype(np.uint8)
    marked = ramp.copy()
    marked[16:32, 20:44] //= 2
    distance, errors = eye.flip(ramp, marked)
    assert distance == pytest.approx(0.100757, rel=1e-3)
    assert errors[24, 32] > 10 * errors[2, 2] + 0.1  # it sees it where it is


@pytest.mark.parametrize(
    "x, y, reason",
    [
        (even(0) / 255, even(0), r"x must be a picture, uint8 \(H, W, 3\); got float64 \(40, 56, 3\)"),
        (even(0), even(0)[..., 0], r"y must be a picture, uint8 \(H, W, 3\); got uint8 \(40, 56\)"),
        (even(0), even(0)[1:], r"same shape; got \(40, 56, 3\) and \(39, 56, 3\)"),
        ("a.png", even(0), "got str"),
    ],
)
def test_other_pictures_are_refused(x, y, reason):
    with pytest.raises(ValueError, match=reason):
        eye.flip(x, y)


def test_without_its_package_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    with pytest.raises(ValueError, match="not installed here"):
        eye.flip(even(0), even(1))
