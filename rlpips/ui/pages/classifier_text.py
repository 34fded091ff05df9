"""The sentences of the page "Fool a classifier": on the classifiers, the bounds, the result of a run, and the stored results.

Every number comes from a trace, a card or the stored results, assets/weights/classifiers.json.
"""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rlpips.traces.trace import Trace
from rlpips.ui.pages import classifier_table
from rlpips.zoo import attack_cards, cards, catalog, classifier_cards

BOUNDS = [
    ("comparable by natural distortion", "matched"),
    ("the papers': 0.5 for both", "paper"),
    ("my own (under More)", "own"),
]
_NO_TABLE = f'<div class="fool-stored"><h2>{classifier_table.HEADING}</h2><p>{{}}</p></div>'
_NOT_MEASURED = "This has not been measured yet. <code>python -m rlpips.evaluate classifiers</code> does it."


# ---- the classifiers


def available() -> list[str]:
    """The names of the classifiers of CIFAR-10 that are trained."""
    return [name for name, card in classifier_cards.CLASSIFIERS.items() if card.sha256 and not card.model]


def classifiers(names: Iterable[str]) -> list[tuple[str, str]]:
    """Choices: the title of each classifier with its accuracy without an attack, and its name."""
    choices = []
    for name in names:
        accuracy = _accuracy_without_attack(name)
        text = "" if accuracy is None else f", {percent(accuracy)} right"
        choices.append((classifier_cards.CLASSIFIERS[name].title + text, name))
    return choices


def trained(name: str | None) -> str:
    """How a classifier was trained, in a sentence."""
    return html.escape(classifier_cards.CLASSIFIERS[name].training) if name in classifier_cards.CLASSIFIERS else ""


def _accuracy_without_attack(name: str) -> float | None:
    rows = results().get("classifiers", {}).get(name, {}).get("rows", [])
    return next((row["accuracy"]["value"] for row in rows if row["attack"] == "none"), None)


def results() -> dict[str, Any]:
    """The stored results; empty if they cannot be read, which `experiment` says."""
    try:
        return cards.read_results()
    except ValueError:
        return {}


# ---- the bounds


def bounds(choice: str, attacks: Sequence[str], visitor: Sequence[Any]) -> tuple[float, float] | None:
    """The bounds of two attacks in their units; None for those of `rlpips.zoo.attack_cards`.

    `visitor` holds the bounds that the visitor has typed, as the fields show them. ValueError if one is missing, or if there are
    no comparable bounds.
    """
    if choice == "paper":
        return None
    if choice == "matched":
        matched = attack_cards.matched_bounds()
        cards_of_pair = (attack_cards.card(name) for name in attacks)
        first, second = (matched[card.metric] if card.metric else card.bound for card in cards_of_pair)
        return first, second
    if None in visitor:
        raise ValueError("Your own bounds, under More, must be numbers; a field is empty.")
    first, second = (value / _per_unit(name) for name, value in zip(attacks, visitor))
    return first, second


def choice_of(attacks: Sequence[str], radii: Sequence[float]) -> str:
    """Which of `BOUNDS` gives two attacks these bounds, in their units."""
    own = [attack_cards.card(name).bound for name in attacks]
    for choice in ("matched", "paper"):
        try:
            offered = bounds(choice, attacks, ()) or own
        except ValueError:  # not measured
            continue
        if all(math.isclose(one, other) for one, other in zip(offered, radii)):
            return choice
    return "own"


def bound_label(name: str) -> str:
    """The label of the field for the visitor's bound of an attack."""
    attack = attack_cards.card(name)
    return f"Bound of {attack.title}, {'n/255' if attack.norm == 'linf' else attack.unit}"


def shown_bound(name: str, bound: float) -> float:
    """A bound as the field shows it."""
    return float(f"{bound * _per_unit(name):.3g}")


def _per_unit(name: str) -> int:
    return 255 if attack_cards.card(name).norm == "linf" else 1


def allowed(choice: str, first: str, second: str, *visitor: float | None) -> str:
    """What two attacks may do, as HTML, in the line below the choice of bounds."""
    try:
        radii = bounds(choice, (first, second), visitor)
    except ValueError as error:
        return html.escape(str(error))
    lines = []
    for index, name in enumerate((first, second)):
        attack = attack_cards.card(name)
        lines.append(f"{attack.title}: {_reach(attack, radii[index] if radii else attack.bound)}")
    lines.append("An attack rests once the classifier is clearly fooled.")
    return "<br>".join(map(html.escape, lines))


def _reach(attack: attack_cards.AttackCard, bound: float) -> str:
    if attack.norm == "linf":
        return f"{255 * bound:.3g}/255 a value"
    if attack.norm == "l2":
        return f"l2 norm {bound:.3g}"
    if attack.norm == "flow":
        return f"pixels move by {bound:.3g} at most"
    if attack.norm == "colour":
        return f"colours change by {bound:.3g} of CIELUV's range at most"
    if attack.norm == "scaled sums":
        return f"≤ {bound:.3g} in a quantity in which all pictures are equal, so that anything goes"
    if attack.metric is None:
        return f"weighted sums of features, {bound:.3g} apart at most"
    return f"{catalog.card(attack.metric).title} ≤ {bound**2:.3g} = {bound:.3g}²"


# ---- a run


def caption(meta: dict[str, Any]) -> str:
    """The caption of a recorded example: "cat, undefended: PPGD 0.5 against R-PPGD 0.5"."""
    receipt = meta["receipt"]
    attacks = (
        f"{attack['title']} {shown_bound(attack['name'], attack['bound']):.3g}"
        + ("/255" if attack_cards.card(attack["name"]).norm == "linf" else "")
        for attack in receipt["attacks"]
    )
    name = meta["verdicts"]["classes"][meta["verdicts"]["label"]]
    return f"{name}, {receipt['classifier']['title']}: {' against '.join(attacks)}"


def verdict(trace: Trace) -> str:
    """The result of each attack: "PPGD: cat to dog, 94 %. R-PPGD: still cat, 60 %.", and how the picture was prepared."""
    classes, label = trace.classes, trace.label
    sentences = []
    for attack, shares in zip(trace.receipt["attacks"], trace.probabilities_8bit):
        index = int(shares.argmax())
        change = f"still {classes[label]}" if index == label else f"{classes[label]} to {classes[index]}"
        sentences.append(f"{attack['title']}: {change}, {percent(shares[index])}.")
    return " ".join([*sentences, *trace.receipt.get("notes", [])])


def percent(share: float) -> str:
    """A share in percent. A probability close to certainty must not look like certainty."""
    if 0.995 < share < 1:
        return "over 99\u00a0%"
    return f"{share:.0%}".replace("%", "\u00a0%")


# ---- the stored results


def experiment() -> str:
    """The stored results as HTML."""
    try:
        report = cards.read_results()
    except ValueError as error:
        return _NO_TABLE.format(html.escape(str(error)))
    return classifier_table.page(report) if report.get("classifiers") else _NO_TABLE.format(_NOT_MEASURED)
