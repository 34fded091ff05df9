"""The page "Many pairs": what may be uploaded, the match, a run, its files, the stored example, and the bench in a browser."""

import csv
import io
import json
import zipfile

import browser as b
import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from visitors import VISITOR, request

import rlpips
from rlpips.data import images
from rlpips.pairs import example
from rlpips.ui.pages import pairs, pairs_run
from rlpips.ui.runtime import device, pair_files, session, strips, work
from rlpips.ui.runtime.pair_files import Chosen, PairFiles
from rlpips.ui.runtime.session import Update

pytestmark = pytest.mark.usefixtures("served")

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(gr, "Warning", lambda text: None)


def _pixels(seed, height=48, width=64):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _noisy(pixels, levels):
    noise = np.random.default_rng(9).integers(-levels, levels + 1, pixels.shape)
    return np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)


def _put(path, pixels):
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def pictures(tmp_path):
    """Six files: three pairs, the last one of two equal pictures."""
    folder = tmp_path / "upload"
    folder.mkdir()
    found = []
    for seed, levels in ((1, 4), (2, 40), (3, 0)):
        pixels = _pixels(seed)
        found += [
            _put(folder / f"{seed}.png", pixels),
            _put(folder / f"{seed}_adv.png", _noisy(pixels, levels)),
        ]
    return found


def _match(first, second=None, values="recognised", swap=False):
    """(the match as the browser gets it, status)"""
    message, status = pairs._match(request(), first, second, values, swap)
    return message["match"] and json.loads(message["match"]), status


def _run(first, second, values, swap, backbone, metrics=pairs_run.METRICS):
    return list(pairs._updates(VISITOR, first, second, values, swap, [*metrics], backbone, False))


def _rows(message):
    return [row for piece in message["pieces"] for row in json.loads(piece["rows"])]


