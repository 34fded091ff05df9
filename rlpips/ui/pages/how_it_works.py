"""The page "How it works": assets/how_it_works.md, with every number taken from the cards of the heads."""

import html

import gradio as gr

from rlpips import paths
from rlpips.evaluate import tables
from rlpips.ui.components import modules
from rlpips.zoo import cards, catalog, references

MATHS: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]
_PAPERS_CSS = """.papers { display: flex; flex-wrap: wrap; gap: 8px; max-width: 860px; margin: -48px auto 40px; }
.papers > * {
  padding: 4px 12px; border: 1px solid var(--border-color-primary); border-radius: 6px; background: none; color: inherit;
  font: inherit; font-size: 14px; text-decoration: none; cursor: pointer;
}"""
_VERBATIM = ("file", "settings", "made by", "measured by")  # of a card: names and commands, the same in every language
METRICS = ("lpips", "rlpips-linf", "rlpips-l2")  # on AlexNet


def build() -> None:
    """Lay out the page in the current Blocks."""
    gr.Markdown(text(), latex_delimiters=MATHS, elem_classes="prose-page")
    gr.HTML(
        None, html_template='<div class="papers"></div>', css_template=_PAPERS_CSS, js_on_load=modules.load("papers.js"),
        elem_id="papers", apply_default_css=False,
    )  # fmt: skip


def text() -> str:
    """The page as Markdown. In place of a card that cannot be read stands a sentence."""
    try:
        parts = _tables({name: cards.read(name) for name in (*METRICS, catalog.PIXELS)})
    except ValueError as error:
        parts = {"results": str(error), "measured": "", "layers": "", "data": ""}
    parts["cards"] = "\n\n".join(_card(name, backbone) for name, backbone in _ours())
    parts["sources"] = "\n".join(map(_source, references.REFERENCES.values()))
    page = (paths.ASSETS / "how_it_works.md").read_text("utf-8")
    for name, value in parts.items():
        page = page.replace(f"[[{name}]]", value)
    return page


def _tables(all_cards: dict[str, dict]) -> dict[str, str]:
    results = {name: card["results"] for name, card in all_cards.items() if "results" in card}
    parts = {"results": "Nothing was measured yet: `python -m rlpips.evaluate --cards`.", "measured": "", "layers": ""}
    if results:
        parts = {
            "results": tables.table(results),
            "measured": tables.conditions(results),
            "layers": tables.layer_table({name: result for name, result in results.items() if name in METRICS}),
        }
    return {**parts, "data": all_cards["rlpips-linf"]["data"]}


def _source(paper: references.Reference) -> str:
    """A line of the list of sources, with a link to where it can be read."""
    place = f"arXiv {paper.arxiv}" if paper.arxiv else f"doi {paper.doi}" if paper.doi else paper.publisher
    link = f"[{place}]({paper.url})" if paper.url else place
    return f"- {paper.authors}: <cite>{html.escape(paper.title)}</cite>, {paper.year}, {link} ({paper.short})."


def _ours() -> list[tuple[str, str]]:
    """(metric, backbone) of all heads that were trained here."""
    return [
        (card.name, backbone) for card in catalog.CATALOG.values() for backbone in card.heads if card.name != "lpips"
    ]


def _card(name: str, backbone: str) -> str:
    """The card of heads, folded."""
    title = f"{catalog.card(name).title} on {catalog.trunk_card(backbone).title}"
    try:
        rows = _rows(cards.read(name, backbone))
    except ValueError as error:
        rows = {"card": str(error)}
    lines = "".join(
        f"<dt>{key}</dt><dd{' translate=no' * (key in _VERBATIM)}>{html.escape(value)}</dd>"
        for key, value in rows.items()
    )
    return f"<details><summary>{title}</summary><dl>{lines}</dl></details>"


def _rows(card: dict) -> dict[str, str]:
    settings = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in card["settings"].items()
    )
    return {
        "file": f"{card['file']}, sha256 {card['sha256']}",
        "data": card["data"] + "; " + ", ".join(f"{count} {what}" for what, count in card["photographs"].items()),
        "settings": settings,
        "made by": card["command"],
        "measured by": card["results"]["how"]["command"]
        if "results" in card
        else "nobody yet: python -m rlpips.evaluate --cards",
        "what it is not": card["limits"],
    }
