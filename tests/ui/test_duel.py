"""The Duel page without a browser: a run from its controls to the last message, cut off, ended and refused."""

import json

import gradio as gr
import pytest
from visitors import VISITOR

from rlpips.attacks.request import AttackRequest
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import duel
from rlpips.ui.pages.duel_controls import Controls
from rlpips.ui.runtime import device, session, work
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
    first, again = (list(session.completed(duel._updates(VISITOR, *controls(seed=41), STRIP))) for _ in range(2))
    assert len(first) > 1 and len(again) == 1
    assert again[0].content["curve"] == first[-1].content["curve"] and "computed before" in again[0].text
    assert again[0].content["run"] != first[-1].content["run"]