def test_pictures_match_by_name_and_problems_are_listed(pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    match, status = _match([*pictures, _put(tmp_path / "lonely_adv.png", _pixels(5)), str(tmp_path / "notes.txt")])
    assert match["pairs"] == [[f"{n}.png", f"{n}_adv.png"] for n in (1, 2, 3)] and match["count"] == 3
    assert {name for name, _ in match["problems"]} == {"lonely_adv.png", "notes.txt"}
    assert status == "Loading done: 3 pairs belong together. Press Measure."
    match, _ = _match(pictures[::2], pictures[1::2])
    assert match["count"] == 3 and match["files"] == "3 files, 1.png the first and 3 files, 1_adv.png the first"
    match, _ = _match(pictures, swap=True)
    assert match["pairs"][0] == ["1_adv.png", "1.png"]


def test_a_table_of_names_reaches_no_other_file_of_the_server(pictures, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text(f"1.png,2_adv.png\n{tmp_path / 'secret.png'},1_adv.png\n../../secret.png,3_adv.png\n")
    _put(tmp_path / "secret.png", _pixels(7))
    match, _ = _match([*pictures, str(table)])
    assert match["pairs"] == [["1.png", "2_adv.png"]] and len(match["problems"]) == 2
    match, status = _match([str(table)])
    assert match is None and status.startswith("Refused: Upload the pictures, too: a CSV alone holds only their names.")
    assert _match([str(table)], [str(table)])[1].startswith("Refused")


def test_what_cannot_be_matched_is_a_sentence(pictures, tmp_path, monkeypatch):
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"no zip")
    for chosen, sentence in (
        ([str(archive)], "a.zip is not a zip"),
        ([str(archive), pictures[0]], "a.zip holds many pictures; choose it alone"),
        ([pictures[0]], "No two pictures"),
        ([pictures[0], str(tmp_path / "gone" / "1.png")], "Two files of one field are called 1.png"),
    ):
        match, status = _match(chosen)
        assert match is None and status.startswith(f"Refused: {sentence}"), status
    assert _match(None) == (None, pairs._HELP)
    assert _match(pictures, values="<b>")[1].startswith("Refused: The values in arrays are one of unit, signed")
    monkeypatch.setattr(pair_files, "LIMIT_S", 0.001)
    assert _match(pictures)[1].startswith("Refused: 1.png takes longer than 0 s to read")


def test_more_pairs_than_a_run_takes_are_counted(pictures, monkeypatch):
    monkeypatch.setattr(pair_files, "MAX_PAIRS", 2)
    match, status = _match(pictures)
    assert match["count"] == 2 and "1 more are not measured" in status
    *_, last = _run(pictures, None, "recognised", False, "alex")
    assert last.text.startswith("Done: 2 of 2 pairs measured") and last.text.endswith("1 more pairs were not measured.")


def test_arrays_keep_their_floats(tmp_path):
    clean = np.random.default_rng(0).random((2, 3, 48, 64), np.float32)
    np.save(tmp_path / "adv.npy", clean + 0.001)
    np.save(tmp_path / "clean.npy", clean)
    chosen = Chosen((str(tmp_path / "adv.npy"), str(tmp_path / "clean.npy")))
    with PairFiles(chosen) as files:  # two files of arrays in one field: their names say which is which
        match = files.match()
        x, y, _ = files.pairs()[1].load()
    assert match.pairs[1] == ("clean.npy[1]", "adv.npy[1]") and len(match.notes) == 2
    assert x.pixels.dtype == np.float32 and np.array_equal(x.pixels, clean[1].transpose(1, 2, 0))
    assert abs(y.pixels - np.clip(clean[1].transpose(1, 2, 0) + 0.001, 0, 1)).max() < 1e-6


def test_small_pictures_show_original_attacked_and_change():
    clean = np.full((40, 80, 3), 100, np.uint8)
    attacked = clean.copy()
    attacked[:, 40:] = 104
    shown = pair_files.strip(clean, attacked)
    small = pair_files.SMALL
    assert shown.shape == (small, 3 * small, 3) and (shown[:, :small] == 100).all()
    change = shown[:, 2 * small :]
    assert (change[:, 0] == 128).all() and (change[:, -1] == 228).all()  # around grey, enlarged as far as it fits


def test_a_run_measures_what_the_library_measures(pictures):
    *updates, last = _run(pictures, None, "recognised", False, "alex")
    message, measured = last.content
    assert last.text.startswith("Done: 3 of 3 pairs measured") and last.state == session.ENDED
    assert any(update.progress == (1, 3) for update in updates)
    expected = rlpips.compare(pictures[::2], pictures[1::2], eye=False)
    for row, (_, full), theirs in zip(_rows(message), measured.rows, expected, strict=True):
        assert row["lpips"] == pytest.approx(theirs["lpips"], rel=1e-4)
        assert [full[f"{side}_sha256"] for side in ("clean", "attacked")] == [
            theirs[f"{side}_sha256"] for side in ("clean", "attacked")
        ]
        assert row["rlpips-linf_jpeg"] == theirs["rlpips-linf_jpeg"] and row["easy"] == theirs["easy_to_see"]
    assert _rows(message)[2]["psnr"] is None  # equal pictures; JSON has no infinity
    client, piece = TestClient(FastAPI(routes=[strips.ROUTE])), message["pieces"][-1]
    strip = images.read_picture(client.get(f"/viewer/strips/{piece['strip']}").content).pixels
    assert strip.shape == (pair_files.SMALL * len(json.loads(piece["rows"])), 3 * pair_files.SMALL, 3)
    assert client.get(f"/viewer/strips/{'0' * 64}").status_code == 404 == client.get("/viewer/strips/..").status_code
    head = json.loads(message["head"])
    assert head["files"] == "6 files, 1.png the first" and [each["name"] for each in head["metrics"]] == [
        *pairs_run.METRICS
    ]

    _, data = work.pairs_file("csv", measured, 10)
    assert [row["pair"] for row in csv.DictReader(io.StringIO(data.decode()))] == [
        "1_adv.png",
        "2_adv.png",
        "3_adv.png",
    ]
    *_, (made, status) = pairs._write(request(), gr.EventData(None, {"kind": "latex", "threshold": 10}), measured)
    assert status.startswith("Done: wrote pairs-3-lpips-rlpips-linf.tex") and made["file"]["orig_name"] in status
    *_, (message, status, state) = pairs._open(request(), gr.EventData(None, {"place": 1}), measured)
    assert status.startswith("Done: measured") and message["meta"]["name"] == "2_adv.png"
    assert message["meta"]["height"] == 48 and isinstance(state, session.Rest)


def test_stop_and_the_deadline_keep_what_is_there(pictures, monkeypatch):
    steps = pairs._updates(VISITOR, pictures, None, "recognised", False, [*pairs_run.METRICS], "alex", False)
    cut = next(update for update in steps if update.content)
    steps.close()
    last = session.stopped(cut.state)
    assert last.text.startswith("Stopped: 1 of 3 pairs measured") and len(_rows(last.content[0])) == 1
    assert len(last.content[1].rows) == 1 and last.content[0]["run"] == cut.content[0]["run"]
    monkeypatch.setattr(device, "DEADLINE_S", 0.0)
    monkeypatch.setattr(pairs_run, "Loading", lambda *_: type("Loaded", (), {"texts": lambda self: ()})())
    *_, last = _run(pictures, None, "recognised", False, "alex")
    assert last.text.startswith("Stopped: ") and "so that others get their turn" in last.text


def test_pairs_that_cannot_be_read_are_counted(pictures, tmp_path):
    (tmp_path / "4.png").write_bytes(b"no picture")
    four = [str(tmp_path / "4.png"), _put(tmp_path / "4_adv.png", _pixels(4))]
    five = [_put(tmp_path / "5.png", _pixels(5)), _put(tmp_path / "5_adv.png", _pixels(5, 50, 50))]
    *_, last = _run([*pictures[:2], *four, *five], None, "recognised", False, "alex", ["mse", "lpips"])
    message, measured = last.content
    assert [each["name"] for each in json.loads(message["head"])["metrics"]] == ["mse", "lpips"]
    assert last.text.startswith("Done: 1 of 3 pairs measured") and "2 could not be read" in last.text
    assert len(_rows(message)) == 1 and len(json.loads(message["head"])["problems"]) == 2 == len(measured.problems)


def test_metrics_without_heads_for_the_backbone_are_left_out_with_a_sentence(pictures, monkeypatch):
    with pytest.raises(ValueError, match="Choose at least one metric that has heads for SqueezeNet"):
        _run(pictures, None, "recognised", False, "squeeze", ["rlpips-tune"])
    monkeypatch.setattr(pairs_run, "measured", lambda *arguments: iter([arguments]))
    ((*_, metrics, _, _, notes),) = _run(
        pictures, None, "recognised", False, "squeeze", ["mse", "rlpips-tune", "lpips"]
    )
    assert metrics == ("mse", "lpips") and notes == ["R-LPIPS tune has no heads for SqueezeNet 1.1, and is left out."]


@pytest.mark.parametrize("payload", [{}, {"kind": "__class__", "threshold": 10}, {"kind": "csv", "threshold": "10"}])
def test_events_that_no_page_sends_are_refused(payload):
    measured = pair_files.Measured(Chosen(("a.zip",)), ("lpips",), "alex", rows=[(0, {"pair": NASTY})])
    *_, (_, status) = pairs._write(request(), gr.EventData(None, payload), measured)
    assert status == "Refused: There is no such file."
    *_, (_, status, _) = pairs._open(request(), gr.EventData(None, {"place": "0"}), measured)
    assert status == "Refused: There is no such pair."
    *_, (_, status, _) = pairs._open(request(), gr.EventData(None, {"place": 0}), None)
    assert status.startswith("Refused: These pairs are no longer kept")
    assert NASTY not in Update(f"Loading {NASTY}").as_html()


def test_the_stored_example_is_what_is_measured(monkeypatch):
    _, message, measured, status = pairs._fill(False)
    rows = _rows(message)
    assert status.startswith("Done: a recorded example, 24 pairs") and len(rows) == 24 == len(measured.rows)
    nothing = (True, *[gr.skip()] * 3)
    assert pairs._fill(True) == nothing == pairs._fill(False, "#pairs?metrics=lpips,mse")
    wanted = {row[side] for row in rows[:1] for side in ("clean", "attacked")}
    some = [pixels for name, pixels in example.pictures().items() if name in wanted]
    (now,) = rlpips.compare(some[:1], some[1:], metrics=pairs_run.METRICS)
    assert rows[0]["lpips"] == pytest.approx(now["lpips"], rel=1e-3), "python -m rlpips.precompute pairs"
    assert rows[0]["rlpips-linf"] == pytest.approx(now["rlpips-linf"], rel=1e-3)
    others = dict.fromkeys(example.pictures(), np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setattr(example, "pictures", lambda: others)
    with pytest.raises(ValueError, match="is not the picture that was measured"):
        example.stored()


_THOUSANDS = """async () => {
  const { newTable } = await import("./pairs_table.js"), { found, verdictOf } = await import("./pairs_model.js");
  document.body.innerHTML = "<div style='height:400px;overflow:auto'><table><thead></thead><tbody></tbody></table></div>";
  const scroll = document.body.firstChild, metrics = [{ name: "a", title: "A" }, { name: "b", title: "B" }];
  const rows = Array.from({ length: 5000 }, (_, place) => ({ place, pair: `p${place}`, clean: "c", notes: "", easy: "",
    linf: 0.01, l2: 1, psnr: place % 7, ssim: 0.9, a: 1, a_jpeg: place % 100, a_place: 1, b: 1, b_jpeg: 50, b_place: 2,
    strip: { url: "data:,", index: 0, count: 1 } }));
  const verdict = (row) => verdictOf(row, metrics, 10);
  const table = newTable(scroll, { head: () => ({ metrics, verdict }), sorted() {}, chosen() {} });
  table.setHead();
  const view = { on: new Set([0, 1, 2, 3]), hard: false, find: "", bars: {}, sort: { key: (row) => row.psnr, down: true } };
  const all = found(rows, rows.map(verdict), view, []);
  table.show(all);
  table.select(all[4990]);
  const lines = [...scroll.querySelectorAll("tr[data-place]")];
  const only = found(rows, rows.map(verdict), { ...view, on: new Set([0]), find: "P1" }, []);
  return { lines: lines.length, chosen: lines.filter((line) => line.ariaSelected === "true").length,
    tall: scroll.scrollHeight, psnr: all[0].psnr, count: rows.filter((row) => verdict(row) === 0).length,
    only: only.every((row) => row.a_jpeg <= 10 && row.pair.includes("p1")), next: table.next(1).place };
}"""


def test_of_thousands_of_rows_few_are_on_the_page(blank):
    found = blank.evaluate(_THOUSANDS)
    assert found["lines"] < 60 and found["chosen"] == 1 and found["tall"] > 4900 * 46
    assert found["psnr"] == 6 and found["count"] == 550 and found["only"]


def _counts(page):
    return [int(text) for text in page.locator("#pairs .pb-chips b").all_inner_texts()]


def test_the_bench_in_a_browser(chromium, tmp_path):
    upload = tmp_path / "mine.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        for seed in range(3):
            for name, pixels in (("", _pixels(seed)), ("_adv", _noisy(_pixels(seed), 20 * seed + 1))):
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                archive.writestr(f"{NASTY.replace('/', '')}{seed}{name}.png", file.getvalue())
    with b.serve(tmp_path) as server, b.visit(chromium, f"{server.url}#pairs", 1280, 720) as page:
        page.wait_for_selector("#pairs tbody tr[data-place]")  # a recorded example
        before = _counts(page)
        assert sum(before) == 24 and "example.zip" in page.inner_text("#pairs .pb-of")
        box = page.locator("#pairs canvas").bounding_box()
        line = page.evaluate("""async () => (await import(new URL("viewer/pairs_model.js", document.baseURI))).placeOf(10,
          [88, 82, 76, 71, 64, 57, 51, 44, 38, 32, 26, 21, 16, 12, 8, 5, 3, 1, 1])""")
        x = box["x"] + 50 + (line + 1.2) / 20.5 * (box["width"] - 56)  # the upright line of the threshold
        page.mouse.move(x, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(x - 60, box["y"] + 200, steps=4)
        page.mouse.up()
        assert int(page.inner_text("#pairs .pb-threshold output")) > 10 and _counts(page) != before
        page.wait_for_function("location.hash.startsWith('#pairs?threshold=')")
        page.mouse.move(box["x"] + 53, box["y"] + 8)  # a rectangle around what is beyond LPIPS's ruler
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 8, box["y"] + 25, steps=4)
        page.mouse.up()
        assert 0 < int(page.inner_text("#pairs .pb-found").split()[0]) < 24
        page.click("#pairs .pb-unbox")
        assert page.inner_text("#pairs .pb-found") == "24 of 24 pairs"
        page.locator("#pairs .pb-chips button").nth(0).click()
        assert page.inner_text("#pairs .pb-found") == f"{24 - _counts(page)[0]} of 24 pairs"
        page.locator("#pairs .pb-chips button").nth(0).click()

        b.upload(page, "#pairs-first", upload)
        page.wait_for_function("document.querySelector('#pairs .pb-match h2').textContent.startsWith('3 pairs')")
        assert page.is_visible("#pairs .pb-stale")  # the numbers beside it are the example's
        page.click("#pairs-run")
        page.wait_for_function("document.querySelector('#pairs-status').innerText.startsWith('Done: 3 of 3')")
        assert page.locator("#pairs tbody tr[data-place]").count() == 3 and not page.is_visible("#pairs .pb-stale")
        assert page.locator("#pairs img").count() == 0 and NASTY[:9] in page.inner_text("#pairs tbody")
        page.get_by_role("button", name="PSNR").click()
        page.locator("#pairs tbody tr[data-place]").first.click()
        assert page.get_attribute("#pairs .pb", "data-chosen") == "0"  # the least noise has the highest PSNR
        page.keyboard.press("j")
        assert page.get_attribute("#pairs .pb", "data-chosen") == "1"
        page.wait_for_selector("#pairs-viewer .rv-columns canvas")
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV", exact=True).click()
        assert download.value.suggested_filename == "pairs-3-lpips-rlpips-linf.csv"

        page.evaluate("location.hash = '#pairs?metrics=mse,lpips'")
        page.wait_for_selector("#pairs .pb-stale", state="visible")  # these numbers are of other metrics
        page.click("#pairs-run")
        page.wait_for_function("document.querySelector('#pairs thead').innerText.includes('pixel MSE')")
        page.wait_for_selector("#pairs .pb-stale", state="hidden")
        page.wait_for_function("location.hash.startsWith('#pairs?metrics=mse,lpips')")
