"""The stored experiment of the page "Fool a classifier" as HTML: how often every classifier is right under every attack,
and what those attacks changed. The form of the results is that of assets/weights/classifiers.json; the style is in
assets/viewer/classifier.css.
"""

import html
import re
from collections import Counter

from rlpips.evaluate import tables
from rlpips.ui.pages.robustness_text import percent
from rlpips.zoo import attack_cards, catalog

# Sections of the table: settings of the bounds, in the order of the page.
SETTINGS = {
    "paper": "the papers' bound as it stands, the same number for both metrics",
    "matched": "matched bounds: what the papers' bound means, in natural distortions",
    "milder": "matched bounds, half as far",
}
_COSTS = (("lpips", "{:.3f}"), ("rlpips-linf", "{:.3f}"), ("l2", "{:.2f}"), ("ssim", "{:.3f}"))
_NEUTRAL = "#6b7280"


def page(report: dict) -> str:
    """All of it, from the stored results."""
    names = list(report["classifiers"])
    sections = list(_sections(report))
    return (
        '<div class="fool-stored"><h2>How every classifier holds up</h2>'
        f"<p>{html.escape(_how(report))}</p>"
        f"{_table('Right under attack', names, _rows(report, names, sections, _accuracy))}{_findings(report)}"
        f"<dl>{''.join(f'<dt>{_title(name)}</dt><dd>{html.escape(catalog.CLASSIFIERS[name].training)}</dd>' for name in names if name in catalog.CLASSIFIERS)}</dl>"
        "<details><summary>What the attacks changed</summary><p>Means over the pictures attacked: LPIPS, R-LPIPS l∞ (both "
        "as distances, of the pictures enlarged to 64×64), l2 norm on [0, 1], SSIM.</p>"
        f"{_table('What the attacks changed', names, _rows(report, names, sections, _cost))}</details>"
        f"<details><summary>How this was measured</summary><p>{_conditions(report)}</p></details></div>"
    )


def _conditions(report):
    return re.sub("`(.*?)`", r"<br><code>\1</code>", html.escape(tables.classifier_conditions(report)))


def _how(report):
    how = report["how"]
    count = how["pictures"]
    far = "As " if count >= 1000 else f"Only {count} pictures, so the intervals are wide: as "
    return (
        f"{count} pictures {how['data'].rstrip('.')}, shown to small networks that were trained here in minutes, not to "
        "those of the papers. Accuracy is the share of pictures that are still classified rightly. "
        f"{far}small numbers, 95 % bootstrap intervals."
    )


def _sections(report):
    """(heading, [(attack, bound)]): without a bound of features first, then each setting of the bounds."""
    found = list(
        dict.fromkeys((row["attack"], row["bound"]) for one in report["classifiers"].values() for row in one["rows"])
    )
    pixels = [(name, bound) for name, bound in found if name == "none" or attack_cards.card(name).metric is None]
    yield "", pixels
    shown = set(pixels)
    for setting, bounds in report["bounds"]["settings"].items():
        rows = [
            (name, bound)
            for name, bound in found
            if (name, bound) not in pixels and bounds.get(attack_cards.card(name).metric) == bound
        ]
        if any(row not in shown for row in rows):  # a bound that two settings share belongs to both
            yield SETTINGS.get(setting, setting), rows
            shown.update(rows)
    if rest := [row for row in found if row not in shown]:
        yield "other bounds", rest


def _rows(report, names, sections, cell):
    by = {name: {(row["attack"], row["bound"]): row for row in report["classifiers"][name]["rows"]} for name in names}
    for heading, attacks in sections:
        if heading:
            yield _section(heading, names)
        for attack, bound in attacks:
            color = (
                attack_cards.card(attack).color
                if attack != "none" and attack_cards.card(attack).metric
                else _NEUTRAL
            )
            cells = "".join(cell(by[name].get((attack, bound)), color) for name in names)
            yield f'<tr><th scope="row" {_ink(color)}>{_called(attack, bound)}</th>{cells}</tr>'


