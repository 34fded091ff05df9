"""The page on a phone's touch screen, in a window at 200 %, and on paper."""

import re

import browser as b
import pytest

STEPS = 4


@pytest.fixture
def phone(chromium, server):
    with b.visit(chromium, server.url, width=390, height=844, has_touch=True) as page:
        b.ready(page)
        yield page


def in_view(page, selector):
    """Whether all of the first match is within the window, and above the bar of buttons."""
    box, bar = page.locator(selector).first.bounding_box(), page.locator(".stays:visible").bounding_box()
    across, down = (box["x"], box["x"] + box["width"]), (box["y"], box["y"] + box["height"])
    return across[0] > -1 and across[1] < 391 and down[0] > -1 and down[1] < bar["y"] + 1


def middle(page, selector):
    box = page.locator(selector).first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class Fingers:
    """Touches the screen as fingers do."""

    def __init__(self, page):
        self.page, self.client = page, page.context.new_cdp_session(page)

    def send(self, kind, *points):
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def drag(self, start, end, steps=8):
        self.send("touchStart", start)
        for i in range(1, steps + 1):
            self.send("touchMove", [a + (z - a) * i / steps for a, z in zip(start, end)])
            self.page.wait_for_timeout(16)
        self.page.wait_for_timeout(100)  # a finger in motion as it leaves throws the page; the next tap only halts it
        self.send("touchMove", end)
        self.send("touchEnd")


def current_dot(page):
    return page.eval_on_selector_all("#viewer .rv-dots button", "all => all.findIndex((dot) => dot.ariaCurrent)")


def test_the_first_screen(phone):
    numbers = phone.locator("#viewer .rv-now b")
    assert [float(text) for text in numbers.all_inner_texts()] == pytest.approx([0.450, 0.037], abs=1e-3)
    for part in ("#samples .thumbnail-item", "#viewer .rv-now", "#viewer .rv-frame", "#viewer [data-scrubber]"):
        assert in_view(phone, part), part
    run = phone.locator("#run").bounding_box()
    assert run["height"] >= 44 and run["y"] + run["height"] <= 844
    small = phone.evaluate("""() => [...document.querySelectorAll('button, select, input:not([type=checkbox]), [role=slider]')]
      .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 24 && !each.closest('.block label'))
      .map((each) => each.className || each.id)""")
    assert not small

    phone.evaluate("scrollTo(0, 1400)")
    assert in_view(phone, "#viewer .rv-now")  # it stays while the viewer is on show


def test_the_drawer(phone):
    opener, drawer = phone.locator("#page-duel .drawer-open"), phone.locator("#page-duel .drawer")
    assert opener.get_attribute("aria-expanded") == "false" and not phone.locator("#eps").is_visible()

    def opened():
        opener.tap()
        phone.locator("#eps").wait_for()
        drawer.evaluate("node => Promise.all(node.getAnimations().map((each) => each.finished))")
        assert drawer.get_attribute("role") == "dialog"

    def closed():
        phone.locator("#eps").wait_for(state="hidden")
        assert opener.get_attribute("aria-expanded") == "false" and drawer.get_attribute("role") is None
        assert phone.evaluate("document.activeElement.className") == "drawer-open"  # the focus is back

    opened()
    assert opener.get_attribute("aria-expanded") == "true"
    for key in ("Shift+Tab", "Tab", "Tab"):  # around the end
        phone.keyboard.press(key)
        assert phone.evaluate("Boolean(document.activeElement.closest('.drawer'))")
    size = phone.viewport_size
    phone.set_viewport_size({"width": 390, "height": 560})
    above = phone.evaluate("""() => {
      const drawer = document.querySelector('.drawer[data-open]'), bar = drawer.querySelector('.stays').getBoundingClientRect();
      const above = [];
      for (drawer.scrollTop = 0; ; drawer.scrollTop += 20) {
        for (let x = bar.left + 10; x < bar.right; x += 20) for (let y = bar.top + 5; y < bar.bottom; y += 10) {
          const top = document.elementFromPoint(x, y);
          if (!top.closest('.stays')) above.push(top.textContent);
        }
        if (drawer.scrollTop + drawer.clientHeight >= drawer.scrollHeight - 1) return above;
      }
    }""")
    phone.set_viewport_size(size)
    assert above == []  # what passes under the bar of buttons is not seen
    b.choose(phone, "#norm", "l2")
    phone.click("#norm input")
    phone.wait_for_selector("#norm input[aria-expanded=true]")
    phone.keyboard.press("Escape")  # closes the list alone
    phone.wait_for_selector("#norm input[aria-expanded=false]")
    assert phone.locator("#eps").is_visible()
    phone.keyboard.press("Escape")
    closed()

    opened()
    phone.touchscreen.tap(195, 8)  # beside it
    closed()

    opened()
    x, y = middle(phone, ".drawer[data-open] .drawer-head h2")
    Fingers(phone).drag((x, y), (x, y + 30))
    assert phone.locator("#eps").is_visible()  # too little
    Fingers(phone).drag((x, y), (x, y + 160))
    closed()

    phone.evaluate("scrollTo(0, 1400)")
    opened()
    b.enter(phone, "#steps", STEPS)
    b.run(phone)
    assert not phone.locator("#eps").is_visible()
    phone.wait_for_function("scrollY < 400")  # the result is what one sees
    assert in_view(phone, "#viewer .rv-now") and in_view(phone, "#viewer .rv-frame")


