"""The public endpoints /attack and /compare, called by Gradio's client library on the running app."""

import json
import re

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from visitors import request

import rlpips
from rlpips import Trace, paths
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


# ---- /compare


@pytest.fixture
def pairs(tmp_path):
    """(originals, changed pictures): three pairs in files, the last one of two sizes, two of one name."""
    rng, sides = np.random.default_rng(8), ([], [])
    for n, (size, other) in enumerate((((48, 64), (48, 64)), ((64, 56), (64, 56)), ((48, 64), (64, 48)))):
        clean = rng.integers(0, 256, (*size, 3), np.uint8)
        changed = np.clip(clean.astype(int) + rng.integers(-30, 31, clean.shape), 0, 255).astype(np.uint8)
        if size != other:
            changed = changed.transpose(1, 0, 2)
        for side, folder, pixels in zip(sides, ("clean", "adv"), (clean, changed)):
            path = tmp_path / folder / ("cat.png" if n else "dog.png") if n < 2 else tmp_path / folder / "last.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
            side.append(path)
    return sides


def test_a_script_gets_the_rows_that_the_library_gives(client, pairs):
    here = rlpips.compare(*pairs, metrics=("lpips", "rlpips-linf"), threshold=20)
    job = client.submit(
        *([*map(handle_file, side)] for side in pairs), ["lpips", "rlpips-linf"], "alex", 20, api_name="/compare"
    )
    text, found = job.result()
    expected = json.loads(here.to_json())
    assert text.startswith("Done: 2 of 3 pairs measured in") and "1 could not be read" in text
    assert len(found["rows"]) == len(expected["rows"]) == 2 and found["receipt"]["threshold"] == 20
    for ours, theirs in zip(expected["rows"], found["rows"]):
        assert list(ours) == list(theirs)
        for key, value in ours.items():
            assert theirs[key] == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value), key
    ((name, reason),) = [(each["name"], each["reason"]) for each in found["problems"]]
    assert name == "last.png" and "differ in size, 64×48 and 48×64" in reason
    assert all(result is None for _, result in job.outputs()[:-1])


def test_two_files_are_a_pair_and_names_may_be_equal(client, pairs):
    clean, changed = handle_file(pairs[0][1]), handle_file(pairs[1][1])
    _, one = client.predict(clean, changed, api_name="/compare")
    _, two = client.predict([clean, clean], [changed, changed], api_name="/compare")
    assert [row["pair"] for row in one["rows"]] == ["cat.png"]
    assert [row["pair"] for row in two["rows"]] == ["0/cat.png", "1/cat.png"]
    assert [row["lpips"] for row in two["rows"]] == pytest.approx([one["rows"][0]["lpips"]] * 2, rel=1e-4)
    assert {"lpips", "rlpips-linf", "rlpips-l2", "verdict"} <= set(one["rows"][0])


def test_the_example_in_the_document_runs(server, pairs, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (paths.DOCS / "hosting.md").read_text("utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "/compare" in block]
    monkeypatch.chdir(pairs[0][0].parent.parent)
    block = block.replace("http://127.0.0.1:7860", server.url).replace("dog.png", "cat.png")
    exec(compile(block, "hosting.md", "exec"), {})
    assert "cat.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"references": "/etc/hostname"}, "lists of uploaded files"), ({"candidates": []}, "lists of uploaded files"),
        ({"references": [{"path": "/etc/hostname"}]}, "lists of uploaded files"), ({"references": None}, "lists of uploaded"),
        ({"candidates": [1]}, "lists of uploaded files"), ({"metrics": "lpips"}, "must be a list of names; got 'lpips'"),
        ({"metrics": []}, "at least one metric"), ({"metrics": ["lpips", "lpips"]}, "each once"),
        ({"metrics": [{}]}, "a list of names"), ({"metrics": ["lipps"]}, "Unknown metric 'lipps'"),
        ({"backbone": 5}, "Unknown backbone 5"), ({"threshold": "10"}, "threshold must be"), ({"threshold": 100}, "1 to 99"),
        ({"threshold": float("nan")}, "threshold must be"),
    ],
)  # fmt: skip
def test_a_comparison_of_the_wrong_form_is_refused(wrong, sentence, served):
    both = {side: [served_files.put(f"{side}.png", side.encode())] for side in ("references", "candidates")}
    with pytest.raises(endpoint.gr.Error) as refusal:
        next(endpoint.compare(request(), **{**both, **wrong}))
    assert sentence in refusal.value.message and refusal.value.message.startswith("Refused: ")


def test_too_many_pairs_and_other_kinds_of_file_are_refused(served, monkeypatch):
    picture, text = served_files.put("a.png", b"a"), served_files.put("a.txt", b"a")
    monkeypatch.setattr(endpoint, "MAX_PAIRS", 2)
    for references, candidates, sentence in (
        ([picture] * 3, [picture] * 3, "At most 2 pairs at a time here; got 3."),
        ([picture] * 2, [picture], "Every reference needs its candidate; got 2 and 1 files."),
        ([picture], [text], "a.txt is of a kind that is not read here"),
    ):
        with pytest.raises(endpoint.gr.Error) as refusal:
            next(endpoint.compare(request(), references, candidates))
        assert sentence in refusal.value.message
