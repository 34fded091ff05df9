import base64
import gc
import io
import json
import re
import struct
import tracemalloc
import weakref
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import rlpips
from rlpips import Trace
from rlpips.data import images
from rlpips.engine.compare import compare
from rlpips.metrics.base import merge_maps
from rlpips.traces.recorder import Recorder
from rlpips.traces.schema import Eye, Frame, Step, merged_maps
from rlpips.traces.writer import add_eye

CURVES = ("distance", "per_layer", "linf", "l2")
RULER = {
    "metrics": ["lpips", "rlpips-linf"],
    "distortions": [
        {
            "name": "jpeg", "title": "JPEG", "words": ["quality 90", "quality 7"], "distance": [[0.1, 1 / 3], [0.5, 0.7]],
            "channels": {"every": 1, "values": [base64.b64encode(np.arange(2304, dtype="<f4").tobytes()).decode()]},
        }
    ],
}  # fmt: skip
MEASURES = ("attacked", "distance_8bit", "linf_8bit", "l2_8bit", "psnr", "ssim")


@pytest.fixture(scope="module")
def trace():
    generator = torch.Generator().manual_seed(0)
    reference, candidate = torch.rand(2, 1, 3, 48, 61, generator=generator)
    return replace(rlpips.attack(reference, candidate, steps=9, eps=8 / 255), ruler=RULER)


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
        for mine, other in zip(sum(ours.maps, ()), sum(theirs.maps, ()), strict=True):
            assert (np.abs(mine - other) <= other.max((1, 2), keepdims=True) / 250).all()
        for mine, other in zip(ours.channels, theirs.channels, strict=True):
            np.testing.assert_array_equal(mine, other)
    for key in ("name", "lanes", "metrics", "layers", "receipt", "ruler", "state"):
        assert getattr(loaded, key) == getattr(trace, key), key


@pytest.fixture(scope="module")
def moved():
    """A trace whose lanes may come from different restarts."""
    picture = torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(3))
    return rlpips.attack(picture, norm="flow", eps=0.7, steps=4, restarts=3)


@pytest.fixture
def saved_moves(moved, tmp_path):
    moved.save(tmp_path / "moved.zip")
    return tmp_path / "moved.zip"


def test_moves_come_back_to_8_bits_and_no_longer_than_they_were(moved, saved_moves):
    loaded = Trace.load(saved_moves)
    np.testing.assert_array_equal(loaded.adversarial, moved.adversarial)
    assert loaded.receipt == moved.receipt and len(loaded.frames) == len(moved.frames)
    for ours, theirs in zip(loaded.frames, moved.frames):
        assert ours.flow.shape == theirs.flow.shape
        assert np.abs(ours.flow - theirs.flow).max() <= 0.7 / 127 * 1.001
        assert (np.hypot(*ours.flow.swapaxes(0, 1)) <= np.hypot(*theirs.flow.swapaxes(0, 1)) + 1e-6).all()


def test_moves_can_be_read_without_this_library(moved, saved_moves):
    with zipfile.ZipFile(saved_moves) as archive:
        frame = json.loads(archive.read("trace.json"))["frames"][-1]
        tiles = np.array(Image.open(io.BytesIO(archive.read(frame["flow"])))).astype(float)
    flow = frame["flow_peak"] * (tiles.reshape(len(frame["lanes"]), 2, *frame["flow_size"]) - 128) / 127
    np.testing.assert_allclose(flow, moved.flow[frame["lanes"]], atol=0.7 / 127 * 1.001)


def test_other_traces_have_no_moves(trace, saved):
    assert all(frame.flow is None for frame in (*trace.frames, *Trace.load(saved).frames))


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


def test_the_channels_times_the_weights_are_the_distances(trace):
    """At every keyframe, and against the metric itself on the last pictures."""
    (trunk,) = trace.trunks
    assert trunk.metrics == trace.metrics and sum(trunk.channels) == 1152 and trunk.layers == trace.layers
    keyframes = trace.keyframes
    assert trace.per_channel.shape == (len(keyframes), 3, 1152) and keyframes[0] == 0 and keyframes[-1] == 9
    distances = trace.per_channel @ trunk.heads.T
    np.testing.assert_allclose(distances[-1], trace.distance_8bit, rtol=1e-5)
    np.testing.assert_array_equal(trace.per_channel[0, 2], trace.per_channel[-1, 2])  # the noise never moves
    for frame in trace.frames:
        np.testing.assert_allclose(frame.channels[0] @ trunk.heads.T, frame.distance_8bit, rtol=1e-5)
    reference = images.to_tensor(trace.reference).expand(3, -1, -1, -1)
    for row, name in enumerate(trace.metrics):
        weighted = rlpips.load_metric(name).per_channel(reference, images.to_tensor(trace.adversarial))
        np.testing.assert_allclose(trace.per_channel[-1] * trunk.heads[row], weighted, rtol=2e-3, atol=1e-6)


