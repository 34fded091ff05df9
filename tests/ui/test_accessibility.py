"""Every page and its states by the rules of axe-core, and the focus, in a real browser. The formulas are Gradio's, and left out."""

import browser as b
import pytest
import tour
from axe_playwright_python.base import AXE_SCRIPT

OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},  # experimental
    "resultTypes": ["violations"],
    "elementRef": True,
}
COLORS = {**OPTIONS, "runOnly": {"type": "rule", "values": ["color-contrast"]}, "rules": {}}
# What stays: (rule, CSS selector): why.
KNOWN = {
    (
        "target-size",
        ".pb-bars button",
    ): "the bars of a histogram; the range that they choose is chosen in the scatter plot and the sorted table, too",
}
# [rule, selector, help], or the place in the list of what is known.
VIOLATIONS = """async ([options, known]) => (await axe.run({ exclude: ['.katex'] }, options)).violations.flatMap(({ id, help, nodes }) =>
  nodes.map(({ target, element }) => {
    const place = known.findIndex(([rule, selector]) => rule === id && element.matches(selector));
    return place < 0 ? [id, target.flat().join(' '), help] : place;
  }))"""
NAMED = "!document.querySelector('.thumbnail-item[aria-label], button[aria-dropeffect][aria-label]')"
# Which stops of the Tab key look the same with the focus and without, up to three elements around them.
UNSEEN = """() => {
  const still = document.head.appendChild(document.createElement('style'));
  still.textContent = '*, ::before, ::after { transition: none !important; animation: none !important }';
  const around = (each) => [each, each.parentElement, each.parentElement.parentElement, each.nextElementSibling];
  const look = (each) => around(each).filter(Boolean).map((node) => {
    const { outline, boxShadow, borderColor, backgroundColor, textDecoration } = getComputedStyle(node);
    return [outline, boxShadow, borderColor, backgroundColor, textDecoration].join();
  }).join(';');
  const stops = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter((each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility({ visibilityProperty: true }));
  const before = document.activeElement;
  const unseen = [];
  for (const each of stops) {
    document.activeElement.blur();
    const without = look(each);
    each.focus({ preventScroll: true, focusVisible: true });
    if (document.activeElement === each && look(each) === without)
      unseen.push(['focus', each.outerHTML.slice(0, 160), 'The focus must be seen']);
  }
  before.focus({ preventScroll: true });
  still.remove();
  return unseen;
}"""


@pytest.fixture
def page(chromium, server):
    with b.visit(chromium, server.url, width=1280, height=720, reduced_motion="reduce") as page:
        b.ready(page)
        page.evaluate(AXE_SCRIPT)
        page.wait_for_selector("#samples .thumbnail-item:not([aria-label])")
        yield page


def duel_states(page):
    """Opens one part of the page Duel after the other; yields what is open."""
    yield "as it opens"
    page.click("#more button")
    page.wait_for_selector("#step-size input")
    page.click("#viewer .rv-downloads summary")
    yield "More, Download"
    page.click("#viewer .rv-downloads summary")
    page.click("#viewer .rv-receipt summary")
    page.click("#norm .help")
    yield "the receipt, a ?"
    page.keyboard.press("Escape")
    page.click("#viewer .rv-receipt summary")
    for name in ("keys", "qr"):
        page.click(f"#{name}")
        page.wait_for_selector(f"#{name}-dialog", state="visible")
        yield f"the dialog {name}"
        page.keyboard.press("Escape")
    page.click("#inside > summary")
    page.click("#viewer [data-layer=grid]")
    page.wait_for_selector("#inside .rv-channels tbody tr")
    tour.settle(page)
    yield "Inside the metric, all layers"
    page.click("#inside > summary")
    page.click("#viewer [data-layer=all]")
    page.keyboard.press("p")
    page.wait_for_selector("body.projecting")
    yield "the projector"
    page.keyboard.press("Escape")


def story_states(page):
    page.click("#story button")
    page.wait_for_selector(".story[data-state=asks]")
    yield "the lesson asks"
    page.keyboard.press("PageDown")
    page.wait_for_selector(".story[data-state=told]")
    yield "the lesson tells"
    page.keyboard.press("Escape")
    page.wait_for_selector(".story", state="detached")


def duel_elsewhere(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_selector("#page-duel .drawer-open", state="visible")
    yield "390 px"
    page.click("#page-duel .drawer-open")
    page.wait_for_selector(".drawer[data-open]")
    page.locator(".drawer[data-open]").evaluate(
        "node => Promise.all(node.getAnimations().map((each) => each.finished))"
    )
    yield "390 px, the drawer"
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1280, "height": 720})
    b.set_dark(page, True)
    tour.settle(page)
    yield "dark"
    b.set_dark(page, False)
    for place, lang in ((1, "zh-Hans"), (0, "en")):
        page.locator(".languages button").nth(place).click()
        page.wait_for_function("lang => document.documentElement.lang === lang", arg=lang)
        if place:
            yield "Chinese"


def other_pages(page):
    comes = {"pairs": ".pb-bars button", "robustness": "#robust-transfer table", "classifier": "#fool-table table"}
    for name in tour.tour(page, ["gallery", "how", "judge", "inspect", "pairs", "classifier", "robustness"]):
        if name in comes:
            page.wait_for_selector(comes[name])
        yield name


def robustness_elsewhere(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_selector("#robust-masking summary")
    page.evaluate("for (const each of document.querySelectorAll('details.fold')) each.open = true")
    tour.settle(page)
    yield "390 px, Robustness"
    page.set_viewport_size({"width": 1280, "height": 720})
    b.set_dark(page, True)
    tour.settle(page)
    yield "Robustness, dark"


def test_axe_finds_nothing_and_every_focus_is_seen(page):
    found = {}
    # Large pages come last: axe reads all that has been opened, shown or not.
    for states in (duel_states, story_states, duel_elsewhere, other_pages, robustness_elsewhere):
        for state in states(page):
            page.wait_for_function(NAMED)
            found[state] = page.evaluate(VIOLATIONS, [COLORS if state.endswith("dark") else OPTIONS, [*KNOWN]])
            if states is other_pages or state in (
                "as it opens",
                "Inside the metric, all layers",
                "390 px, the drawer",
                "390 px, Robustness",
            ):
                found[state] += page.evaluate(UNSEEN)
    known = {each for violations in found.values() for each in violations if isinstance(each, int)}
    new = {state: [each for each in violations if not isinstance(each, int)] for state, violations in found.items()}
    assert not any(new.values()), {state: violations for state, violations in new.items() if violations}
    assert known == {*range(len(KNOWN))}  # nothing is excused that is mended
