"""The address of the channels' answers: recorded, computed, refused; and what the browser makes of them."""

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

# What the browser reads: of some channels their maps, at a place the squared differences, and a layer's map under weights.
READ = """async ([url, channels, places, weights]) => {
  const { newDifferences } = await import("./differences.js");
  const model = { run: "a", files: { trace: { path: "/x/digest/trace.zip" } }, meta: {} };
  const known = await new Promise((resolve) => {
    const at = newDifferences(model, () => url, () => resolve(at(3, 0)));
    at(3, 0);
  });
  const plain = (map) => Object.fromEntries(Object.entries(map).map(([key, value]) => [key, value.length ? [...value] : value]));
  return {
    step: known.step, lanes: known.lanes,
    channels: channels.map((c) => plain(known.channel(c, known.lanes[1]))),
    places: places.map(([u, v]) => plain(known.vectorsAt(known.lanes[1], u, v))),
    layers: [0, 1, 2, 3, 4].map((l) => plain(known.layerMap(l, known.lanes[1], weights))),
  };
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
    means = np.concatenate([values.mean((2, 3)) for values in found.squared], 1)
    np.testing.assert_allclose(means.sum(1), recorded.per_channel[-1, :2].sum(1), rtol=0.01)


def test_a_run_of_one_s_own_is_computed(client, trace, digest):
    for asked, step in ((3, 3), (99, 3), (0, 0)):
        answer = client.get(f"/viewer/differences/{digest}/{asked}/0")
        found, expected = Differences.from_bytes(answer.content), differences_of(trace, step)
        assert found.step == step
        for ours, theirs in zip(found.squared, expected.squared):
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
    heads = [head.numpy() for head in rlpips.load_metric("lpips").heads]
    url = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    channels, places = [0, 63, 64, 500, 1151], [(0, 0), (0.4, 0.9), (0.999, 0.999)]
    read = blank.evaluate(READ, [url, channels, places, np.concatenate(heads).tolist()])
    assert (read["step"], read["lanes"]) == (known.step, list(known.lanes))
    firsts = np.cumsum([0, *(len(head) for head in heads)])
    for channel, maps in zip(channels, read["channels"], strict=True):
        layer = np.searchsorted(firsts, channel, "right") - 1
        answers, change = (
            known.answers[layer][channel - firsts[layer]],
            known.changes[layer][1, channel - firsts[layer]],
        )
        assert (maps["height"], maps["width"]) == answers.shape
        np.testing.assert_allclose(maps["original"], answers.ravel(), rtol=1e-5)
        np.testing.assert_allclose(maps["difference"], np.square(change).ravel(), rtol=1e-4)
        np.testing.assert_allclose(maps["attacked"], np.maximum(0, answers + change).ravel(), atol=1e-6)
    for (u, v), vectors in zip(places, read["places"], strict=True):
        at = [(int(v * each.shape[1]), int(u * each.shape[2])) for each in known.answers]
        original, change = (
            np.concatenate([each[:, y, x] for each, (y, x) in zip(layers, at)])
            for layers in (known.answers, [each[1] for each in known.changes])
        )
        np.testing.assert_allclose(vectors["original"], original, rtol=1e-5)
        np.testing.assert_allclose(vectors["attacked"], np.maximum(0, original + change), atol=1e-6)
        np.testing.assert_allclose(vectors["squared"], np.square(change), rtol=1e-4)
    for values, squared, head in zip(read["layers"], known.squared, heads, strict=True):
        expected = np.einsum("chw,c->hw", squared[1], head)
        np.testing.assert_allclose(values["data"], expected.ravel(), rtol=1e-4, atol=1e-7)
