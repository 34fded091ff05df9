import base64
import hashlib
import json
import re

import numpy as np
import pytest

import rlpips
from rlpips import paths
from rlpips.data import images
from rlpips.metrics.eye import is_installed
from rlpips.pairs import report
from rlpips.pairs.views import choose, views

NAMES = ["</script><script>document.title='run'</script>", 'b & "c"', "a\u202egnp", "plain"]


@pytest.fixture(scope="module")
def pairs():
    picture = images.read_picture(paths.SAMPLES / "coffee.png").pixels[40:88, 40:104]
    trace = rlpips.attack(picture, eps=6 / 255, steps=8, seed=0)
    others = [trace.adversarial[0], trace.adversarial[2], picture, picture // 3]
    attacked = [images.Picture(np.asarray(pixels), name=name) for pixels, name in zip(others, NAMES)]
    return rlpips.compare([picture] * 4, attacked)


@pytest.fixture(scope="module")
def page(pairs):
    return pairs.to_html()


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_policy_lets_only_the_pages_own_script_and_style_in(page):
    policy = re.search(r'content="(default-src.*?)"', page)[1]
    for tag, kind in (('<script type="module">', "script"), ("<style>", "style")):
        body = page.split(tag)[1].split(f"</{kind}>")[0]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"https?://", page)


def test_names_cannot_leave_their_place(page, pairs):
    assert page.count("<script") == 2 and "\u202e" not in page
    data = data_of(page)
    assert data["columns"]["pair"] == [row["pair"] for row in pairs]
    assert data["columns"]["pair"][0].startswith("</script>")


def test_numbers_are_those_of_the_table(page, pairs):
    columns = data_of(page)["columns"]
    for name in pairs.metrics:
        assert columns[f"{name}_jpeg"] == [row[f"{name}_jpeg"] for row in pairs]
        assert columns[name] == pytest.approx([row[name] for row in pairs], rel=1e-3)
    assert columns["psnr"][2] is None
    assert columns["eye_jpeg"] == [row["eye_jpeg"] for row in pairs]  # without FLIP's package None
    assert columns["eye"] == [each and pytest.approx(each, rel=1e-3) for each in (row["eye"] for row in pairs)]


def test_the_pictures_are_the_pairs(page, pairs):
    shown = data_of(page)["pictures"]
    assert len(shown) == 4
    for index, entry in shown.items():
        x, y, _ = pairs.source(int(index)).load()
        for key, expected in (("clean", x), ("attacked", y)):
            png = base64.b64decode(entry[key].removeprefix("data:image/png;base64,"))
            np.testing.assert_array_equal(images.read_picture(png).pixels, expected.pixels)
        assert [each["title"] for each in entry["maps"]] == ["LPIPS", "R-LPIPS l∞", "R-LPIPS l2"]


@pytest.mark.parametrize("size, expected", [((120, 200), (58, 96)), ((40, 64), (40, 64))])
def test_maps_have_the_shape_of_their_pictures(size, expected):
    x = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    for view in views(rlpips.compare(x[:1], x[1:]), [0]):
        assert [each.shape for each in view.maps] == [expected] * 3 and view.clean.shape == (*size, 3)


def test_a_report_stays_small(pairs, monkeypatch):
    assert len(pairs.to_html().encode()) < report.MAX_MB * 1e6
    monkeypatch.setattr(report, "MAX_MB", 0.08)
    page = pairs.to_html()
    assert len(page.encode()) < 0.08 * 1e6 and len(data_of(page)["pictures"]) < 4
    monkeypatch.setattr(report, "MAX_ROWS", 2)
    shown = data_of(pairs.to_html())
    assert len(shown["columns"]["pair"]) == 2 and "first 2 of 4 pairs" in shown["notes"][0]


def test_pairs_that_fool_the_first_metric_are_chosen_first(pairs):
    assert choose(pairs, 1) == [0]
    assert choose(pairs, 9) == [0, 1, 2, 3]


def test_scripts_keep_to_120_letters():
    assert max(map(len, (paths.PAIRS / "report.js").read_text("utf-8").splitlines())) <= 120


def test_the_report_works_from_a_disk_without_a_network(pairs, page, chromium, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page, "utf-8")
    context = chromium.new_context(offline=True)
    view = context.new_page()
    errors = []
    view.on("console", lambda message: errors.append(message.text))
    view.on("pageerror", lambda error: errors.append(str(error)))
    view.goto(file.as_uri())
    rows = "#rows tbody tr"
    assert view.title().startswith("4 pictures") and view.locator(rows).count() == 4
    assert view.locator("#headline").inner_text() == pairs.headline()
    view.get_by_role("button", name="PSNR dB").click()
    heads = view.locator("#rows th").all_inner_texts()
    assert [text for text in heads if "FLIP" in text] == (
        ["FLIP, the eye: as far as JPEG", "FLIP, the eye: distance"] if is_installed() else []
    )
    cells = view.locator(f"{rows} td:nth-child({heads.index('PSNR dB ▾') + 1})").all_inner_texts()
    shown = [float(text.replace("∞", "inf")) for text in cells]
    assert shown == sorted(shown, reverse=True) and len(shown) == 4
    view.get_by_role("searchbox").fill("PLAIN")
    assert view.locator(rows).count() == 1 and view.locator("#found").inner_text() == "1 of 4 pairs"
    view.get_by_role("searchbox").fill("")
    view.get_by_role("button", name="fool neither").click()
    assert view.locator(rows).count() == 4 - pairs.counts()["neither"]
    view.locator("#threshold input").fill("88")
    assert str(pairs.at(88).counts()["both"]) == view.locator("#counts b").nth(1).inner_text()
    view.locator(f"{rows} td button").first.click()
    assert view.locator("#shown img").count() == 6
    assert view.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    context.close()
    assert errors == []
