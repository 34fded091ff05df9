import numpy as np
import pytest

from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.ruler import SEVERITIES, scale_of
from rlpips.engine.ruler_search import read_off

COUNT = len(SEVERITIES)


def _tables(seed, references=40, metrics=3):
    """Rising tables (R, S, M) of very different slopes."""
    rng = np.random.default_rng(seed)
    steps = rng.exponential(rng.uniform(0.05, 2, (references, 1, metrics)), (references, COUNT, metrics))
    return np.exp(steps.cumsum(1) - rng.uniform(0, 8, (references, 1, metrics)))


def _entries(table, distances):
    """Which entry of the ruler each distance (Q, M) is read as."""
    scale = scale_of(DISTORTIONS["jpeg"], SEVERITIES, table)
    return [[scale.nearest(metric, each) for metric, each in enumerate(some)] for some in distances]


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_read_as_on_whole_rulers_with_fewer_copies(seed):
    truth = _tables(seed)
    rng = np.random.default_rng(seed)
    queries = [np.exp(rng.uniform(-9, 6, (1 + place % 2, 3))) for place in range(len(truth))]
    measured = []

    def measure(places, levels):
        measured.extend(zip(places, levels))
        return truth[places, levels]

    found = read_off(queries, measure, COUNT)
    assert len(set(measured)) == len(measured) < 0.9 * COUNT * len(truth)
    for whole, some, wanted in zip(truth, found, queries):
        assert (np.diff(some, axis=0) >= 0).all()
        assert _entries(whole, wanted) == _entries(some, wanted)


@pytest.mark.parametrize("distance, entry", [(1e-6, -1), (50.0, 3 * COUNT - 2)])
def test_what_lies_beyond_either_end_takes_two_copies_at_most(distance, entry):
    truth = np.geomspace(0.01, 1, COUNT)[None, :, None]
    asked = []

    def measure(places, levels):
        asked.extend(levels)
        return truth[places, levels]

    (table,) = read_off([np.array([[distance]])], measure, COUNT)
    assert len(asked) <= 2 and _entries(table, [[distance]]) == [[entry]]


def test_nothing_is_measured_of_identical_pictures_and_grey_ones_are_read():
    (table,) = read_off([np.zeros((2, 3))], lambda *_: pytest.fail("measured"), COUNT)
    assert table.shape == (COUNT, 3) and not table.any()
    flat = np.zeros((1, COUNT, 1))  # every JPEG of a grey picture equals it
    (table,) = read_off([np.array([[0.2]])], lambda places, levels: flat[places, levels], COUNT)
    assert _entries(table, [[0.2]]) == [[3 * COUNT - 2]]