def _section(heading, names):
    return f'<tr class="section"><th scope="rowgroup" colspan="{len(names) + 1}">{heading}</th></tr>'


def _called(name, bound):
    if name == "none":
        return "without an attack"
    attack = attack_cards.card(name)
    size = f"{255 * bound:.3g}/255" if attack.norm == "linf" else f"{bound:.3g}"
    unit = f" {attack.unit}" if attack.metric else ""
    return f"<b>{html.escape(attack.title)}</b><small>{html.escape(unit)} ≤ {size}</small>"


def _accuracy(row, color):
    if not row:
        return "<td>–</td>"
    value, low, high = (row["accuracy"][part] for part in ("value", "low", "high"))
    place = f"--value:{value:.4g};--low:{low:.4g};--high:{high:.4g}"
    return (
        f"<td {_ink(color, place)}><b>{percent(value)}</b><small>{100 * low:.0f}–{100 * high:.0f}</small>"
        '<i aria-hidden="true"></i></td>'
    )


def _cost(row, color):
    if not row or not row.get("cost"):
        return "<td>–</td>"
    said = " · ".join(form.format(row["cost"][key]) for key, form in _COSTS if row["cost"].get(key) is not None)
    return f"<td>{said}</td>"


def _table(caption, names, rows):
    head = "".join(f'<th scope="col">{_title(name)}</th>' for name in names)
    return (
        f'<div class="fool-rows" tabindex="0" role="region" aria-label="{caption}"><table><thead><tr><th scope="col">attack'
        f"</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _findings(report):
    """Whether attacks bounded by R-LPIPS are the stronger ones: in a sentence, and classifier by classifier in a table."""
    found = report.get("findings", [])
    if not found:
        return ""
    told = [
        one for one in found if any(one["difference"].values())
    ]  # where neither attack leaves anything, nobody can tell
    counts = Counter(one["verdict"] for one in told)
    said = (
        "Ghazanfari et al. report that attacks bounded by R-LPIPS are the stronger ones. "
        f"Of the {len(found)} comparisons here, {len(found) - len(told)} say nothing, as both attacks leave the same pictures right, "
        f"or none; in the others they are stronger {counts['held']} times and weaker {counts['did not hold']} times, and "
        f"{counts['undecided']} are undecided."
    )
    names = list(report["classifiers"])
    cells = {(one["setting"], one["attack"], one["than"], one["classifier"]): one for one in found}
    rows, headed = [], None
    for setting, attack, than in dict.fromkeys(key[:3] for key in cells):
        if setting != headed:
            rows.append(_section(SETTINGS.get(setting, setting), names))
            headed = setting
        each = "".join(_finding(cells.get((setting, attack, than, name))) for name in names)
        pair = " against ".join(f"<b>{html.escape(attack_cards.card(one).title)}</b>" for one in (attack, than))
        rows.append(f'<tr><th scope="row">{pair}</th>{each}</tr>')
    head = "Points of accuracy that the attack bounded by R-LPIPS leaves more than the other, with 95 % intervals:"
    return f"<p>{html.escape(said)} {head}</p>{_table('Is the robust metric the stronger bound', names, rows)}"


def _finding(found):
    if found is None:
        return "<td>–</td>"
    if not any(found["difference"].values()):
        return "<td>the same</td>"
    value, low, high = (
        f"{100 * found['difference'][part]:+.0f}".replace("-", "−") for part in ("value", "low", "high")
    )
    verdict = {"held": "stronger", "did not hold": "weaker"}.get(found["verdict"], found["verdict"])
    return f"<td><b>{value}</b><small>{low} to {high}</small> {verdict}</td>"


def _plain_title(name):
    return catalog.CLASSIFIERS[name].title if name in catalog.CLASSIFIERS else name


def _title(name):
    return html.escape(_plain_title(name))


def _ink(color, more=""):
    return f'class="metric-ink" style="--raw:{color};{more}"'
