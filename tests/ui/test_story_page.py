"""The story in a real browser: by keyboard alone, addresses, a lecturer's own file. Every visit fails on an error in the console."""

import json
from contextlib import contextmanager

import browser as b
import numpy as np
import torch.nn.functional as F
from stories import EXAMPLE, put
from torch import from_numpy

from rlpips import Trace, paths
from rlpips.engine.ruler import Ruler

CALM = {"reduced_motion": "reduce", "width": 1280, "height": 720}
FILES = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/story/')).length"


@contextmanager
def opened(chromium, server, address, **options):
    with b.visit(chromium, server.url + address, **CALM | options) as page:
        page.wait_for_selector("#viewer .rv-columns canvas", state="attached")
        yield page


def at(page, scene, state, address=None):
    """Wait for a scene of the story, asking ("asks") or revealed ("told"), and for its address."""
    page.wait_for_function(
        """([label, state]) => document.querySelector(`.story[data-state=${state}]`)?.ariaLabel.includes(label)
          && !document.querySelector('.story-sentence').matches(':empty')""",
        arg=[f"scene {scene} of", state],
    )
    page.wait_for_function(
        "address => location.hash === address", arg=address or ("#story" if scene == 1 else f"#story?scene={scene}")
    )


def text(page, part):
    return page.inner_text(f".story-{part}")


def half(products):
    """How many of the largest products make half of their sum."""
    shares = np.sort(products)[::-1].cumsum() / products.sum()
    return int((shares < 0.5).sum()) + 1


def overlap(trace):
    """Of the brightest tenth of LPIPS's map, the percentage in the brightest tenth of R-LPIPS's, both of the first lane."""
    frame = next(each for each in reversed(trace.frames) if 0 in each.lanes)
    tops = []
    for layers in frame.maps:
        size = trace.reference.shape[:2]
        whole = sum(F.interpolate(from_numpy(each[:1])[None], size=size, mode="bilinear") for each in layers).ravel()
        tops.append({*whole.argsort(descending=True)[: round(0.1 * len(whole))].tolist()})
    return 100 * len(tops[0] & tops[1]) / len(tops[0])


def test_all_scenes_by_keyboard_alone_and_every_number_is_the_traces(chromium, server):
    trace = Trace.load(paths.PRECOMPUTED / paths.OPENING)
    large = Trace.load(paths.PRECOMPUTED_STORY / "astronaut-away-linf-8.zip")
    ruler, end = Ruler.from_json(trace.ruler), trace.distance[-1]
    frame = next(each for each in reversed(trace.frames) if 0 in each.lanes)
    with opened(chromium, server, "") as page:
        b.ready(page)
        assert page.evaluate(FILES) == 0  # nothing is fetched before it is asked for
        page.focus("#story button")
        page.keyboard.press("Enter")
        at(page, 1, "asks")
        assert page.evaluate("document.activeElement.matches('.story[role=dialog]')")
        page.keyboard.press("Tab")
        while not page.evaluate("document.activeElement.matches('.story-slider input')"):
            page.keyboard.press("Tab")
        page.keyboard.press("Home")  # of the slider, not of the story
        page.keyboard.press("Enter")
        at(page, 1, "told")
        assert text(page, "answer") == "You said 0 levels; measured: 4 levels." and text(page, "figure") == "4"
        assert f"{frame.psnr[0]:.1f} dB" in text(page, "reveal")

        page.keyboard.press("PageDown")
        at(page, 2, "asks")
        assert text(page, "figure") == "?" and page.evaluate("document.body.dataset.storyHides") == "1"
        page.keyboard.press("3")
        at(page, 2, "told")
        assert text(page, "answer") == "You said “beyond quality 1”, and so it is."
        assert text(page, "figure") == f"{end[0, 0]:.3f}" and ruler.read("lpips", end[0, 0]) in text(page, "reveal")

        page.keyboard.press("ArrowRight")
        at(page, 3, "asks")
        page.keyboard.press("1")
        at(page, 3, "told")
        assert text(page, "answer") == "You said “about as far”; measured: “more than 30 times”."
        assert text(page, "figure") == f"{end[0, 0] / end[2, 0]:.0f}×" and f"{end[2, 0]:.4f}" in text(page, "reveal")
        assert page.locator("#viewer .rv-lane").nth(1).input_value() == "2"  # noise

        page.keyboard.press("Space")
        at(page, 4, "asks")
        page.keyboard.press("Space")  # without a prediction
        at(page, 4, "told")
        assert text(page, "figure") == f"{end[1, 1]:.3f}" and not page.is_visible(".story-answer")
        assert ruler.read("rlpips-linf", end[1, 1]) in text(page, "reveal")

        page.keyboard.press("PageDown")
        at(page, 5, "asks")
        page.keyboard.press("PageDown")
        at(page, 5, "told")
        assert abs(int(text(page, "figure").split()[0]) - overlap(trace)) <= 1.5  # maps are stored in 8 bits

        page.keyboard.press("PageDown")
        at(page, 6, "asks")
        page.keyboard.press("PageDown")
        at(page, 6, "told")
        products = trace.trunks[0].heads[0] * frame.channels[0][frame.lanes.index(0)]
        assert int(text(page, "figure")) == half(products) and str(len(products)) in text(page, "unit")
        assert f"{100 * (trace.per_layer[-1, 0, 0].max() / end[0, 0]):.0f} %" in text(page, "reveal")
        lit = page.evaluate(
            "(({ top, bottom }) => [top, bottom, document.querySelector('.story').getBoundingClientRect().top])("
            "document.querySelector('.story-rings rect').getBoundingClientRect())"
        )
        assert 0 <= lit[0] < lit[2], "the panel does not hide what it speaks of"

        page.keyboard.press("End")
        at(page, 7, "asks")
        page.keyboard.press("PageDown")
        at(page, 7, "told")
        assert text(page, "figure") == f"{large.distance[-1, 1, 1]:.3f}" and "8" in text(page, "sentence")
        page.keyboard.press("PageUp")
        at(page, 6, "told")
        page.keyboard.press("Home")
        at(page, 1, "told")
        page.keyboard.press("p")
        page.wait_for_selector("body.projecting")
        page.keyboard.press("ArrowLeft")  # of the projector, which is above the story
        page.wait_for_function("document.querySelector('#viewer .rv-step').textContent === 'step 19 of 20'")
        page.keyboard.press("Escape")
        page.wait_for_selector("body:not(.projecting)")
        page.press("#viewer .rv-downloads summary", "Enter")
        page.wait_for_selector("#viewer .rv-downloads[open]", state="attached")
        page.keyboard.press("Escape")
        page.wait_for_selector("#viewer .rv-downloads:not([open])", state="attached")
        at(page, 1, "told")
        page.keyboard.press("Escape")
        page.wait_for_function("location.hash === '#duel' && !document.querySelector('.story')")
        page.wait_for_function("document.activeElement.closest('#story')")
        page.wait_for_function("document.querySelector('#viewer [data-scrubber]').value === '20'")
        assert page.inner_text("#viewer .rv-distance >> nth=0") == "0.450" and page.is_visible("#run")


