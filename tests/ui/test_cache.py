"""Finished runs: what makes two requests the same, and that the memory of them is bounded."""

import os
from dataclasses import replace

import numpy as np
import pytest

from rlpips.attacks.request import AttackRequest, FoolRequest
from rlpips.ui.runtime import files
from rlpips.ui.runtime.cache import FinishedRuns, key

PIXELS = np.arange(40 * 36 * 3, dtype=np.uint8).reshape(40, 36, 3)
REQUEST = AttackRequest(PIXELS)


def brighter(pixels):
    changed = pixels.copy()
    changed[7, 5, 1] += 1
    return changed


def test_the_same_request_has_the_same_key_wherever_its_pixels_are_in_memory():
    assert key(AttackRequest(np.asfortranarray(PIXELS)), "cat") == key(REQUEST, "cat")


@pytest.mark.parametrize(
    "change",
    [
        {"reference": brighter(PIXELS)}, {"reference": PIXELS.reshape(36, 40, 3)},
        {"candidate": PIXELS}, {"candidate": brighter(PIXELS)},
        {"metrics": ("rlpips-linf", "lpips")}, {"metrics": ("lpips", "rlpips-l2")}, {"backbone": "vgg"}, {"norm": "l2"},
        {"eps": 4.5 / 255}, {"steps": 41}, {"objective": "toward"}, {"seed": 1}, {"restarts": 2}, {"step_size": 0.01},
        {"precision": "float32"},
    ],
)  # fmt: skip
def test_every_setting_counts(change):
    request = replace(REQUEST, candidate=PIXELS) if change.get("objective") == "toward" else REQUEST
    assert key(request, "cat") != key(replace(request, **change), "cat")


def test_every_setting_of_an_attack_on_a_classifier_counts():
    request = FoolRequest(PIXELS)
    changes = [
        {"label": 1},
        {"classifier": "at-l2"},
        {"attacks": ("ppgd", "lpa")},
        {"bounds": (0.5, 0.6)},
        {"steps": 11},
    ]
    assert len({key(replace(request, **change), "cat") for change in [{}, {"seed": 1}, *changes]}) == 2 + len(changes)


def test_the_name_counts_since_the_answer_shows_it():
    assert key(REQUEST, "cat") != key(REQUEST, "private holiday")


@pytest.fixture
def message(served):
    """Makes a viewer message whose files have so many bytes."""

    def make(name, size):
        one, other = (files.put(f"{name}-{n}.png", os.urandom(size // 2)) for n in range(2))
        return {"run": name, "meta": {"reference": one}, "frames": [{"maps": other, "lanes": [0, 1]}]}

    return make


def test_least_recently_used_goes_first_and_files_count(message):
    runs = FinishedRuns(35_000)
    for name in "abc":
        runs.put(name, message(name, 10_000), f"Done: {name}")
    assert 30_000 < runs.size < 35_000
    assert runs.get("a")[1] == "Done: a"  # used again, so "b" is the oldest now
    runs.put("d", message("d", 10_000), "Done: d")
    assert runs.get("b") is None and runs.size < 35_000
    assert [runs.get(name)[0]["run"] for name in "acd"] == ["a", "c", "d"]
    runs.get("c")[0]["run"] = "changed"  # by a caller who changes it
    assert runs.get("c")[0]["run"] == "c"
    before = runs.size
    runs.put("e", message("e", 40_000), "Done: e")  # larger than the limit by itself
    assert runs.size == before and runs.get("e") is None and runs.get("d")
    runs.put("a", message("a", 10_000), "again")
    runs.put("a", message("a", 20_000), "and again")  # replaces the first
    assert 30_000 < runs.size < 35_000 and runs.get("a")[1] == "and again"  # and "d"


def test_a_run_whose_files_were_deleted_is_forgotten(message):
    runs = FinishedRuns(100_000)
    for name in "ab":
        runs.put(name, message(name, 1000), name)
    path = runs.get("a")[0]["frames"][0]["maps"]["path"]
    os.utime(path, (0, 0))
    runs.get("a")
    assert os.stat(path).st_mtime > 1e9  # used just now
    os.remove(path)
    assert runs.get("a") is None and runs.get("b")[1] == "b"
