"""The address of the squared differences: recorded, computed, refused; and what the browser makes of them."""

import base64
import hashlib

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient

import rlpips
from rlpips import Trace, paths
from rlpips.engine.differences import Differences, differences_of
from rlpips.ui.pages import gallery
from rlpips.ui.runtime import differences, files

pytestmark = pytest.mark.usefixtures("served")

DECODE = """async ([text, wishes, weights]) => {
  const d = await import("./differences.js");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const found = await d.decodeDifferences(bytes.buffer);
  const plain = (values) => ({ ...values, data: Array.from(values.data) });
  const { step, lanes, metrics } = found;
  const layers = weights.map((w, layer) => plain(d.layerUnder(found, 1, layer, w)));
  return { step, lanes, metrics, channels: wishes.map((wish) => plain(d.channelValues(found, ...wish))), layers };
}"""


@pytest.fixture
def client():
    return TestClient(FastAPI(routes=[differences.ROUTE]))


@pytest.fixture(scope="module")
def trace():
    return rlpips.attack(torch.rand(1, 3, 64, 81, generator=torch.Generator().manual_seed(0)), steps=3)


@pytest.fixture
def digest(trace, tmp_path):
    trace.save(tmp_path / "a.zip")
    data = (tmp_path / "a.zip").read_bytes()
    files.put("trace.zip", data)
    return hashlib.sha256(data).hexdigest()


def test_the_last_step_of_the_opening_comes_from_its_file(client, monkeypatch):
    monkeypatch.setattr("rlpips.ui.runtime.work.differences", None)  # nothing is computed
    message = gallery.opening()
    digest = message["files"]["trace"]["path"].replace("\\", "/").split("/")[-2]
    answer = client.get(f"/viewer/differences/{digest}/40/0")
    assert answer.status_code == 200 and len(answer.content) < 1_000_000
    found, recorded = Differences.from_bytes(answer.content), Trace.load(paths.PRECOMPUTED / gallery.OPENING)
    means = np.concatenate([values.mean((2, 3)) for values in found.values], 1)
    np.testing.assert_allclose(means.sum(1), recorded.per_channel[-1, :2].sum(1), rtol=0.01)


def test_a_run_of_one_s_own_is_computed(client, trace, digest):
    for asked, step in ((3, 3), (99, 3), (0, 0)):
        answer = client.get(f"/viewer/differences/{digest}/{asked}/0")
        found, expected = Differences.from_bytes(answer.content), differences_of(trace, step)
        assert found.step == step
        for ours, theirs in zip(found.values, expected.values):
            np.testing.assert_allclose(ours.mean(), theirs.mean(), rtol=0.02)


def test_what_is_not_there_is_refused_with_a_sentence(client, digest):
    for path in (f"{'0' * 64}/3/0", "..%2Fx/3/0", f"{digest[:63]}g/3/0"):
        assert client.get(f"/viewer/differences/{path}").status_code == 404
    answer = client.get(f"/viewer/differences/{digest}/3/7")
    assert answer.status_code == 422 and "trunk" in answer.text
    files.put("trace.zip", b"nothing")
    answer = client.get(f"/viewer/differences/{hashlib.sha256(b'nothing').hexdigest()}/3/0")
    assert answer.status_code == 422 and "not a readable trace" in answer.text


def test_the_browser_reads_the_same_numbers(blank, trace):
    data = differences_of(trace).to_bytes()
    known = Differences.from_bytes(data)
    wishes = [(lane, layer, channel) for lane in (0, 1) for layer in range(5) for channel in (0, 17, 63)]
    heads = [head.tolist() for head in rlpips.load_metric("lpips").heads]
    answer = blank.evaluate(DECODE, [base64.b64encode(data).decode(), wishes, heads])
    assert (answer["step"], answer["lanes"], answer["metrics"]) == (3, list(known.lanes), list(known.metrics))
    for (lane, layer, channel), values in zip(wishes, answer["channels"], strict=True):
        expected = known.values[layer][lane, channel]
        assert (values["height"], values["width"]) == expected.shape
        np.testing.assert_allclose(values["data"], expected.ravel(), rtol=1e-5)
        assert values["top"] == pytest.approx(expected.max())
    for layer, values in enumerate(answer["layers"]):
        expected = np.einsum("chw,c->hw", known.values[layer][1], heads[layer])
        np.testing.assert_allclose(values["data"], expected.ravel(), rtol=1e-4, atol=1e-7)
