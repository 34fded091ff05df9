"""Messages for the viewer: a complete trace, and a stream that may lose a message."""

import copy
import itertools
import json

import numpy as np
import pytest
from gradio.utils import diff
from gradio_client.utils import apply_diff
from PIL import Image

from rlpips import Trace, paths
from rlpips.attacks.request import AttackRequest
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import gallery
from rlpips.ui.runtime import messages as viewer_messages
from rlpips.ui.runtime import work

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture(scope="module")
def recorded():
    return Trace.load(paths.PRECOMPUTED / gallery.OPENING)


def test_whole_message_holds_the_trace(recorded):
    message = json.loads(json.dumps(viewer_messages.whole("k3f9", "recorded", recorded), allow_nan=False))
    assert (message["run"], message["state"]) == ("k3f9", "recorded")
    meta = message["meta"]
    assert (meta["height"], meta["width"]) == recorded.reference.shape[:2] and meta["steps"] == len(
        recorded.distance
    ) - 1
    assert meta["lanes"] == list(recorded.lanes) and set(meta["titles"]) == set(meta["colors"]) == set(recorded.metrics)
    curve = json.loads(message["curve"])
    assert np.allclose(curve["distance"], recorded.distance) and curve["first"] == 0
    assert json.loads(message["ruler"])["metrics"] == list(recorded.metrics)
    last = max((frame for frame in message["frames"] if 0 in frame["lanes"]), key=lambda frame: frame["step"])
    coded = np.array(Image.open(last["perturbation"]["path"]).convert("RGB")).reshape(2, *recorded.reference.shape)
    attacked = (recorded.start.astype(int) + coded - 128) & 255  # as the page decodes it
    assert (attacked == recorded.adversarial[:2]).all()
    again = Trace.load(message["files"]["trace"]["path"])
    assert (again.adversarial == recorded.adversarial).all()
    assert message["files"]["trace"]["orig_name"] == "astronaut_linf4_cosine20_seed0.trace.zip"


def test_stream_repeats_a_few_steps_so_that_a_message_may_be_lost():
    steps = work.duel(AttackRequest(SAMPLES[0].picture().pixels[:64, :48], steps=12))
    recorder = next(steps)
    recorder.name = "corner"
    stream = viewer_messages.Stream("run", recorder)
    first = stream.first()
    assert first["state"] == "running" and first["meta"]["width"] == 48 and "curve" not in first
    messages = []
    for step in steps:
        if isinstance(step, dict):
            break
        recorder.add(step)
        stream.add(step)
        if step.index % 2 == 0:
            messages.append(stream.next())
    pieces = {id(message): json.loads(message["curve"]) for message in messages}
    assert all(("meta" in message) == (pieces[id(message)]["first"] == 0) for message in messages)
    curve, received = [], messages[:1] + messages[2:]  # the second one is lost
    for message in received:
        piece = pieces[id(message)]
        assert piece["first"] <= len(curve)
        curve = curve[: piece["first"]] + piece["distance"]
    assert len(curve) == 13 and np.allclose(curve, recorder.trace().distance)
    frames = [(frame.step, frame.lanes) for frame in recorder.trace().frames]
    assert len(frames) > len(messages)  # a message sends only the latest frame of each lane
    for at, message in enumerate(messages):
        # The first message has only the pictures that the viewer opens with; the noise comes with the next.
        new = {lanes: step for step, lanes in sorted(frames) if 2 * at - 2 < step <= 2 * at and 0 in lanes}
        new |= {(2,): 0} if at == 1 else {}
        assert {tuple(frame["lanes"]): frame["step"] for frame in message["frames"].values()} == new
    # Gradio sends what changes from message to message, and its client puts it together again.
    trace = recorder.trace()
    for old, new in itertools.pairwise([*messages, stream.last(trace), stream.whole(trace)]):
        assert apply_diff(copy.deepcopy(old), diff(old, new)) == new


def test_the_end_of_a_stream_is_the_whole_trace_whose_pictures_are_stored_once(monkeypatch):
    steps = work.duel(AttackRequest(SAMPLES[0].picture().pixels[:64, :48], steps=6))
    recorder = next(steps)
    recorder.name = "corner"
    stream = viewer_messages.Stream("run", recorder)
    for step in steps:
        if isinstance(step, dict):
            break
        recorder.add(step)
        stream.add(step)
        stream.next()
    trace, stored = recorder.trace(), []
    expected = viewer_messages.whole("run", "done", trace)
    put = viewer_messages.files.put
    monkeypatch.setattr(viewer_messages.files, "put", lambda name, data: stored.append(name) or put(name, data))
    last, whole = stream.last(trace), stream.whole(trace)
    assert whole == expected and last == {key: value for key, value in whole.items() if key != "files"}
    late = [name for name in stored if name.startswith("perturbation")]
    assert set(late) == {"perturbation-00000-0-1.webp"}  # the first message holds this one itself
