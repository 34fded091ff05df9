"""Visitors' files, read in processes that can be ended."""

import threading
import time

import numpy as np
import pytest
from visitors import VISITOR

from rlpips import Trace, paths
from rlpips.data import images
from rlpips.ui.runtime import uploads
from rlpips.ui.runtime.queue import Client


@pytest.fixture
def file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 1300, 3), np.uint8)
    path = tmp_path / "a café.png"
    path.write_bytes(images.png_bytes(pixels))
    return str(path)


@pytest.mark.parametrize("side", [1024, 1100, 4000])
def test_a_picture_is_read_as_the_library_reads_it(file, side):
    ours, theirs = uploads.read_picture(VISITOR, file, side), images.read_picture(file, side)
    assert (ours.pixels == theirs.pixels).all() and ours.pixels.shape[1] == min(side, 1300)
    assert (ours.notes, ours.name, ours.size) == (theirs.notes, "a café", (64, 1300))


def test_a_refusal_is_the_one_of_the_library(tmp_path):
    path = tmp_path / "note.png"
    path.write_text("no picture")
    for file in (path, tmp_path / "gone.png", tmp_path):
        with pytest.raises(ValueError) as theirs:
            images.read_picture(file)
        with pytest.raises(ValueError) as ours:
            uploads.read_picture(VISITOR, str(file))
        assert str(ours.value) == str(theirs.value)


def test_a_trace_is_checked_as_the_library_reads_it(tmp_path):
    uploads.check_trace(VISITOR, str(paths.PRECOMPUTED / "astronaut-away-linf-4.zip"))
    (tmp_path / "no.zip").write_text("no trace")
    with pytest.raises(ValueError) as theirs:
        Trace.load(tmp_path / "no.zip")
    with pytest.raises(ValueError) as ours:
        uploads.check_trace(VISITOR, str(tmp_path / "no.zip"))
    assert str(ours.value) == str(theirs.value)
    with pytest.raises(ValueError, match=r"gone\.zip cannot be opened"):
        uploads.check_trace(VISITOR, str(tmp_path / "gone.zip"))


def test_a_picture_that_takes_too_long_is_ended_and_the_next_is_read(file, tmp_path, monkeypatch):
    slow = tmp_path / "slow.png"
    slow.write_bytes(images.png_bytes(np.random.default_rng(0).integers(0, 256, (3000, 2000, 3), np.uint8)))
    monkeypatch.setattr(uploads, "LIMIT_S", 0.001)
    for _ in range(3):
        with pytest.raises(ValueError, match=r"slow\.png takes longer than 0 s to read\. Save it again"):
            uploads.read_picture(VISITOR, str(slow), 999)
    monkeypatch.undo()
    assert uploads.read_picture(VISITOR, file, 999).pixels.shape == (49, 999, 3)


def test_a_decoder_that_dies_is_a_sentence_and_the_next_picture_is_read(file, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    decoder = uploads._Decoder()
    with pytest.raises(ValueError, match=r"a café\.png cannot be read: its decoder failed"):
        decoder.read_picture(uploads.Path(file), 64)
    monkeypatch.undo()
    assert decoder.read_picture(uploads.Path(file), 1300).pixels.shape == (64, 1300, 3)


def test_eight_at_once_are_read_two_at_a_time(file):
    results = []

    def read(n):
        results.append(uploads.read_picture(Client(str(n), "home"), file, 1050 + n).pixels.shape[1])

    threads = [threading.Thread(target=read, args=(n,)) for n in range(8)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [1050 + n for n in range(8)] and time.monotonic() - begun < 60