def test_the_maps_of_the_layers_have_their_shares_for_means_and_sum_to_the_map(trace, saved):
    """As stored: to 8 bits each, and the enlarged sum to a grey level."""
    reference = images.to_tensor(trace.reference).expand(3, -1, -1, -1)
    shown = images.to_tensor(trace.adversarial)
    loaded = Trace.load(saved)
    for m, name in enumerate(trace.metrics):
        metric = rlpips.load_metric(name)
        truth = metric.distance_map(reference, shown).numpy()
        shares = metric.per_layer(reference, shown).numpy()
        for lane in range(3):
            frame = max((each for each in loaded.frames if lane in each.lanes), key=lambda each: each.step)
            maps = [each[frame.lanes.index(lane)] for each in frame.maps[m]]
            np.testing.assert_allclose([each.mean() for each in maps], shares[lane], rtol=0.01)
            enlarged = merge_maps([torch.from_numpy(each)[None, None] for each in maps], truth.shape[1:])[0, 0].numpy()
            assert np.abs(enlarged - truth[lane]).max() <= truth[lane].max() / 255


def test_metrics_on_other_trunks_have_channels_of_their_own(tmp_path):
    picture = torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(3))
    metrics = ("mse", "lpips", "rlpips-tune")
    trace = rlpips.attack(picture, metrics=metrics, steps=2)
    trace.save(tmp_path / "a.zip")
    trace = Trace.load(tmp_path / "a.zip")
    assert [each.metrics for each in trace.trunks] == [("lpips",), ("rlpips-tune",)]
    assert (trace.per_channel == trace.channels_of("lpips")).all()
    for index, name in enumerate(metrics[1:]):
        distances = trace.channels_of(name)[-1] @ trace.trunks[index].heads[0]
        np.testing.assert_allclose(distances, trace.distance_8bit[:, 1 + index], rtol=1e-5)
    with pytest.raises(ValueError, match="mse"):
        trace.channels_of("mse")
    own = rlpips.attack(picture, metrics=("mse",), steps=1)
    with pytest.raises(ValueError, match="No metric"):
        _ = own.per_channel


def test_restarts_keep_the_channels_of_the_pictures_that_they_keep():
    picture = torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(3))
    trace = rlpips.attack(picture, steps=2, restarts=4, seed=2)
    assert len(set(trace.receipt["restart_kept"])) > 1  # so that frames were assembled
    np.testing.assert_allclose(trace.per_channel[-1] @ trace.trunks[0].heads.T, trace.distance_8bit, rtol=1e-5)


def test_a_trace_of_256_pixels_and_40_steps_takes_less_than_2_megabytes(tmp_path):
    whole = rlpips.attack("assets/samples/coffee.png", steps=40)
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
    for key in ("seed", "eps", "norm", "steps", "schedule", "objective", "restarts", "backbone", "device", "precision",
                "torch", "rlpips", "reference_sha256", "start_sha256", "weights"):  # fmt: skip
        assert receipt[key] is not None, key
    assert json.loads(json.dumps(receipt)) == receipt


REFUSED = "^This is not a readable trace: [^<>'\"]*[.]$"  # a sentence, without the words of zip, numpy or Pillow


@pytest.mark.parametrize("cut", [0, 10, 500, -100])
def test_a_damaged_file_is_refused(saved, cut):
    saved.write_bytes(saved.read_bytes()[:cut])
    with pytest.raises(ValueError, match=REFUSED):
        Trace.load(saved)


def test_flipped_bytes_are_refused(saved):
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 255
    saved.write_bytes(data)
    with pytest.raises(ValueError, match=REFUSED):
        Trace.load(saved)


def png(width, height):
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


def set_at(value, keys, new):
    *parents, last = keys
    for key in parents:
        value = value[key]
    value[last] = new


def put(*keys, new):
    return lambda value, files: set_at(value, keys, new)


