"""The page's own room, without a browser: requests, messages, captions, and what must not wait for torch."""

import copy
import itertools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.utils import diff
from gradio_client.utils import apply_diff
from PIL import Image

from rlpips import Trace, paths
from rlpips.data import images
from rlpips.ui.components.samples import SAMPLES, chosen, thumbnail
from rlpips.ui.pages import duel, gallery, how_it_works, inspect
from rlpips.ui.pages import duel_controls as request
from rlpips.ui.runtime import files
from rlpips.ui.runtime import jobs as engine
from rlpips.ui.runtime import session as live
from rlpips.zoo import cards, catalog

RECORDED = paths.PRECOMPUTED / gallery.OPENING


def controls_saying(**changes):
    """What the page opens with, but for the changes."""
    opening = {
        "picked": str(SAMPLES[0].path), "mine": [], "objective": "away", "norm": "linf", "candidate": "itself", "eps": 4,
        "steps": 40, "first": "lpips", "second": "rlpips-linf", "seed": 0, "step_size": None, "restarts": 1,
        "backbone": "alex", "size": 256, "precision": "auto",
    }  # fmt: skip
    said = {**opening, **changes}
    return request.Controls(**{"upload": said["mine"], **said})


def read(**changes):
    return request.read(controls_saying(**changes))


