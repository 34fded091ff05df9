"""Layers in the viewer: the bar, its keys, the three scales and the grid of every layer's map."""

import re

import browser as b
import numpy as np
import pytest
import torch

from rlpips import Trace, paths
from rlpips.metrics.base import merge_maps
from rlpips.ui.pages import gallery


@pytest.fixture(scope="module")
def recorded():
    return Trace.load(paths.PRECOMPUTED / gallery.OPENING)


@pytest.fixture
def page(chromium, server):
    with b.visit(chromium, server.url) as page:
        b.ready(page)
        page.hover("#viewer .rv-step")
        yield page


def pressed(page):
    return page.eval_on_selector_all(
        "#viewer .rv-choices [aria-pressed=true]", "all => all.map((button) => button.dataset.layer)"
    )


def maps(page):
    """(width, height) of the maps on show in the first column."""
    sizes = "all => all.map((c) => [c.width, c.height])"
    return (
        page.locator("#viewer .rv-column >> nth=0")
        .locator(".rv-picture[data-kind=map]:not(.rv-eye *) canvas")
        .evaluate_all(sizes)
    )


def map_levels(page):
    """Of every map its lightest byte and checksum."""
    picture = "#viewer [data-kind=map] canvas"
    return page.eval_on_selector_all(
        picture,
        """all => all.map((canvas) => {
      const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return bytes.reduce((a, v, i) => (i % 4 < 3 ? Math.max(a, v) : a), 0);
    })""",
    )


def test_keys_and_the_bar_choose_a_layer(page):
    page.wait_for_function("document.querySelector('#viewer [data-kind=map] canvas').width === 256")
    assert pressed(page) == ["all"] and maps(page) == [[256, 256]] * 2
    before = b.canvases(page)
    for key, side in (("1", 63), ("2", 31), ("3", 15), ("5", 15)):
        page.keyboard.press(key)
        page.wait_for_function(f"document.querySelector('#viewer [data-kind=map] canvas').width === {side}")
        page.wait_for_selector(f"#viewer .rv-choices [aria-pressed=true]:nth-child({int(key) + 1})")
        assert pressed(page) == [str(int(key) - 1)] and maps(page) == [[side, side]] * 2
    page.click("#viewer .rv-choices >> text=conv1")
    page.wait_for_function("document.querySelector('#viewer [data-kind=map] canvas').width === 63")
    assert pressed(page) == ["0"] and maps(page) == [[63, 63]] * 2
    page.keyboard.press("0")
    page.wait_for_function("document.querySelector('#viewer [data-kind=map] canvas').width === 256")
    assert b.canvases(page) == before
    b.enter(page, "#steps", 3)  # keys in a field are text
    assert pressed(page) == ["all"]


def test_each_map_has_its_own_scale_first_and_says_how_much_less_it_sees(page, recorded):
    page.wait_for_function("document.querySelector('#viewer [data-kind=map] canvas').width === 256")
    assert min(map_levels(page)) > 240  # inferno's lightest: none is black
    figures = page.locator("#viewer [data-kind=map] figcaption").all_inner_texts()
    last = max((frame for frame in recorded.frames if 0 in frame.lanes), key=lambda frame: frame.step)
    layers = [[torch.from_numpy(each[:1])[None] for each in maps] for maps in last.maps]
    tops = [merge_maps(maps, (256, 256)).max().item() for maps in layers]
    for text, sign in zip(figures[:2], "×÷", strict=True):
        written = re.search(rf"{sign} (\S+)", text)
        assert written and float(written[1]) == pytest.approx(tops[0] / tops[1], rel=0.05)
    page.select_option("#viewer .rv-scale", "common")
    page.wait_for_function("document.querySelector('#viewer [data-kind=map] figcaption').innerText.includes('max')")
    common = map_levels(page)
    assert common[1] < 200 < common[0]
    page.select_option("#viewer .rv-scale", "log")
    page.wait_for_timeout(100)
    assert map_levels(page)[1] > common[1]


def test_the_grid_shows_every_layer_and_follows_the_step(page, recorded):
    page.get_by_role("button", name="All layers").click()
    grid = page.locator("#viewer .rv-column >> nth=0").locator(".rv-grid-of-layers")
    grid.wait_for()
    sizes = grid.locator("canvas").evaluate_all("all => all.map((c) => c.width)")
    assert sizes == [63, 63, 31, 31, 15, 15, 15, 15, 15, 15]
    figures = grid.locator("figcaption b").all_inner_texts()
    last = max((frame for frame in recorded.frames if 0 in frame.lanes), key=lambda frame: frame.step)
    expected = [last.maps[m][k][0].max() for k in range(5) for m in range(2)]
    np.testing.assert_allclose([float(text.removeprefix("max ")) for text in figures], expected, atol=6e-4)
    page.press("#viewer [data-scrubber]", "Home")
    page.wait_for_function("document.querySelector('#viewer .rv-step').textContent === 'step 0 of 20'")
    page.wait_for_function(  # the maps come with their frame, a moment after the step
        "before => [...document.querySelector('#viewer .rv-grid-of-layers').querySelectorAll('figcaption b')]"
        ".every((each, i) => each.innerText !== before[i])",
        arg=figures,
    )
    box = grid.locator(".rv-frame >> nth=4").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    marks = grid.locator(".rv-mark").evaluate_all(
        "all => all.map((m) => [getComputedStyle(m).display, m.style.transform])"
    )
    assert len({transform for _, transform in marks}) == 1 and {display for display, _ in marks} == {"block"}
    page.keyboard.press("0")
    grid.wait_for(state="hidden")
    assert page.locator("#viewer [data-kind=perturbation] >> nth=0").is_visible()


def test_on_a_phone_the_grid_fits_its_column(chromium, server):
    with b.visit(chromium, server.url, width=390, height=844) as page:
        b.ready(page)
        page.get_by_role("button", name="All layers").click()
        grid = page.locator("#viewer .rv-grid-of-layers >> nth=0")
        grid.wait_for()
        wide = grid.evaluate("(grid) => [grid.scrollWidth, grid.clientWidth]")
        assert wide[0] <= wide[1] + 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
