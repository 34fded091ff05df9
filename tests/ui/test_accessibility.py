"""axe-core's rules on every page and its states, and the way to Run by keyboard."""

import json
import os
import time

import browser as b
import pytest
import tour

OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
    "resultTypes": ["violations"],
}
FOUND = """async (options) => (await axe.run(document, options)).violations.flatMap(({ id, help, nodes }) =>
  nodes.map(({ target, html, any, all, none }) => [id, String(target.at(-1)), help, html.slice(0, 400), [...any, ...all, ...none].map((e) => e.message).join(' | ').slice(0, 300)]))"""


def states(page, scheme):
    b.ready(page)
    yield "duel"
    page.click("#more button")
    page.wait_for_selector("#step-size input")
    page.click("#viewer .rv-downloads summary")
    yield "More and downloads"
    page.keyboard.press("Escape")
    page.click("#viewer .rv-receipt summary")
    yield "receipt"
    page.keyboard.press("Escape")
    page.evaluate("document.querySelectorAll('#viewer .rv-menu').forEach((m) => m.open = false)")
    page.locator("#page-duel .controls button.help").first.click()
    yield "help"
    page.keyboard.press("Escape")
    page.click("#keys")
    yield "keys"
    page.keyboard.press("Escape")
    page.click("#qr")
    yield "qr"
    page.keyboard.press("Escape")
    page.click("#inside > summary")
    page.click("#viewer [data-layer=grid]")
    page.wait_for_selector("#inside .rv-channels tbody tr")
    tour.settle(page)
    yield "inside"
    page.click("#inside > summary")
    page.click("#viewer [data-layer=all]")
    page.click("#viewer .rv-project")
    tour.settle(page)
    yield "projector"
    page.keyboard.press("Escape")
    page.click("#story button")
    page.wait_for_selector(".story[data-state=asks]")
    tour.settle(page)
    yield "story"
    page.keyboard.press("PageDown")
    page.wait_for_selector(".story[data-state=told]")
    yield "story told"
    page.keyboard.press("Escape")
    for name in tour.tour(page, tour.PAGES[1:]):
        yield name
        if name == "judge":
            page.click(".jd-candidate[data-choice='0']")
            page.wait_for_selector(".jd-verdict")
            yield "judged"


def test_find(chromium, server):
    import axe_playwright_python.base as base

    out = {}
    for scheme in os.environ.get("SCHEMES", "light").split():
        with b.visit(chromium, server.url, color_scheme=scheme, width=1280, height=720) as page:
            page.evaluate(base.AXE_SCRIPT)
            for name in states(page, scheme):
                t = time.monotonic()
                found = page.evaluate(FOUND, OPTIONS)
                out[f"{scheme} {name}"] = found
                json.dump(out, open("/tmp/axefound.json", "w"), indent=1, ensure_ascii=False)
                print(scheme, name, len(found), round(time.monotonic() - t, 2), flush=True)
    json.dump(out, open("/tmp/axefound.json", "w"), indent=1, ensure_ascii=False)
