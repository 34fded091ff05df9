"""Values of a stranger's JSON: each is returned as the type that was expected, or refused with a reason."""

import re

import numpy as np

from rlpips.data import zips


def require(right, otherwise):
    if not right:
        raise zips.Refused(otherwise)


def text(value, most=200):
    # A lone surrogate is no character: it can be neither shown nor saved.
    written = isinstance(value, str) and len(value) <= most and not re.search("[\ud800-\udfff]", value)
    require(written, f"a text of at most {most} characters was expected")
    return value


def list_of(value, entry, most=100):
    require(isinstance(value, list) and len(value) <= most, f"a list of at most {most} entries was expected")
    return [entry(each) for each in value]


def whole(value):
    require(type(value) is int and abs(value) <= 2**53, "a whole number was expected")
    return value


def real(value):
    return numbers(value, (), np.float64).item()


def numbers(value, shape, dtype=np.float32, endless=False):
    """An array of finite numbers; `endless` also accepts infinite ones."""
    array = np.array(value, dtype=object)  # as objects, because numpy would turn texts into numbers
    require(array.shape == shape, f"numbers of shape {shape} were expected")
    require(set(map(type, array.flat)) <= {int, float}, "a value that is no number stands among its numbers")
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    require(np.isfinite(array).all() or (endless and not np.isnan(array).any()), "its numbers are not finite")
    return array
