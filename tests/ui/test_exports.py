"""The address of what is taken from a trace: kinds, names, refusals; and the menu in a browser."""

import hashlib
import io
import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

import rlpips
from rlpips import Trace, paths
from rlpips.ui.pages import gallery
from rlpips.ui.runtime import exports, files
from rlpips.zoo import references

# A menu of downloads beside a run on show: what is listed before and after its trace is there, and where the links lead.
MENU = """async () => {
  const { newDownloads } = await import("./downloads.js");
  const root = document.createElement("div");
  root.innerHTML = await (await fetch("./viewer.html")).text();
  const model = { meta: { lanes: ["lpips", "noise"], metrics: ["lpips"], titles: { lpips: "LPIPS" }, steps: 40, norm: "linf" },
    frames: [], files: null };
  const view = { step: 40, scale: "own" };
  const menu = root.querySelector(".rv-downloads"), { writeFiles } = newDownloads(root, model, view, (path) => `/root/${path}`);
  const names = () => [...menu.querySelectorAll("a, button")].map((each) => each.ariaLabel || each.textContent);
  document.body.append(root);
  const opened = new Promise((resolve) => menu.addEventListener("toggle", resolve, { once: true }));
  menu.open = true;
  await opened;
  const before = names(), waits = !menu.querySelector(".rv-waiting").hidden;
  model.files = { trace: { path: "/x/digest/trace.zip", url: "/trace.zip", orig_name: "cat_seed0.trace.zip" } };
  writeFiles();
  const all = names();
  Object.assign(view, { step: 7, scale: "log" });
  const links = [...menu.querySelectorAll("a")];
  for (const each of links) { each.addEventListener("click", (event) => event.preventDefault()); each.click(); }
  model.files = null;
  writeFiles();
  return { before, waits, all, links: links.map((each) => [each.getAttribute("href"), each.download]), after: names().length };
}"""

# A button that copies a text; `allowed` is whether the browser lets the page.
COPY = """async (allowed) => {
  const { newCopy } = await import("./copy.js");
  const copied = [], saved = [];
  const write = async ([item]) => {
    const text = await (await item.getType("text/plain")).text();
    if (!allowed) throw new DOMException("not allowed", "NotAllowedError");
    copied.push(text);
  };
  Object.defineProperty(navigator, "clipboard", { value: { write }, configurable: true });
  HTMLAnchorElement.prototype.click = function () { saved.push(this.href); };
  const button = newCopy("Copy as Python", () => "data:text/plain,import%20rlpips");
  document.body.append(button);
  const said = new Promise((resolve) => new MutationObserver(() => resolve(button.innerHTML)).observe(button, { childList: true }));
  button.click();
  return { said: await said, copied, saved };
}"""

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def client():
    exports._exported.cache_clear()
    return TestClient(FastAPI(routes=exports.ROUTES))


@pytest.fixture(scope="module")
def trace():
    return rlpips.attack(torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(0)), steps=3)


@pytest.fixture
def address(trace, tmp_path):
    trace.save(tmp_path / "a.zip")
    data = (tmp_path / "a.zip").read_bytes()
    files.put("trace.zip", data)
    return f"/viewer/export/{hashlib.sha256(data).hexdigest()}"


def name_of(answer):
    return unquote(re.fullmatch(r"attachment; filename\*=UTF-8''(.+)", answer.headers["content-disposition"])[1])


def test_the_whole_trace_has_its_name(client, trace, address, tmp_path):
    answer = client.get(f"{address}/3/trace.zip")
    assert answer.content == (tmp_path / "a.zip").read_bytes() and name_of(answer) == f"{trace.stem}.trace.zip"


def test_texts_are_those_of_the_library(client, trace, address):
    for kind, ending, text in (
        ("steps.csv", "_steps.csv", trace.to_csv()),
        ("again.py", ".py", trace.to_python()),
        ("papers.bib", ".bib", trace.to_bibtex()),
    ):
        answer = client.get(f"{address}/3/{kind}")
        assert answer.status_code == 200 and answer.text == text
        assert name_of(answer) == trace.stem + ending == f"picture_linf4_cosine3_seed0{ending}"


