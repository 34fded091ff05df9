"""Checks of what an attack is asked for: a ValueError says what was expected and what came."""

import numbers


def one_of(what, value, choices):
    """`value` is one of the names in `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}; got {value!r}.")


def whole(what, value, low, high):
    """`value` is a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not low <= value <= high:
        raise ValueError(f"{what} must be a whole number from {low} to {high}; got {value!r}.")


def real(what, value, high, unit="in [0, 1] pixel units"):
    """`value` is a number above 0 and at most `high`; `unit` says of what."""
    right = isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < value <= high  # NaN fails too
    if not right:
        raise ValueError(f"{what} must be a number above 0 and at most {high:.6g}, {unit}; got {value!r}.")
