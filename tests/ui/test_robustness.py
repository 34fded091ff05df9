"""The Robustness page: what it does without results, its live sweep, and both in a real browser."""

import re
import time

import browser as b
import gradio as gr
import numpy as np
import pytest
from PIL import Image
from visitors import VISITOR

from rlpips import paths
from rlpips.evaluate import standard
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import robustness, sweep
from rlpips.ui.runtime import device, session, work
from rlpips.ui.runtime.session import ENDED
from rlpips.zoo import catalog

HALF = {"value": 0.5, "low": 0.4, "high": 0.6}
PICTURE = str(SAMPLES[0].path)


def test_without_results_the_page_says_how_to_make_them(monkeypatch):
    monkeypatch.setattr(robustness.cards, "read", lambda name: {"settings": {}})
    head, charts, *others = robustness._fill("linf")
    assert "python -m rlpips.evaluate" in head and charts.visible is False and others == [gr.skip()] * 12
    assert robustness.stored("results") == {}


def test_a_card_that_cannot_be_read_is_named_on_the_page(monkeypatch, tmp_path, caplog):
    for name in ("lpips", "rlpips-linf", "rlpips-l2"):
        for file in (robustness.cards.path(name), robustness.cards.path(name).with_suffix(".safetensors")):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    robustness.cards.path("rlpips-l2").write_text("{")
    head, charts, *_ = robustness._fill("linf")
    assert "rlpips-l2_alex.json in assets/weights is damaged" in head and charts.visible
    assert set(robustness.stored("results")) == {"lpips", "rlpips-linf"}
    for name in ("lpips", "rlpips-linf"):
        robustness.cards.path(name).unlink()
    head, charts, *_ = robustness._fill("linf")
    assert "lpips_alex.json is missing" in head and "not been measured" not in head and charts.visible is False


