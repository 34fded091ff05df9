"""The Duel page without a browser: a run from its controls to the last message, cut off, ended and refused."""

import itertools
import json

import gradio as gr
import numpy as np
import pytest
from visitors import VISITOR

from rlpips import Trace
from rlpips.attacks.request import AttackRequest
from rlpips.data.distortions import DISTORTIONS
from rlpips.engine import ruler as ruler_module
from rlpips.traces.schema import Eye
from rlpips.ui.components.events import refusing
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import duel
from rlpips.ui.pages.duel_controls import Controls
from rlpips.ui.runtime import device, flip, session, work
from rlpips.ui.runtime.attack_run import AttackRun
from rlpips.ui.runtime.loading import warm_up
from rlpips.ui.runtime.session import ENDED

pytestmark = pytest.mark.usefixtures("served")
STRIP = [str(SAMPLES[0].path)]


def controls(**changes):
    """The values that the page sends at first, with few steps, but for the changes."""
    values = {
        "selected": 0, "mine": [], "upload": None, "objective": "away", "norm": "linf", "candidate": "itself", "eps": 4,
        "steps": 3, "first": "lpips", "second": "rlpips-linf", "seed": 0, "step_size": None, "restarts": 1, "schedule": "cosine",
        "backbone": "alex", "size": 256, "precision": "auto",
    }  # fmt: skip
    return Controls(**{**values, **changes})


@pytest.mark.parametrize("norm", ["", "l1", 4, None, []])
def test_a_norm_that_is_none_changes_nothing_and_says_so(norm, monkeypatch):
    messages = []
    monkeypatch.setattr(gr, "Warning", messages.append)
    assert refusing(duel._eps_slider)(norm) == gr.skip()
    assert len(messages) == 1 and messages[0].startswith("Norm must be one of linf, l2, flow; got")


@pytest.mark.parametrize("place", [2, -2, 1.0, "0", None])
def test_run_is_for_a_picture_that_the_server_has_in_the_strip(place, monkeypatch):
    monkeypatch.setattr(gr, "Warning", lambda text: None)
    (update,) = session.guarded(
        duel._updates(VISITOR, *controls(selected=place, mine=["/etc/passwd"]), ["/a.png", "/b.png"])
    )
    assert update.text.startswith("Refused: Choose a picture first") and update.state == ENDED


def test_a_run_stopped_before_its_first_step_says_so():
    run = AttackRun(
        AttackRequest(SAMPLES[0].picture().pixels, steps=3),
        "picture",
        [],
        work.duel,
        duel._verdict,
        work.duel_ruler,
    )
    steps = run.steps()
    assert next(steps).text == "Running…"
    steps.close()
    last = session.stopped(run)
    assert last.content["state"] == "stopped" and last.text == "Stopped: before the first step."


def test_a_stopped_run_keeps_its_steps_and_gets_its_ruler():
    warm_up().wait()
    updates = duel._updates(VISITOR, *controls(steps=200, seed=5), STRIP)
    update = next(update for update in updates if update.text.startswith("Running: step"))
    updates.close()
    last = session.stopped(update.state)
    assert last.text.startswith("Stopped: ") and "LPIPS" in last.text and last.content["state"] == "stopped"
    assert json.loads(last.content["ruler"])["metrics"] == ["lpips", "rlpips-linf"]


def test_done_comes_with_what_the_sentence_needs_and_the_rest_follows():
    warm_up().wait()
    *_, last = duel._updates(VISITOR, *controls(seed=77), [str(SAMPLES[1].path)])
    ruler = json.loads(last.content["ruler"])
    assert last.text.startswith("Done: 3 steps") and "JPEG" in last.text and "files" not in last.content
    assert [each["name"] for each in ruler["distortions"]] == ["jpeg"] and last.content["state"] == "done"
    *waiting, complete = session.rest(last.state)
    assert len(waiting) >= len(DISTORTIONS) - 1 and not any(update.content for update in waiting)
    whole = json.loads(complete.content["ruler"])
    assert [each["name"] for each in whole["distortions"]] == list(DISTORTIONS)
    assert ruler["distortions"][0] in whole["distortions"]
    assert complete.content["run"] == last.content["run"] and complete.content["curve"] == last.content["curve"]
    trace = Trace.load(complete.content["files"]["trace"]["path"])
    assert trace.ruler == whole and trace.state == "done"


