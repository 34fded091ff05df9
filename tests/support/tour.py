"""A walk through every page of the app with everything opened, for whoever looks at its texts."""

PAGES = ("duel", "judge", "inspect", "pairs", "robustness", "classifier", "gallery", "how", "story")
# The texts of Gradio's components, also of those that a list or a page that is not open holds.
_MISSING = """async (names) => {
  const texts = window.gradio_config.components.flatMap(({ type, props }) => [props.label, props.info, props.placeholder,
    type === 'button' ? props.value : null, ...(props.choices ?? []).map(([name]) => name)])
    .filter((text) => typeof text === 'string');
  const { missing } = await import(new URL('viewer/translate.js', document.baseURI).href);
  return missing(names, texts);
}"""
_OPEN = "() => { for (const each of document.querySelectorAll('details')) each.open = true; }"
_FOLDED = "#page-%s button.label-wrap:not(.open)"  # Gradio's folded parts
# Until nothing on the page changes any more.
_STILL = """(quiet) => new Promise((resolve) => {
  let timer = setTimeout(done, quiet);
  const watch = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, quiet); });
  watch.observe(document.body, { subtree: true, childList: true, characterData: true });
  function done() { watch.disconnect(); resolve(); }
  setTimeout(done, 20 * quiet);
})"""
# Moves a slider of the opened metric, by its place among them, as people do.
_MOVE = """([place, value]) => {
  const slider = [...document.querySelectorAll('#inside .rv-recipe input')].at(place);
  slider.value = value;
  for (const name of ['input', 'change']) slider.dispatchEvent(new Event(name, { bubbles: true }));
}"""


def settle(page, quiet=100):
    """Wait until nothing has changed for so many ms, or for twenty times as long."""
    page.evaluate(_STILL, quiet)


def tour(page, pages=PAGES):
    """Open one page after the other; yields what is open: the page with everything on it, and then what it shows only at times."""
    for name in pages:
        if name != "story":
            page.evaluate("name => { location.hash = name; }", name)
            page.wait_for_selector(f"#page-{name}[role=tabpanel]:visible, #page-{name}:visible")
            settle(page)
            for folded in page.locator(_FOLDED % name).all():
                folded.click()
            page.evaluate(_OPEN)
            settle(page)
            yield name
        for state in _STATES.get(name, _nothing)(page):
            yield f"{name}, {state}"


def missing(page, names=False):
    """The keys of all texts of the page, shown or not, that are in English still, with single words too if `names`."""
    return page.evaluate(_MISSING, names)


# ---- what a page shows only at times


def _nothing(_):
    return ()


def _duel(page):
    page.press("#viewer .rv-frame", "Enter")  # with the opened metric: a position
    for symbol in page.locator("#inside .rv-symbol").all():
        symbol.focus()
        yield "a part of the formula"
    page.evaluate(_MOVE, [0, 0.5])
    settle(page)
    yield "a mixture"
    page.evaluate(_MOVE, [-1, 15])
    settle(page)
    yield "silent channels"
    page.evaluate("document.querySelectorAll('#viewer .rv-menu').forEach((menu) => { menu.open = false; })")
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#page-duel .drawer-open")
    yield "drawer"
    page.click("#page-duel .drawer-close")
    page.set_viewport_size(size)
    page.click("#viewer .rv-project")  # last, as no window can be resized while it fills the screen
    settle(page)
    yield "projector"
    page.keyboard.press("Escape")
    page.wait_for_function("!document.fullscreenElement")


def _judge(page):
    page.wait_for_selector("#judge .jd[data-state=question]")
    page.locator("#judge .jd-candidate").first.click()
    page.wait_for_selector("#judge .jd[data-state=answered]")
    settle(page)
    yield "an answer"
    page.click(".jc-open")
    page.wait_for_selector(".jc-dialog[open] .jc-tally h2:not(:empty)")
    page.click(".jc-reveal")
    settle(page)
    yield "a room"
    page.click(".jc-dialog form button")
    page.evaluate("() => { location.hash = 'judge'; }")


def _story(page):
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("() => { location.hash = 'story'; }")
    for scene in range(1, 8):
        page.wait_for_selector(f".story[data-state=asks] .story-dot:nth-child({scene})[aria-current]")
        page.wait_for_selector(".story-question")
        if scene == 1:
            yield "a question"
        page.click(".story-next")
        page.wait_for_selector(".story[data-state=told]")
        yield f"scene {scene}"  # with its question, which is out of sight
        if scene < 7:
            page.click(".story-next")
    page.click(".story-try")
    yield "the task"
    page.evaluate("() => { location.hash = 'story?from=https%3A%2F%2Fexample.org%2Fstory.json'; }")
    page.wait_for_selector(".story[data-state=offers]")
    yield "a stranger's"
    page.click(".story-close")


_STATES = {"duel": _duel, "judge": _judge, "story": _story}
