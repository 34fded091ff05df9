"""From the values of the Duel page's controls to a request: units, limits, pairs, and what is refused."""

import numpy as np
import pytest
from PIL import Image
from visitors import VISITOR

from rlpips.data import images
from rlpips.ui.components.samples import SAMPLES, pick, thumbnail
from rlpips.ui.pages import duel_controls
from rlpips.ui.runtime import device, work
from rlpips.ui.runtime.loading import Loading
from rlpips.zoo import catalog


def read(**changes):
    """The request, name and notes for the values that the page opens with, but for the changes."""
    values = {
        "selected": str(SAMPLES[0].path), "mine": [], "objective": "away", "norm": "linf", "candidate": "itself", "eps": 4,
        "steps": 40, "first": "lpips", "second": "rlpips-linf", "seed": 0, "step_size": None, "restarts": 1, "schedule": "cosine",
        "backbone": "alex", "size": 256, "precision": "auto", **changes,
    }  # fmt: skip
    return duel_controls.read(VISITOR, duel_controls.Controls(**{"upload": values["mine"], **values}))


def write_picture(path, height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_read_turns_the_sliders_units_into_pixel_units():
    request, name, notes = read(step_size=0.5)
    assert name == "astronaut" and notes == []
    assert request.reference.dtype == np.uint8 and (request.reference == SAMPLES[0].picture().pixels).all()
    assert request.eps == pytest.approx(4 / 255) and request.step_size == pytest.approx(0.5 / 255)
    assert request.candidate is None and request.metrics == ("lpips", "rlpips-linf")
    assert request.precision is None and read(precision="float32")[0].precision == "float32"
    request, _, _ = read(norm="l2", eps=3.5, step_size=0.5, steps=12.0, seed=7.0)
    assert (request.eps, request.step_size, request.steps, request.seed) == (3.5, 0.5, 12, 7)
    request, _, _ = read(norm="flow", eps=0.65, step_size=0.1)
    assert (request.norm, request.eps, request.step_size) == ("flow", 0.65, 0.1)


@pytest.mark.parametrize("field", ["eps", "steps", "seed", "restarts"])
def test_read_names_the_field_that_is_empty(field):
    with pytest.raises(ValueError, match=f"(?i)The field {field} is empty"):
        read(**{field: None})


@pytest.mark.parametrize(
    "steps, restarts", [(10**9, 1), (float("nan"), 1), (float("inf"), 1), (40, 10**9), (40, float("nan"))]
)
def test_read_bounds_what_one_visitor_may_request(steps, restarts):
    with pytest.raises(ValueError, match=f"At most {device.MAX_STEPS} steps and {device.MAX_RESTARTS} restarts"):
        read(steps=steps, restarts=restarts)


def test_read_needs_two_metrics():
    with pytest.raises(ValueError, match="two different metrics"):
        read(second="lpips")


@pytest.mark.parametrize(
    "bad",
    [
        {"eps": float("nan")}, {"eps": -4}, {"eps": float("inf")}, {"eps": 1e9}, {"steps": 7.5}, {"steps": -3}, {"steps": 0},
        {"seed": 0.5}, {"seed": -1}, {"seed": float("nan")}, {"restarts": 0}, {"restarts": 1.5},
        {"step_size": float("nan")}, {"step_size": -1}, {"norm": "l7"}, {"objective": "sideways"}, {"backbone": "none"},
        {"first": "psnr"},
    ],
)  # fmt: skip
def test_the_library_refuses_the_bad_values_that_read_lets_through(bad):
    with pytest.raises(ValueError) as refusal:
        request, _, _ = read(**bad)
        next(work.duel(request))
    assert str(refusal.value).rstrip().endswith((".", ")")) and "\n" not in str(refusal.value)


def test_read_takes_a_pair_and_says_what_was_resized(tmp_path):
    mine = [str(tmp_path / "first.png"), str(tmp_path / "second.png")]
    first, second = write_picture(mine[0], 48, 64), write_picture(mine[1], 96, 80, seed=1)
    request, name, notes = read(selected=mine[0], mine=mine, candidate="mine")
    assert name == "first" and (request.reference == first).all()
    assert (request.candidate == images.resize(second, (48, 64))).all()
    assert notes == ["The second picture was resized from 80×96 to 64×48."]
    request, _, _ = read(selected=mine[1], mine=mine, candidate="mine")  # then the first one is pushed
    assert request.candidate.shape == (96, 80, 3)


def test_read_scales_only_the_visitors_pictures(tmp_path):
    mine = [str(tmp_path / "large.png")]
    write_picture(mine[0], 300, 600)
    request, _, notes = read(selected=mine[0], mine=mine)
    assert request.reference.shape == (128, 256, 3) and notes == ["Downscaled from 600×300 to 256×128 pixels."]
    assert read(selected=mine[0], mine=mine, size=1024)[0].reference.shape == (300, 600, 3)


def test_read_takes_what_was_uploaded_just_before_run(tmp_path):
    """The strip of thumbnails has not caught up: it still shows the samples, and the first one is selected."""
    new = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    first, second = (write_picture(path, 40, 52, seed) for seed, path in enumerate(new))
    request, name, _ = read(upload=new)
    assert name == "a"
    np.testing.assert_array_equal(request.reference, first)
    np.testing.assert_array_equal(request.candidate, second)
    assert read(upload=None, mine=new, selected=new[0])[1] == SAMPLES[0].name  # the visitor removed them again


@pytest.mark.parametrize("mine", [[], ["alone.png"]])
def test_read_misses_the_second_picture(mine, tmp_path):
    mine = [str(tmp_path / name) for name in mine]
    for path in mine:
        write_picture(path, 40, 50)
    with pytest.raises(ValueError, match="no second picture"):
        read(selected=(mine or [str(SAMPLES[0].path)])[0], mine=mine, candidate="mine")


@pytest.mark.parametrize("choice", [name for _, name in duel_controls.COPIES])
def test_copies_differ_from_the_picture(choice):
    request, _, _ = read(candidate=choice, objective="toward")
    change = np.abs(request.candidate.astype(int) - request.reference)
    assert request.candidate.shape == request.reference.shape and 0.5 < change.mean() < 60


def test_read_says_what_is_wrong_with_a_picture(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("hello")
    with pytest.raises(ValueError, match=r"text\.png is not a picture") as refusal:
        read(selected=str(text), mine=[str(text)])
    assert str(tmp_path) not in str(refusal.value)


def test_every_backbone_on_offer_has_two_metrics_and_a_wrong_pair_is_refused_before_any_download():
    for _, backbone in duel_controls.DUEL_BACKBONES:
        assert len(duel_controls.metrics_on(catalog.CATALOG, backbone)) >= 2
    with pytest.raises(ValueError, match="no heads for SqueezeNet"):
        Loading(("lpips", "rlpips-linf"), "squeeze")


def test_a_place_in_the_strip_names_a_picture_that_the_server_has_there():
    assert [pick(place, ["a", "b"], "mine") for place in (0, 1, -1)] == ["a", "b", "mine"]
    for place in (2, -2, 1.0, "0", None):
        with pytest.raises(ValueError, match="Choose a picture first"):
            pick(place, ["a", "b"], "mine")


def test_thumbnail_is_the_middle():
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    assert (np.asarray(thumbnail(pixels, 20)) == 200).all()
