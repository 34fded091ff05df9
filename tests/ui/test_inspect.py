"""The Inspect page without a browser: its example, its refusals, and a comparison."""

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from visitors import VISITOR, request

from rlpips import Trace, paths
from rlpips.data import images
from rlpips.engine.compare import compare
from rlpips.traces.schema import Eye
from rlpips.ui.pages import gallery, inspect
from rlpips.ui.runtime import session, work

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def pair(tmp_path):
    """Two pictures of different sizes, as files."""
    for name, size in (("a.png", (48, 64)), ("b.png", (40, 40))):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / name)
    return str(tmp_path / "a.png"), str(tmp_path / "b.png")


def test_the_page_opens_on_a_recorded_pair(monkeypatch):
    duel = Trace.load(paths.PRECOMPUTED / gallery.OPENING)
    original, attacked = (images.read_picture(Path(path)).pixels for path in inspect._example())
    assert (original == duel.reference).all() and (attacked == duel.adversarial[0]).all()
    is_filled, message, status = inspect._fill(False, "#inspect?layer=2")
    assert is_filled and message["state"] == "recorded" and message["meta"]["metrics"] == [*inspect.METRICS]
    assert status.startswith(
        "Done: a recorded example, the astronaut before and after an attack on LPIPS within 4/255."
    )
    recorded, now = Trace.load(paths.PAIR), compare(original, attacked, inspect.METRICS)
    assert recorded.distance == pytest.approx(now.distance, rel=1e-3), "python -m rlpips.precompute pair"
    nothing = (True, gr.skip(), gr.skip())
    assert inspect._fill(True) == nothing == inspect._fill(False, "#inspect?also=mse")
    monkeypatch.setattr(paths, "PAIR", paths.PRECOMPUTED / "nothing.zip")
    assert inspect._fill(False) == nothing and inspect._example() == [None, None]


def test_different_sizes_are_refused_and_can_be_resized(pair):
    ((result, button, status, _),) = inspect._compare(request(), *pair, "alex")
    assert (
        status.startswith("Refused: the pictures differ in size (64×48 and 40×40)")
        and result["message"]["state"] == "empty"
    )
    assert button.visible and button.value == "Resize 40×40 to 64×48 and compare"
    *_, (result, button, status, _) = inspect._resize_and_compare(request(), *pair, "alex")
    assert status.startswith("Done: measured in") and status.endswith("The changed picture was resized to 64×48.")
    message = result["message"]
    assert message["state"] == "done" and message["meta"]["name"] == "a" and button.visible == "hidden"
    assert result["inputs"] == [*pair, "alex", "none"] and message["meta"]["metrics"] == list(inspect.METRICS)


def test_sizes_are_compared_before_pictures_are_reduced(tmp_path):
    files = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    for file, width in zip(files, (2000, 1500, 1500)):
        Image.new("RGB", (width, width // 20)).save(file)
    ((result, _, status, _),) = inspect._compare(request(), files[0], files[1], "alex")
    assert (
        status.startswith("Refused: The files differ in size (2000×100 and 1500×75)")
        and result["message"]["state"] == "empty"
    )
    *_, (result, _, status, _) = inspect._compare(request(), files[1], files[2], "alex")
    assert status.startswith("Done") and "The numbers are those of the reduced pictures" in status
    assert result["message"]["meta"]["width"] == 1024


def test_a_missing_picture_and_a_failure_are_sentences(pair, monkeypatch, caplog):
    monkeypatch.setattr(gr, "Warning", lambda text: None)
    ((result, _, status, _),) = inspect._compare(request(), pair[0], None, "alex")
    assert (
        result["message"]["state"] == "empty"
        and status == "Refused: Two pictures are needed: an original and a changed one."
    )

    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(work, "pair", fail)
    *_, (_, _, status, _) = inspect._compare(request(), pair[0], pair[0], "alex")
    assert status == session.FAILED and "out of memory" in caplog.text
    with session.QUEUE.join(VISITOR) as place:
        assert next(place.turn(), "free") == "free"


def test_one_metric_more(pair, monkeypatch):
    *_, (result, _, status, _) = inspect._compare(request(), pair[0], pair[0], "alex", "elpips")
    assert status.startswith("Done") and result["message"]["meta"]["metrics"] == [*inspect.METRICS, "elpips"]
    *_, (_, _, status, _) = inspect._compare(request(), pair[0], pair[0], "squeeze", "rlpips-tune")
    assert status.startswith("Refused: R-LPIPS tune has no heads for SqueezeNet 1.1")
    monkeypatch.setattr("rlpips.zoo.weights.find_packaged", lambda file: None)
    monkeypatch.setattr(gr, "Warning", lambda text: None)
    *_, (result, _, status, _) = inspect._compare(request(), pair[0], pair[0], "alex", "st-lpips")
    assert status.startswith("Refused: ST-LPIPS&#x27;s weights are not here: `pip install stlpips-pytorch --no-deps`")
    assert result["message"]["state"] == "empty"


def test_what_a_model_of_the_eye_says_follows(pair, monkeypatch):
    said = Eye(np.float32([0.25]), np.ones((1, 4, 6), np.float32), {"metrics": ["flip"], "distortions": []})
    monkeypatch.setattr(inspect.flip, "look", lambda trace: (each for each in [None, said]))
    *_, (result, _, status, state) = inspect._compare(request(), pair[0], pair[0], "alex")
    assert status.startswith("Done") and "eye" not in result["message"]
    first, (message, _) = inspect.rest(state)
    assert first[1] is None  # once
    assert message["run"] == result["message"]["run"] and message["eye"]["distance"] == [0.25]
    assert Trace.load(message["files"]["trace"]["path"]).eye.distance == [0.25]

    monkeypatch.setattr(inspect.flip, "look", lambda trace: (each for each in ["It is not here."]))
    *_, (*_, state) = inspect._compare(request(), pair[0], pair[0], "alex")
    _, (message, _) = inspect.rest(state)
    assert message["eye"] == {"missing": "It is not here."}
