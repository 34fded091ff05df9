"""The Robustness page: what `rlpips.evaluate` measured, as charts and tables, and a sweep on the visitor's picture."""

import html
import re

import gradio as gr

from rlpips.evaluate import tables
from rlpips.ui.components.chart import SWEEPS, chart, drawn
from rlpips.ui.pages import robustness_tables, sweep
from rlpips.ui.pages import robustness_text as words
from rlpips.ui.pages.duel_controls import NORMS
from rlpips.zoo import cards, catalog

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
PLAIN = {"apply_default_css": False}
_MISSING = (
    "<p>The metrics have not been measured yet. <code>python -m rlpips.evaluate --images FOLDER --cards</code> does "
    "it, with a folder of photographs; then open this page again.</p>"
)


def build(tab):
    """Lay the page out in the Blocks at hand; it is filled when `tab` is opened, not before."""
    with gr.Column(elem_id="robustness-page"):
        head = gr.HTML(_head(), elem_id="robust-head", **PLAIN)
        with gr.Column(elem_id="robust-stored") as stored:
            norm = gr.Radio(NORMS, value="linf", label="Norm of the attack", elem_id="robust-norm")
            tiles = gr.HTML(elem_id="robust-tiles", **PLAIN)
            with gr.Row(elem_classes="two"):
                sweeps = [chart(title, f"robust-{key}") for key, title in SWEEPS.items()]
            eps = gr.Radio([], label="Budget ε of the attack, for the two below", elem_id="robust-eps")
            with gr.Row(elem_classes="two"):
                opt = chart("The same budget, two verdicts", "robust-opt", legend=False)
                families = gr.HTML(elem_id="robust-families", elem_classes="panel", **PLAIN)
            with gr.Row(elem_classes="two"):
                layers = chart("Where the distance comes from", "robust-layers")
                weights = chart("Where the weight went", "robust-weights")
            masking = gr.HTML(elem_id="robust-masking", elem_classes="panel", **PLAIN)
        gr.HTML(
            '<div class="robust-head"><h2 id="robust-live">On your own picture</h2><p>The same measurement, live, on '
            "small squares of one picture. Few squares make wide intervals; where all choices were right, the bands cannot show it.</p></div>",
            **PLAIN,
        )
        sweep.build()
    by_eps, by_norm, always = [opt, families], [tiles, *sweeps], [head, stored, layers, weights, masking]
    tab.select(_opened, norm, [*always, eps, *by_norm, *by_eps], **PRIVATE)
    norm.input(_norm_chosen, norm, [eps, *by_norm, *by_eps], **PRIVATE)
    eps.input(_eps_chosen, [norm, eps], by_eps, **PRIVATE)


def stored(part: str) -> dict:
    """{metric: that part of its card} ("results", "masking") of all metrics whose card has it."""
    found = {}
    for name, card in catalog.CATALOG.items():
        try:
            found[name] = cards.read(name)[part] if card.heads else None
        except (OSError, KeyError, ValueError):  # not measured yet, or not readable
            pass
    return {name: value for name, value in found.items() if value}


def _opened(norm):
    results, tried = stored("results"), stored("masking")
    if not results:
        return _head(_MISSING), gr.Column(visible=False), *[gr.skip()] * 9
    from rlpips.evaluate import charts

    heads = _heads(results)
    return (
        _head(_how(results)), gr.Column(visible=True),
        drawn(charts.layers(results), words.layers(results)), drawn(charts.weights(heads), words.weights(heads)),
        _part("Is it gradient masking?", words.masking(tried), robustness_tables.masking(tried)) if tried else "",
        *_norm_chosen(norm),
    )  # fmt: skip


def _norm_chosen(norm):
    """Of another ball: its budgets to choose from, and everything that depends on it."""
    from rlpips.evaluate import charts

    results = stored("results")
    budgets = {e["eps"]: e["standard"] for one in results.values() for e in one["attacked"][norm]}
    choices = [
        (tables.budget(norm, eps) + (", standard" if usual else ""), eps) for eps, usual in sorted(budgets.items())
    ]
    chosen = next((eps for eps, usual in budgets.items() if usual), next(iter(budgets), None))
    sweeps = (drawn(charts.sweep(results, norm, key), words.sweep(results, norm, key)) for key in SWEEPS)
    radio = gr.Radio(choices, value=chosen)
    return radio, robustness_tables.summary(results, norm), *sweeps, *_eps_chosen(norm, chosen)


def _eps_chosen(norm, eps):
    from rlpips.evaluate import charts

    results = stored("results")
    entries = charts.at(results, norm, eps)
    table = robustness_tables.families(results, entries)
    return (
        drawn(charts.opt(results, norm, eps), words.opt(entries, norm)),
        _part("Family by family", words.families(entries, norm), table),
    )


def _heads(results):
    """{metric: {layer: its weights}}, read without torch."""
    from safetensors.numpy import load_file

    files = {name: cards.path(name).with_suffix(".safetensors") for name in results}
    read = {name: load_file(file) for name, file in files.items()}
    return {
        name: {layer: read[name][str(index)] for index, layer in enumerate(results[name]["layers"])} for name in results
    }


def _head(below=""):
    return (
        '<div class="robust-head"><h2>How much does it take to fool the metric?</h2><p>Each metric says which of two '
        "pictures is nearer to a third, while an attacker changes one of them by at most ε. "
        f'<a href="#robust-live">Try it on your own picture.</a></p>{below}</div>'
    )


def _how(results):
    """On what the figures were measured, and the command that measures them again."""
    said = re.sub("`(.*?)`", r"<br><code>\1</code>", html.escape(tables.conditions(results)))
    return (
        f"<details><summary>How this was measured</summary><p>{said}</p><p>Each metric is attacked itself. Bands and "
        "small numbers are 95 % bootstrap intervals: they say how far other triplets of these photographs would give "
        "other figures, and have no width where all choices were right.</p></details>"
    )


def _part(heading, says, table):
    return f'<section class="robust-part"><h3>{heading}</h3><p>{html.escape(says)}</p>{table}</section>'