@pytest.mark.parametrize(
    "change, message",
    [
        (put("format", new="other"), "format"),
        (lambda v, f: v.pop("curve"), "damaged"),
        (lambda v, f: v.update(curve=[]), "damaged"),
        (put("meta", new="m"), "damaged"),
        (put("state", new="<b>"), "neither done nor stopped"),
        (put("state", new={"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}), "neither done nor stopped"),
        (put("meta", "name", new="n" * 10_000), "text"),
        (put("meta", "name", new=["a"]), "text"),
        # the curves
        (put("curve", "linf", new=[[0.1]]), "shape"),
        (lambda v, f: v["curve"]["distance"].pop(), "shape"),
        (put("curve", "l2", 3, new=[0.1]), "shape|number"),
        (put("curve", "l2", 3, 0, new=None), "no number"),
        (put("curve", "l2", 3, 0, new="1"), "no number"),
        (put("curve", "l2", 3, 0, new=True), "no number"),
        (put("curve", "l2", 3, 0, new=float("nan")), "finite"),
        (put("curve", "l2", 3, 0, new=1e300), "finite"),
        (put("curve", "l2", 3, 0, new=10**400), "damaged"),
        (put("meta", "receipt", "steps", new=8), "steps"),
        (put("meta", "receipt", "steps", new="9"), "whole number"),
        (put("meta", "receipt", "steps", new=0), "steps"),
        # lanes and metrics
        (lambda v, f: v["meta"].update(lanes="abc", metrics=3), "list"),
        (put("meta", "metrics", new=[]), "no metrics"),
        (put("meta", "metrics", new=["lpips", "lpips"]), "lanes do not fit"),
        (put("meta", "lanes", new=["lpips", "rlpips-linf", "other"]), "lanes do not fit"),
        (put("meta", "lanes", new=["pair"]), "objective"),
        (put("meta", "layers", new=[]), "layers"),
        # sizes
        (put("meta", "width", new=60), "picture"),
        (put("meta", "width", new=10**6), "32 to 1024"),
        (put("meta", "height", new=31), "32 to 1024"),
        (put("meta", "height", new="48"), "whole number"),
        (put("frames", 0, "map_size", 0, 0, new=[10**6, 10**6]), "maps"),
        (put("frames", 0, "map_size", 0, 0, new=[0, 4]), "maps"),
        (put("frames", 0, "map_size", 0, 0, new="ab"), "whole number"),
        (put("frames", 0, "map_size", 0, 0, new=[1, 2, 3]), "damaged"),
        (put("frames", 0, "map_size", new=[]), "do not fit"),
        (put("frames", 0, "map_size", 0, new=[None] * 5), "do not fit"),
        (put("frames", 0, "map_size", 0, new=[[4, 5]]), "do not fit"),
        (put("frames", 1, "map_size", 0, 0, new=[2, 2]), "differ in size"),
        # the channels
        (lambda v, f: v["meta"].pop("trunks"), "damaged"),
        (put("meta", "trunks", new={}), "list"),
        (put("meta", "trunks", 0, "metrics", new=["other"]), "other metrics"),
        (put("meta", "trunks", 0, "metrics", new=["lpips", "lpips"]), "other metrics"),
        (put("meta", "trunks", 0, "layers", new=["x"] * 5), "other layers"),
        (put("meta", "trunks", 0, "channels", new=[10**6] * 5), "at most"),
        (put("meta", "trunks", 0, "channels", new=[-1, 1, 1, 1, 1]), "at most"),
        (put("meta", "trunks", 0, "channels", new=[64]), "other layers"),
        (put("meta", "trunks", 0, "channels", 0, new=63), "float32|unpacks"),
        (lambda v, f: v["meta"]["trunks"].append(v["meta"]["trunks"][0]), "two trunks"),
        (put("meta", "trunks", 0, "heads", new="trace.json"), "float32|unpacks"),
        (lambda v, f: f.update({v["meta"]["trunks"][0]["heads"]: b"\xff" * 9216}), "finite"),
        (put("frames", 1, "channels", new=[]), "channels"),
        (put("frames", 1, "channels", new="a"), "channels"),
        (put("frames", 1, "channels", new=[7]), "damaged"),
        (lambda v, f: f.update({v["frames"][1]["channels"][0]: b"\xff" * 4608}), "finite"),
        (lambda v, f: f.update({v["frames"][1]["channels"][0]: bytes(100)}), "float32"),
        (
            lambda v, f: [frame["map_size"][0].__setitem__(0, [10**6, 10**6]) for frame in v["frames"]],
            "maps are too large",
        ),
        # frames
        (put("frames", new=[]), "frames"),
        (put("frames", new={}), "frames"),
        (put("frames", 0, "lanes", new=[0, 7]), "lane"),
        (put("frames", 0, "lanes", new=[]), "."),
        (lambda v, f: v["frames"].append(v["frames"][0]), "nothing new"),
        (lambda v, f: v["frames"].extend(v["frames"] * 99), "256 frames"),
        (put("frames", 3, "step", new=10), "step that is not there"),
        (put("frames", 3, "step", new=-1), "step that is not there"),
        (lambda v, f: v["frames"].pop(0), "every lane"),
        (put("frames", 2, "ssim", 0, new=None), "no number"),
        (put("frames", 2, "map_peak", 0, 0, 0, new=-1), "below zero"),
        (lambda v, f: f.pop(v["frames"][0]["perturbation"]), "damaged"),
        (put("frames", 0, "maps", new="trace.json"), "damaged|unpacks"),
        (put("frames", 0, "maps", new={}), "damaged"),
        (lambda v, f: f.update({v["frames"][0]["maps"]: b"GIF89a nothing"}), "damaged"),
        (lambda v, f: f.update({v["frames"][0]["maps"]: png(20_000, 10_000)}), "damaged|unpacks"),  # Pillow's own limit
        (lambda v, f: f.update({v["frames"][0]["maps"]: png(999, 999)}), "picture"),
        (lambda v, f: f.update({v["meta"]["reference"]: bytes(50_000_000)}), "unpacks"),
        (lambda v, f: v.update(padding=" " * 33 * 2**20), "unpacks"),
        # the receipt and the ruler
        (lambda v, f: v["meta"]["receipt"].pop("device"), "lacks device"),
        (put("meta", "receipt", "eps", new={"path": "x"}), "number"),
        (put("meta", "receipt", "device", new=["CPU"]), "text"),
        (put("meta", "receipt", "backbone", new="none"), "backbone"),
        (put("meta", "receipt", "norm", new="l7"), "norm"),
        (put("meta", "receipt", "objective", new="pair"), "objective"),
        (put("meta", "receipt", "weights", new={"path": "x", "meta": "y"}), "weights"),
        (put("meta", "receipt", "restart_kept", new=[0.5]), "whole number"),
        (put("meta", "receipt", "notes", new=[{}]), "text"),
        (put("ruler", new={}), "damaged"),
        (put("ruler", "metrics", new=[]), "shape|ruler"),
        (put("ruler", "distortions", 0, "distance", new=[[0.1, 0.2]]), "shape"),
        (put("ruler", "distortions", 0, "distance", 0, 0, new=float("inf")), "finite"),
        (put("ruler", "distortions", 0, "words", 0, new={"path": "x"}), "text"),
        (put("ruler", "distortions", 0, "title", new="t" * 1000), "text"),
        (put("ruler", "distortions", 0, "channels", new=7), "damaged"),
        (put("ruler", "distortions", 0, "channels", "every", new=0), "ruler"),
        (put("ruler", "distortions", 0, "channels", "values", new=[]), "ruler"),
        (put("ruler", "distortions", 0, "channels", "values", 0, new="ab=="), "float32"),
        (put("ruler", "distortions", 0, "channels", "values", 0, new="<b>"), "damaged"),
        (put("ruler", "distortions", 0, "channels", "values", 0, new="A" * 2**21), "text"),
        (put("meta", "name", new="cat\ud800"), "text"),
    ],
)
def test_a_foreign_file_is_refused(saved, change, message):
    with pytest.raises(ValueError, match=REFUSED) as refusal:
        Trace.load(rewritten(saved, change))
    assert re.search(message, str(refusal.value)), refusal.value


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v, f: v["frames"][1].pop("flow"), "damaged"),
        (lambda v, f: f.pop(v["frames"][1]["flow"]), "damaged"),
        (lambda v, f: f.update({v["frames"][0]["flow"]: png(999, 999)}), "picture"),
        (put("frames", 1, "flow", new={"path": "/etc/hostname"}), "damaged"),
        (put("frames", 0, "flow_size", new=[3, 3]), "flows differ"),
        (lambda v, f: [frame.update(flow_size=[0, 4]) for frame in v["frames"]], "flows are too large"),
        (lambda v, f: [frame.update(flow_size=[2000, 4]) for frame in v["frames"]], "flows are too large"),
        (put("frames", 0, "flow_peak", new=-1), "lead out"),
        (put("frames", 0, "flow_peak", new=1e9), "lead out"),
        (put("frames", 0, "flow_peak", new="1"), "no number"),
    ],
)
def test_foreign_moves_are_refused(saved_moves, change, message):
    with pytest.raises(ValueError, match=REFUSED) as refusal:
        Trace.load(rewritten(saved_moves, change))
    assert re.search(message, str(refusal.value)), refusal.value


