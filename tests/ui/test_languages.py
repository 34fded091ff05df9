"""The catalogues of the page's languages, and the script that looks texts up in them."""

import ast
import json
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rlpips import paths
from rlpips.ui.components import languages, modules

CODES = [*languages.folders()]
every_language = pytest.mark.parametrize("code", CODES)

PLACE = re.compile(r"\{[#=]?(\d)\}")
TAG = re.compile(r"</?\d+/?>")
HAN = re.compile(r"[\u4e00-\u9fff]")
# What Gradio writes, so that no source of ours has it.
GRADIO = {
    "More tabs", "Thumbnail {#1} of {#2}", "Click to upload or drop files", "Drop File Here", "Drop Image Here", "- or -", "Click to Upload",
    "File upload", "Reset to default value", "number input for {1}", "range slider for {1}", "Clear", "Remove this file", "Error", "Warning",
    "Info", "Zoom in", "Zoom out", "Reset axes", "Download plot as a PNG",
}  # fmt: skip


def plain(text: str) -> str:
    return " ".join(TAG.sub("", text).split())


# ---- the catalogues


@every_language
def test_a_translation_has_the_places_and_tags_of_its_text(code):
    for key, value in languages.texts(code).items():
        assert value.strip(), key
        assert set(PLACE.findall(value)) == set(PLACE.findall(key)), key
        assert not re.search(r"\{[#=]\d\}", value), f"{key}: a place in a translation is a bare number, as {{1}}"
        assert sorted(TAG.findall(value)) == sorted(TAG.findall(key)), key


def test_chinese_is_chinese():
    for key, value in languages.texts("zh").items():
        if any(len(word) > 2 for word in re.findall(r"[A-Za-z]+", plain(PLACE.sub("", key)))) and value == key:
            assert key in ("P({1})",), f"{key} is not translated"
        if len(re.findall(r"\b[a-z]{3,}\b", PLACE.sub("", plain(key)))) > 3:
            assert HAN.search(value), key
        assert not re.search(r"[\u4e00-\u9fff][,;:?!](?!\d)|[\u4e00-\u9fff] [\u4e00-\u9fff]", value), (
            f"{value}: punctuation of full width, and no space between characters"
        )


def sources() -> Iterator[str]:
    """What the page's texts are written in, one text for each file, without markup and with single spaces."""
    for file in sorted(paths.ROOT.glob("rlpips/**/*.py")):
        parts = [node.value for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Constant)]
        yield "\n".join(part for part in parts if isinstance(part, str))
    for pattern in ("viewer/*.js", "viewer/*.html", "story/*.js*", "*.md", "weights/*.json"):
        for file in sorted(paths.ASSETS.glob(pattern)):
            yield re.sub(r"[\"'`]\s*\+\s*[\"'`]", "", file.read_text("utf-8"))


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]{3,}", text))


@every_language
def test_every_key_is_still_a_text_of_the_page(code):
    """All words of each part of a key stand in one source. The parts may have come together from several."""
    known = [words(text) for text in sources()]
    stale = []
    for key in languages.texts(code):
        if key in GRADIO:
            continue
        for part in re.split(r"[.!?:;,()] ?", PLACE.sub(" ", plain(key))):
            if not any(words(part) <= source for source in known):
                stale.append(key)
                break
    assert stale == []


