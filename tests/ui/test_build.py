"""The page as it is built: without torch and plotly, and with files that are damaged."""

import os
import subprocess
import sys

import pytest

from rlpips import paths
from rlpips.ui.pages import how_it_works
from rlpips.zoo import cards, references

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # to import it fails
import rlpips.ui.page as page
from rlpips.ui.pages import gallery
app = page.build()
opening = gallery.opening()
assert opening["state"] == "recorded" and opening["meta"]["steps"] == 20
assert all(gallery.message(path)["frames"] for path in gallery.recorded()[:2])
assert "plotly" not in sys.modules
print("built", len(app.blocks))
"""


def test_the_page_and_recorded_duels_need_neither_torch_nor_plotly(tmp_path):
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        cwd=paths.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("built")


def test_how_it_works_reports_the_cards():
    text = how_it_works.text()
    assert "[[" not in text and "arXiv 2307.15157" in text and "arXiv 1801.03924" in text
    assert all(
        f"]({each.url})" in text for each in references.REFERENCES.values() if each.url
    )  # every source has a link
    assert "J. Nilsson, T. Akenine-Möller" in text


def test_how_it_works_takes_heads_that_were_not_measured_yet(monkeypatch):
    read = cards.read

    def read_without_results(*names):
        return {key: value for key, value in read(*names).items() if names[0] == "lpips" or key != "results"}

    monkeypatch.setattr(cards, "read", read_without_results)
    assert "nobody yet: python -m rlpips.evaluate" in how_it_works.text()


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_how_it_works_says_which_card_cannot_be_read(monkeypatch, tmp_path, damage, caplog):
    for file in paths.WEIGHTS.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = tmp_path / cards.path("rlpips-linf").name
    card.unlink() if damage == "missing" else card.write_text("{")
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    text = how_it_works.text()
    assert "[[" not in text and f"{card.name} " in text and damage in text and "please install" in text