EYE_RULER = {
    "metrics": ["flip"],
    "distortions": [
        {"name": "jpeg", "title": "JPEG", "words": ["quality 90", "quality 7"], "distance": [[0.1], [1 / 3]]}
    ],
}


@pytest.fixture
def saved_earlier(trace, saved):
    """The same as an earlier version saved it: one map for each metric, and neither channels nor weights."""

    def earlier(value, files):
        value["format"] = "rlpips-trace-1"
        del value["meta"]["trunks"], value["ruler"]["distortions"][0]["channels"]
        for frame, kept in zip(value["frames"], trace.frames, strict=True):
            maps = np.stack([merged_maps(kept, row) for row in range(len(kept.lanes))])  # (n, M, h, w)
            peak = maps.max((-1, -2))
            tiles = np.rint(255 * np.sqrt(maps / peak[..., None, None])).astype(np.uint8)
            files[frame["maps"]] = images.png_bytes(tiles.reshape(-1, maps.shape[-1]))
            frame |= {"map_size": list(maps.shape[-2:]), "map_peak": peak.tolist()}
            del frame["channels"], frame["peak"]

    return rewritten(saved, earlier)


def test_a_file_of_an_earlier_version_opens_with_what_it_has(trace, saved_earlier, tmp_path):
    old = Trace.load(saved_earlier)
    for key in (*CURVES, "adversarial", "distance_8bit", "reference", "start"):
        np.testing.assert_array_equal(getattr(old, key), getattr(trace, key))
    np.testing.assert_allclose(old.maps, trace.maps, atol=trace.maps.max() / 200)
    assert not old.trunks and old.receipt == trace.receipt
    old.save(tmp_path / "again.zip")
    again = Trace.load(tmp_path / "again.zip")
    np.testing.assert_array_equal(again.maps, old.maps)
    np.testing.assert_array_equal(again.adversarial, old.adversarial)


