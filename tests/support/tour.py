"""A walk through every page of the app with everything opened, for whoever looks at its texts."""

PAGES = ("duel", "judge", "inspect", "pairs", "robustness", "classifier", "gallery", "how")
# The texts of Gradio's components, also of those that a list or a page that is not open holds.
_MISSING = """async (names) => {
  const texts = window.gradio_config.components.flatMap(({ props }) => [props.label, props.info, props.placeholder,
    ...(props.choices ?? []).map(([name]) => name)]).filter((text) => typeof text === 'string');
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


def settle(page, quiet=250):
    """Wait until nothing has changed for so many ms, or for twenty times as long."""
    page.evaluate(_STILL, quiet)


def tour(page, pages=PAGES):
    """Open one page after the other; yields its name once everything on it is open."""
    for name in pages:
        page.evaluate("name => { location.hash = name; }", name)
        page.wait_for_selector(f"#page-{name}[role=tabpanel]:visible, #page-{name}:visible")
        settle(page)
        for folded in page.locator(_FOLDED % name).all():
            folded.click()
        page.evaluate(_OPEN)
        settle(page)
        yield name


def missing(page, names=False):
    """The keys of all texts of the page, shown or not, that are in English still, with single words too if `names`."""
    return page.evaluate(_MISSING, names)
