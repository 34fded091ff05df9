import numpy as np
import torch

import rlpips
from rlpips.figures import overview


def test_the_overview_shows_every_curve_and_the_pictures_of_the_trace(tmp_path):
    trace = rlpips.attack(torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(0)), steps=3)
    figure = overview(trace)
    *pictures, chart = figure.axes
    assert len(pictures) == 2 * 4
    np.testing.assert_array_equal(pictures[0].images[0].get_array(), trace.adversarial[0])
    np.testing.assert_array_equal(pictures[4].images[0].get_array(), trace.adversarial[1])
    delta = trace.adversarial[0].astype(int) - trace.start
    np.testing.assert_array_equal(pictures[1].images[0].get_array(), np.clip(128 + 25 * delta, 0, 255))
    drawn = [line.get_ydata() for line in chart.lines]
    assert len(drawn) == 3 * 2
    np.testing.assert_array_equal(drawn[0], trace.distance[:, 0, 0])
    np.testing.assert_array_equal(drawn[-1], trace.distance[:, 2, 1])
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
