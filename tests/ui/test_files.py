"""Files that the page serves: written once, bounded, found in messages, and told from the server's own files."""

import errno
import os
import time
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


def test_a_write_that_fails_leaves_nothing(served, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        files.put("a.png", b"some bytes")
    assert not [path for path in served.rglob("*") if path.is_file()]


def _fill(folder, sizes, now=1000.0):
    """Files of so many bytes, each older than the one before."""
    for age, (name, size) in enumerate(sizes.items()):
        (folder / name).mkdir(parents=True)
        path = folder / name / "picture.png"
        path.write_bytes(bytes(size))
        os.utime(path, (now - age, now - age))


def test_trim_deletes_the_files_unused_for_longest(tmp_path):
    _fill(tmp_path, {"a": 50_000, "b": 30_000, "c": 20_000, "d": 40_000, "e": 10_000})
    permanent = frozenset({str(tmp_path / "e" / "picture.png")})
    assert files.trim(tmp_path, 150_000, permanent) == 150_000
    assert files.trim(tmp_path, 105_000, permanent) == 90_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "e"]
    assert files.trim(tmp_path, 0, permanent) == 10_000
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


def test_trim_spares_what_is_being_written(tmp_path):
    _fill(tmp_path, {"new": 50_000}, now=time.time())
    assert files.trim(tmp_path, 0) == 50_000


def test_the_room_is_a_bound_at_every_moment(served):
    room = files.Room(100_000)
    _fill(served, {"a": 40_000, "b": 40_000})
    with room.hold(20_000):  # exactly as much as is left
        assert len(list(served.iterdir())) == 2
        with room.hold(30_000):
            assert [path.name for path in served.iterdir()] == ["a"]  # the older one had to go
    for size, share in ((70_000, 0.5), (70_000, 1.0)):
        (served / "a" / "picture.png").touch()  # used just now
        with pytest.raises(ValueError, match="no room for more files"), files.Room(100_000).hold(size, share):
            pass


def test_many_small_files_count_as_what_they_take_on_a_disk(served):
    _fill(served, {str(n): 1 for n in range(24)}, now=time.time() + 60)
    with pytest.raises(ValueError, match="no room"), files.Room(100_000).hold(10_000):
        pass


def test_uploads_that_broke_off_are_swept(served):
    _fill(served, {"complete": 5})
    for name, age in (("tmp-old", 3600), ("tmp-new", 5)):
        (served / name).write_bytes(b"half")
        os.utime(served / name, (time.time() - age,) * 2)
    files.sweep(served)
    assert sorted(path.name for path in served.iterdir()) == ["complete", "tmp-new"]


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
