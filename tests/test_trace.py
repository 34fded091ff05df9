import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import rlpips
from rlpips import Trace
from rlpips.readings import compare

CURVES = ("distance", "per_layer", "linf", "l2")
MEASURES = ("attacked", "distance_8bit", "linf_8bit", "l2_8bit", "psnr", "ssim")


@pytest.fixture(scope="module")
def trace():
    generator = torch.Generator().manual_seed(0)
    reference, candidate = torch.rand(2, 1, 3, 48, 61, generator=generator)
    return replace(rlpips.attack(reference, candidate, steps=9, eps=8 / 255), ruler={"metrics": ["lpips"]})


@pytest.fixture
def saved(trace, tmp_path):
    trace.save(tmp_path / "a.zip")
    return tmp_path / "a.zip"


def rewritten(path, change):
    """The archive with its JSON or its files changed."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    value = json.loads(files["trace.json"])
    change(value, files)
    files["trace.json"] = json.dumps(value).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_what_is_saved_comes_back(trace, saved):
    loaded = Trace.load(saved)
    for key in CURVES:
        np.testing.assert_array_equal(getattr(loaded, key), getattr(trace, key))
    np.testing.assert_array_equal(loaded.adversarial, trace.adversarial)
    np.testing.assert_array_equal(loaded.distance_8bit, trace.distance_8bit)
    np.testing.assert_array_equal(loaded.reference, trace.reference)
    np.testing.assert_array_equal(loaded.start, trace.start)
    assert len(loaded.frames) == len(trace.frames)
    for ours, theirs in zip(loaded.frames, trace.frames):
        assert (ours.step, ours.lanes) == (theirs.step, theirs.lanes)
        for key in MEASURES:
            np.testing.assert_array_equal(getattr(ours, key), getattr(theirs, key))
        peak = theirs.maps.max((-1, -2), keepdims=True)
        assert (np.abs(ours.maps - theirs.maps) <= peak / 250).all()
    for key in ("name", "lanes", "metrics", "layers", "receipt", "ruler", "state"):
        assert getattr(loaded, key) == getattr(trace, key), key


def test_the_file_can_be_read_without_this_library(trace, saved):
    """As the documentation says: attacked = (base + byte - 128) mod 256, frame by frame."""
    with zipfile.ZipFile(saved) as archive:
        value = json.loads(archive.read("trace.json"))
        picture = {}
        for frame in value["frames"]:
            coded = np.array(Image.open(io.BytesIO(archive.read(frame["perturbation"]))).convert("RGB")).astype(int)
            lanes = tuple(frame["lanes"])
            base = picture.get(lanes, np.tile(trace.start, (len(lanes), 1, 1)).astype(int))
            picture[lanes] = (base + coded - 128) % 256
    np.testing.assert_array_equal(np.concatenate([picture[0, 1], picture[(2,)]]), trace.adversarial.reshape(-1, 61, 3))


def test_a_trace_of_256_pixels_and_40_steps_takes_about_2_megabytes(tmp_path):
    whole = rlpips.attack("assets/samples/coffee.png")
    whole.save(tmp_path / "coffee.zip")
    assert (tmp_path / "coffee.zip").stat().st_size < 2_000_000


def test_infinite_psnr_survives(tmp_path):
    same = torch.rand(1, 3, 40, 52)
    pair = compare(same, same)
    pair.save(tmp_path / "same.zip")
    assert np.isinf(Trace.load(tmp_path / "same.zip").frames[0].psnr).all()


def test_a_pair_is_a_trace_of_one_step():
    x, y = torch.rand(2, 1, 3, 40, 52, generator=torch.Generator().manual_seed(2))
    pair = compare(x, y, metrics=("lpips", "rlpips-linf", "rlpips-l2"))
    expected = [rlpips.load_metric(name)(x, y).item() for name in pair.metrics]
    np.testing.assert_allclose(pair.distance[0, 0], expected, rtol=1e-5)
    assert pair.lanes == ("pair",) and pair.receipt["steps"] == 0
    with pytest.raises(ValueError, match="one size"):
        compare(x, y[..., :50])


def test_the_receipt_says_what_is_needed_to_repeat(trace):
    receipt = trace.receipt
    for key in ("seed", "eps", "norm", "steps", "step_size", "objective", "restarts", "backbone", "device", "precision",
                "torch", "rlpips", "reference_sha256", "start_sha256", "weights"):  # fmt: skip
        assert receipt[key] is not None, key
    assert json.loads(json.dumps(receipt)) == receipt


@pytest.mark.parametrize("cut", [0, 10, 500, -100])
def test_a_damaged_file_is_refused(saved, cut):
    saved.write_bytes(saved.read_bytes()[:cut])
    with pytest.raises(ValueError, match="not a readable trace"):
        Trace.load(saved)


def test_flipped_bytes_are_refused(saved):
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 255
    saved.write_bytes(data)
    with pytest.raises(ValueError, match="not a readable trace"):
        Trace.load(saved)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda v, f: v.update(format="other"), "format"),
        (lambda v, f: v.pop("curve"), "curve"),
        (lambda v, f: v["curve"].update(linf=[[0.1]]), "shape|long"),
        (lambda v, f: v["curve"]["distance"].pop(), "long"),
        (lambda v, f: v["meta"].update(width=60), "picture"),
        (lambda v, f: v["meta"].update(lanes="abc", metrics=3), "."),
        (lambda v, f: v["frames"][0].update(lanes=[7]), "lane"),
        (lambda v, f: v["frames"][0].update(map_size=[10**6, 10**6]), "picture"),
        (lambda v, f: v.update(frames=[]), "every lane"),
        (lambda v, f: f.pop(v["frames"][0]["perturbation"]), "."),
        (lambda v, f: f.update({v["frames"][0]["maps"]: b"GIF89a nothing"}), "."),
        (lambda v, f: f.update({"bomb": bytes(300_000_000)}), "unpacks"),
    ],
)
def test_a_foreign_file_is_refused(saved, change, said):
    with pytest.raises(ValueError, match=f"not a readable trace.*({said})"):
        Trace.load(rewritten(saved, change))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Trace.load(tmp_path / "none.zip")


def test_a_recorder_without_steps_has_no_trace():
    steps = rlpips.attack_steps(torch.rand(1, 3, 40, 52), steps=1)
    with pytest.raises(ValueError, match="first step"):
        steps.recorders[0].trace()
