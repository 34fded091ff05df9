"""The page "How it works": assets/how_it_works.md, with the numbers that the cards of the heads report."""

import json
from pathlib import Path

import gradio as gr

from rlpips import catalog

ASSETS = Path(__file__).resolve().parents[2] / "assets"
MATHS = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
_COLUMNS = {
    "natural_2afc": "natural 2AFC", "attacked_2afc": "attacked 2AFC", "inflation": "inflation",
    "agreement_with_lpips": "agreement with LPIPS",
}  # fmt: skip


def build():
    """Lay the page out in the Blocks at hand."""
    gr.Markdown(text(), latex_delimiters=MATHS, elem_classes="prose-page")


def text() -> str:
    """The page as Markdown."""
    cards = {name: _card(name) for name in ("rlpips-linf", "rlpips-l2")}
    page = (ASSETS / "how_it_works.md").read_text("utf-8")
    page = page.replace("[[data]]", cards["rlpips-linf"]["data"])
    return page.replace("[[results]]", "\n\n".join(_table(name, card) for name, card in cards.items()))


def _card(name):
    """What training wrote beside the heads on AlexNet."""
    heads = catalog.card(name).heads["alex"].file
    return json.loads((ASSETS / "weights" / heads).with_suffix(".json").read_text("utf-8"))


def _table(name, card):
    measured = card["measured"]
    rows = [("LPIPS", measured["lpips"]), (catalog.card(name).title, measured["heads"])]
    layers = list(measured["lpips"]["share_of_layers"])
    heading = [*_COLUMNS.values(), *(f"{layer}" for layer in layers)]
    lines = ["| | " + " | ".join(heading) + " |", "|---" * (1 + len(heading)) + "|"]
    for title, row in rows:
        shares = [f"{row['share_of_layers'][layer]:.0%}" for layer in layers]
        lines.append(f"| {title} | " + " | ".join([*(f"{row[key]:.3f}" for key in _COLUMNS), *shares]) + " |")
    return "\n".join(
        [*lines, "", f"Measured on {measured['how']}. Last columns: each layer's share of the natural distance."]
    )
