import numpy as np
import pytest

from rlpips.pairs import values
from rlpips.pairs.values import Span


def span(low, high, dtype="float32"):
    return Span(np.dtype(dtype), low, high)


@pytest.mark.parametrize(
    "given, name",
    [
        (span(0, 1), "unit"),
        (span(0.2, 0.7), "unit"),
        (span(-1, 1), "signed"),
        (span(-0.9, 0.3), "signed"),
        (span(0, 255), "bytes"),
        (span(3, 200), "bytes"),
        (span(-2.1179, 2.64), "imagenet"),
        (span(0, 1, "uint8"), "bytes"),
        (span(0, 200, "int64"), "bytes"),
        (span(0, 60000, "uint16"), "uint16"),
    ],
)
def test_usual_ranges_are_recognised(given, name):
    assert values.recognise(given) == name


@pytest.mark.parametrize(
    "given", [span(-0.5, 0.5), span(-0.2, 0.4), span(0, 1.5), span(0, 9), span(-40, 3), span(0, 1, "int64")]
)
def test_what_is_not_clear_is_not_guessed(given):
    with pytest.raises(ValueError, match="say which range"):
        values.recognise(given)


def test_an_attack_that_leaves_the_range_does_not_change_it():
    clean, attacked = span(0, 1), span(-0.03, 0.98)
    assert values.recognise(attacked) == "signed"  # alone it would be taken for this
    assert values.recognise_both(clean, attacked) == ("unit", "unit")
    assert "from -0.03 to 0.98 were clipped" in values.clipped("unit", attacked)
    assert values.clipped("unit", clean) == ""
    assert values.recognise_both(clean, span(-1, 1)) == ("unit", "signed")


@pytest.mark.parametrize("name", ["unit", "signed", "centred", "bytes", "uint16"])
def test_every_range_goes_to_unit(name):
    each = values.RANGES[name]
    ends = np.array([[[each.low] * 3, [each.high] * 3]], np.float32)
    np.testing.assert_allclose(values.to_unit(ends, name), [[[0] * 3, [1] * 3]], atol=1e-6)


def test_imagenet_is_undone():
    picture = np.random.default_rng(0).random((4, 5, 3), np.float32)
    normalised = (picture - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    np.testing.assert_allclose(values.to_unit(normalised, "imagenet"), picture, atol=1e-6)


def test_values_that_are_no_pixels_are_refused():
    with pytest.raises(ValueError, match="x holds bool"):
        values.span_of(np.zeros((2, 2), bool), "x")
    with pytest.raises(ValueError, match="not finite"):
        values.span_of(np.array([0, np.nan]), "x")
