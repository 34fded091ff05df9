"""What the page "Fool a classifier" says: of the classifiers, the bounds, what came of a run, and the stored experiment.

Every number comes from a trace, a card or the stored results, assets/weights/classifiers.json.
"""

import html

from rlpips.ui.pages import classifier_table
from rlpips.zoo import attack_cards, cards, catalog

BOUNDS = [
    ("matched by natural distortion", "matched"),
    ("the papers': 0.5 for both", "paper"),
    ("my own (under More)", "own"),
]
_NO_TABLE = '<div class="fool-stored"><h2>How every classifier holds up</h2><p>{}</p></div>'
_NOT_MEASURED = "This has not been measured yet. <code>python -m rlpips.evaluate classifiers</code> does it."


# ---- the classifiers


def available() -> list[str]:
    """The names of the classifiers of CIFAR-10 that are trained."""
    return [name for name, card in catalog.CLASSIFIERS.items() if card.sha256 and not card.model]


def classifiers(names) -> list[tuple[str, str]]:
    """Choices: the title and how many pictures it has right without an attack."""
    right = {name: _plain_accuracy(name) for name in names}
    return [
        (catalog.CLASSIFIERS[name].title + (f", {percent(right[name])} right" if right[name] is not None else ""), name)
        for name in names
    ]


def trained(name) -> str:
    """How a classifier was trained, in a sentence."""
    return html.escape(catalog.CLASSIFIERS[name].training) if name in catalog.CLASSIFIERS else ""


def _plain_accuracy(name):
    rows = results().get("classifiers", {}).get(name, {}).get("rows", [])
    return next((row["accuracy"]["value"] for row in rows if row["attack"] == "none"), None)


def results() -> dict:
    """The stored results; empty where they cannot be read, which `experiment` says."""
    try:
        return cards.read_results()
    except ValueError:
        return {}


# ---- the bounds


def bounds(choice, attacks, own) -> tuple[float, float] | None:
    """The bounds of two attacks in their units; None for those of `rlpips.zoo.attack_cards`. ValueError if amiss."""
    if choice == "paper":
        return None
    if choice == "matched":
        matched = attack_cards.matched_bounds()
        each = (attack_cards.card(name) for name in attacks)
        return tuple(matched[attack.metric] if attack.metric else attack.bound for attack in each)
    if None in own:
        raise ValueError("Your own bounds, under More, must be numbers; a field is empty.")
    return tuple(value / _per_unit(name) for name, value in zip(attacks, own))


def bound_label(name) -> str:
    """What the field for one's own bound is called."""
    attack = attack_cards.card(name)
    return f"Bound of {attack.title}, {'n/255' if attack.norm == 'linf' else attack.unit}"


def shown_bound(name, bound) -> float:
    """A bound as the field shows it."""
    return float(f"{bound * _per_unit(name):.3g}")


def _per_unit(name):
    return 255 if attack_cards.card(name).norm == "linf" else 1


def allowed(choice, first, second, *own) -> str:
    """What two attacks may do, in the line below the choice of bounds."""
    try:
        chosen = bounds(choice, (first, second), own)
    except ValueError as error:
        return html.escape(str(error))
    said = []
    for index, name in enumerate((first, second)):
        attack = attack_cards.card(name)
        bound = chosen[index] if chosen else attack.bound
        said.append(f"{attack.title}: {_reach(attack, bound)}")
    said.append("An attack rests once the classifier is clearly fooled.")
    return "<br>".join(map(html.escape, said))


def _reach(attack, bound):
    if attack.norm == "linf":
        return f"{255 * bound:.3g}/255 a value"
    if attack.norm == "l2":
        return f"l2 norm {bound:.3g}"
    return f"{catalog.card(attack.metric).title} ≤ {bound**2:.3g} = {bound:.3g}²"


# ---- a run


def caption(meta) -> str:
    """What a recorded example is called: "cat, undefended: PPGD 0.5 against R-PPGD 0.5"."""
    receipt = meta["receipt"]
    each = (
        f"{one['title']} {shown_bound(one['name'], one['bound']):.3g}"
        + ("/255" if attack_cards.card(one["name"]).norm == "linf" else "")
        for one in receipt["attacks"]
    )
    name = meta["verdicts"]["classes"][meta["verdicts"]["label"]]
    return f"{name}, {receipt['classifier']['title']}: {' against '.join(each)}"


def verdict(trace) -> str:
    """What came of it: "PPGD: cat to dog, 94 %. R-PPGD: still cat, 60 %.", and what was done to the picture."""
    classes, label = trace.classes, trace.label
    said = []
    for attack, shares in zip(trace.receipt["attacks"], trace.probabilities_8bit):
        now = int(shares.argmax())
        turned = f"still {classes[label]}" if now == label else f"{classes[label]} to {classes[now]}"
        said.append(f"{attack['title']}: {turned}, {percent(shares[now])}.")
    return " ".join([*said, *trace.receipt.get("notes", [])])


def percent(share) -> str:
    """A probability close to certainty must not look like certainty."""
    if 0.995 < share < 1:
        return "over 99\u00a0%"
    return f"{share:.0%}".replace("%", "\u00a0%")


# ---- the stored experiment


def experiment() -> str:
    """The stored experiment as HTML."""
    try:
        report = cards.read_results()
    except ValueError as error:
        return _NO_TABLE.format(html.escape(str(error)))
    return classifier_table.page(report) if report.get("classifiers") else _NO_TABLE.format(_NOT_MEASURED)
