"""The results of `rlpips.evaluate` as HTML: the summary, and tables that draw the 95 % interval below every number.

The style is in assets/viewer/robustness.css.
"""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rlpips.evaluate import tables
from rlpips.ui.pages.robustness_text import percent, pixels
from rlpips.zoo import catalog

TOTAL = "all"
_TILES_IN_A_ROW = 4  # at most

Results = Mapping[str, Any]  # {metric: the part "results" of its card}
Interval = Mapping[str, float] | None  # {"value", "low", "high"}; None where nothing was measured


def section(heading: str, body: str) -> str:
    """A section that folds in a narrow window (assets/viewer/fold.js)."""
    return f'<details class="robust-part fold"><summary><h3>{heading}</h3></summary>{body}</details>'


def summary(results: Results, norm: str) -> str:
    """A tile for each metric, and for the pixels: 2AFC under attack and without, inflation, agreement with LPIPS."""
    tiles = "".join(_tile(name, result, norm) for name, result in results.items())
    in_a_row = math.ceil(len(results) / math.ceil(len(results) / _TILES_IN_A_ROW)) if results else 1
    return (
        f'<div class="tiles" style="--in-a-row:{in_a_row}" tabindex="0" role="region" aria-label="Every metric in short">{tiles}</div>'
        f'<p class="tiles-says">{html.escape(pixels(results, norm))}</p>'
    )


def _tile(name: str, result: Mapping[str, Any], norm: str) -> str:
    entry = tables.standard(result, norm)
    agreement = result.get("agreement")
    small = [f"{percent(result['natural']['2afc']['value'])} without an attack"]
    if entry and entry.get("reference"):
        small.append(f"{percent(entry['reference']['value'])} with the reference attacked instead")
    if entry:
        small.append(f"worst change found, on average: {entry['inflation']['value']:.2f} natural distortions")
    small.append(f"agrees with LPIPS on {percent(agreement['value'])}" if agreement else "the metric in common use")
    large = percent(entry["2afc"]["value"]) if entry else "–"
    budget = (
        "right under attack, " + tables.budget(norm, entry["eps"]).replace(" ", "\u00a0")
        if entry
        else f"not measured under {tables.NORMS[norm]}"
    )
    return (
        f'<article {_ink(name)}><h3>{_title(name)}</h3><p class="large"><b>{large}</b> {budget}</p>'
        f"<ul>{''.join(f'<li>{line}</li>' for line in small)}</ul></article>"
    )


def families(results: Results, entries: Results) -> str:
    """Attacked 2AFC of every family of distortions, a column for each metric, with a tick at the natural one; `entries` is {metric: its
    results at one budget}."""
    names = list(dict.fromkeys(family for result in results.values() for family in result["natural"]["families"]))
    head = "".join(f'<th scope="col" {_ink(name)}>{_title(name)}</th>' for name in results)
    body = "".join(
        _family(family, {name: _of_family(results[name], entries.get(name), family) for name in results})
        for family in (TOTAL, *names)
    )
    return _scrolling(
        "Right choices (2AFC) by family of distortions", f'<tr><th scope="col">distortion</th>{head}</tr>', body
    )


def _of_family(result: Mapping[str, Any], entry: Mapping[str, Any] | None, family: str) -> tuple[Interval, Interval]:
    """One metric's 2AFC of a family, or of all, under attack and without."""
    natural, entry = result["natural"], entry or {}
    if family == TOTAL:
        return entry.get("2afc"), natural["2afc"]
    return entry.get("families", {}).get(family), natural["families"].get(family)


def _family(family: str, figures: Mapping[str, tuple[Interval, Interval]]) -> str:
    total = ' class="total"' if family == TOTAL else ""
    cells = "".join(_cell(attacked, name, "", natural) for name, (attacked, natural) in figures.items())
    return f'<tr{total}><th scope="row">{html.escape(family)}</th>{cells}</tr>'


def masking(parts: Mapping[str, Any]) -> str:
    """2AFC under every other attack, a row each; `parts` is {metric: the part "masking" of its card}."""
    attacks = list(dict.fromkeys(row["attack"] for part in parts.values() for row in part["rows"]))
    by = {name: {row["attack"]: row for row in part["rows"]} for name, part in parts.items()}
    head = [(name, [("right choices", ""), ("inflation", "plain")]) for name in parts]
    rows = [
        (attack, [by[name].get(attack, {}).get(key) for name in parts for key in ("2afc", "inflation")])
        for attack in attacks
    ]
    return _table("What other attacks leave", "attack", head, rows)


def judge(judged: Mapping[str, Any]) -> str:
    """Agreement with the judge on all triplets and on clear ones, and with LPIPS, a row each; `judged` is {metric: the part "judge" of its
    card}."""
    name = next(iter(judged.values()))["how"]["judge"].rpartition(" ")[0]
    rows = {f"{name}, all": "agreement", f"{name}, clear difference": "clear", "LPIPS, all": "lpips"}
    head = [(metric, [("agrees", "")]) for metric in judged]
    cells = [(row, [part[key] for part in judged.values()]) for row, key in rows.items()]
    return _table("How often metrics choose as a judge does", "as which judge", head, cells)


def _table(caption: str, first: str, head: Sequence[tuple], rows: Sequence[tuple]) -> str:
    """`head` is [(metric, [(column, kind)])], `rows` [(name, intervals or None)]; kind "plain" draws no interval."""
    kinds = [(name, kind) for name, columns in head for _, kind in columns]
    groups = "".join(
        f'<th scope="colgroup" colspan="{len(columns)}" {_ink(name)}>{_title(name)}</th>' for name, columns in head
    )
    columns = "".join(f'<th scope="col">{column}</th>' for _, columns in head for column, _ in columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(_cell(interval, *kind) for interval, kind in zip(cells, kinds, strict=True))
        + "</tr>"
        for name, cells in rows
    )
    return _scrolling(caption, f'<tr><th rowspan="2" scope="col">{first}</th>{groups}</tr><tr>{columns}</tr>', body)


def _scrolling(caption: str, head: str, body: str) -> str:
    return (
        f'<div class="intervals" tabindex="0" role="region" aria-label="{caption}"><table><thead>{head}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(interval: Interval, name: str, kind: str, natural: Interval = None) -> str:
    if not interval:
        return "<td>–</td>"
    value, low, high = (interval[part] for part in ("value", "low", "high"))
    if kind == "plain":
        return f"<td><b>{value:.2f}×</b><small>{low:.2f}–{high:.2f}</small></td>"
    range_text = f"<small>{100 * low:.0f}–{100 * high:.0f}</small>"
    place, tick = f"--value:{value:.4g};--low:{low:.4g};--high:{high:.4g}", ""
    if natural:
        place += f";--natural:{natural['value']:.4g}"
        tick = f'<span title="{percent(natural["value"])} without an attack"></span>'
    return f'<td {_ink(name, place)}><b>{percent(value)}</b>{range_text}<i aria-hidden="true">{tick}</i></td>'


def _ink(name: str, more: str = "") -> str:
    return f'class="metric-ink" style="--raw:{catalog.card(name).color};{more}"'


def _title(name: str) -> str:
    return html.escape(catalog.card(name).title)
