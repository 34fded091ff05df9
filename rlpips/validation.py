"""Checks of arguments. Each raises a ValueError that says what was expected and what came."""

import numbers
from collections.abc import Collection
from typing import Any


def shown(value: Any) -> str:
    """A value as a sentence shows it: what Python writes, or its type where that is long."""
    text = repr(value)
    return text if len(text) <= 100 and "\n" not in text else f"a value of type {type(value).__name__}"


def check_choice(what: str, value: Any, choices: Collection[str]) -> None:
    """ValueError unless `value` is one of the names in `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}; got {shown(value)}.")


def check_whole(what: str, value: Any, low: int, high: int) -> None:
    """ValueError unless `value` is a whole number from `low` to `high`."""
    if not _is_number(value, numbers.Integral) or not low <= value <= high:
        raise ValueError(f"{what} must be a whole number from {low} to {high}; got {shown(value)}.")


def check_real(what: str, value: Any, high: float, unit: str = "in [0, 1] pixel units") -> None:
    """ValueError unless `value` is a number above 0 and at most `high`; `unit` is part of the sentence."""
    if not _is_number(value, numbers.Real) or not 0 < value <= high:  # NaN fails too
        raise ValueError(f"{what} must be a number above 0 and at most {high:.6g}, {unit}; got {shown(value)}.")


def check_between(what: str, value: Any, low: float, high: float) -> None:
    """ValueError unless `value` is a number from `low` to `high`."""
    if not _is_number(value, numbers.Real) or not low <= value <= high:  # NaN fails too
        raise ValueError(f"{what} must be a number from {low:g} to {high:g}; got {shown(value)}.")


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
