"""Made pairs with known answers: where each lands."""

import numpy as np
import pytest

import rlpips
from rlpips import paths
from rlpips.data.distortions import DISTORTIONS, jpeg_copy
from rlpips.data.images import Picture, to_tensor, to_uint8
from rlpips.metrics import eye
from rlpips.traces.trace import Trace


@pytest.fixture(scope="module")
def rows():
    """{name: row} of the recorded attack of 4/255 on LPIPS, on R-LPIPS, noise of the same budget, and changes that are no attacks."""
    trace = Trace.load(paths.PRECOMPUTED / "chelsea-away-linf-4.zip")
    middle = slice(64, 192), slice(64, 192)
    x = trace.reference[middle]
    made = dict(zip(trace.lanes, (each[middle] for each in trace.adversarial))) | {
        "jpeg": jpeg_copy(x, 0.8),  # of quality 5
        "shift": to_uint8(DISTORTIONS["shift"](to_tensor(x), 0.8))[0],
        "identical": x,
    }
    pairs = [(x, y) for y in made.values()] + [(made["lpips"], x)]
    sides = ([Picture(np.asarray(pixels), name="") for pixels in side] for side in zip(*pairs))
    return dict(zip((*made, "swapped"), rlpips.compare(*sides, device="cpu")))


@pytest.mark.parametrize(
    "name, verdict",
    [
        ("lpips", "lpips only"),
        ("noise", "neither"),
        ("jpeg", "both"),
        ("identical", "neither"),
        ("swapped", "neither"),
    ],
)
def test_made_pairs_land_in_the_right_quadrant(rows, name, verdict):
    # Swapped, the ruler is the attacked picture's, whose own JPEG copies lose the attack: that is as far.
    assert rows[name]["verdict"] == verdict


def test_the_attack_on_either_metric_is_further_to_that_metric(rows):
    assert rows["rlpips-linf"]["rlpips-linf_jpeg"] < rows["lpips"]["rlpips-linf_jpeg"]
    assert rows["lpips"]["lpips_jpeg"] < rows["noise"]["lpips_jpeg"]
    assert rows["swapped"]["lpips"] == pytest.approx(rows["lpips"]["lpips"], rel=1e-4)


def test_what_is_easy_to_see_is_said_and_attacks_are_not(rows):
    pytest.importorskip("flip_evaluator")
    assert all(eye.TITLE in rows[name]["easy_to_see"] for name in ("jpeg", "shift"))
    assert not any(rows[name]["easy_to_see"] for name in ("lpips", "rlpips-linf", "noise", "identical"))
    assert rows["identical"]["notes"] == "The two pictures are identical." and rows["identical"]["eye"] == 0
