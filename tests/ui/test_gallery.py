"""The Gallery page: what a stranger's trace may not do, pairs, and damaged recordings."""

import copy
import errno
import json
import logging
import shutil
import zipfile
from pathlib import Path

import gradio as gr
import pytest
import torch

from rlpips import Trace, paths
from rlpips.engine.compare import compare
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import duel, gallery
from rlpips.ui.runtime import files, session

RECORDED = paths.PRECOMPUTED / gallery.OPENING
pytestmark = pytest.mark.usefixtures("served")
SECRET = {"path": "/etc/hostname", "orig_name": "a.txt", "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(gr, "Warning", said.append)
    return said


@pytest.fixture
def pair(tmp_path):
    x, y = torch.rand(2, 1, 3, 40, 52, generator=torch.Generator().manual_seed(2))
    compare(x, y).save(tmp_path / "pair.zip")
    return tmp_path / "pair.zip"


def containers(value, way=()):
    """The ways to all dicts, lists and values in a trace."""
    yield way
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else list(enumerate(value))[:1]:
            yield from containers(inner, (*way, key))


def dicts(value):
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from dicts(inner)


def is_file(value):
    return isinstance(value.get("meta"), dict) and "_type" in value["meta"]


def contents(path):
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(held.pop("trace.json")), held


def packed(path, value, held):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**held, "trace.json": json.dumps(value)}.items():
            archive.writestr(name, data)
    return path


def hostile(value, way):
    """A copy in which the secret's dict stands at a place, or is laid into the dict that is there."""
    outer = {"whole": copy.deepcopy(value)}
    at, *keys = outer, *("whole", *way)
    for key in keys[:-1]:
        at = at[key]
    there = at[keys[-1]]
    at[keys[-1]] = {**there, **SECRET} if isinstance(there, dict) else SECRET
    return outer["whole"]


def test_no_place_in_a_strangers_trace_makes_the_server_give_a_file_away(tmp_path, served, pair):
    value, held = contents(pair)
    value["ruler"] = {"metrics": ["lpips", "rlpips-linf"], "distortions": [
        {"name": "jpeg", "title": "JPEG", "words": ["JPEG quality 90"], "distance": [[0.1, 0.2]]}]}  # fmt: skip
    path = tmp_path / "a.zip"
    assert json.loads(gallery.message(packed(path, value, held))["ruler"]) == value["ruler"]
    ways = list(containers(value))
    assert len(ways) > 60
    opened = 0
    for way in ways:
        try:
            message = gallery.message(packed(path, hostile(value, way), held))
        except ValueError as error:
            assert str(error).startswith("This is not a readable trace"), way
            continue
        opened += 1
        given = [found for found in dicts(message) if is_file(found)]
        assert given and all(served in Path(found["path"]).parents for found in given), way
        assert "/etc/hostname" not in json.dumps(message), way
    assert opened > 5  # places whose value is not used


def test_a_pair_that_was_saved_is_opened(pair, warnings):
    found, said, tabs = gallery._open(pair, "a saved trace", "duel")
    assert said == "Done: a saved trace, picture, two pictures compared." and not warnings
    assert found["meta"]["lanes"] == ["pair"] and found["meta"]["steps"] == 0 and tabs.selected == "duel"


def test_a_recorded_duel_is_opened(warnings):
    found, said, _ = gallery._open(RECORDED, "a recorded duel", "duel")
    assert said == "Done: a recorded duel, astronaut, pushed away, l∞ 4/255, 20 steps." and not warnings
    assert found["state"] == "recorded"


def test_whatever_goes_wrong_is_said_in_a_sentence(tmp_path, warnings, monkeypatch, caplog):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    assert gallery._open(tmp_path / "a.zip", "a saved trace", "duel") == (gr.skip(),) * 3
    assert warnings.pop().startswith("This is not a readable trace")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "put", full)
    assert gallery._open(RECORDED, "a saved trace", "duel") == (gr.skip(),) * 3
    assert warnings == [session.DISK_FULL]
    assert "No space left" in caplog.text  # for the host


@pytest.mark.parametrize("damage", ["cut", "no meta", "empty"])
def test_a_damaged_recording_is_an_error_in_the_log_and_a_sentence_on_the_page(tmp_path, monkeypatch, caplog, damage):
    folder = tmp_path / "precomputed"
    folder.mkdir()
    shutil.copy(RECORDED, folder / "b.zip")
    whole = RECORDED.read_bytes()
    (folder / "a.zip").write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "no meta": whole}[damage])
    if damage == "no meta":
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            archive.writestr("trace.json", "{}")
    monkeypatch.setattr(paths, "PRECOMPUTED", folder)
    monkeypatch.setattr(gallery, "OPENING", "a.zip")
    gallery._card.cache_clear()
    assert gallery.recorded() == [folder / "b.zip"]
    assert gallery.opening() is None
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2 and all("a.zip" in error for error in errors)
    assert "1 of the recorded duels cannot be read: a.zip." in page_text()
    shutil.rmtree(folder)
    assert "The recorded duels are missing." in page_text()


def page_text():
    """All HTML of the page."""
    with gr.Blocks() as app:
        gallery.build(gr.HTML(), gr.Tabs(), duel.build(None))
    return " ".join(block.value for block in app.blocks.values() if isinstance(block, gr.HTML) and block.value)


def test_a_card_opens_its_file_once(monkeypatch):
    gallery._card.cache_clear()
    opened = []

    class Spy(zipfile.ZipFile):
        def __init__(self, *arguments):
            opened.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(gallery.zipfile, "ZipFile", Spy)
    assert gallery._card(RECORDED)[1] == "astronaut, pushed away, l∞ 4/255, 20 steps"
    assert len(opened) == 1


def test_captions_say_what_was_done():
    meta = {"name": "grace_hopper", "objective": "toward", "norm": "linf", "eps": 8 / 255, "steps": 40}
    assert gallery._caption(meta) == "grace hopper, pulled toward, l∞ 8/255, 40 steps"
    meta.update(objective="away", norm="l2", eps=2.5)
    assert gallery._caption(meta) == "grace hopper, pushed away, l2 2.5, 40 steps"
    assert gallery._caption({**meta, "norm": "flow", "eps": 0.5}) == "grace hopper, pushed away, flow 0.5 px, 40 steps"


def test_gallery_holds_every_norm_and_both_objectives():
    recordings = gallery.recorded()
    traces = [Trace.load(path) for path in recordings]
    assert len(recordings) >= 8 and sum(path.stat().st_size for path in recordings) < 20_000_000
    kinds = {(trace.receipt["norm"], trace.receipt["objective"]) for trace in traces}
    assert kinds == {("linf", "away"), ("l2", "away"), ("linf", "toward"), ("l2", "toward"), ("flow", "away")}
    assert {trace.name for trace in traces} <= {sample.name for sample in SAMPLES}  # free to ship
    picture, caption = gallery._card(recordings[0])
    assert picture.size == (220, 220) and traces[0].name in caption


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
