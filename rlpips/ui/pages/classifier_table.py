"""The stored results of the page "Fool a classifier" as HTML: the accuracy of every classifier under every attack, and what
those attacks change. The results have the form of assets/weights/classifiers.json; the style is in
assets/viewer/classifier.css.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rlpips.evaluate import classifier_tables, tables
from rlpips.ui.pages.robustness_text import percent
from rlpips.zoo import attack_cards, classifier_cards

HEADING = "How accurate each classifier stays under attack"
# Sections of the table: settings of the bounds, in the order of the page.
SETTINGS = {
    "paper": "the papers' bound as it stands, the same number for both metrics",
    "matched": "comparable bounds: about as far in natural distortions as the papers' bound is meant to reach",
    "milder": "comparable bounds, half as far",
}
_UNSEEN, _AUTHORS = (
    "unseen threats, which neither pixels nor a metric bound",
    "the quantities that the authors' code bounds, at 0.5",
)
_COSTS = (("lpips", "{:.3f}"), ("rlpips-linf", "{:.3f}"), ("l2", "{:.2f}"), ("ssim", "{:.3f}"))
_NEUTRAL = "#6b7280"


def page(report: dict[str, Any]) -> str:
    """The whole of it."""
    names = list(report["classifiers"])
    sections = list(_sections(report))
    training = "".join(
        f"<dt>{_title(name)}</dt><dd>{html.escape(classifier_cards.CLASSIFIERS[name].training)}</dd>"
        for name in names
        if name in classifier_cards.CLASSIFIERS
    )
    return (
        f'<div class="fool-stored"><h2>{HEADING}</h2>'
        f"<p>{html.escape(_introduction(report))}</p>"
        f"{_table('Right under attack', names, _rows(report, names, sections, _accuracy))}{_findings(report)}"
        f"{_authors(report)}<dl>{training}</dl>"
        "<details><summary>What the attacks changed</summary><p>Means over the pictures attacked: LPIPS, R-LPIPS l∞ (both "
        "as distances, of the pictures enlarged to 64×64), l2 norm on [0, 1], SSIM.</p>"
        f"{_table('What the attacks changed', names, _rows(report, names, sections, _cost))}</details>"
        f"<details><summary>How this was measured</summary><p>{_conditions(report)}</p></details></div>"
    )


def _conditions(report: dict[str, Any]) -> str:
    return re.sub("`(.*?)`", r"<br><code>\1</code>", html.escape(classifier_tables.classifier_conditions(report)))


def _introduction(report: dict[str, Any]) -> str:
    how = report["how"]
    count = how["pictures"]
    intervals = "As " if count >= 1000 else f"Only {count} pictures, so the intervals are wide: as "
    return (
        f"{count} pictures {how['data'].rstrip('.')}, shown to small networks that were trained here in minutes, not to "
        "those of the papers. Accuracy is the share of pictures that are still classified rightly. "
        f"{intervals}small numbers, 95 % bootstrap intervals."
    )


def _sections(report: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """(heading, [(attack, bound)]): the attacks in pixels, the unseen threats, those within each setting of the bounds, and those
    that the authors' code bounds."""
    attacks = list(
        dict.fromkeys(
            (row["attack"], row["bound"]) for entry in report["classifiers"].values() for row in entry["rows"]
        )
    )
    yield "", [(name, bound) for name, bound in attacks if name == "none" or _norm(name) in tables.NORMS]
    if unseen := [(name, bound) for name, bound in attacks if _norm(name) in ("flow", "colour")]:
        yield _UNSEEN, unseen
    perceptual = [(name, bound) for name, bound in attacks if _norm(name) == "features"]
    placed = set()
    for setting, bounds in report["bounds"]["settings"].items():
        rows = [(name, bound) for name, bound in perceptual if bounds.get(attack_cards.card(name).metric) == bound]
        if any(row not in placed for row in rows):  # a bound that two settings share belongs to both
            yield SETTINGS.get(setting, setting), rows
            placed.update(rows)
    if rest := [row for row in perceptual if row not in placed]:
        yield "other bounds", rest
    if authors := [
        (name, bound)
        for name, bound in attacks
        if _norm(name) in classifier_tables.AUTHORS and _norm(name) != "features"
    ]:
        yield _AUTHORS, authors


def _norm(attack: str) -> str:
    return "" if attack == "none" else attack_cards.card(attack).norm


def _rows(
    report: dict[str, Any], names: list[str], sections: Iterable[tuple[str, list]], cell: Callable[..., str]
) -> Iterator[str]:
    rows = {name: {(row["attack"], row["bound"]): row for row in report["classifiers"][name]["rows"]} for name in names}
    for heading, attacks in sections:
        if heading:
            yield _section(heading, names)
        for attack, bound in attacks:
            color = _color(attack)
            cells = "".join(cell(rows[name].get((attack, bound)), color) for name in names)
            yield f'<tr><th scope="row" {_ink(color)}>{_row_title(attack, bound)}</th>{cells}</tr>'


def _color(attack: str) -> str:
    """The color of the metric that bounds an attack."""
    card = None if attack == "none" else attack_cards.card(attack)
    return card.color if card and card.metric else _NEUTRAL


def _section(heading: str, names: list[str]) -> str:
    return f'<tr class="section"><th scope="rowgroup" colspan="{len(names) + 1}"><span>{heading}</span></th></tr>'