@pytest.mark.parametrize("kind", ["curves.svg", "overview.pdf", "maps-log.png"])
def test_a_figure_comes_as_its_name_says(client, address, kind):
    answer = client.get(f"{address}/2/{kind}")
    ending = kind.rpartition(".")[2]
    assert answer.status_code == 200 and answer.content.startswith(
        {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    )
    assert name_of(answer).endswith(f".{ending}") and answer.headers["content-type"].startswith(exports._TYPES[ending])
    assert ("_step2_" in name_of(answer)) == kind.startswith("maps")  # there is a picture at every step here


def test_every_kind_is_of_a_type_that_browsers_are_told():
    assert {kind.rpartition(".")[2] for kind in ("trace.zip", *exports.KINDS)} == set(exports._TYPES) and len(
        exports.KINDS
    ) == 14


def test_a_single_map_says_whose_it_is(client, address):
    answer = client.get(f"{address}/3/map-own-0-1.png")
    assert name_of(answer) == "picture_linf4_cosine3_seed0_step3_map-lpips_rlpips-linf-own.png"
    assert np.ptp(np.asarray(Image.open(io.BytesIO(answer.content)))) > 200


def test_what_is_recorded_is_exported_as_the_page_opens(client):
    path = gallery.opening()["files"]["trace"]["path"].replace("\\", "/")
    answer = client.get(f"/viewer/export/{path.split('/')[-2]}/40/again.py")
    assert answer.text == Trace.load(paths.PRECOMPUTED / gallery.OPENING).to_python()


def test_a_figure_has_a_bound(trace):
    many = tuple(f"m{n}" for n in range(9))
    large = replace(trace, metrics=many, lanes=(*many, "noise"))
    for kind in ("curves.svg", "overview.png", "maps-own.pdf", "map-own-0-0.png"):
        with pytest.raises(ValueError, match="at most 60 lanes times metrics"):
            exports.export(large, 3, kind)


def test_all_papers_are_one_file(client):
    answer = client.get("/viewer/export/papers.bib")
    assert answer.text == references.bibtex(references.REFERENCES) and name_of(answer) == "rlpips-papers.bib"


def test_what_is_not_there_is_refused_with_a_sentence(client, address):
    for path in (
        f"/viewer/export/{'0' * 64}/3/steps.csv",
        "/viewer/export/..%2Fx/3/steps.csv",
        f"{address}/3/steps.exe",
    ):
        answer = client.get(path)
        assert answer.status_code == 404 and answer.text[-1] in ".}"
    answer = client.get(f"{address}/3/map-own-9-0.png")
    assert answer.status_code == 422 and "A lane is a place from 0 to 2" in answer.text
    files.put("trace.zip", b"nothing")
    answer = client.get(f"/viewer/export/{hashlib.sha256(b'nothing').hexdigest()}/3/steps.csv")
    assert answer.status_code == 422 and "not a readable trace" in answer.text


def test_the_menu_offers_what_there_is(blank):
    found = blank.evaluate(MENU)
    lanes = ["Attacked against LPIPS", "Noise of the same budget"]
    assert (
        found["before"] == [f"{lane}, {what}" for lane in lanes for what in ("picture", "perturbation")]
        and found["waits"]
    )
    assert found["all"][:2] == ["The whole trace, ZIP", "Curves, SVG"] and "Copy as Python" in found["all"]
    assert found["all"][-1] == "Noise of the same budget, map, LPIPS"
    (zip_, name), *links = found["links"]
    assert (zip_, name) == ("/root/viewer/export/digest/7/trace.zip", "cat_seed0.trace.zip")
    kinds = [href.removeprefix("/root/viewer/export/digest/7/") for href, _ in links]  # the step on show
    assert kinds[-2:] == ["map-log-0-0.png", "map-log-1-0.png"] and set(kinds[:-2]) <= set(exports.KINDS)
    assert found["after"] == 4  # the pictures alone


@pytest.mark.parametrize("allowed", [True, False])
def test_what_cannot_be_copied_is_saved(blank, allowed):
    found = blank.evaluate(COPY, allowed)
    assert found["said"] == ("Copied" if allowed else "Saved as a file")
    assert found["copied"] == (["import rlpips"] if allowed else []) and len(found["saved"]) == (not allowed)
