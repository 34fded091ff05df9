"""The page in other languages, in a real browser. Every visit fails on an error in the console."""

import re

import browser as b
import pytest
import tour

# Names stand as they are in every language: titles and authors of papers, commands, and the names of what ran.
NAMES = re.compile(
    r"arXiv|IEEE|SIGGRAPH|High-Performance Graphics|^The Unreasonable|^python -m|\.safetensors|sha256|[{\[]\"|Ctrl Enter|^[\w./+-]+$"
)
LOADED = """() => performance.getEntriesByType("resource").map((each) => each.name)
  .filter((name) => /translate[.]js|phrases[.]js|[/]text[/]/.test(name))"""
LANGUAGE = "document.documentElement.lang"


def opened(page):
    page.wait_for_selector("#viewer .rv-columns canvas", state="attached")


def speaks(page, language):
    """Wait until the page is in a language, and its tabs are."""
    name = {"en": "Robustness", "zh-Hans": "鲁棒性"}[language]
    page.wait_for_function(f"language => {LANGUAGE} === language", arg=language)
    page.wait_for_function(
        "name => document.querySelector('#pages [data-tab-id=robustness]').textContent.trim() === name", arg=name
    )


@pytest.mark.parametrize("code, lang", [("zh", "zh-Hans")])
def test_nothing_is_left_in_english(chromium, server, code, lang):
    """Every page with all that can be opened; `python tests/measure/untranslated.py` prints what is missing, to be filled in."""
    missing = {}
    with b.visit(chromium, f"{server.url}#duel?lang={code}") as page:
        opened(page)
        speaks(page, lang)
        for name in tour.tour(page):
            missing[name] = [text for text in tour.missing(page) if not NAMES.search(text)]
    assert not any(missing.values()), {name: texts for name, texts in missing.items() if texts}


# Texts and attributes as they are, but for what moves: the canvases' sizes and what a run takes.
TEXTS = """() => {
  const all = [], walk = document.createTreeWalker(document.querySelector("#page-duel"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode())
    if (!walk.currentNode.parentElement.closest("style, script")) all.push(walk.currentNode.data.trim());
  for (const node of document.querySelectorAll("#page-duel *"))
    for (const name of ["title", "aria-label", "placeholder", "alt"]) all.push(node.getAttribute(name));
  return all.filter(Boolean);
}"""


def test_english_costs_nothing_and_comes_back_as_it_was(chromium, server):
    with b.visit(chromium, server.url) as page:
        b.ready(page)
        assert page.evaluate(LANGUAGE) == "en" and page.evaluate(LOADED) == []
        tour.settle(page, 1200)  # the "?" come late
        before = page.evaluate(TEXTS)
        page.get_by_role("button", name="简体中文").click()
        speaks(page, "zh-Hans")
        assert page.evaluate("location.hash") == "#duel?lang=zh" and len(page.evaluate(LOADED)) == 3
        assert page.evaluate("document.querySelector('#status').innerText").startswith("加载完成")
        assert page.evaluate(TEXTS) != before
        page.get_by_role("button", name="English").click()
        speaks(page, "en")
        assert page.evaluate("location.hash") == "#duel?lang=en"
        assert page.evaluate(TEXTS) == before


def test_the_language_comes_from_the_browser_and_is_remembered(chromium, server):
    with b.visit(chromium, server.url, locale="zh-CN") as page:
        opened(page)
        speaks(page, "zh-Hans")
        assert page.evaluate("location.hash") == ""  # a link made here opens in the language of whoever opens it
        page.get_by_role("button", name="English").click()
        speaks(page, "en")
        with b.leaving(page):
            page.goto("about:blank")
        page.goto(server.url)
        opened(page)
        speaks(page, "en")


def test_the_language_stays_in_the_address(chromium, server):
    with b.visit(chromium, server.url + "#robustness?lang=zh") as page:
        speaks(page, "zh-Hans")
        page.click("#pages [data-tab-id=judge]")
        page.wait_for_function("location.hash === '#judge?lang=zh'")
        page.go_back()
        page.wait_for_function("location.hash === '#robustness?lang=zh'")
        page.evaluate("location.hash = '#how-the-attack'")  # as a link within the page
        page.wait_for_function("location.hash === '#how-the-attack?lang=zh'")
        page.wait_for_function("document.activeElement.textContent === '攻击'")
        with b.leaving(page):
            page.reload()
        speaks(page, "zh-Hans")
        page.evaluate("location.hash = '#duel?lang=xx&eps=99'")
        page.wait_for_selector(".notice:not([hidden])")
        page.wait_for_function(
            "document.querySelector('.notice p').textContent === "
            "'此链接中被忽略的内容：lang 不认识 xx；eps 应为 0.5 到 16 的数，而不是 99。'"
        )
        page.evaluate("location.hash = '#duel?lang=en'")
        speaks(page, "en")


def test_a_run_a_refusal_and_choices_are_in_chinese(chromium, server):
    with b.visit(chromium, server.url + "#duel?steps=4&lang=zh") as page:
        speaks(page, "zh-Hans")
        page.wait_for_function("document.querySelector('#status').innerText.startsWith('加载完成')")
        assert page.inner_text("#objective label.selected") == "推远"
        assert page.get_attribute("#candidate [data-said]", "data-said") == "图像本身"
        assert page.input_value("#candidate input") == "the picture itself"  # the value is Gradio's
        page.click("#run")
        page.wait_for_function("document.querySelector('#status').innerText.startsWith('完成：4 步，用时')")
        assert not re.search(r"[a-z]{3,} [a-z]{2,}", page.inner_text("#status"))
        page.press("#viewer [data-scrubber]", "Home")
        page.wait_for_function("document.querySelector('#viewer .rv-step').textContent === '第 0 / 4 步'")
        b.choose(page, "#metric-1", "LPIPS")
        page.click("#run")
        page.wait_for_function(
            "document.querySelector('#status').innerText.trim() === '已拒绝：请选择两个不同的度量来相互对抗。'"
        )