def test_the_task_looks_at_the_duels_that_are_run(chromium, server):
    with opened(chromium, server, "#story?scene=7") as page:
        at(page, 7, "asks")
        page.keyboard.press("PageDown")
        at(page, 7, "told")
        page.click(".story-try")
        page.wait_for_function(
            "document.querySelector('.story-task-says').textContent === "
            "'eps 4 does it (JPEG quality below 1). The smallest so far is 4: try a smaller one.'"
        )  # of the duel that the page opened with, which is back on show
        page.wait_for_function("document.querySelector('#status').innerText.startsWith('Loading done')")
        b.enter(page, "#steps", 3)
        b.enter(page, "#eps", 0.5)
        b.run(page)
        page.wait_for_function("document.querySelector('.story-task-says').textContent.startsWith('eps 0.5 does')")
        assert page.evaluate("location.hash") == "#story?scene=7"
        page.keyboard.press("Escape")
        page.wait_for_function("location.hash === '#duel?eps=0.5&steps=3'")
        assert page.get_attribute("#viewer .rv", "data-state") == "done"


def test_a_scene_has_an_address(chromium, server):
    with opened(chromium, server, "#story?scene=3") as page:
        at(page, 3, "asks")
        page.keyboard.press("ArrowLeft")
        at(page, 2, "asks")
        page.go_back()
        at(page, 3, "asks")
        page.go_forward()
        at(page, 2, "asks")
        with b.leaving(page):
            page.reload()
        at(page, 2, "asks")
        b.tab(page, "How it works")
        page.wait_for_function("location.hash === '#how' && !document.querySelector('.story')")
        page.go_back()
        at(page, 2, "asks")
        page.evaluate("location.hash = '#story?scene=0&eps=4'")
        page.wait_for_selector(".notice:not([hidden])")
        says = page.inner_text(".notice p")
        assert "scene cannot be 0" in says and "the story has no key eps" in says
        at(page, 1, "asks")


def test_a_file_of_ones_own_and_a_hostile_one(chromium, server, tmp_path):
    own, hostile = tmp_path / "own.json", tmp_path / "hostile.json"
    own.write_text(put("scenes", 0, "sentence", "<img src=x onerror=alert(1)> within {eps}"), "utf-8")
    hostile.write_text(put("scenes", 0, "trace", "<img src=x>"), "utf-8")
    with opened(chromium, server, "#story") as page:
        at(page, 1, "asks")
        page.set_input_files(".story input[type=file]", str(hostile))
        page.wait_for_function(
            "document.querySelector('.story-trouble').textContent.includes('scenes[0].trace must be')"
        )
        at(page, 1, "asks")  # the lesson stays
        page.set_input_files(".story input[type=file]", str(own))
        page.wait_for_function("document.querySelector('.story-place').textContent === '1 of 2 · A cat'")
        at(page, 1, "asks")
        assert text(page, "sentence") == "<img src=x onerror=alert(1)> within 4"
        assert page.locator(".story img").count() == 0
        page.keyboard.press("PageDown")
        at(page, 1, "told")
        cat = Trace.load(paths.PRECOMPUTED / "chelsea-away-linf-4.zip").distance[-1]
        assert text(page, "figure") == f"{cat[0, 0] / cat[2, 0]:.0f} ×"
        page.keyboard.press("PageDown")
        at(page, 2, "told")  # it asks nothing
        assert f"{cat[1, 1]:.3f}" in text(page, "reveal")


def test_a_story_of_a_link_is_fetched_when_the_visitor_agrees(chromium, server):
    asked = []

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(body=json.dumps(EXAMPLE))

    with opened(chromium, server, "") as page:
        page.route("**/lessons/own.json", answer)
        page.evaluate("location.hash = '#story?from=lessons/own.json'")
        page.wait_for_selector(".story[data-state=offers]")
        page.wait_for_timeout(300)
        assert asked == [] and "lessons/own.json" in text(page, "sentence")
        page.click("text=Fetch and open it")
        page.wait_for_function("document.querySelector('.story-place').textContent === '1 of 2 · A cat'")
        assert len(asked) == 1 and page.evaluate("location.hash") == "#story?from=lessons%2Fown.json"
        page.evaluate("location.hash = '#story?from=http://example.org/a.json'")
        page.wait_for_function("document.querySelector('.story-trouble').textContent.includes('it is not opened')")