@pytest.mark.parametrize(
    "change",
    [
        put("frames", 0, "map_size", new=[1000, 9]),
        put("frames", 0, "map_size", new=[[9, 9]]),
        put("frames", 0, "map_peak", 0, new=[0.5]),
        put("frames", 0, "map_peak", new=0.5),
        put("frames", new=3),
        put("meta", "metrics", new="x"),
    ],
)
def test_a_foreign_file_of_an_earlier_version_is_refused(saved_earlier, change):
    with pytest.raises(ValueError, match=REFUSED):
        Trace.load(rewritten(saved_earlier, change))


@pytest.fixture
def eye():
    """Of three lanes, with maps of 7×5."""
    generator = np.random.default_rng(2)
    return Eye(np.float32([0.1, 0.02, 0]), generator.random((3, 7, 5), np.float32), EYE_RULER)


def test_what_a_model_of_the_eye_says_is_saved_too(trace, eye, tmp_path):
    replace(trace, eye=eye).save(tmp_path / "a.zip")
    loaded = Trace.load(tmp_path / "a.zip")
    np.testing.assert_array_equal(loaded.eye.distance, eye.distance)
    np.testing.assert_allclose(loaded.eye.maps, eye.maps, atol=1 / 255)
    assert loaded.eye.ruler == EYE_RULER
    np.testing.assert_array_equal(loaded.adversarial, trace.adversarial)


def test_without_a_model_of_the_eye_nothing_is_said(saved):
    with zipfile.ZipFile(saved) as archive:
        assert "eye" not in json.loads(archive.read("trace.json"))
    assert Trace.load(saved).eye is None


def test_a_model_of_the_eye_is_added_to_a_file_that_stays_as_it_is(saved, eye, tmp_path):
    added, again = tmp_path / "added.zip", tmp_path / "again.zip"
    add_eye(saved, eye, added)
    add_eye(added, replace(eye, distance=np.float32([0.2, 0.2, 0.2])), again)
    with zipfile.ZipFile(saved) as before, zipfile.ZipFile(added) as after, zipfile.ZipFile(again) as last:
        assert {*before.namelist(), "eye.png"} == set(after.namelist()) == set(last.namelist())
        assert len(after.namelist()) == len(last.namelist())
        for name in set(before.namelist()) - {"trace.json"}:
            assert before.read(name) == after.read(name) == last.read(name)
        value = json.loads(last.read("trace.json"))
        value.pop("eye")
        assert value == json.loads(before.read("trace.json"))
    np.testing.assert_array_equal(Trace.load(added).eye.distance, eye.distance)
    assert Trace.load(again).eye.distance.tolist() == pytest.approx([0.2] * 3)


@pytest.mark.parametrize(
    "change, message",
    [
        (put("eye", new=[]), "damaged"),
        (put("eye", "distance", new=[0.1, 0.2]), "shape"),
        (put("eye", "distance", 0, new=-0.1), "below zero"),
        (put("eye", "map_peak", 1, new=float("nan")), "finite"),
        (put("eye", "map_size", new=[7, 10**6]), "maps are too large"),
        (put("eye", "map_size", new=[7, 6]), "picture"),
        (put("eye", "maps", new="nothing.png"), "damaged"),
        (put("eye", "ruler", new=None), "no ruler"),
    ],
)
def test_a_foreign_model_of_the_eye_is_refused(trace, eye, tmp_path, change, message):
    replace(trace, eye=eye).save(tmp_path / "a.zip")
    with pytest.raises(ValueError, match=REFUSED) as refusal:
        Trace.load(rewritten(tmp_path / "a.zip", change))
    assert re.search(message, str(refusal.value)), refusal.value


def test_moves_may_not_ask_for_more_memory_than_any_trace(saved_moves, monkeypatch):
    monkeypatch.setattr("rlpips.traces.reader._MOST_DECODED", 200_000)
    with pytest.raises(ValueError, match="unpacks to more"):
        Trace.load(rewritten(saved_moves, lambda v, f: [frame.update(flow_size=[300, 300]) for frame in v["frames"]]))


def test_a_deep_file_is_refused(saved):
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("trace.json", "[" * 100_000)
    with pytest.raises(ValueError, match=REFUSED):
        Trace.load(saved)


def test_only_packings_that_cannot_burst_are_unpacked(saved):
    with zipfile.ZipFile(saved) as archive:
        text = archive.read("trace.json")
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("trace.json", text)
    with pytest.raises(ValueError, match=REFUSED):
        Trace.load(saved)