def test_missing_comparisons_are_named_and_leave_the_rest(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(paths, "DIAL", tmp_path / "dial.json")
    monkeypatch.setattr(paths, "TRANSFER", tmp_path / "transfer.json")
    head, charts, tradeoff, transfer, *_ = robustness._fill("linf")
    assert "dial.json is missing" in head and "transfer.json is missing" in head and charts.visible
    assert transfer == "" and {"LPIPS", "R-LPIPS l∞"} <= {trace["name"] for trace in tradeoff["figure"]["data"]}


def _entry(eps):
    return {"eps": eps, "standard": eps == 4 / 255, "2afc": HALF, "families": {}, "inflation": HALF, "opt": [0.5]}


@pytest.fixture
def quick(monkeypatch):
    """A sweep that measures nothing; gives the lists of its requests and of the warnings."""
    requests, warnings = [], []

    def measure(pixels, metrics, norm, patches):
        requests.append((pixels.shape, metrics, norm, patches))
        yield from ((name, {"2afc": HALF}) for name in metrics)
        yield from ((name, _entry(eps)) for eps in standard.LIVE_EPS[norm] for name in metrics)

    monkeypatch.setattr(work, "sweep", measure)
    monkeypatch.setattr(gr, "Warning", warnings.append)
    return requests, warnings


def updates(*values):
    """What Run on the page yields, without what loads."""
    every = session.guarded(sweep.updates(VISITOR, *values))
    return (update for update in every if not update.text.startswith("Loading"))


def test_results_come_one_by_one(quick):
    every = list(updates(PICTURE, None, ["rlpips-l2", "lpips"], "linf", 16))
    assert [request[1:] for request in quick[0]] == [(("lpips", "rlpips-l2"), "linf", 16)]  # in the catalogue's order
    points = [
        sum(len(line["x"]) for line in update.content[0]["figure"]["data"] if line["mode"] == "lines+markers")
        for update in every
    ]
    assert points == list(range(2 * (1 + 4) + 1))
    assert "R-LPIPS l2, 8 of 8. About" in every[-2].text and every[-2].progress == (7, 8)
    assert every[-1].text.startswith("Done: 8 of 8 measured on 16 patches") and every[-1].state == ENDED


def test_stopped_and_out_of_time(quick, monkeypatch):
    steps = updates(PICTURE, None, ["lpips"], "l2", 16)
    run = next(update.state for update in steps if update.progress == (2, 4))
    steps.close()
    last = session.stopped(run)
    assert last.text.startswith("Stopped: 2 of 4 measured") and "d(x" in str(last.content[1]["figure"])
    steps = updates(PICTURE, None, ["lpips"], "l2", 16)
    next(steps)
    monkeypatch.setattr(device, "DEADLINE_S", 0.0)
    (last,) = steps
    assert last.text.startswith("Stopped: 0 of 4") and "so that others get their turn" in last.text


def test_what_cannot_be_measured_is_refused(quick, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    for values, sentence in (
        ((PICTURE, None, [], "linf", 16), "Choose at least one metric"),
        ((None, None, ["lpips"], "linf", 16), "Choose a picture first"),
        ((PICTURE, str(tmp_path / "bad.png"), ["lpips"], "linf", 16), "bad.png is not a picture"),
    ):
        (update,) = updates(*values)
        assert update.refused and sentence in update.text and sentence in quick[1][-1]
        assert update.content is None and session.stopped(update.state) is None
    assert not quick[0]


def test_the_sweep_itself_measures_small_and_flat_pictures(monkeypatch):
    monkeypatch.setattr(standard, "LIVE_EPS", {"linf": (1 / 255, 8 / 255)})
    monkeypatch.setattr(standard, "LIVE_STEPS", 3)
    pixels = np.full((40, 52, 3), 90, np.uint8)
    names = [name for name, _ in work.sweep(pixels, tuple(name for _, name in sweep.METRICS), "linf", 1)]
    assert names == 3 * [name for _, name in sweep.METRICS] and {"rlpips-tune", "mse", "ssim"} <= set(names)
    results = list(work.sweep(pixels, ("lpips",), "linf", 2))
    assert [(name, result.get("eps")) for name, result in results] == [
        ("lpips", eps) for eps in (None, 1 / 255, 8 / 255)
    ]
    assert all(each["2afc"]["low"] <= each["2afc"]["value"] <= each["2afc"]["high"] for _, each in results)
    weak, strong = (result["opt"] for _, result in results[1:])
    assert len(weak) == 2 and all(0 < low < high for low, high in zip(weak, strong, strict=True))


# In a browser.


STORED = ("tradeoff", "2afc", "inflation", "opt", "layers", "weights")


def drawn(page, *names):
    for name in names:
        page.wait_for_selector(f"#robust-{name} .chart[data-drawn] .chart-plot .main-svg")


def said(page):
    return page.inner_text("#sweep-status")


def wait_said(page, word):
    """Wait until the sweep's status has a word; a measurement takes a second, and far more on a busy machine."""
    page.wait_for_function(
        "word => document.querySelector('#sweep-status').innerText.includes(word)", arg=word, timeout=4 * b.PATIENCE
    )


@pytest.mark.parametrize("width, height, theme", [(1440, 900, "dark"), (390, 844, "light")])
def test_stored_results_are_there_at_once(chromium, server, width, height, theme):
    results = robustness.stored("results")
    with b.visit(chromium, f"{server.url}?__theme={theme}", width, height) as page:
        page.wait_for_selector("#run")
        begun = time.monotonic()
        b.tab(page, "Robustness")
        if not results:
            page.wait_for_selector("#robust-head code")
            assert "python -m rlpips.evaluate" in page.inner_text("#robust-head")
            return
        if width < 700:  # the sections are folded
            for name in STORED:
                page.locator(f"#robust-{name} details.fold:not([open]) > summary[tabindex='0']").click()
        drawn(page, *STORED)
        assert time.monotonic() - begun < 30
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for name in STORED:
            says = page.inner_text(f"#robust-{name} .chart-says")
            assert says and page.get_attribute(f"#robust-{name} .chart-plot", "aria-label") == says
        lines = page.eval_on_selector_all(
            "#robust-2afc .js-line", "all => all.map((one) => [one.style.stroke, one.style.strokeDasharray])"
        )
        solid = [line for line in lines if line[0]]
        networks = [name for name in results if catalog.card(name).has_network]  # the others have a tile alone
        assert len({tuple(line) for line in solid}) >= len(networks)  # colour and dash
        assert page.locator("#robust-tiles article").count() == len(results)
        ink = page.evaluate("getComputedStyle(document.querySelector('#robust-2afc .xtick text')).fill")
        bright = sum(map(int, re.findall(r"\d+", ink)[:3])) / 3
        assert bright > 150 if theme == "dark" else bright < 100
        entry = results["lpips"]["attacked"]["l2"][-1]
        page.locator("#robust-norm").get_by_label("l2", exact=True).check()
        page.wait_for_function("document.querySelector('#robust-tiles').innerText.includes('l2')")
        radio = page.locator("#robust-eps").get_by_label(f"l2 {entry['eps']:.3g}", exact=True)
        radio.check()
        page.wait_for_function(
            "eps => document.querySelector('#robust-opt .chart-says').innerText.includes(`l2 ${eps} `)",
            arg=f"{entry['eps']:.3g}",
        )


def test_the_legend_hides_a_metric_with_the_keyboard(chromium, server):
    if not robustness.stored("results"):
        pytest.skip("the cards hold no results")
    with b.visit(chromium, server.url) as page:
        page.wait_for_selector("#run")
        b.tab(page, "Robustness")
        drawn(page, "2afc")
        count = "document.querySelectorAll('#robust-2afc .points path').length"
        before = page.evaluate(count)
        button = page.get_by_role("button", name="LPIPS", exact=True).first
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_function(f"{count} < {before}")
        assert button.get_attribute("aria-pressed") == "false"
        page.keyboard.press("Enter")  # the focus has stayed
        page.wait_for_function(f"{count} === {before}")


def test_a_live_sweep_stops_refuses_and_keeps_its_charts(chromium, server, tmp_path):
    with b.visit(chromium, server.url) as page:
        b.ready(page)
        b.tab(page, "Robustness")
        page.wait_for_selector("#sweep-2afc .chart[data-state=empty]")
        assert "press Run" in page.inner_text("#sweep-2afc")
        page.locator("#sweep-metrics").get_by_label("R-LPIPS l∞", exact=True).uncheck()
        page.click("#sweep-run")
        wait_said(page, "2 of 4")
        b.stop(page, "#sweep-stop", "document.querySelector('#sweep-2afc .chart[data-drawn]')")
        wait_said(page, "Stopped: ")
        assert re.match(r"Stopped: [123] of 4 measured on 16 patches of astronaut", said(page))

        bad, good = tmp_path / "bad.png", tmp_path / "good.png"
        bad.write_text("no picture")
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)).save(good)
        b.upload(page, "#sweep-upload", bad)
        wait_said(page, "Refused: bad.png is not a picture")
        with page.expect_response(lambda response: "/queue/join" in response.url):
            page.click("#sweep-run")
        wait_said(page, "Refused: bad.png is not a picture")
        assert page.get_attribute("#sweep-2afc .chart", "data-state") == "shown"
        b.upload(page, "#sweep-upload", good)
        wait_said(page, "Loading done: your picture is chosen.")
        plot = page.query_selector("#sweep-2afc .main-svg")
        page.click("#sweep-run")
        wait_said(page, "Done: 4 of 4 measured on 16 patches of good")
        page.wait_for_function("document.querySelectorAll('#sweep-2afc .points path').length === 5")
        assert plot.evaluate("node => node.isConnected")  # it was drawn on, not anew
