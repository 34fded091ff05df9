"""Files that the page serves: written once, bounded, found in messages, and told from the server's own files."""

import os
from pathlib import Path

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from rlpips.ui.runtime import files

pytestmark = pytest.mark.usefixtures("served")


def test_put_writes_a_file_once(served):
    first = files.put("a.png", b"some bytes")
    inode = Path(first["path"]).stat().st_ino
    assert files.put("a.png", b"some bytes") == first and Path(first["path"]).stat().st_ino == inode
    assert (
        files.put("a.png", b"other bytes")["path"] != first["path"]
        and Path(first["path"]).read_bytes() == b"some bytes"
    )
    assert [path.name for path in served.rglob("*") if path.is_file()] == [
        "a.png",
        "a.png",
    ]  # no unfinished file is left


def test_trim_deletes_the_files_unused_for_longest(tmp_path):
    sizes = {"a": 50, "b": 30, "c": 20, "d": 40, "e": 10}
    for age, (name, size) in enumerate(sizes.items()):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "picture.png"
        path.write_bytes(bytes(size))
        os.utime(path, (1000 - age, 1000 - age))  # "e" is the oldest
    permanent = {str(tmp_path / "e" / "picture.png")}
    assert files.trim(tmp_path, 150, permanent) == []
    assert files.trim(tmp_path, 105, permanent) == [
        str(tmp_path / "d" / "picture.png"),
        str(tmp_path / "c" / "picture.png"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "e"]
    files.trim(tmp_path, 0, permanent)
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


def test_the_folder_is_the_one_that_gradio_serves(monkeypatch, served):
    assert files.folder() == Path(get_upload_folder()) == served
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    assert files.folder() == Path(get_upload_folder())


def test_only_a_file_in_the_folder_of_uploads_is_an_upload(served):
    upload = files.put("a.png", b"some bytes")
    assert files.is_upload(upload)
    for other in ("/etc/hostname", str(served / ".." / "a.png"), str(served)[:-1], 7, None):
        assert not files.is_upload({**upload, "path": other})
    assert not files.is_upload(upload["path"]) and not files.is_upload(None)


def test_the_files_of_a_message_are_found_wherever_they_stand():
    one, other = files.put("a.png", b"one"), files.put("b.png", b"other")
    message = {"meta": {"reference": one}, "frames": [{"maps": other, "lanes": [0, 1]}], "path": 7, "run": "x"}
    assert list(files.paths(message)) == [one["path"], other["path"]]


def test_the_files_that_the_page_opens_with_are_found():
    with gr.Blocks() as app:
        gr.HTML({"meta": {"reference": files.put("a.png", b"opening")}})
        gr.Gallery([(str(path), "sample") for path in [files.put("b.png", b"no picture")["path"]]])
    kept = {path for block in app.blocks.values() for path in block.keep_in_cache}
    assert len(kept) == 2 and kept <= set(files.paths(app.config))