def test_no_more_is_unpacked_than_a_file_declares(saved):
    """A trace.json that declares 1,000 bytes and unpacks to 300 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(300)), packer.flush()])
    sizes = struct.pack("<III", 0, len(data), 1000)
    local = struct.pack("<4sHHHHH", b"PK\3\4", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", 10, 0) + b"trace.json"
    entry = (
        struct.pack("<4sHHHHHH", b"PK\1\2", 20, 20, 0, 8, 0, 0) + sizes + struct.pack("<HHHHHII", 10, 0, 0, 0, 0, 0, 0)
    )
    entry += b"trace.json"
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local) + len(data), 0)
    saved.write_bytes(local + data + entry + end)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=REFUSED):
            Trace.load(saved)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_frames_may_not_ask_for_more_memory_than_any_trace(saved, monkeypatch):
    monkeypatch.setattr("rlpips.traces.reader._MOST_DECODED", 100_000)  # one frame of 61×48 pixels has 27 kB
    monkeypatch.setattr("rlpips.traces.reader._picture", None)  # nothing is decoded before
    with pytest.raises(ValueError, match="unpacks to more"):
        Trace.load(saved)


def test_what_is_not_known_is_left_behind(saved):
    file = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}

    def change(value, files):
        value["more"] = value["meta"]["more"] = value["meta"]["receipt"]["more"] = file
        value["ruler"]["more"] = value["ruler"]["distortions"][0]["more"] = value["frames"][0]["more"] = file
        value["meta"]["receipt"].update(file, notes=["Downscaled."])

    loaded = Trace.load(rewritten(saved, change))
    assert loaded.ruler == RULER and loaded.receipt["notes"] == ["Downscaled."]
    assert "gradio" not in json.dumps(loaded.to_json(lambda name, data: name))


def test_an_attack_brings_nothing_into_its_receipt_that_is_lost(tmp_path):
    trace = rlpips.attack("assets/samples/coffee.png", steps=1, restarts=2)
    trace.save(tmp_path / "a.zip")
    assert Trace.load(tmp_path / "a.zip").receipt == trace.receipt
    pair = compare("assets/samples/coffee.png", "assets/samples/coffee.png")
    pair.save(tmp_path / "b.zip")
    assert Trace.load(tmp_path / "b.zip").receipt == pair.receipt


def test_a_file_is_replaced_whole_or_not_at_all(trace, saved):
    whole = saved.read_bytes()
    broken = replace(trace, ruler={"distance": float("nan")})  # cannot be written, which shows after the pictures
    with pytest.raises(ValueError):
        broken.save(saved)
    assert saved.read_bytes() == whole and list(saved.parent.iterdir()) == [saved]
    replace(trace, name="other").save(str(saved))
    assert Trace.load(saved).name == "other" and list(saved.parent.iterdir()) == [saved]


def test_a_trace_is_saved_in_an_open_file_too(trace):
    file = io.BytesIO()
    trace.save(file)
    file.seek(0)
    np.testing.assert_array_equal(Trace.load(file).adversarial, trace.adversarial)


def test_traces_can_be_compared_and_kept_in_sets(trace):
    other = replace(trace)
    assert trace != other and len({trace, other, *trace.frames}) == 2 + len(trace.frames)


def test_the_recorded_traces_can_be_read():
    paths = sorted(Path("precomputed").glob("*.zip"))
    assert len(paths) == 11
    for path in paths:
        assert path.stat().st_size < 2_000_000
        trace = Trace.load(path)
        assert trace.state == "done" and trace.maps.shape[:2] == trace.distance_8bit.shape and trace.ruler
        assert trace.eye and trace.eye.distance.shape == trace.eye.maps.shape[:1] == (len(trace.lanes),)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Trace.load(tmp_path / "none.zip")


def test_a_recorder_without_steps_has_no_trace():
    steps = rlpips.attack_steps(torch.rand(1, 3, 40, 52), steps=1)
    with pytest.raises(ValueError, match="first step"):
        steps.recorders[0].trace()


def new_recorder(restarts, steps=2):
    grey = np.full((32, 40, 3), 128, np.uint8)
    receipt = {"steps": steps, "restarts": restarts}
    metrics = ("lpips", "rlpips-linf")
    return Recorder("grey", (*metrics, "noise"), metrics, ("conv1",), grey, grey, 1, receipt)


def a_step(restart, index, lpips, robust):
    """A step of two pushed lanes and the noise, on which every picture is as bright as its restart."""
    distance = np.array([[lpips, 0], [0, robust], [0.1, 0.1]], np.float32)
    ones = np.ones(3, np.float32)
    frames = []
    for lanes in [(0, 1), (2,)][: 2 if index == 0 else 1]:
        n = len(lanes)
        pixels = np.full((n, 32, 40, 3), 0 if lanes == (2,) else restart, np.uint8)
        maps = ((np.zeros((n, 4, 5), np.float32),),) * 2
        frames.append(Frame(index, lanes, pixels, maps, distance[list(lanes)], *[ones[:n]] * 4))
    return Step(index, restart, distance, distance[..., None], ones, ones, tuple(frames))


def test_a_recorder_keeps_of_many_restarts_what_can_still_be_chosen():
    finals = [(0.3, 0.9), (0.5, 0.2), (0.4, 0.8), (0.1, 0.1), (0.2, 0.3), (0.5, 0.9)]
    recorder, alive = new_recorder(len(finals)), []
    gc.freeze()  # what is there already need not be gone through again and again
    for restart, final in enumerate(finals):
        for index in range(3):
            step = a_step(restart, index, *final)
            alive.append((restart, weakref.ref(step)))
            recorder.add(step)
            best = [max(range(max(1, restart)), key=lambda r: finals[r][lane]) for lane in (0, 1)]
            del step
            gc.collect()
            remembered = {number for number, reference in alive if reference() is not None}
            assert remembered <= {*best, 0, restart}  # 0 for the noise, which is the same in all
    gc.unfreeze()
    trace = recorder.trace()
    assert trace.receipt["restart_kept"] == [1, 0] and trace.state == "done"  # the earlier of equals
    np.testing.assert_array_equal(trace.adversarial[:, 0, 0, 0], [1, 0, 0])
    np.testing.assert_allclose([trace.distance[-1, 0, 0], trace.distance[-1, 1, 1]], [0.5, 0.9])


def test_a_restart_that_was_cut_off_does_not_count():
    recorder = new_recorder(restarts=3)
    for restart, index in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]:
        recorder.add(a_step(restart, index, restart + 1, restart + 1))
    trace = recorder.trace()
    assert trace.receipt["restart_kept"] == [1, 1] and trace.state == "stopped" and len(trace.distance) == 3


# ---- attacks on a classifier

LANES = ("ppgd", "pgd-l2")
CLASSES = ("cat", "dog", "ship")


def probabilities(rng, *shape):
    """Random probabilities."""
    drawn = rng.random((*shape, len(CLASSES)), np.float32)
    return drawn / drawn.sum(-1, keepdims=True)


def verdicts(steps=4, count=None):
    """A trace of two attacks on a classifier, of which the first `count` steps are recorded; its numbers mean nothing."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 40, 3), np.uint8)
    attacks = [
        {"name": "ppgd", "title": "PPGD", "metric": "lpips", "bound": 0.5, "unit": "√LPIPS", "steps": 3},
        {"name": "pgd-l2", "title": "PGD l2", "metric": None, "bound": 1.25, "unit": "l2 on [0, 1]", "steps": 4},
    ]
    receipt = {
        "objective": "fool", "steps": steps, "restarts": 1, "seed": 0, "backbone": "alex", "device": "CPU",
        "precision": "float32", "attacks": attacks, "label_from": "given",
        "classifier": {"name": "undefended", "title": "Undefended", "sha256": "0" * 64},
    }  # fmt: skip
    verdict = {"classes": CLASSES, "label": 1, "clean": probabilities(rng)}
    metrics = ("lpips", "rlpips-linf")
    recorder = Recorder("cat", LANES, metrics, ("conv1",), picture, picture, 1, receipt, verdict)
    for index in range(steps + 1 if count is None else count):
        distance, norms = rng.random((2, 2), np.float32), rng.random((2, 2), np.float32)
        maps, shown = rng.random((2, 2, 4, 5), np.float32), rng.integers(0, 256, (2, 32, 40, 3), np.uint8)
        maps = tuple((each,) for each in maps)
        frames = (
            (Frame(index, (0, 1), shown, maps, distance, *norms, *norms, probabilities(rng, 2)),) if index != 1 else ()
        )
        recorder.add(Step(index, 0, distance, distance[..., None], *norms, frames, probabilities(rng, 2)))
    return recorder.trace()


