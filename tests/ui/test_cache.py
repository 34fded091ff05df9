"""Finished duels: what makes two requests the same, and that the memory of them is bounded."""

import os

import numpy as np
import pytest

from rlpips.ui.runtime import files
from rlpips.ui.runtime.cache import Remembered, key

ASKED = {
    "reference": np.arange(40 * 36 * 3, dtype=np.uint8).reshape(40, 36, 3), "candidate": None,
    "metrics": ("lpips", "rlpips-linf"), "backbone": "alex", "norm": "linf", "eps": 4 / 255, "steps": 40,
    "objective": "away", "seed": 0, "restarts": 1, "step_size": None, "precision": None,
}  # fmt: skip


def brighter(pixels):
    changed = pixels.copy()
    changed[7, 5, 1] += 1
    return changed


def test_the_same_request_has_the_same_key_wherever_its_pixels_lie():
    copied = np.asfortranarray(ASKED["reference"])
    assert key({**dict(reversed(ASKED.items())), "reference": copied}, "cat") == key(ASKED, "cat")


@pytest.mark.parametrize(
    "change",
    [
        {"reference": brighter(ASKED["reference"])}, {"reference": ASKED["reference"].reshape(36, 40, 3)},
        {"candidate": ASKED["reference"]}, {"candidate": brighter(ASKED["reference"])},
        {"metrics": ("rlpips-linf", "lpips")}, {"metrics": ("lpips", "rlpips-l2")}, {"backbone": "vgg"}, {"norm": "l2"},
        {"eps": 4.5 / 255}, {"steps": 41}, {"objective": "toward"}, {"seed": 1}, {"restarts": 2}, {"step_size": 0.01},
        {"precision": "float32"},
    ],
)  # fmt: skip
def test_every_setting_counts(change):
    keys = {key(ASKED, "cat"), key({**ASKED, **change}, "cat")}
    assert len(keys) == 2 and change.keys() < ASKED.keys()


def test_the_name_counts_since_the_answer_shows_it():
    assert key(ASKED, "cat") != key(ASKED, "private holiday")


@pytest.fixture
def message(tmp_path, monkeypatch):
    """Makes a viewer message of so many bytes in files."""
    monkeypatch.setattr(files, "get_upload_folder", lambda: str(tmp_path))

    def make(name, size):
        one, other = (files.put(f"{name}-{n}.png", os.urandom(size // 2)) for n in range(2))
        return {"run": name, "meta": {"reference": one}, "frames": [{"maps": other, "lanes": [0, 1]}]}

    return make


def test_least_recently_used_goes_first_and_files_count(message):
    kept = Remembered(35_000)
    for name in "abc":
        kept.put(name, message(name, 10_000), f"Done: {name}")
    assert 30_000 < kept.size < 35_000
    assert kept.get("a")[1] == "Done: a"  # used again, so "b" is the oldest now
    kept.put("d", message("d", 10_000), "Done: d")
    assert kept.get("b") is None and kept.size < 35_000
    assert [kept.get(name)[0]["run"] for name in "acd"] == ["a", "c", "d"]
    kept.get("c")[0]["run"] = "changed"  # by somebody who thinks it is theirs
    assert kept.get("c")[0]["run"] == "c"
    before = kept.size
    kept.put("e", message("e", 40_000), "Done: e")  # alone it is more than all may take
    assert kept.size == before and kept.get("e") is None and kept.get("d")
    kept.put("a", message("a", 10_000), "again")
    kept.put("a", message("a", 20_000), "and again")  # takes the place of the first
    assert 30_000 < kept.size < 35_000 and kept.get("a")[1] == "and again"  # and "d"


def test_a_duel_whose_files_were_swept_away_is_forgotten(message):
    kept = Remembered(100_000)
    for name in "ab":
        kept.put(name, message(name, 1000), name)
    path = kept.get("a")[0]["frames"][0]["maps"]["path"]
    os.utime(path, (0, 0))
    kept.get("a")
    assert os.stat(path).st_mtime > 1e9  # its age counts from its last use
    os.remove(path)
    assert kept.get("a") is None and kept.get("b")[1] == "b"