def test_fingers_swipe_wipe_read_and_zoom(phone):
    fingers = Fingers(phone)
    wipe = "Number(document.querySelector('#viewer .rv-handle').ariaValueNow)"
    assert current_dot(phone) == 0
    _, y = middle(phone, "#viewer .rv-frame")
    fingers.drag((350, y), (60, y))
    phone.wait_for_function("document.querySelectorAll('#viewer .rv-dots button')[1].ariaCurrent")
    phone.wait_for_function("document.querySelector('#viewer .rv-now b').textContent.startsWith('0.22')")
    phone.locator("#viewer .rv-dots button").first.tap()
    phone.wait_for_function("document.querySelector('#viewer .rv-columns').scrollLeft === 0")
    fingers.drag((350, y), (60, y))
    phone.wait_for_function("document.querySelector('#viewer .rv-columns').scrollLeft > 300")
    fingers.drag((40, y), (340, y))  # begins on the attacked picture, beside the handle
    phone.wait_for_function("document.querySelector('#viewer .rv-columns').scrollLeft === 0")
    assert current_dot(phone) == 0 and phone.evaluate(wipe) == 50

    x, y = middle(phone, "#viewer .rv-handle")
    fingers.drag((x, y), (x + 40, y))
    phone.wait_for_function(f"{wipe} > 60")
    assert current_dot(phone) == 0

    x, y = middle(phone, "#viewer [data-kind=perturbation] .rv-frame")
    fingers.send("touchStart", (x, y))
    phone.wait_for_selector("#viewer .rv-probing")
    first = phone.inner_text("#viewer .rv-probe")
    fingers.send("touchMove", (x + 30, y + 20))
    phone.wait_for_function("first => document.querySelector('#viewer .rv-probe').innerText !== first", arg=first)
    fingers.send("touchEnd")
    assert re.match(r"x \d+ y \d+", first) and in_view(phone, "#viewer .rv-probe")  # it stays, no finger above it
    assert phone.evaluate("scrollY") == 0 and current_dot(phone) == 0

    fingers.send("touchStart", (x - 20, y), (x + 20, y))
    for apart in range(25, 70, 5):
        fingers.send("touchMove", (x - apart, y), (x + apart, y))
    fingers.send("touchEnd")
    phone.wait_for_selector("#viewer .rv-zoomed")
    assert in_view(phone, "#viewer .rv-reset")


# What reaches beyond the window and is not in an area that scrolls by itself.
BEYOND = """() => [...document.querySelectorAll('#pages *')].filter((each) => each.checkVisibility()
    && each.getBoundingClientRect().right > innerWidth + 1)
  .filter((each) => { for (let node = each.parentElement; node; node = node.parentElement)
    if (/auto|scroll|hidden/.test(getComputedStyle(node).overflowX)) return false; return true; })
  .map((each) => `${each.tagName} ${each.id} ${each.className}`)"""


def test_no_page_scrolls_sideways(phone):
    def fits():
        for width, height in ((320, 700), (640, 360), (390, 844)):
            phone.set_viewport_size({"width": width, "height": height})
            assert phone.evaluate("document.documentElement.scrollWidth") <= width
            assert phone.evaluate(BEYOND) == []

    def go(name, selector):
        b.tab(phone, name)
        phone.wait_for_selector(selector)
        fits()

    fits()
    go("You be the judge", ".jd[data-state=question]")
    go("Inspect a pair", "#pair-viewer .rv-columns canvas")  # it opens on its recorded example
    assert in_view(phone, "#pair-viewer .rv-now") and in_view(phone, "#pair-viewer .rv-frame")
    fits()
    go("Many pairs", "#pairs tbody tr[data-place]")
    go("Robustness", "#robust-masking summary")
    assert phone.evaluate("document.documentElement.scrollHeight") < 4000  # folded
    phone.tap("#robust-masking summary")
    card = phone.locator("#robust-masking .as-cards tbody tr").first
    assert "right choices" in card.locator("td").first.inner_text()
    assert 280 < card.bounding_box()["width"] < 330  # the next one begins beside it
    phone.tap("#robust-2afc summary")
    phone.wait_for_selector("#robust-2afc .chart[data-drawn] .main-svg")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390 and phone.evaluate(BEYOND) == []
    go("Fool a classifier", "#fool-viewer .rv-columns canvas")
    phone.wait_for_selector(".fool-rows .as-cards td")
    assert in_view(phone, "#fool-viewer .rv-now")
    go("Gallery", "#recorded img")
    assert all(card.bounding_box()["width"] > 100 for card in phone.locator("#recorded .thumbnail-item").all())
    go("How it works", ".prose-page .katex")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_duel_prints_on_two_pages(chromium, server, scheme):
    with b.visit(chromium, server.url, width=1280, height=720, color_scheme=scheme) as page:
        b.ready(page)
        paper = page.pdf(prefer_css_page_size=True, print_background=True)
        assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 2
        page.emulate_media(media="print")
        for part in (
            "#viewer .rv-frame",
            "#viewer .rv-distance",
            "#viewer .rv-plot",
            "#viewer .rv-table",
            "#viewer .rv-receipt dl",
        ):
            assert page.locator(part).first.is_visible(), part
        for part in (
            "#run",
            "#samples",
            "#copy-link",
            "[role=tab]",
            "#viewer [data-scrubber]",
            "#viewer .rv-play",
            "#eps",
        ):
            assert not page.locator(part).first.is_visible(), part
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert (
            min(b.contrast(page, ["#viewer .rv-distance", "#viewer .rv-table td", "#viewer .rv-words", "h1"]).values())
            > 4.5
        )