@pytest.fixture
def saved_verdicts(tmp_path):
    verdicts().save(tmp_path / "v.zip")
    return tmp_path / "v.zip"


def test_verdicts_come_back(saved_verdicts):
    loaded, trace = Trace.load(saved_verdicts), verdicts()
    assert (loaded.classes, loaded.label, loaded.lanes) == (CLASSES, 1, LANES) and loaded.receipt == trace.receipt
    for key in (*CURVES, "clean", "probabilities", "probabilities_8bit", "fooled", "adversarial", "distance_8bit"):
        np.testing.assert_array_equal(getattr(loaded, key), getattr(trace, key), err_msg=key)
    for ours, theirs in zip(loaded.frames, trace.frames, strict=True):
        np.testing.assert_array_equal(ours.probabilities_8bit, theirs.probabilities_8bit)
    np.testing.assert_array_equal(trace.fooled, trace.frames[-1].probabilities_8bit.argmax(1) != 1)


def test_verdicts_of_a_stopped_attack_come_back(tmp_path):
    verdicts(count=3).save(tmp_path / "v.zip")
    loaded = Trace.load(tmp_path / "v.zip")
    assert loaded.state == "stopped" and loaded.probabilities.shape == (3, 2, 3)
    np.testing.assert_array_equal(loaded.probabilities_8bit, loaded.frames[-1].probabilities_8bit)


