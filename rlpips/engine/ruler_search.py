"""Reading distances off rulers while measuring few of their entries: only those that a distance lies between.

A ruler of a picture has S entries, its copies at S rising severities. To place a distance it takes the two entries around it, or the
one at the end that it lies beyond. They are found by interpolation, in a few rounds, in each of which every picture that still needs
one gets one copy measured under all metrics at once.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

# The mean log distance of JPEG copies under LPIPS and R-LPIPS, by severity: where to look first. Nothing read depends on it.
_TYPICAL = np.array([-6.0, -4.7, -4.0, -3.4, -2.6, -1.45, -1.0])
_FIRST = 4  # JPEG quality 16, near to what R-LPIPS finds attacks as far as
_TINY = 1e-12

# (places of references, severities' places) -> the distances (K, M) of these K copies
Measure = Callable[[Sequence[int], Sequence[int]], np.ndarray]


def read_off(distances: Sequence[np.ndarray], measure: Measure, count: int, first: int = _FIRST) -> np.ndarray:
    """Tables (R, S, M) of R references that place their distances as fully measured ones would.

    distances  of each reference those that are placed, (Q, M); of a 0 nothing is measured
    count      S, the number of severities
    first      the place of the severity that is measured first

    Entries that no distance hangs on are filled in, so that a table rises. As in a ruler, the running maximum makes it rise where a metric
    finds a stronger copy nearer; what that raises is known only as far as it was measured.
    """
    tables = np.full((len(distances), count, distances[0].shape[1]), np.nan)
    while True:
        wanted = [(place, _next(*both, first)) for place, both in enumerate(zip(tables, distances, strict=True))]
        places, levels = [place for place, level in wanted if level >= 0], [level for _, level in wanted if level >= 0]
        if not places:
            return np.stack([_filled(table) for table in tables])
        tables[places, levels] = measure(places, levels)


def _next(table: np.ndarray, distances: np.ndarray, first: int) -> int:
    """The severity whose copy most distances wait for; -1 if none does."""
    count, known = len(table), np.flatnonzero(~np.isnan(table[:, 0]))
    if not len(known):
        return min(first, count - 1) if (distances > 0).any() else -1
    votes = np.zeros(count)
    for column, wanted in zip(table.T, distances.T, strict=True):
        rising = np.maximum.accumulate(column[known])
        for distance, above in zip(wanted, np.searchsorted(rising, wanted)):
            low = known[above - 1] if above else -1
            high = known[above] if above < len(known) else count
            if distance > 0 and high - low > 1:
                place = low + 1 + int(np.searchsorted(_guess(column)[low + 1 : high], np.log(distance)))
                votes[[each for each in (place - 1, place) if low < each < high]] += 1
    return int(votes.argmax()) if votes.any() else -1


def _guess(column: np.ndarray) -> np.ndarray:
    """The log distances (S,) of a metric: through those that are known, and of the typical shape between and beyond them."""
    known = np.flatnonzero(~np.isnan(column))
    logs = np.log(np.maximum(np.maximum.accumulate(column[known]), _TINY))
    shape = _shape(len(column))
    beyond = shape - np.clip(shape, shape[known[0]], shape[known[-1]])
    return np.interp(shape, shape[known], logs) + beyond


@cache
def _shape(count: int) -> np.ndarray:
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(_TYPICAL)), _TYPICAL)


def _filled(table: np.ndarray) -> np.ndarray:
    if np.isnan(table).all():
        return np.zeros_like(table)
    return np.where(np.isnan(table), np.exp(np.stack([_guess(column) for column in table.T], 1)), table)
