"""The Robustness page: the results of `rlpips.evaluate` as charts and tables, and a sweep on the visitor's picture."""

import html
import math
import re
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from rlpips import paths
from rlpips.evaluate import comparison_tables, tables
from rlpips.ui.components import masthead
from rlpips.ui.components.chart import SWEEPS, chart, chart_value
from rlpips.ui.components.events import PRIVATE, refusing
from rlpips.ui.pages import (
    robustness_judge,
    robustness_tables,
    robustness_text,
    robustness_tradeoff,
    robustness_transfer,
    sweep,
)  # fmt: skip
from rlpips.ui.pages.duel_controls import NORMS
from rlpips.ui.runtime.address import Choice, Key
from rlpips.validation import check_choice, check_real
from rlpips.zoo import cards, catalog

_NORM_NAMES = [name for _, name in NORMS]
PLAIN: dict[str, Any] = {"apply_default_css": False}
_MISSING = (
    "<p>The metrics have not been measured yet. <code>python -m rlpips.evaluate --images FOLDER --cards</code> does "
    "it, with a folder of photographs; then open this page again.</p>"
)


KEYS = (Key("norm", "robust-norm", Choice("linf", _NORM_NAMES)),)
# As the tab opens, its control may not have yet what the address says.
_ADDRESS_JS = """(norm) => {
  const asked = new URLSearchParams(location.hash.split("?")[1] ?? "").get("norm");
  return [["linf", "l2"].includes(asked) ? asked : norm];
}"""


def fill(settings: dict[str, Any]) -> list[Any]:
    """The values of what an address sets."""
    return [settings["norm"]]


def build(tab: gr.Tab) -> list[Any]:
    """Lay out the page in the current Blocks; it is filled when `tab` is opened. Returns what an address sets."""
    with gr.Column(elem_id="robustness-page"):
        head = gr.HTML(_head(), elem_id="robust-head", **PLAIN)
        with gr.Column(elem_id="robust-stored") as charts:
            norm = gr.Radio(NORMS, value="linf", label="Norm of the attack", elem_id="robust-norm")
            tiles = gr.HTML(elem_id="robust-tiles", **PLAIN)
            with gr.Row(elem_classes="two"):
                tradeoff = chart("Robust, and still like LPIPS?", "robust-tradeoff", folds=True)
                transfer = gr.HTML(elem_id="robust-transfer", elem_classes="panel", **PLAIN)
            with gr.Row(elem_classes="two"):
                sweeps = [chart(title, f"robust-{key}", folds=True) for key, title in SWEEPS.items()]
            eps = gr.Radio([], label="Budget ε of the attack, for the two below", elem_id="robust-eps")
            with gr.Row(elem_classes="two"):
                opt = chart("The same budget, two verdicts", "robust-opt", legend=False, folds=True)
                families = gr.HTML(elem_id="robust-families", elem_classes="panel", **PLAIN)
            with gr.Row(elem_classes="two"):
                layers = chart("Where the distance comes from", "robust-layers", folds=True)
                weights = chart("Where the weight went", "robust-weights", folds=True)
            masking = gr.HTML(elem_id="robust-masking", elem_classes="panel", **PLAIN)
            judged = gr.HTML(elem_id="robust-judge", elem_classes="panel", **PLAIN)
            gr.HTML(robustness_tradeoff.published(), elem_id="robust-published", elem_classes="panel", **PLAIN)
        gr.HTML(
            '<div class="robust-head"><h2 id="robust-live">On your own picture</h2><p>The same measurement, live, on '
            "small squares of one picture, with 20 steps on the same schedule in place of 40. Few squares make wide intervals, which are "
            "over squares of this picture; where all choices are right, the bands cannot show it.</p></div>",
            **PLAIN,
        )
        sweep.build()
    by_eps, by_norm = [opt, families], [tiles, *sweeps]
    always = [head, charts, tradeoff, transfer, layers, weights, masking, judged]
    tab.select(refusing(_fill), norm, [*always, eps, *by_norm, *by_eps], js=_ADDRESS_JS, **PRIVATE)
    norm.change(refusing(_of_norm), norm, [eps, *by_norm, *by_eps], **PRIVATE)
    eps.input(refusing(_of_eps), [norm, eps], by_eps, **PRIVATE)
    masthead.tell("robustness", {"norm": norm})
    return [norm]


def stored(part: str) -> dict[str, Any]:
    """{metric: a part of its card} ("results", "masking") of all metrics, and of the pixels, whose card can be read and has it."""
    return {name: card[part] for name, card in _read_cards()[0].items() if part in card}


def _read_cards() -> tuple[dict[str, dict], list[str]]:
    """({metric: its card}, a sentence for each card that cannot be read)."""
    readable, faults = {}, []
    for name in filter(_has_card, catalog.CATALOG):
        try:
            readable[name] = cards.read(name)
        except ValueError as error:
            faults.append(str(error))
    return readable, faults


def _has_card(name: str) -> bool:
    """Whether a metric has been measured on AlexNet, or should have been, as its heads are shipped with their card."""
    card = catalog.card(name)
    return "alex" in card.heads or (not card.official and "alex" in card.backbones and cards.path(name).exists())


