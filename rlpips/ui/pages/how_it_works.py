"""The page "How it works": assets/how_it_works.md, with every number taken from the cards of the heads."""

import html

import gradio as gr

from rlpips import paths
from rlpips.evaluate import tables
from rlpips.zoo import cards, catalog

MATHS = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
SHOWN = ("lpips", "rlpips-linf", "rlpips-l2")  # on AlexNet


def build():
    """Lay the page out in the Blocks at hand."""
    gr.Markdown(text(), latex_delimiters=MATHS, elem_classes="prose-page")


def text() -> str:
    """The page as Markdown."""
    all_cards = {name: cards.read(name) for name in SHOWN}
    results = {name: card["results"] for name, card in all_cards.items() if "results" in card}
    parts = {"results": "Nothing was measured yet: `python -m rlpips.evaluate --cards`.", "measured": "", "layers": ""}
    if results:
        parts = {
            "results": tables.table(results),
            "measured": tables.conditions(results),
            "layers": tables.layer_table(results),
        }
    parts |= {
        "data": all_cards["rlpips-linf"]["data"],
        "cards": "\n\n".join(_card(name, backbone) for name, backbone in _ours()),
    }
    page = (paths.ASSETS / "how_it_works.md").read_text("utf-8")
    for name, value in parts.items():
        page = page.replace(f"[[{name}]]", value)
    return page


def _ours():
    return [
        (card.name, backbone) for card in catalog.CATALOG.values() for backbone in card.heads if card.name != "lpips"
    ]


def _card(name, backbone):
    """A card of heads, folded."""
    card = cards.read(name, backbone)
    settings = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in card["settings"].items()
    )
    rows = {
        "file": f"{card['file']}, sha256 {card['sha256']}",
        "data": card["data"] + "; " + ", ".join(f"{count} {what}" for what, count in card["photographs"].items()),
        "settings": settings,
        "made by": card["command"],
        "measured by": card["results"]["how"]["command"]
        if "results" in card
        else "nobody yet: python -m rlpips.evaluate --cards",
        "what it is not": card["limits"],
    }
    title = f"{catalog.card(name).title} on {catalog.trunk_card(backbone).title}"
    lines = "".join(f"<dt>{key}</dt><dd>{html.escape(value)}</dd>" for key, value in rows.items())
    return f"<details><summary>{title}</summary><dl>{lines}</dl></details>"