def test_numbers_and_pictures_of_a_stopped_attack_are_of_one_step():
    trace = verdicts(count=2)  # of step 1 there are no pictures
    assert len(trace.distance) == 1 and trace.frames[-1].step == 0


def test_verdicts_have_titles_and_colours_and_duels_have_no_verdicts(trace):
    def nothing(name, data):
        return name

    meta = verdicts().to_json(nothing)["meta"]
    assert meta["verdicts"]["classes"] == list(CLASSES) and meta["verdicts"]["label"] == 1
    assert meta["titles"]["pgd-l2"] == "PGD l2" and meta["colors"]["ppgd"] == meta["colors"]["lpips"]
    assert meta["norm"] is None and meta["eps"] is None
    duel = trace.to_json(nothing)
    assert "verdicts" not in duel["meta"] and "probabilities" not in duel["curve"]
    assert all("probabilities_8bit" not in frame for frame in duel["frames"])
    assert trace.classes is trace.label is trace.clean is trace.probabilities is None


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v, f: v["meta"].pop("verdicts"), "damaged"),
        (put("meta", "verdicts", new=[]), "damaged"),
        (put("meta", "verdicts", "classes", new="abc"), "list"),
        (put("meta", "verdicts", "classes", new=[{}, "dog", "ship"]), "text"),
        (put("meta", "verdicts", "classes", new=["cat"]), "label"),
        (put("meta", "verdicts", "classes", new=["cat", "dog"]), "shape"),
        (put("meta", "verdicts", "classes", new=["c"] * 1001), "1000 entries"),
        (put("meta", "verdicts", "label", new=3), "none of its classes"),
        (put("meta", "verdicts", "label", new=-1), "none of its classes"),
        (put("meta", "verdicts", "label", new=1.0), "whole number"),
        (put("meta", "verdicts", "label", new=True), "whole number"),
        (put("meta", "verdicts", "clean", new=[1, 1, 1]), "add up"),
        (lambda v, f: v["curve"].pop("probabilities"), "damaged"),
        (lambda v, f: v["curve"]["probabilities"].pop(), "shape"),
        (put("curve", "probabilities", 1, 0, new=[0.5, 0.4, 0.4]), "add up"),
        (put("curve", "probabilities", 1, 0, new=[1.5, -0.5, 0]), "add up"),
        (put("curve", "probabilities", 1, 0, 0, new="1"), "no number"),
        (put("curve", "probabilities", 1, 0, 0, new=float("nan")), "finite"),
        (lambda v, f: v["frames"][1].pop("probabilities_8bit"), "damaged"),
        (put("frames", 1, "probabilities_8bit", new=[[1, 0, 0]]), "shape"),
        (put("frames", 1, "probabilities_8bit", 0, new=[0, 0, 0]), "add up"),
        (put("meta", "lanes", new=["pgd-l2", "ppgd"]), "lanes do not fit"),
        (put("meta", "lanes", new=["lpips", "rlpips-linf", "noise"]), "lanes do not fit"),
        (lambda v, f: [d.update(name="ppgd") for d in v["meta"]["receipt"]["attacks"]], "lanes do not fit"),
        (put("meta", "receipt", "attacks", new=[]), "attacks do not fit"),
        (lambda v, f: v["meta"]["receipt"].pop("attacks"), "lacks attacks"),
        (put("meta", "receipt", "attacks", 0, "name", new="square"), "not known here"),
        (put("meta", "receipt", "attacks", 0, "bound", new=0), "above zero"),
        (put("meta", "receipt", "attacks", 0, "bound", new=float("inf")), "finite"),
        (put("meta", "receipt", "attacks", 0, "steps", new="3"), "whole number"),
        (lambda v, f: v["meta"]["receipt"].pop("classifier"), "lacks classifier"),
        (put("meta", "receipt", "classifier", new={"path": "x"}), "damaged"),
        (put("meta", "receipt", "objective", new="away"), "lacks norm"),
        (put("meta", "receipt", "objective", new="pair"), "objective"),
        (put("meta", "receipt", "steps", new=3), "steps"),
    ],
)  # fmt: skip
def test_damaged_verdicts_are_refused(saved_verdicts, change, message):
    with pytest.raises(ValueError, match=REFUSED) as refusal:
        Trace.load(rewritten(saved_verdicts, change))
    assert re.search(message, str(refusal.value)), refusal.value


def test_of_an_attack_on_a_classifier_only_what_is_known_is_kept(saved_verdicts):
    file = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}

    def change(value, files):
        value["meta"]["verdicts"]["more"] = value["meta"]["receipt"]["classifier"]["more"] = file
        value["meta"]["receipt"]["attacks"][0].update(title="<b>", more=file)

    loaded = Trace.load(rewritten(saved_verdicts, change))
    assert loaded.receipt == verdicts().receipt
