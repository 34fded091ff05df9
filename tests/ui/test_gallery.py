"""The Gallery page: what a stranger's trace may not do, pairs, and damaged recordings."""

import copy
import json
import shutil
import zipfile
from pathlib import Path

import gradio as gr
import pytest
import torch

from rlpips import paths
from rlpips.engine.compare import compare
from rlpips.ui.pages import gallery
from rlpips.ui.runtime import files

RECORDED = paths.PRECOMPUTED / gallery.OPENING
SECRET = {"path": "/etc/hostname", "orig_name": "a.txt", "meta": {"_type": "gradio.FileData"}}


@pytest.fixture(autouse=True)
def served(tmp_path, monkeypatch):
    """Files that the page serves go here."""
    monkeypatch.setattr(files, "get_upload_folder", lambda: str(tmp_path / "served"))
    return tmp_path / "served"


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
    found, said, tabs = gallery._opened(pair, "a saved trace", "duel")
    assert said == "Done: a saved trace, picture, two pictures compared." and not warnings
    assert found["meta"]["lanes"] == ["pair"] and found["meta"]["steps"] == 0 and tabs.selected == "duel"


def test_a_recorded_duel_is_opened(warnings):
    found, said, _ = gallery._opened(RECORDED, "a recorded duel", "duel")
    assert said == "Done: a recorded duel, astronaut, pushed away, l∞ 4/255, 40 steps." and not warnings
    assert found["state"] == "recorded"


def test_whatever_goes_wrong_is_said_in_a_sentence(tmp_path, warnings, monkeypatch, capsys):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    assert gallery._opened(tmp_path / "a.zip", "a saved trace", "duel") == (gr.skip(),) * 3
    assert warnings.pop().startswith("This is not a readable trace")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(files, "put", full)
    assert gallery._opened(RECORDED, "a saved trace", "duel") == (gr.skip(),) * 3
    assert warnings == ["The server could not open this trace."]
    assert "No space left" in capsys.readouterr().err  # for the host


@pytest.mark.parametrize("damage", ["cut", "no meta", "empty"])
def test_a_damaged_recording_does_not_keep_the_page_from_opening(tmp_path, monkeypatch, capsys, damage):
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
    assert gallery.recorded() == [folder / "b.zip"] and "a.zip" in capsys.readouterr().out
    assert gallery.opening() is None
    with gr.Blocks():
        gallery.build(gr.HTML(), gr.HTML(), gr.Tabs(), "duel")


def test_a_card_opens_its_file_once(monkeypatch):
    gallery._card.cache_clear()
    opened = []

    class Spy(zipfile.ZipFile):
        def __init__(self, *arguments):
            opened.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(gallery.zipfile, "ZipFile", Spy)
    assert gallery._card(RECORDED)[1] == "astronaut, pushed away, l∞ 4/255, 40 steps"
    assert len(opened) == 1
