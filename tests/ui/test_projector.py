"""The viewer in the projector, and type and pictures in windows of different sizes: measured in a real browser."""

import re

import browser as b
import numpy as np
import pytest
from PIL import Image

import rlpips

STEPS = 3

# Of all visible text: sizes below what is wanted, what is cut, and what lies on other text.
AUDIT = """([root, least]) => {
  const at = document.querySelector(root), texts = [];
  const walker = document.createTreeWalker(at, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement, text = node.textContent.trim(), style = getComputedStyle(element);
    if (!text || element.closest('option, template, script, style, sub, .skip, .rv-title') || !element.checkVisibility({ visibilityProperty: true }))
      continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1);
    if (boxes.length) texts.push({ element, text, size: parseFloat(style.fontSize), boxes });
  }
  const cut = ({ element, boxes }) => {
    for (let place = element; place && place !== document.body; place = place.parentElement) {
      const style = getComputedStyle(place), box = place.getBoundingClientRect();
      if (style.display === 'inline' || style.overflowX === 'visible') continue;
      if (boxes.some(({ left, right }) => right > box.right + 1.5 || left < box.left - 1.5)) return true;
      if (style.overflowY !== 'auto' && boxes.some(({ top, bottom }) => bottom > box.bottom + 4 || top < box.top - 4)) return true;
    }
    return [...at.querySelectorAll('.rv-table')].some((each) => each.scrollWidth > each.clientWidth + 1);
  };
  const meet = (one, other) => one.boxes.some((a) => other.boxes.some((c) =>
    Math.min(a.right, c.right) - Math.max(a.left, c.left) > 2
    && Math.min(a.bottom, c.bottom) - Math.max(a.top, c.top) > 0.45 * Math.min(one.size, other.size)));
  const onHtml = texts.filter(({ element }) => !element.closest('svg'));    // labels of a chart may lie on its curves
  return {
    count: texts.length,
    small: texts.filter(({ element, size }) => size < least - 0.01 && !element.closest('.rv-figure'))  // which has units of its own
      .map(({ text, size }) => `${text} ${size}`),
    cut: onHtml.filter(cut).map(({ text }) => text),
    overlapping: onHtml.flatMap((one, i) => onHtml.slice(i + 1).filter((other) => meet(one, other)).map(({ text }) =>
      `${one.text} × ${text}`)),
    beyond: document.documentElement.scrollWidth - innerWidth,
  };
}"""

FRAMES = """(root) => [...document.querySelectorAll(`${root} .rv-pictures > .rv-picture .rv-frame`)]
  .map((frame) => frame.getBoundingClientRect()).filter(({ width }) => width)
  .map(({ width, height }) => [width, height])"""


def audit(page, root="#viewer .rv", least=0):
    """Fail if a visible text under `root` is smaller than `least` px, cut, or on another one."""
    found = page.evaluate(AUDIT, [root, least])
    assert found.pop("count") > 5 and found == {"small": [], "cut": [], "overlapping": [], "beyond": 0}


def step(page, number):
    page.wait_for_function(f"document.querySelector('#viewer .rv-step').textContent.startsWith('step {number} of')")


