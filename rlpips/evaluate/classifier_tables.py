"""What the attacks on classifiers did, as Markdown tables: for the report, the page and the document. No torch."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

from rlpips.evaluate import tables
from rlpips.zoo import catalog, classifier_cards
from rlpips.zoo.attack_cards import ATTACKS

SETTINGS = {"paper": "the papers' bound", "matched": "comparable bounds", "milder": "milder comparable bounds"}
AUTHORS = {"scaled sums": "scaled sums (authors' code)", "sums": "unscaled sums", "features": "√R-LPIPS l∞"}
COSTS = {
    **{name: catalog.card(name).title for name in catalog.PAIR},
    **{"linf": "l∞, n/255", "l2": "l2", "ssim": "SSIM"},
}

Report: TypeAlias = Mapping[str, Any]  # of the attacks on classifiers, as `rlpips.evaluate.robust_accuracy` makes it


def accuracy_table(report: Report) -> str:
    """The accuracy under every attack of `rlpips.evaluate.robust_accuracy`, a row each, classifier by classifier."""
    rows = {name: _rows(classifier) for name, classifier in report["classifiers"].items()}
    attacks = list(dict.fromkeys(attack for of_classifier in rows.values() for attack in of_classifier))
    columns = {
        classifier_title(name): [of_classifier.get(attack, {}).get("accuracy") for attack in attacks]
        for name, of_classifier in rows.items()
    }
    return tables.markdown("accuracy", columns, [attack_text(*attack) for attack in attacks])


def findings_table(report: Report) -> str:
    """The accuracy under an attack bounded by R-LPIPS minus that under the same attack bounded by LPIPS, and the verdict."""
    findings = {
        (finding["setting"], finding["attack"], finding["than"], finding["classifier"]): finding
        for finding in report["findings"]
    }
    names = list(report["classifiers"])
    rows = []
    for setting, attack, than in dict.fromkeys(key[:3] for key in findings):
        bounds = " and ".join(f"{bound:.3g}" for bound in reversed(report["bounds"]["settings"][setting].values()))
        heading = f"{ATTACKS[attack].title} minus {ATTACKS[than].title}, {SETTINGS[setting]} ({bounds})"
        rows.append((heading, [_finding(findings.get((setting, attack, than, name))) for name in names]))
    return tables.rows_table("difference in accuracy", map(classifier_title, names), rows)


def cost_table(report: Report, classifier: str) -> str:
    """How large the changes are that the attacks on one classifier make, on average over the attacked pictures."""
    rows = []
    for attack, row in _rows(report["classifiers"][classifier]).items():
        if row["cost"]:
            costs = {**row["cost"], "linf": 255 * row["cost"]["linf"]}
            rows.append((attack_text(*attack), [f"{costs[name]:.3g}" for name in COSTS]))
    return tables.rows_table("change of a picture", COSTS.values(), rows)


def match_table(report: Report) -> str:
    """For each family of natural distortions, the severity at which one metric reaches a bound, and the root of the other
    metric's distance there."""
    matches = report["bounds"]["matches"]
    headings = [f"where {_root(match['metric'])} is {match['bound']:.3g}: {_root(match['other'])}" for match in matches]
    rows = []
    for name in matches[0]["families"]:
        families = [match["families"][name] for match in matches]
        cells = [f"{family['matched']:.3f} ({family['words']})" if family else "not reached" for family in families]
        rows.append((name, cells))
    rows.append(("geometric mean", [f"{match['matched']:.3f}" for match in matches]))
    return tables.rows_table("natural distortion", headings, rows)


def authors_table(report: Report) -> str:
    """How far unrelated pictures are apart in what the code of R-LPIPS's authors bounds, and pictures from their negatives."""
    rows = []
    for norm, pairs in report["bounds"]["authors"].items():
        cells = [f"{pair['mean']:.3g} ({pair['least']:.3g}–{pair['most']:.3g})" for pair in pairs.values()]
        rows.append((AUTHORS[norm], cells))
    return tables.rows_table("mean distance (least–most)", ("unrelated pictures", "a picture and its negative"), rows)


def classifier_conditions(report: Report) -> str:
    """How the figures on classifiers were measured, in sentences, and the command that repeats them."""
    how, bounds = report["how"], report["bounds"]
    attacks, matched = how["attacks"], bounds["matches"][:2]
    reads = " and ".join(
        f"{COSTS[match['other']]} {match['matched']:.3g} ({match['low']:.3g} to {match['high']:.3g})"
        for match in matched
    )
    apgd = attacks["apgd-linf"]
    return (
        f"Accuracy on {how['pictures']} pictures {how['data']}, the same for every classifier; in brackets 95 % bootstrap "
        f"intervals over pictures. All attacks take {apgd['steps']} steps (the code of R-LPIPS's authors: 40; AutoAttack: 100). APGD: for each picture the worst of a "
        f"run on the cross entropy and of {apgd['targets']} on the targeted ratio of logits, like two of AutoAttack's four attacks; "
        f"stAdv, ReColorAdv: on the cosine schedule; PPGD: "
        f"{attacks['ppgd']['cg_steps']} steps of conjugate gradients in each; LPA: {attacks['lpa']['searches']} searches of "
        f"{attacks['lpa']['steps']} steps; projections by Newton's method. Bounds of metrics are roots of distances, of pictures "
        f"enlarged to 64 pixels a side. Comparable bounds are about as far in natural distortions as the papers' bound in the distance "
        f"that it was chosen for: those that AlexNet's features without weights have {matched[0]['bound']:.3g} away are "
        f"{reads} away, by the geometric mean over the {matched[0]['reached']} of {matched[0]['of']} families of distortions that "
        f"get so far (in brackets the least and the most; {bounds['pictures']} pictures). {versions(report)} `{how['command']}`"
    )


def versions(report: Report) -> str:
    """Which versions of torch the accuracies were measured with, in a sentence."""
    rows = [row["torch"] for classifier in report["classifiers"].values() for row in classifier["rows"]]
    counts = Counter(rows).most_common()
    if len(counts) == 1:
        return f"Measured with torch {counts[0][0]}."
    return f"Measured with torch {' and '.join(f'{version} ({count} accuracies)' for version, count in counts)}."


def attack_text(name: str, bound: float | None) -> str:
    """A row of the attacks on classifiers, such as "PPGD, √LPIPS 0.5" or "APGD, l∞ 8/255"; "none" has no bound."""
    if bound is None:
        return "no attack"
    card = ATTACKS[name]
    if card.norm in tables.NORMS:
        return f"{card.title.split()[0]}, {tables.budget(card.norm, bound)}"
    unit = f"{card.unit} " if card.metric else ""
    return f"{card.title}, {unit}{bound:.3g}{' px' if card.norm == 'flow' else ''}"


def classifier_title(name: str) -> str:
    """A classifier's title."""
    return classifier_cards.CLASSIFIERS[name].title


def _root(metric: str) -> str:
    return f"√{COSTS.get(metric, 'AlexNet, unweighted')}"


def _rows(classifier: Mapping[str, Any]) -> dict[tuple[str, float | None], Mapping[str, Any]]:
    """The rows of one classifier by attack and bound."""
    return {(row["attack"], row["bound"]): row for row in classifier["rows"]}


def _finding(finding: Mapping[str, Any] | None) -> str:
    if finding is None:
        return "–"
    value, low, high = (f"{finding['difference'][key]:+.3f}".replace("-", "−") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high}), {finding['verdict']}"