def test_what_a_model_of_the_eye_says_comes_last(monkeypatch):
    warm_up().wait()
    asked = []

    def look(trace):
        asked.append(trace)
        yield None
        yield Eye(np.float32([0.5, 0.25, 0]), np.ones((3, 4, 6), np.float32), {"metrics": ["flip"], "distortions": []})

    monkeypatch.setattr(flip, "look", look)
    *_, last = duel._updates(VISITOR, *controls(seed=78), [str(SAMPLES[1].path)])
    assert last.text.startswith("Done: 3 steps") and not asked  # it delays nothing
    *_, complete = session.rest(last.state)
    assert complete.content["eye"]["distance"] == [0.5, 0.25, 0.0] and asked[0].state == "done"
    assert Trace.load(complete.content["files"]["trace"]["path"]).eye.distance.tolist() == [0.5, 0.25, 0.0]

    monkeypatch.setattr(flip, "look", lambda trace: (each for each in ["It is not here."]))
    *_, last = duel._updates(VISITOR, *controls(seed=79), [str(SAMPLES[1].path)])
    *_, complete = session.rest(last.state)
    assert complete.content["eye"] == {"missing": "It is not here."}
    assert Trace.load(complete.content["files"]["trace"]["path"]).eye is None


def test_the_ruler_of_a_picture_is_measured_once(monkeypatch):
    measured, make_scales = [], ruler_module.make_scales

    def counting(*arguments, distortions, **settings):
        for scale in make_scales(*arguments, distortions=distortions, **settings):
            measured.append(scale.name)
            yield scale

    monkeypatch.setattr(ruler_module, "make_scales", counting)
    request = AttackRequest(SAMPLES[2].picture().pixels[:40, :56], steps=1)
    first = next(work.duel_ruler(request, None))
    assert measured == ["jpeg"] == [each["name"] for each in first["distortions"]]
    *_, whole = work.duel_ruler(request, None, first)
    *_, again = work.duel(request)
    assert sorted(measured) == sorted(DISTORTIONS) and again == whole
    assert not list(work.duel_ruler(request, None, whole)) and len(measured) == len(DISTORTIONS)


def test_a_long_run_says_how_long_it_takes(monkeypatch):
    warm_up().wait()
    moments = itertools.chain([2], itertools.count(3.0, 1.5))  # the first step takes as long as two
    monkeypatch.setattr(device, "stopwatch", lambda: lambda: next(moments))
    monkeypatch.setattr(device, "DEADLINE_S", 1000.0)
    request = AttackRequest(SAMPLES[2].picture().pixels[:40, :56], steps=12)
    run = AttackRun(request, "picture", [], work.duel, duel._verdict, work.duel_ruler)
    texts = [update.text for update in run.steps()]
    assert texts[:2] == ["Running…", "Running: about 10 s for 12 steps…"]
    assert texts[5] == "Running: step 4 of 12, about 10 s left" and texts[-2] == "Running: step 11 of 12"


def test_a_run_ends_at_its_deadline_and_keeps_what_is_there(monkeypatch):
    warm_up().wait()
    updates = duel._updates(VISITOR, *controls(steps=30), STRIP)
    next(update for update in updates if update.text.startswith("Running: step"))
    monkeypatch.setattr(device, "DEADLINE_S", 0.0)
    (last,) = updates
    steps = len(json.loads(last.content["curve"])["linf"]) - 1
    assert last.content["state"] == "stopped" and 0 < steps < 30
    assert last.text.startswith(f"Stopped: {steps} step") and "others" in last.text


def test_the_same_request_is_answered_from_the_cache_with_the_same_numbers():
    warm_up().wait()
    first, again = (list(duel._updates(VISITOR, *controls(seed=41), STRIP)) for _ in range(2))
    assert len(first) > 1 and len(again) == 1
    assert again[0].content["curve"] == first[-1].content["curve"] and "computed before" in again[0].text
    assert again[0].content["run"] != first[-1].content["run"]