def _read_stored(file: Path) -> tuple[dict[str, Any], str]:
    """(a file of stored results, what is wrong with it)."""
    try:
        return cards.read_stored(file), ""
    except ValueError as error:
        return {}, str(error)


def _fill(norm: str) -> tuple:
    readable, faults = _read_cards()
    results, masking, judged = (
        {name: card[part] for name, card in readable.items() if part in card}
        for part in ("results", "masking", "judge")
    )
    (dial, no_dial), (transfer, no_transfer) = map(_read_stored, (paths.DIAL, paths.TRANSFER))
    points = comparison_tables.tradeoff_points(results)
    results = _of_metrics(results)
    faults += filter(None, [no_dial, no_transfer])
    fault = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in faults)
    if not results:
        return _head(fault or _MISSING), gr.Column(visible=False), *[gr.skip()] * 12
    from rlpips.evaluate import charts
    from rlpips.evaluate.tradeoff_chart import tradeoff

    with_heads = {name: result for name, result in results.items() if catalog.card(name).heads}
    heads = _heads(with_heads)
    return (
        _head(fault + _conditions(results, dial, transfer)), gr.Column(visible=True),
        chart_value(tradeoff(points, dial), robustness_tradeoff.sentence(points, dial)),
        _part("Do attacks transfer?", robustness_transfer.sentence(transfer), robustness_transfer.matrix(transfer))
        if transfer else "",
        chart_value(charts.layers(with_heads), robustness_text.layers(with_heads)),
        chart_value(charts.weights(heads), robustness_text.weights(heads)),
        _part("Is it gradient masking?", robustness_text.masking(masking), robustness_tables.masking(masking))
        if masking else "",
        _part("Do they choose as a model of human vision does?", robustness_judge.sentences(judged), robustness_tables.judge(judged))
        if judged else "",
        *_of_norm(norm),
    )  # fmt: skip


def _of_norm(norm: str) -> tuple:
    """The budgets of a norm to choose from, and everything that depends on the norm."""
    from rlpips.evaluate import charts

    check_choice("norm", norm, _NORM_NAMES)
    everything = stored("results")
    results = _of_metrics(everything)
    budgets = {entry["eps"]: entry["standard"] for result in results.values() for entry in result["attacked"][norm]}
    choices = [
        (tables.budget(norm, eps) + (", standard" if is_standard else ""), eps)
        for eps, is_standard in sorted(budgets.items())
    ]
    eps = next((eps for eps, is_standard in budgets.items() if is_standard), next(iter(budgets), 0.0))
    sweeps = (
        chart_value(charts.sweep(results, norm, key), robustness_text.sweep(results, norm, key)) for key in SWEEPS
    )
    radio = gr.Radio(choices, value=eps)
    return radio, robustness_tables.summary(everything, norm), *sweeps, *_of_eps(norm, eps)


def _of_eps(norm: str, eps: float) -> tuple:
    """The chart and the table of one budget."""
    from rlpips.evaluate import charts

    check_choice("norm", norm, _NORM_NAMES)
    check_real("eps", eps, math.inf)
    results = _of_metrics(stored("results"))
    entries = charts.at(results, norm, eps)
    table = robustness_tables.families(results, entries)
    return (
        chart_value(charts.opt(results, norm, eps), robustness_text.opt(entries, norm)),
        _part("Family by family", robustness_text.families(results, entries, norm), table),
    )


def _of_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Without the metrics of pixels, which have a tile, a point and no line in the charts."""
    return {name: result for name, result in results.items() if catalog.card(name).has_network}


def _heads(results: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """{metric: {layer: its weights}}, read without torch."""
    from safetensors.numpy import load_file

    heads = {name: load_file(cards.path(name).with_suffix(".safetensors")) for name in results}
    return {
        name: {layer: heads[name][str(index)] for index, layer in enumerate(result["layers"])}
        for name, result in results.items()
    }


def _head(below: str = "") -> str:
    return (
        '<div class="robust-head"><h2>How much does it take to fool the metric?</h2><p>Each metric says which of two '
        "pictures is nearer to a third, while an attacker changes one of them by at most ε. The milder of two strengths of one "
        "distortion counts as nearer: no people judged. "
        f'<a href="#robust-live">Try it on your own picture.</a></p>{below}</div>'
    )


def _conditions(results: dict[str, Any], dial: dict[str, Any], transfer: dict[str, Any]) -> str:
    """What the figures were measured on, and the commands that measure them again."""
    texts = [tables.conditions(results)]
    texts += [
        f"The dial to {catalog.card(name).title}: {comparison_tables.dial_conditions(curve['how'])}"
        for name, curve in dial.items()
    ]
    if transfer:
        texts.append(f"The transfer: {comparison_tables.transfer_conditions(transfer['how'])}")
    paragraphs = "".join(
        "<p>" + re.sub("`(.*?)`", r"<br><code>\1</code>", html.escape(text)) + "</p>" for text in texts
    )
    return (
        f"<details><summary>How this was measured</summary>{paragraphs}<p>Each metric is attacked itself. Bands and "
        "small numbers are 95 % bootstrap intervals over photographs, each with all its triplets; they have no width where all choices "
        "were right.</p></details>"
    )


def _part(heading: str, text: str, table: str) -> str:
    return robustness_tables.section(heading, f"<p>{html.escape(text)}</p>{table}")
