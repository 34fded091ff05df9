"""Values of a stranger's JSON: each is returned as the type that was expected, or refused with a reason."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from rlpips.data import zips

_Entry = TypeVar("_Entry")


def require(right: Any, otherwise: str) -> None:
    """Refuse a file, for a reason, unless something is right."""
    if not right:
        raise zips.Refused(otherwise)


def text(value: Any, most: int = 200) -> str:
    """A text of at most `most` characters."""
    # A lone surrogate is no character: it can be neither shown nor saved.
    written = isinstance(value, str) and len(value) <= most and not re.search("[\ud800-\udfff]", value)
    require(written, f"a text of at most {most} characters was expected")
    return value


def list_of(value: Any, entry: Callable[[Any], _Entry], most: int = 100) -> list[_Entry]:
    """A list of at most `most` entries, each as `entry` returns it."""
    require(isinstance(value, list) and len(value) <= most, f"a list of at most {most} entries was expected")
    return [entry(each) for each in value]


def whole(value: Any) -> int:
    """A whole number that JSON can hold."""
    require(type(value) is int and abs(value) <= 2**53, "a whole number was expected")
    return value


def real(value: Any) -> float:
    """A finite number."""
    return numbers(value, (), np.float64).item()


def numbers(value: Any, shape: tuple[int, ...], dtype: Any = np.float32, endless: bool = False) -> np.ndarray:
    """An array of finite numbers; `endless` also accepts infinite ones."""
    array = np.array(value, dtype=object)  # as objects, because numpy would turn texts into numbers
    require(array.shape == shape, f"numbers of shape {shape} were expected")
    require(set(map(type, array.flat)) <= {int, float}, "a value that is no number stands among its numbers")
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    require(np.isfinite(array).all() or (endless and not np.isnan(array).any()), "its numbers are not finite")
    return array