def messages(pattern: str) -> Iterator[tuple[str, str]]:
    """(file, text with {} for each value) of every ValueError that the modules raise."""
    for file in sorted(paths.ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                name, message = node.exc.func, node.exc.args[0]
                if isinstance(name, ast.Name) and name.id == "ValueError":
                    yield file.name, template(message)


def template(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) else "{}"


# What no visitor reads: the host in the terminal, or a program that calls the endpoint or the library.
OTHERS = {"settings.py", "endpoint.py", "languages.py", "address.py", "loading.py"}
REFUSE = [
    "rlpips/ui/**/*.py", "rlpips/validation.py", "rlpips/attacks/request.py", "rlpips/data/limits.py", "rlpips/data/tiff.py",
    "rlpips/pairs/matching.py", "rlpips/quiz/draw.py",
]  # fmt: skip


@every_language
@pytest.mark.parametrize("pattern", REFUSE)
def test_refusals_are_translated(code, pattern):
    known = {PLACE.sub("{}", key) for key in languages.texts(code)}
    missing = []
    for file, message in messages(pattern):
        message = re.sub(r"(?<=[.!?]) ?\{\}$", "", message.replace("{}×{}", "{}").replace("{}{}", "{}"))
        for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", message):
            sentence = re.sub(r"(?<=\w)\{\}(?=\.$)", "", sentence)  # an end that is not always there
            if words(sentence) and sentence not in known and file not in OTHERS:
                missing.append(f"{file}: {sentence}")
    assert missing == []


# ---- how they are served


def test_a_language_is_served_as_one_catalogue():
    client = TestClient(FastAPI(routes=[languages.ROUTE]))
    for code in CODES:
        answer = client.get(f"/text/{code}")
        assert answer.status_code == 200 and answer.json() == languages.texts(code)
    assert client.get("/text/xx").status_code == client.get("/text/..%2F..%2FCREDITS.md").status_code == 404


def test_english_comes_first_and_needs_no_catalogue():
    first, *others = languages.for_browser()
    assert first == {"code": "en", "name": "English", "short": "EN", "lang": "en"}
    assert [other["code"] for other in others] == CODES
    assert {"code": "zh", "name": "简体中文", "short": "中文", "lang": "zh-Hans"} in others
    assert "translate.js" not in modules.HEAD and "phrases.js" not in modules.HEAD and "language.js" in modules.HEAD


def test_two_catalogues_that_differ_about_a_text_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TEXT", tmp_path)
    folder = tmp_path / "xx"
    folder.mkdir()
    (folder / "language.json").write_text(json.dumps({"name": "X", "lang": "x"}))
    for name, value in (("one", "a"), ("two", "b")):
        (folder / f"{name}.json").write_text(json.dumps({"text": value}))
    with pytest.raises(ValueError, match="another catalogue as 'a'"):
        languages.texts("xx")


# ---- the script that looks texts up

LOOK_UP = """async ([texts, asked]) => {
  const { newPhrases } = await import("./phrases.js");
  return asked.map(newPhrases(texts));
}"""


def test_places_lists_and_sentences(blank):
    texts = {
        "Run": "R", "Done: {1}.": "D {1}", "{#1} steps in {#2} s": "{2}/{1}", "{=1} is damaged.": "bad {1}", "Run again.": "RA。",
        "a cat": "C", "a dog": "H", "It sees {1}.": "S {1}。", "{1} and {2}": "{1}+{2}", "{1} on {#2}": "{2}@{1}",
    }  # fmt: skip
    cases = {
        "Run": "R",
        "Walk": None,
        "12": None,
        "Done: 40 steps in 3.2 s.": "D 3.2/40",
        "Done: Run.": "D R",
        "Run.is damaged.": None,
        "my own cat.png is damaged.": "bad my own cat.png",  # enough words of its own to stand beside English
        "cat.png is damaged.": "bad cat.png",
        "Run is damaged.": "bad Run",  # a name stands as it is
        "It sees a cat.": "S C。",
        "It sees a cat and a dog.": "S C+H。",
        "It sees a cat, a dog and a cat.": "S C、H+C。",
        "It sees a cat. Run again.": "S C。RA。",
        "It sees a cat. Nobody knows that.": "S C。Nobody knows that.",
        "It sees what is there.": "S what is there。",
        "a cat; a dog": "C；H",
        "a cat · CPU": "C · CPU",
        "a cat, a bird of prey": None,
        "a cat on 5 %": "5 %@C",
        "x" * 5000: None,
    }
    assert dict(zip(cases, blank.evaluate(LOOK_UP, [texts, [*cases]]), strict=True)) == cases


# Sentences made from numbers, which only some runs show.
MADE = """After 40 steps within l∞ 4/255 the attack has brought LPIPS to 1.020, further than any JPEG tried (quality 1); R-LPIPS l∞ to 0.111, \
as far as JPEG quality 24. Noise of the same budget brings them to 0.01 and 0.002.
After 12 of 40 steps within an l2 norm of 1.5 the attack has brought LPIPS from 0.5 to 0.11, as far as JPEG quality 24.
After 1 step within moves of 0.5 px the attack has brought DISTS to 0.2. Random moves within the same budget bring it to 1.2e-5.
It was further than any JPEG tried (quality 1). As far as which JPEG copy does R-LPIPS find it now?
LPIPS says 0.012, as far as JPEG quality 71: not the size of the change fools it, but its direction.
A lesson in seven scenes, scene 2 of 7: LPIPS's verdict
You said “quality 50 or better”; measured: “beyond quality 1”.
You said 32 levels; measured: 4 levels.
eps 4 does it (JPEG quality below 1). The smallest so far is 4, and 0.5 does not: try one between.
Reached: 0.5 does it, and nothing smaller can be set. Duels: 5.
In the story file, scenes[0].ask.value must be the name of a value that is a number, not "foo".
The story could not be fetched from example.org: it answers 404.
25 answers from 12 browsers
Done: question 3 of 25 in room ACDEF.
1 channel makes half of LPIPS’s distance, 12 of R-LPIPS l∞’s, 5 of yours. For the same picture as JPEG quality 16 it takes 33 and 18: \
to LPIPS this change sits in fewer channels.
Done: scored in 12 s. Agrees with LPIPS on 0.95 (0.9 to 0.98), with R-LPIPS l∞ on 0.9 (0.8 to 0.95), and chooses right under attack \
0.41 (0.33 to 0.5).
Fooled: it says a cat. In 8 bits: a dog.
Running: waiting for a turn… (2nd in the queue, about 3 min)
This is not a readable trace: its maps are too large."""


def test_sentences_with_numbers_are_whole(blank):
    made = blank.evaluate(LOOK_UP, [languages.texts("zh"), MADE.splitlines()])
    assert [text for text in made if text is None or re.search(r"[A-Za-z]{2,} +[a-z]{2,}", text)] == []


BODY = """<h1>Title</h1><p id="mixed">Press <b>this</b> and <a href="#x">that</a>.</p><p id="code">Run <code>Title</code></p>
<input placeholder="Title" value="Title"><button id="b" title="Title"><span>Title</span></button><p translate="no">Title</p>
<div id="split"><span>Title</span><i>Title</i></div><select><option value="t">Title</option></select><svg><text>Title</text></svg>"""
TEXTS = {
    "Title": "题",
    "Press <1>this</1> and <2>that</2>.": "先<2>那</2>后<1>这</1>",
    "Run <1/>": "跑 <1/>",
    "Next {#1}": "下 {1}",
}
SPEAK = """async ([body, texts]) => {
  document.body.innerHTML = body;
  const [b, a] = document.querySelectorAll("#mixed > *");
  window.was = document.body.innerHTML; window.pressed = 0; window.kept = [b, a];
  a.addEventListener("click", (event) => { event.preventDefault(); window.pressed += 1; });
  window.layer = await import("./translate.js");
  window.layer.speak(texts);
  a.click();
}"""


def test_the_layer_translates_texts_blocks_and_attributes_and_takes_all_of_it_back(blank):
    blank.evaluate(SPEAK, [BODY, TEXTS])
    assert blank.inner_text("h1") == "题" and blank.inner_text("#mixed") == "先那后这"
    assert blank.inner_html("#mixed").startswith('先<a href="#x">那</a>后<b>这</b>')
    assert blank.evaluate("window.pressed") == 1  # elements are moved and not made anew
    assert blank.inner_text("#code") == "跑 Title" and blank.inner_text("[translate=no]") == "Title"
    assert blank.get_attribute("input", "placeholder") == "题" and blank.input_value("input") == "Title"
    assert blank.get_attribute("#b", "title") == "题" and blank.inner_text("#split") == "题题"
    assert blank.evaluate("document.querySelector('option').text") == "题" and blank.input_value("select") == "t"
    assert blank.evaluate("document.querySelector('text').textContent") == "题"
    assert blank.evaluate("layer.englishOf(document.querySelector('#mixed'))") == "Press this and that."
    blank.evaluate("layer.speak({})")
    assert blank.evaluate("document.body.innerHTML === window.was")
    assert blank.evaluate("kept[0] === document.querySelector('#mixed b')")


def test_the_layer_follows_the_page(blank):
    blank.evaluate(SPEAK, [BODY, TEXTS])
    after = """(change) => { eval(change); return Promise.resolve().then(() => document.querySelector("h1").textContent); }"""
    heading = "document.querySelector('h1').firstChild"
    assert blank.evaluate(after, f"{heading}.data = 'Next 2'") == "下 2"
    assert blank.evaluate(after, f"{heading}.data = 'Something else'") == "Something else"
    assert blank.evaluate(after, "document.querySelector('h1').textContent = 'Title'") == "题"
    # a word within a translated block changes, and comes back
    blank.evaluate("document.querySelector('#mixed b').textContent = 'something'")
    assert blank.inner_text("#mixed") == "Press something and that."
    blank.evaluate("document.querySelector('#mixed b').textContent = 'this'")
    assert blank.inner_text("#mixed") == "先那后这"
    blank.evaluate("document.querySelector('#mixed').replaceChildren('Title')")
    assert blank.inner_text("#mixed") == "题"
    assert blank.evaluate("layer.missing(false, ['Two words', 'Title'])") == ["Two words"]


# A table becomes cards while the page is in another language, and then the visitor chooses English.
CARDS = """async (texts) => {
  document.body.innerHTML = `<div class="languages"></div><div id="robustness-page"><div class="intervals"><table>
    <thead><tr><th>Run</th><th><b>Title</b> of</th><th>Run</th></tr></thead><tbody><tr><td>1</td><td>2</td><td>3</td></tr></tbody></table></div></div>`;
  const { newLanguage } = await import("./language.js"), { labelTables } = await import("./cards.js");
  const heard = () => new Promise((done) => document.addEventListener("page-language", done, { once: true }));
  const known = ["en", "xx"].map((code) => ({ code, name: code, short: code, lang: code }));
  const address = `data:application/json,${encodeURIComponent(JSON.stringify(texts))}`;
  newLanguage(document, known, () => address, () => {}).take("xx");
  await heard();
  labelTables();
  await Promise.resolve();
  const label = () => document.querySelector("td .of").textContent, said = [label()];
  document.querySelector(".languages button").click();
  await heard();
  return [...said, label(), document.documentElement.lang];
}"""


def test_the_labels_of_cards_go_back_to_english(blank):
    assert blank.evaluate(CARDS, {"<1>Title</1> of": "的<1>题</1>"}) == ["的题", "Title of", "en"]


# What the page says its language is, for what the browser prefers and what was chosen before.
FIRST = """async ([preferred, before]) => {
  Object.defineProperty(navigator, "languages", { value: preferred, configurable: true });
  if (before) localStorage.setItem("lang", before); else localStorage.removeItem("lang");
  document.body.innerHTML = '<div class="languages"></div>';
  const { newLanguage } = await import("./language.js");
  const known = ["en", "xx"].map((code) => ({ code, name: code, short: code, lang: code }));
  newLanguage(document, known, () => "data:application/json,{}", () => {}).start();
  return document.documentElement.lang;
}"""


def test_the_first_language_that_is_known_is_spoken(blank):
    cases = [
        (["fr-FR"], None, "en"), (["fr", "xx-YY"], None, "xx"), (["en-US", "xx"], None, "en"), (["XX"], None, "xx"),
        (["xx"], "en", "en"), (["en"], "xx", "xx"), (["xx"], "yy", "xx"), ([], None, "en"),
    ]  # fmt: skip
    assert [blank.evaluate(FIRST, case[:2]) for case in cases] == [case[2] for case in cases]
