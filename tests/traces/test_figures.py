import numpy as np
import pytest
import torch

import rlpips
from rlpips.attacks.side_by_side import fool
from rlpips.engine.compare import compare
from rlpips.paths import SAMPLES
from rlpips.traces.figures import overview


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


def test_a_pair_is_shown_with_a_bar_per_metric(tmp_path):
    x, y = torch.rand(2, 1, 3, 48, 61, generator=torch.Generator().manual_seed(1))
    pair = compare(x, y, metrics=("lpips", "rlpips-linf", "rlpips-l2"))
    figure = overview(pair)
    *pictures, chart = figure.axes
    assert len(pictures) == 5
    np.testing.assert_array_equal(pictures[0].images[0].get_array(), pair.adversarial[0])
    for seen, expected in zip(pictures[2:], pair.maps[0], strict=True):
        np.testing.assert_array_equal(seen.images[0].get_array(), expected)
    assert [bar.get_width() for bar in chart.patches] == pytest.approx(pair.distance[0, 0])
    assert "attack" not in " ".join(axis.get_title() + axis.get_ylabel() for axis in figure.axes)
    figure.savefig(tmp_path / "a.png")


def test_a_pair_of_equals_and_a_single_metric(tmp_path):
    same = torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(1))
    overview(compare(same, same)).savefig(tmp_path / "a.png")
    assert len(overview(rlpips.attack(same, metrics="lpips", steps=1)).axes) == 3 + 1


def test_attacks_on_a_classifier_are_named_after_themselves(tmp_path):
    trace = fool(SAMPLES / "cifar10" / "frog-01.png", 6, "undefended", ("ppgd", "pgd-linf"), steps=2)
    *pictures, chart = overview(trace).axes
    assert [pictures[row].get_ylabel() for row in (0, 4)] == ["PPGD", "PGD l∞"]
    assert [line.get_label() for line in chart.lines] == [
        f"{metric}, {attack}" for metric in ("LPIPS", "R-LPIPS l∞") for attack in ("PPGD", "PGD l∞")
    ]
    np.testing.assert_array_equal(chart.lines[1].get_ydata(), trace.distance[:, 1, 0])
