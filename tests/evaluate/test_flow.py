"""The figures under moved pixels, against the same by hand."""

import numpy as np
import pytest
import torch

from rlpips.attacks.flow import FLOW, no_flow, warp
from rlpips.attacks.triplets import attack_triplets, push
from rlpips.data.triplets import Triplets
from rlpips.evaluate.flow import BUDGETS, under_flow
from rlpips.evaluate.scores import distances, score_2afc
from rlpips.metrics.pixel import PixelMSE


@pytest.fixture(scope="module")
def triplets():
    """Five triplets of 36×48 pixels: a little noise, and more of it."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(5, 3, 9, 12, generator=generator)
    x = torch.nn.functional.interpolate(x, (36, 48), mode="bicubic").clamp(0, 1)
    mild, strong = ((x + size * torch.randn(x.shape, generator=generator)).clamp(0, 1) for size in (0.02, 0.05))
    return Triplets(x, mild, strong, torch.zeros(5), ("noise",) * 5, torch.full((5, 2), torch.nan), torch.arange(5))


def test_the_figures_by_hand(triplets):
    metric = PixelMSE()
    result = under_flow(metric, triplets, triplets[:4], steps=5, seed=2, references=3)
    natural = torch.cat(distances(metric, triplets[:4])).mean()
    assert result["natural_distance"] == pytest.approx(natural.item(), rel=1e-4, abs=1e-6)
    assert [(row["norm"], row["eps"]) for row in result["rows"]] == list(BUDGETS)
    row, x = result["rows"][1], triplets[:3].reference
    attacked = attack_triplets(metric, triplets, "flow", 0.5, 5, 1, 2, until_turned=True)
    assert row["2afc"]["value"] == pytest.approx(
        score_2afc(*distances(metric, attacked), triplets.judge).mean().item(), abs=1e-4
    )
    worst = push(metric, x, x, 1.0, "flow", 0.5, 5, 1, torch.Generator().manual_seed(2))
    inflation = (worst - x).square().mean((1, 2, 3)).mean() / natural
    assert row["inflation"]["value"] == pytest.approx(inflation.item(), rel=1e-3)
    drawn = FLOW.random(no_flow(x), 0.5, torch.Generator().manual_seed(2))
    random = (warp(x, drawn) - x).square().mean((1, 2, 3)).mean() / natural
    assert row["random"]["value"] == pytest.approx(random.item(), rel=1e-3)
    assert row["inflation"]["value"] > row["random"]["value"] > 0


def test_a_larger_budget_of_moves_reaches_farther_and_no_colour_is_new(triplets):
    x = triplets.reference
    near, far = (push(PixelMSE(), x, x, 1.0, "flow", eps, 8, 1, torch.Generator()) for eps in (0.3, 1.2))
    assert ((near - x).square().mean((1, 2, 3)) < (far - x).square().mean((1, 2, 3))).all()
    for moved in (near, far):
        lowest, highest = (getattr(moved, end)((2, 3)) for end in ("amin", "amax"))
        assert (lowest >= x.amin((2, 3)) - 1e-5).all() and (highest <= x.amax((2, 3)) + 1e-5).all()
    np.testing.assert_array_less(0, (near - x).abs().amax((1, 2, 3)))
