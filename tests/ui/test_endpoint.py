"""The public endpoint /attack, called by Gradio's client library on the running app."""

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from visitors import request

import rlpips
from rlpips import Trace
from rlpips.ui import endpoint
from rlpips.ui.pages.duel_controls import Controls
from rlpips.ui.runtime import files as served_files


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return Client(server.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture
def files(tmp_path):
    """Two pictures, (48, 64) and (40, 40), uploaded with each call."""
    rng = np.random.default_rng(7)
    for name, size in (("cat", (48, 64)), ("dog", (40, 40))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / f"{name}.png")
    return handle_file(tmp_path / "cat.png"), handle_file(tmp_path / "dog.png")


def test_a_script_gets_what_the_library_gives(client, files):
    settings = {"norm": "l2", "eps": 1.5, "steps": 6, "seed": 3, "precision": "float32"}
    job = client.submit(files[0], **settings, api_name="/attack")
    text, saved, pictures = job.result()
    here = rlpips.attack(files[0]["path"], **settings)
    trace = Trace.load(saved)
    assert (
        text.startswith("Done: 6 steps") and trace.name == "cat" and trace.ruler["metrics"] == ["lpips", "rlpips-linf"]
    )
    np.testing.assert_allclose(trace.distance, here.distance, rtol=1e-3)
    attacked = np.stack([np.asarray(Image.open(path)) for path in pictures])
    np.testing.assert_array_equal(attacked, trace.adversarial[:2])
    *outputs, _ = job.outputs()
    assert outputs and all(output[1:] == (None, []) for output in outputs)
    again = client.predict(files[0], **settings, api_name="/attack")
    assert again[0].startswith(text) and "computed before" in again[0]


def test_a_pair_is_pulled_together(client, files):
    reference, candidate = files
    text, saved, _ = client.predict(reference, candidate, objective="toward", steps=3, api_name="/attack")
    trace = Trace.load(saved)
    assert "resized from 40×40 to 64×48" in text and trace.receipt["objective"] == "toward"
    assert trace.distance[-1, 0, 0] < trace.distance[0, 0, 0]


def test_a_cancelled_job_gives_way(client, server, files):
    long = Client(server.url, verbose=False).submit(files[0], steps=200, restarts=5, seed=11, api_name="/attack")
    for text, *_ in long:
        if text.startswith("Running: step"):
            break
    waiting = client.submit(files[0], steps=3, seed=12, api_name="/attack")
    for text, *_ in waiting:
        if "1st in the queue" in text:
            long.cancel()
    assert waiting.result()[0].startswith("Done") and "1st in the queue" in str(waiting.outputs())
    assert not any(text.startswith("Done") for text, *_ in long.outputs())


def test_a_bad_value_is_refused_in_a_sentence(client, files):
    with pytest.raises(Exception, match=r"^Refused: At most 200 steps and 5 restarts here; got 201 and 1\.$"):
        client.predict(files[0], steps=201, api_name="/attack")


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"picture": "/etc/hostname"}, "must be uploaded files"), ({"picture": {"path": "/etc/hostname"}}, "must be uploaded"),
        ({"picture": {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}}, "must be uploaded"),
        ({"candidate": "/etc/hostname"}, "must be uploaded files"),
        ({"metrics": ["lpips"]}, "a list of two names"), ({"metrics": [["lpips"], {}]}, "a list of two names"),
        ({"eps": "4"}, "eps must be a number; got '4'"), ({"steps": None}, "steps must be a number"),
        ({"step_size": [1]}, "step_size must be a number"), ({"backbone": 5}, "backbone must be a text"),
        ({"longest_side": 1025}, "32 to 1024 pixels; got 1025"), ({"longest_side": float("nan")}, "32 to 1024"),
    ],
)  # fmt: skip
def test_a_request_of_the_wrong_form_is_refused(wrong, sentence, served):
    with pytest.raises(endpoint.gr.Error) as refusal:
        next(endpoint.attack(request(), **{"picture": served_files.put("cat.png", b"cat"), **wrong}))
    assert sentence in refusal.value.message


def test_a_request_has_the_values_that_the_page_would_send(served):
    settings = {
        "metrics": ["lpips", "rlpips-l2"], "backbone": "alex", "steps": 40, "objective": "away", "seed": 2, "restarts": 1,
        "picture": served_files.put("a.png", b"a"), "candidate": None, "longest_side": 256, "step_size": None,
        "precision": None, "schedule": "fixed",
    }  # fmt: skip
    path = settings["picture"]["path"]
    assert endpoint._controls(**settings, norm="linf", eps=4 / 255) == Controls(
        selected=path, mine=[path], upload=[path], objective="away", norm="linf", candidate="itself", eps=4.0, steps=40,
        first="lpips", second="rlpips-l2", seed=2, step_size=None, restarts=1, backbone="alex", size=256, precision="auto",
        schedule="fixed",
    )  # fmt: skip
    assert endpoint._controls(**settings, norm="l2", eps=2.5).eps == 2.5
    assert endpoint._controls(**settings, norm="flow", eps=0.5).eps == 0.5
    with pytest.raises(ValueError, match="another picture than the reference"):
        endpoint._controls(**{**settings, "candidate": settings["picture"]}, norm="l2", eps=2.5)
