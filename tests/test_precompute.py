"""What the command adds to recordings that stay as they are."""

import shutil

import numpy as np
import pytest

from rlpips import Trace, paths, precompute
from rlpips.metrics import eye
from rlpips.traces.schema import Eye

RECORDED = "grace_hopper-away-linf-2.zip"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """One recorded duel in a folder of its own."""
    shutil.copy(paths.PRECOMPUTED / RECORDED, tmp_path)
    monkeypatch.setattr(paths, "PRECOMPUTED", tmp_path)
    return tmp_path


def test_a_model_of_the_eye_is_added_to_recorded_duels(folder, monkeypatch, capsys):
    scale = {"name": "jpeg", "title": "JPEG", "words": ["JPEG quality 5"], "distance": [[0.5]]}
    ruler = {"metrics": ["flip"], "distortions": [scale]}
    said = Eye(np.float32([0.5, 0.25, 0.1]), np.ones((3, 4, 6), np.float32), ruler)
    monkeypatch.setattr(eye, "is_installed", lambda: True)
    monkeypatch.setattr(precompute, "look", lambda reference, pictures: iter([None, said]))
    before = Trace.load(folder / RECORDED)
    precompute.make_eye()
    after = Trace.load(folder / RECORDED)
    assert after.eye.distance.tolist() == [0.5, 0.25, pytest.approx(0.1)]
    assert "lpips 0.500 as far as JPEG quality 5" in capsys.readouterr().out
    assert after.receipt == before.receipt and (after.adversarial == before.adversarial).all()
    assert (after.distance == before.distance).all() and [file.name for file in folder.iterdir()] == [RECORDED]


def test_without_its_package_recordings_stay_and_a_sentence_says_so(folder, monkeypatch, capsys):
    monkeypatch.setattr(eye, "is_installed", lambda: False)
    before = (folder / RECORDED).read_bytes()
    precompute.make_eye()
    assert capsys.readouterr().out == eye.MISSING + "\n" and (folder / RECORDED).read_bytes() == before