def _row_title(name: str, bound: float) -> str:
    if name == "none":
        return "without an attack"
    attack = attack_cards.card(name)
    size = f"{255 * bound:.3g}/255" if attack.norm == "linf" else f"{bound:.3g}"
    unit = f" {attack.unit}" if attack.metric else ""
    size += " px" if attack.norm == "flow" else ""
    return f"<b>{html.escape(attack.title)}</b><small>{html.escape(unit)} ≤ {size}</small>"


def _accuracy(row: dict[str, Any] | None, color: str) -> str:
    if not row:
        return "<td>–</td>"
    value, low, high = (row["accuracy"][part] for part in ("value", "low", "high"))
    place = f"--value:{value:.4g};--low:{low:.4g};--high:{high:.4g}"
    return (
        f"<td {_ink(color, place)}><b>{percent(value)}</b><small>{100 * low:.0f}–{100 * high:.0f}</small>"
        '<i aria-hidden="true"></i></td>'
    )


def _cost(row: dict[str, Any] | None, color: str) -> str:
    if not row or not row.get("cost"):
        return "<td>–</td>"
    text = " · ".join(form.format(row["cost"][key]) for key, form in _COSTS if row["cost"].get(key) is not None)
    return f"<td>{text}</td>"


def _table(caption: str, names: list[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{_title(name)}</th>' for name in names)
    return (
        f'<div class="fool-rows" tabindex="0" role="region" aria-label="{caption}"><table><thead><tr><th scope="col">attack'
        f"</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _findings(report: dict[str, Any]) -> str:
    """Whether attacks bounded by R-LPIPS are the stronger ones: in a sentence, and classifier by classifier in a table."""
    findings = report.get("findings", [])
    if not findings:
        return ""
    # Where both attacks leave the same pictures right, there is nothing to compare.
    telling = [finding for finding in findings if any(finding["difference"].values())]
    counts = Counter(finding["verdict"] for finding in telling)
    text = (
        "Ghazanfari et al. report that attacks bounded by R-LPIPS are the stronger ones. "
        f"Of the {len(findings)} comparisons here, {len(findings) - len(telling)} say nothing, as both attacks leave the same pictures right, "
        f"or none; in the others they are stronger {counts['held']} times and weaker {counts['did not hold']} times, and "
        f"{counts['undecided']} are undecided."
    )
    names = list(report["classifiers"])
    cells = {(each["setting"], each["attack"], each["than"], each["classifier"]): each for each in findings}
    rows, current = [], None
    for setting, attack, than in dict.fromkeys(key[:3] for key in cells):
        if setting != current:
            rows.append(_section(SETTINGS.get(setting, setting), names))
            current = setting
        row = "".join(_finding(cells.get((setting, attack, than, name))) for name in names)
        pair = " against ".join(f"<b>{html.escape(attack_cards.card(each).title)}</b>" for each in (attack, than))
        rows.append(f'<tr><th scope="row">{pair}</th>{row}</tr>')
    head = "Points of accuracy that the attack bounded by R-LPIPS leaves more than the other, with 95 % intervals:"
    return f"<p>{html.escape(text)} {head}</p>{_table('Is the robust metric the stronger bound', names, rows)}"


def _authors(report: dict[str, Any]) -> str:
    """What the public code of R-LPIPS's authors bounds, and what follows."""
    distances = report["bounds"].get("authors")
    if not distances:
        return ""
    scaled, sums, metric = (distances[norm] for norm in ("scaled sums", "sums", "features"))
    return (
        "<h3>What the authors' code bounds</h3><p>In the public code of R-LPIPS's authors, R-PPGD and R-LPA do not bound R-LPIPS. "
        "They bound the change of one number at each position, the weighted sum of the features over the channels, which is then "
        "divided by its own size. A number divided by its own size is always one. So all pictures are equal in this quantity: unrelated "
        f"ones are at most {_power(scaled['unrelated']['most'])} apart here, a picture and its negative at most "
        f"{_power(scaled['negative']['most'])}, and the bound is 0.5. (In √R-LPIPS unrelated pictures are "
        f"{metric['unrelated']['mean']:.2f} apart.) <b>That ball bounds nothing: an attack in it may turn a picture into anything that "
        "pixels can show.</b> This would explain that their attacks came out stronger. It is not known whether this code made the "
        "tables of the paper: another public version leaves out the division, and its ball is a real one (“unscaled sums”; unrelated "
        f"pictures are {sums['unrelated']['mean']:.2g} apart), though not one of R-LPIPS.</p>"
    )


def _power(value: float) -> str:
    """A small number, such as "1.2 · 10⁻⁷"."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}\u00a0·\u00a010<sup>{int(exponent)}</sup>".replace("-", "−")


def _finding(finding: dict[str, Any] | None) -> str:
    if finding is None:
        return "<td>–</td>"
    if not any(finding["difference"].values()):
        return "<td>the same</td>"
    value, low, high = (
        f"{100 * finding['difference'][part]:+.0f}".replace("-", "−") for part in ("value", "low", "high")
    )
    verdict = {"held": "stronger", "did not hold": "weaker"}.get(finding["verdict"], finding["verdict"])
    return f"<td><b>{value}</b><small>{low} to {high}</small> {verdict}</td>"


def _title(name: str) -> str:
    return html.escape(classifier_cards.CLASSIFIERS[name].title if name in classifier_cards.CLASSIFIERS else name)


def _ink(color: str, more: str = "") -> str:
    return f'class="metric-ink" style="--raw:{color};{more}"'