def picture(path, height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture(scope="module")
def recorded():
    return Trace.load(RECORDED)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files that the page serves go here."""
    monkeypatch.setattr(files, "get_upload_folder", lambda: str(tmp_path / "served"))
    return tmp_path / "served"


# ---- request.read


def test_read_turns_the_sliders_units_into_pixel_units():
    asked, name, notes = read(step_size=0.5)
    assert name == "astronaut" and notes == []
    assert asked["reference"].dtype == np.uint8 and (asked["reference"] == SAMPLES[0].picture().pixels).all()
    assert asked["eps"] == pytest.approx(4 / 255) and asked["step_size"] == pytest.approx(0.5 / 255)
    assert asked["candidate"] is None and asked["metrics"] == ("lpips", "rlpips-linf")
    assert asked["precision"] is None and read(precision="float32")[0]["precision"] == "float32"
    asked, _, _ = read(norm="l2", eps=3.5, step_size=0.5, steps=12.0, seed=7.0)
    assert (asked["eps"], asked["step_size"], asked["steps"], asked["seed"]) == (3.5, 0.5, 12, 7)


@pytest.mark.parametrize("field", ["eps", "steps", "seed", "restarts"])
def test_read_names_the_field_that_is_empty(field):
    with pytest.raises(ValueError, match=f"(?i){field} must be a number; the field is empty"):
        read(**{field: None})


@pytest.mark.parametrize(
    "steps, restarts", [(10**9, 1), (float("nan"), 1), (float("inf"), 1), (40, 10**9), (40, float("nan"))]
)
def test_read_bounds_what_one_visitor_may_ask(steps, restarts):
    with pytest.raises(ValueError, match=f"At most {engine.MAX_STEPS} steps and {engine.MAX_RESTARTS} restarts"):
        read(steps=steps, restarts=restarts)


def test_read_wants_two_metrics():
    with pytest.raises(ValueError, match="two different metrics"):
        read(second="lpips")


@pytest.mark.parametrize(
    "bad",
    [
        {"eps": float("nan")}, {"eps": -4}, {"eps": float("inf")}, {"eps": 1e9}, {"steps": 7.5}, {"steps": -3}, {"steps": 0},
        {"seed": 0.5}, {"seed": -1}, {"seed": float("nan")}, {"restarts": 0}, {"restarts": 1.5},
        {"step_size": float("nan")}, {"step_size": -1}, {"norm": "l7"}, {"objective": "sideways"}, {"backbone": "none"},
        {"first": "mse"},
    ],
)  # fmt: skip
def test_what_read_lets_through_the_core_refuses(bad):
    with pytest.raises(ValueError) as refusal:
        asked, _, _ = read(**bad)
        next(engine.duel(asked))
    assert str(refusal.value).rstrip().endswith((".", ")")) and "\n" not in str(refusal.value)


def test_read_takes_a_pair_and_says_what_was_resized(tmp_path):
    mine = [str(tmp_path / "first.png"), str(tmp_path / "second.png")]
    first, second = picture(mine[0], 48, 64), picture(mine[1], 96, 80, seed=1)
    asked, name, notes = read(picked=mine[0], mine=mine, candidate="mine")
    assert name == "first" and (asked["reference"] == first).all()
    assert (asked["candidate"] == images.resize(second, (48, 64))).all()
    assert notes == ["The second picture was resized from 80×96 to 64×48."]
    asked, _, _ = read(picked=mine[1], mine=mine, candidate="mine")  # the other one is pushed then
    assert asked["candidate"].shape == (96, 80, 3)


def test_read_scales_the_visitors_pictures_alone(tmp_path):
    mine = [str(tmp_path / "large.png")]
    picture(mine[0], 300, 600)
    asked, _, notes = read(picked=mine[0], mine=mine)
    assert asked["reference"].shape == (128, 256, 3) and notes == ["Downscaled from 600×300 to 256×128 pixels."]
    assert read(picked=mine[0], mine=mine, size=1024)[0]["reference"].shape == (300, 600, 3)


def test_read_takes_what_was_uploaded_just_before_run(tmp_path):
    """The strip of thumbnails has not caught up: it still shows the samples, with the first one picked."""
    new = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    first, second = (picture(path, 40, 52, seed) for seed, path in enumerate(new))
    asked, name, _ = read(upload=new)
    assert name == "a"
    np.testing.assert_array_equal(asked["reference"], first)
    np.testing.assert_array_equal(asked["candidate"], second)
    assert read(upload=None, mine=new, picked=new[0])[1] == SAMPLES[0].name  # taken away again


@pytest.mark.parametrize("mine", [[], ["alone.png"]])
def test_read_misses_the_second_picture(mine, tmp_path):
    mine = [str(tmp_path / name) for name in mine]
    for path in mine:
        picture(path, 40, 50)
    with pytest.raises(ValueError, match="no second picture"):
        read(picked=(mine or [str(SAMPLES[0].path)])[0], mine=mine, candidate="mine")


@pytest.mark.parametrize("choice", [name for _, name in request.COPIES])
def test_copies_differ_from_the_picture(choice):
    asked, _, _ = read(candidate=choice, objective="toward")
    change = np.abs(asked["candidate"].astype(int) - asked["reference"])
    assert asked["candidate"].shape == asked["reference"].shape and 0.5 < change.mean() < 60


def test_read_says_what_is_wrong_with_a_picture(tmp_path):
    words = tmp_path / "words.png"
    words.write_text("hello")
    with pytest.raises(ValueError, match="words.png is not a picture") as refusal:
        read(picked=str(words), mine=[str(words)])
    assert str(tmp_path) not in str(refusal.value)


# ---- messages to the viewer


def bytes_of(file):
    return Path(file["path"]).read_bytes()


def test_put_writes_once_and_never_anew(folder):
    first = files.put("a.png", b"some bytes")
    written = Path(first["path"]).stat().st_ino
    assert files.put("a.png", b"some bytes") == first and Path(first["path"]).stat().st_ino == written
    assert files.put("a.png", b"other bytes")["path"] != first["path"] and bytes_of(first) == b"some bytes"
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [
        "a.png",
        "a.png",
    ]  # nothing is left half done


def test_trim_deletes_what_was_not_used_for_longest(tmp_path):
    sizes = {"a": 50, "b": 30, "c": 20, "d": 40, "e": 10}
    for age, (name, size) in enumerate(sizes.items()):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "picture.png"
        path.write_bytes(bytes(size))
        os.utime(path, (1000 - age, 1000 - age))  # "e" is the oldest
    lasting = {str(tmp_path / "e" / "picture.png")}
    assert files.trim(tmp_path, 150, lasting) == []
    assert files.trim(tmp_path, 105, lasting) == [
        str(tmp_path / "d" / "picture.png"),
        str(tmp_path / "c" / "picture.png"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "e"]
    files.trim(tmp_path, 0, lasting)
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


def test_whole_message_holds_the_trace(recorded, tmp_path):
    message = json.loads(json.dumps(files.whole("k3f9", "recorded", recorded), allow_nan=False))
    assert (message["run"], message["state"]) == ("k3f9", "recorded")
    meta = message["meta"]
    assert (meta["height"], meta["width"]) == recorded.reference.shape[:2] and meta["steps"] == len(
        recorded.distance
    ) - 1
    assert meta["lanes"] == list(recorded.lanes) and set(meta["titles"]) == set(meta["colors"]) == set(recorded.metrics)
    curve = json.loads(message["curve"])
    assert np.allclose(curve["distance"], recorded.distance) and curve["first"] == 0
    assert json.loads(message["ruler"])["metrics"] == list(recorded.metrics)
    last = max((frame for frame in message["frames"] if 0 in frame["lanes"]), key=lambda frame: frame["step"])
    coded = np.array(Image.open(last["perturbation"]["path"]).convert("RGB")).reshape(2, *recorded.reference.shape)
    attacked = (recorded.start.astype(int) + coded - 128) & 255  # as the page decodes it
    assert (attacked == recorded.adversarial[:2]).all()
    again = Trace.load(message["files"]["trace"]["path"])
    assert (again.adversarial == recorded.adversarial).all()
    assert message["files"]["trace"]["orig_name"] == "astronaut.trace.zip"


def test_stream_repeats_a_few_steps_so_that_a_message_may_be_lost():
    asked, _, _ = read(steps=12)
    asked["reference"] = asked["reference"][:64, :48]
    steps = engine.duel(asked)
    recorder = next(steps)
    recorder.name = "corner"
    stream = files.Stream("run", recorder)
    first = stream.first()
    assert first["state"] == "running" and first["meta"]["width"] == 48 and "curve" not in first
    messages = []
    for step in steps:
        if isinstance(step, dict):
            break
        recorder.add(step)
        stream.add(step)
        if step.index % 2 == 0:
            messages.append(stream.next())
    pieces = {id(message): json.loads(message["curve"]) for message in messages}
    assert all(("meta" in message) == (pieces[id(message)]["first"] == 0) for message in messages)
    curve, known = [], messages[:1] + messages[2:]  # the second one is lost
    for message in known:
        piece = pieces[id(message)]
        assert piece["first"] <= len(curve)
        curve = curve[: piece["first"]] + piece["distance"]
    assert len(curve) == 13 and np.allclose(curve, recorder.trace().distance)
    kept = [(frame.step, frame.lanes) for frame in recorder.trace().frames]
    assert len(kept) > len(messages)  # some were overtaken within their message, and need not be sent
    for at, message in enumerate(messages):
        # Of the first message only the pictures with which the viewer begins; the noise comes with the next.
        new = {lanes: step for step, lanes in sorted(kept) if 2 * at - 2 < step <= 2 * at and 0 in lanes}
        new |= {(2,): 0} if at == 1 else {}
        assert {tuple(frame["lanes"]): frame["step"] for frame in message["frames"].values()} == new
    # Gradio sends what changes from message to message, and its client puts it together again.
    for old, new in itertools.pairwise([*messages, files.whole("run", "done", recorder.trace())]):
        assert apply_diff(copy.deepcopy(old), diff(old, new)) == new


# ---- gallery, inspect, how it works


def test_captions_say_what_was_done():
    meta = {"name": "grace_hopper", "objective": "toward", "norm": "linf", "eps": 8 / 255, "steps": 40}
    assert gallery._caption(meta) == "grace hopper, pulled toward, l∞ 8/255, 40 steps"
    meta.update(objective="away", norm="l2", eps=2.5)
    assert gallery._caption(meta) == "grace hopper, pushed away, l2 2.5, 40 steps"


def test_gallery_holds_both_norms_and_both_objectives():
    paths = gallery.recorded()
    traces = [Trace.load(path) for path in paths]
    assert len(paths) >= 8 and sum(path.stat().st_size for path in paths) < 15_000_000
    kinds = {(trace.receipt["norm"], trace.receipt["objective"]) for trace in traces}
    assert kinds == {("linf", "away"), ("l2", "away"), ("linf", "toward"), ("l2", "toward")}
    assert {trace.name for trace in traces} <= {sample.name for sample in SAMPLES}  # free to ship
    thumb, caption = gallery._card(paths[0])
    assert thumb.size == (220, 220) and traces[0].name in caption


def test_thumbnail_is_the_middle():
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    assert (np.asarray(thumbnail(pixels, 20)) == 200).all()


@pytest.mark.parametrize("damage", ["cut", "text", "zip of something else", "empty"])
def test_a_damaged_saved_trace_is_refused_in_a_sentence(tmp_path, damage):
    path = tmp_path / "saved.zip"
    if damage == "zip of something else":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "hello")
    else:
        whole = RECORDED.read_bytes()
        path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"hello\n" * 99, "empty": b""}[damage])
    with pytest.raises(ValueError, match="This is not a readable trace") as refusal:
        gallery.message(path)
    assert str(refusal.value).endswith(".") and str(tmp_path) not in str(refusal.value)


def test_example_pair_is_the_recorded_one(recorded):
    original, attacked = (images.read_picture(Path(path)).pixels for path in inspect._example())
    assert (original == recorded.reference).all() and (attacked == recorded.adversarial[0]).all()


def test_how_it_works_reports_the_cards():
    text = how_it_works.text()
    assert "[[" not in text and "arXiv 2307.15157" in text and "arXiv 1801.03924" in text


def test_how_it_works_bears_heads_that_were_not_measured_yet(monkeypatch):
    read = cards.read
    monkeypatch.setattr(
        cards, "read", lambda *at: {k: v for k, v in read(*at).items() if at[0] == "lpips" or k != "results"}
    )
    assert "nobody yet: python -m rlpips.evaluate" in how_it_works.text()


# ---- what the page does before torch is there

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # importing it fails
import rlpips.ui.page as page
from rlpips.ui.pages import gallery
app = page.build()
opening = gallery.opening()
assert opening["state"] == "recorded" and opening["meta"]["steps"] == 40
assert all(gallery.message(path)["frames"] for path in gallery.recorded()[:2])
print("built", len(app.blocks))
"""


def test_page_and_recorded_duels_need_no_torch(tmp_path):
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        cwd=paths.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("built")


@pytest.mark.parametrize("place", [2, -2, 1.0, "0", None])
def test_run_is_for_a_picture_that_the_server_has_in_the_strip(place, monkeypatch):
    monkeypatch.setattr(gr, "Warning", lambda text: None)
    said = controls_saying(picked=place, steps=2, mine=["/etc/passwd"])
    (_, words, left), *more = duel._attack(*said, ["/a.png", "/b.png"])
    assert words.startswith("Refused: Choose a picture first") and left == live.ENDED and not more
    assert [chosen(at, ["a", "b"], "mine") for at in (0, 1, -1)] == ["a", "b", "mine"]


def test_stop_before_the_first_step_says_so_and_a_refusal_stands():
    message, said, left = live.stopped(None)
    assert said == "Stopped: before the first step." and left is None
    assert live.stopped(live.ENDED)[1] == gr.skip()
    asked, _, _ = read(steps=3)
    recorder = next(engine.duel(asked))
    message, said, _ = live.stopped(
        live.Live(recorder, live.Job(asked, "picture", [], engine.duel, duel._verdict, duel._ruler))
    )
    assert message["state"] == "stopped" and said.startswith("Stopped")


def test_a_run_ends_at_its_deadline_and_keeps_what_is_there(monkeypatch):
    monkeypatch.setattr(engine, "DEADLINE_S", 0.0)
    said = request.Controls(
        0, [], None, "away", "linf", "itself", 4, 30, "lpips", "rlpips-linf", 0, None, 1, "alex", 256,
        "auto",
    )  # fmt: skip
    engine.warm_up()._thread.join()  # else loading itself is what takes too long
    *_, (message, words, _) = duel._attack(*said, [str(SAMPLES[0].path)])
    assert message["state"] == "stopped" and len(json.loads(message["curve"])["linf"]) == 1
    assert words.startswith("Stopped: 0 steps") and "others" in words


def test_who_comes_next_has_the_device_before_the_last_message_goes_out():
    engine.warm_up()._thread.join()

    def newcomer():
        with engine.LINE.join() as place:
            return next(place.turn(), "has it")

    said = controls_saying(steps=3, seed=2**31)
    waited = [(words, newcomer()) for message, words, _ in live.answer(duel.ready(said)) if message]
    assert waited[-1][0].startswith("Done") and waited[-1][1] == "has it"
    assert len(waited) > 1 and all("1st in the queue" in told for _, told in waited[:-1])


def test_every_backbone_on_offer_has_two_metrics_and_a_wrong_pair_is_refused_before_any_download():
    for _, backbone in request.DUEL_BACKBONES:
        assert len(request.metrics_on(catalog.CATALOG, backbone)) >= 2
    with pytest.raises(ValueError, match="no heads for SqueezeNet"):
        engine.Loading(("lpips", "rlpips-linf"), "squeeze")