def opened(page, root="#viewer"):
    page.wait_for_selector(f"{root} .rv-columns canvas")
    page.wait_for_function("root => document.querySelector(`${root} canvas`).width > 1", arg=root)


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Saved traces by name: a square, a panorama, a portrait, and a square seen by three metrics."""
    folder = tmp_path_factory.mktemp("traces")
    shapes = {"square": (64, 64), "panorama": (40, 120), "portrait": (120, 40), "three": (64, 64)}
    for name, (height, width) in shapes.items():
        metrics = ("lpips", "rlpips-linf", "rlpips-l2")[: 3 if name == "three" else 2]
        picture = folder / f"{name}.png"  # whose name the status says
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)).save(picture)
        rlpips.attack(picture, metrics=metrics, steps=STEPS).save(folder / f"{name}.zip")
    return {name: folder / f"{name}.zip" for name in shapes}


def open_trace(page, path):
    """Open a saved trace in the Gallery."""
    b.tab(page, "Gallery")
    page.wait_for_selector("#saved-trace input, #saved-trace button[aria-label=Clear]", state="attached")
    page.wait_for_selector("#recorded .thumbnail-item img")
    b.watch(page)
    if page.locator("#saved-trace button[aria-label=Clear]").count():
        page.click("#saved-trace button[aria-label=Clear]")
    page.set_input_files("#saved-trace input[type=file]", str(path))
    b.wait_for_status(page, "Done: a saved trace")
    page.wait_for_selector("#viewer .rv-columns canvas", state="visible")
    step(page, STEPS)


def test_the_projector_is_read_from_the_back(chromium, server):
    with b.visit(chromium, server.url + "#duel?projector", 1280, 720) as page:
        opened(page)
        page.wait_for_selector("#viewer .rv-projector")
        for width, height in ((1280, 720), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)  # the chart follows
            audit(page, least=18)
            size = "all => all.map((each) => parseFloat(getComputedStyle(each).fontSize))"
            distances = page.eval_on_selector_all("#viewer .rv-distance", size)
            assert len(distances) == 4 and min(distances) >= 72
            frames = page.evaluate(FRAMES, "#viewer")
            assert len(frames) == 2 and all(min(frame) > 0.4 * height for frame in frames)
            assert page.evaluate("document.querySelector('#viewer .rv-full').scrollHeight") <= height
            assert page.is_visible("#viewer .rv-curve >> nth=0") and not page.is_visible("#run")
            page.evaluate("document.body.classList.toggle('dark')")
            texts = [
                "#viewer .rv-words",
                "#viewer .rv-distance",
                "#viewer .rv-reading h3",
                "#viewer figcaption span",
                "#viewer .rv-legend li",
            ]
            assert min(b.contrast(page, texts).values()) > 4.5


def test_the_keys_of_the_projector(chromium, server):
    address = "what => location.hash === what"
    with b.visit(chromium, server.url, 1280, 720) as page:
        b.ready(page)
        page.keyboard.press("p")
        page.wait_for_function(address, arg="#duel?projector=1")
        page.keyboard.press("ArrowLeft")
        step(page, 19)
        page.keyboard.press("2")
        page.wait_for_function(address, arg="#duel?step=19&layer=2&projector=maps")
        maps = page.locator("#viewer .rv-picture[data-kind=map] canvas:visible")
        assert maps.count() == 2 and "conv2" in maps.first.get_attribute("aria-label")
        audit(page, least=18)
        page.keyboard.press("2")
        page.wait_for_selector("#viewer .rv-picture[data-kind=attacked] canvas >> nth=0", state="visible")
        assert not maps.count()
        page.keyboard.press("Home")
        step(page, 0)
        page.keyboard.press(" ")
        page.wait_for_function("Number(document.querySelector('#viewer .rv').dataset.step) > 3")
        page.keyboard.press(" ")
        page.keyboard.press("Escape")
        page.wait_for_selector("#viewer .rv-full", state="detached")
        assert page.is_visible("#run")
        b.enter(page, "#steps", 8)
        page.click("#viewer .rv-project")
        b.watch(page)
        page.keyboard.press("Control+Enter")  # a live run grows in it
        b.wait_for_status(page, "Done: 8 steps")
        step(page, 8)
        audit(page, least=18)
        page.keyboard.press("P")
        page.wait_for_selector("#viewer .rv-full", state="detached")
        page.keyboard.press("?")
        assert re.search(r"P\s+the projector", page.inner_text("#keys-dialog"))


def test_pictures_of_any_shape_have_the_same_area(chromium, server, traces):
    with b.visit(chromium, server.url, 1280, 720) as page:
        b.ready(page)
        areas = {"page": [], "projector": []}
        for name in ("square", "panorama", "portrait"):
            open_trace(page, traces[name])
            page.wait_for_function(
                "width => document.querySelector('#viewer .rv-columns canvas').width === width",
                arg={"square": 64, "panorama": 120, "portrait": 40}[name],
            )
            frames = page.evaluate(FRAMES, "#viewer")
            assert len(frames) == 8 and page.evaluate("document.documentElement.scrollWidth") <= 1280
            assert all(
                w / h == pytest.approx({"square": 1, "panorama": 3, "portrait": 1 / 3}[name], rel=0.02)
                for w, h in frames
            )
            areas["page"] += [w * h for w, h in frames]
            audit(page)
            page.keyboard.press("p")
            page.wait_for_selector("#viewer .rv-projector")
            areas["projector"] += [w * h for w, h in page.evaluate(FRAMES, "#viewer")]
            audit(page, least=18)
            page.keyboard.press("p")
            page.wait_for_selector("#viewer .rv-full", state="detached")
        for name, most in (("page", 1.3), ("projector", 1.6)):  # there the height of the window bounds a portrait
            assert max(areas[name]) / min(areas[name]) < most
        page.focus("#viewer .rv-frame >> nth=1")
        page.keyboard.press("f")
        page.wait_for_selector("#viewer .rv-alone")
        box = page.locator("#viewer .rv-picked .rv-frame").bounding_box()
        assert box["height"] > 640 and box["width"] == pytest.approx(box["height"] / 3, rel=0.02)
        page.keyboard.press("Escape")
        page.wait_for_selector("#viewer .rv-full", state="detached")
        assert page.evaluate("document.activeElement.matches('.rv-frame')")
        open_trace(page, traces["three"])
        audit(page)
        page.click("#viewer .rv-project")
        audit(page, least=18)


def test_the_page_uses_the_window(chromium, server):
    sizes = ((1280, 720, 14), (1366, 768, 14), (1920, 1080, 16))
    with b.visit(chromium, server.url, 1280, 720) as page:
        opened(page)
        run = page.locator("#run").bounding_box()
        assert run["y"] + run["height"] < 720
        for width, height, base in sizes:
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)
            audit(page, least=base)
            page.hover("#viewer .rv-frame >> nth=0")  # the pixel probe
            page.wait_for_function("document.querySelector('#viewer .rv-probe').children.length === 4")
            audit(page, least=base)
            page.click("#inside > summary")
            page.wait_for_selector("#inside .rv-challenge:not(:empty)")
            audit(page, least=base)
            page.click("#inside > summary")
        b.tab(page, "Inspect a pair")  # opens on its example
        opened(page, "#pair-viewer")
        for width, height, base in sizes:
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)
            audit(page, "#pair-viewer .rv", least=base)
        page.keyboard.press("p")
        page.wait_for_selector("#pair-viewer .rv-projector")
        audit(page, "#pair-viewer .rv", least=18)
