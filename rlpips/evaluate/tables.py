"""What `rlpips.evaluate` measured, as Markdown tables: for its reports, the pages and the documents. No torch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

TOGETHER = "the strongest of all these for each picture"  # a row of the masking table
NORMS = {"linf": "l∞", "l2": "l2"}
_TRAINED_ELSEWHERE = {
    "l2": (1.5,)
}  # budgets that the official R-LPIPS trains with, where they are not the standard ones
SETTINGS = {"paper": "the papers' bound", "matched": "comparable bounds", "milder": "milder comparable bounds"}
AUTHORS = {"scaled sums": "scaled sums (authors' code)", "sums": "unscaled sums", "features": "√R-LPIPS l∞"}
COSTS = {
    **{name: catalog.card(name).title for name in catalog.PAIR},
    **{"linf": "l∞, n/255", "l2": "l2", "ssim": "SSIM"},
}

Results: TypeAlias = Mapping[str, Mapping[str, Any]]  # {metric: its results, as a card stores them}
Report: TypeAlias = Mapping[str, Any]  # of the attacks on classifiers, as `rlpips.evaluate.robust_accuracy` makes it
Interval: TypeAlias = Mapping[str, float]  # {"value", "low", "high"}, see `rlpips.evaluate.scores.interval`


# ---- metrics


def table(results: Results, norms: Iterable[str] = tuple(NORMS)) -> str:
    """The headline figures, a column for each metric, all with their 95 % intervals: natural 2AFC; at the standard budgets of the
    `norms` attacked 2AFC, with a candidate and with the reference moved, and inflation; inflation at other settings, where they were
    measured; agreement with LPIPS."""
    rows: dict[str, list[Interval | None]] = {
        "natural 2AFC": [result["natural"]["2afc"] for result in results.values()]
    }
    for norm in norms:
        entries = [standard(result, norm) or {} for result in results.values()]
        eps = next((entry["eps"] for entry in entries if entry), None)
        if eps is not None:
            rows[f"attacked 2AFC, {budget(norm, eps)}"] = [entry.get("2afc") for entry in entries]
            rows[f"attacked 2AFC, reference, {budget(norm, eps)}"] = [entry.get("reference") for entry in entries]
            rows[f"inflation, {budget(norm, eps)}"] = [entry.get("inflation") for entry in entries]
        for eps in _TRAINED_ELSEWHERE.get(norm, ()):
            entries = [_at(result, norm, eps) for result in results.values()]
            rows[f"attacked 2AFC, {budget(norm, eps)}"] = [entry.get("2afc") for entry in entries]
            rows[f"inflation, {budget(norm, eps)}"] = [entry.get("inflation") for entry in entries]
        official = [result.get("official", {}).get(norm, {}) for result in results.values()]
        if setting := next(filter(None, official), None):
            name = f"inflation, OPT as published ({NORMS[norm]} {setting['eps']:g}, {setting['steps']} steps)"
            rows[name] = [entry.get("inflation") for entry in official]
    rows["agreement with LPIPS"] = [result["agreement"] for result in results.values()]
    rows = {name: row for name, row in rows.items() if any(row)}
    return markdown(_task(results), dict(zip(titles(results), zip(*rows.values()))), rows)


def _task(results: Results) -> str:
    """What the figures of 2AFC are of: choices that people made, or the order of severities."""
    how = next(iter(results.values())).get("how", {})
    return "2AFC" if how.get("gap") is None else "synthetic 2AFC, ordered by severity"


def _at(result: Mapping[str, Any], norm: str, eps: float) -> Mapping[str, Any]:
    """The entry of one metric's results at a budget; empty if it was not measured."""
    return next((entry for entry in result["attacked"][norm] if abs(entry["eps"] - eps) < 1e-6), {})


def family_table(results: Results, norm: str = "linf") -> str:
    """2AFC of each family of distortions, natural and attacked at the standard budget of the norm, metric by metric."""
    families = list(dict.fromkeys(family for result in results.values() for family in result["natural"]["families"]))
    columns, corner = {}, "2AFC"
    for title, result in zip(titles(results), results.values()):
        columns[f"{title}, natural"] = [result["natural"]["families"].get(family) for family in families]
        if entry := standard(result, norm):
            columns[f"{title}, attacked"] = [entry["families"].get(family) for family in families]
            corner = f"2AFC, attacks of {budget(norm, entry['eps'])}"
    return markdown(corner, columns, families)


def eps_table(results: Results, norm: str = "linf") -> str:
    """Attacked 2AFC and inflation at every budget of the norm, metric by metric."""
    levels = sorted({entry["eps"] for result in results.values() for entry in result["attacked"][norm]})
    columns = {}
    for title, result in zip(titles(results), results.values()):
        entries = {entry["eps"]: entry for entry in result["attacked"][norm]}
        for key, heading in (("2afc", "2AFC"), ("inflation", "inflation")):
            columns[f"{title}, {heading}"] = [entries.get(eps, {}).get(key) for eps in levels]
    return markdown("budget", columns, [budget(norm, eps) for eps in levels])


def masking_table(masking: Mapping[str, Any]) -> str:
    """The attacks of `rlpips.evaluate.masking` on one metric, a row each."""
    rows = masking["rows"]
    columns = {"2AFC": [row["2afc"] for row in rows], "inflation": [row["inflation"] for row in rows]}
    return markdown("attack", columns, [row["attack"] for row in rows])


def beyond_table(maskings: Mapping[str, Any]) -> str:
    """What the strongest of the attacks of `rlpips.evaluate.masking` finds beyond the standard one, metric by metric, and how it was
    measured."""
    rows = []
    for key, name in (("2afc", "attacked 2AFC"), ("inflation", "inflation")):
        cells = []
        for masking in maskings.values():
            strongest = next(row for row in masking["rows"] if row["attack"] == TOGETHER)[key]["value"]
            sign = 1 if key == "2afc" else -1
            cells.append(f"{strongest + sign * masking['beyond'][key]:.3f} → {strongest:.3f}")
        rows.append((name, cells))
    how = next(iter(maskings.values()))["how"]
    measured = f"Measured on {how['triplets']} triplets and a quarter as many references, {budget('linf', how['eps'])}. `{how['command']}`"
    return f"{_lines('from the standard attack to the strongest', titles(maskings), rows)}\n\n{measured}"


def moves_table(moves: Results) -> str:
    """The figures of `rlpips.evaluate.moves`, a column for each metric."""
    rows: dict[str, list[Interval | None]] = {}
    for of_metric in moves.values():
        for row in of_metric["rows"]:
            limit = budget(row["norm"], row["eps"])
            for key, name in (
                ("2afc", "attacked 2AFC"),
                ("inflation", "inflation"),
                ("random", "inflation, at random"),
            ):
                rows.setdefault(f"{name}, {limit}", []).append(row[key])
    return markdown(_task(moves), dict(zip(titles(moves), zip(*rows.values()))), rows)


def moves_conditions(moves: Results) -> str:
    """How the figures of `moves_table` were measured, and the command that repeats them."""
    how = next(iter(moves.values()))["how"]
    return (
        f"Measured on {how['triplets']} triplets (PGD, {how['steps']} steps on a cosine schedule, 1 restart), inflation on "
        f"{how['references']} references; {how['size']}-pixel patches, {how['data']}. `{how['command']}`"
    )


def judge_table(judged: Results) -> str:
    """How often each metric chooses as a judge that is no relative of LPIPS does, over all mixed triplets and over those with a clear
    difference; and, on the same triplets, as LPIPS does. `judged` is what `rlpips.evaluate.judge` measured, metric by metric."""
    first = next(iter(judged.values()))
    name = first["how"]["judge"].rpartition(" ")[0]
    rows = {
        f"agreement with {name}, all {first['how']['mixed']} triplets": "agreement",
        f"agreement with {name}, the {first['clear_triplets']} with a clear difference": "clear",
        "agreement with LPIPS, all triplets": "lpips",
    }
    columns = {title: [result[key] for key in rows.values()] for title, result in zip(titles(judged), judged.values())}
    return markdown("natural triplets of two families", columns, rows)


def judge_conditions(judged: Results) -> str:
    """How `judge_table` was measured: which judge, on what, and the command that repeats it."""
    how = next(iter(judged.values()))["how"]
    return (
        f"Judge: {how['judge']}, display {how['display']}; a clear difference is one of over {how['clear']:g} JOD. "
        f"{how['mixed']} triplets of two families, {how['size']}-pixel patches, {how['data']}. `{how['command']}`"
    )


def layer_table(results: Results) -> str:
    """Each layer's share of the mean natural distance, metric by metric."""
    layers = list(next(iter(results.values()))["layers"])
    rows = [
        (title, [f"{result['layers'][layer]:.1%}" for layer in layers])
        for title, result in zip(titles(results), results.values())
    ]
    return _lines("share of the natural distance", layers, rows)


def conditions(results: Results) -> str:
    """What the figures were measured on and by which command, as the first metric's results say."""
    how = next(iter(results.values()))["how"]
    people = (
        ""
        if how["gap"] is None
        else "The milder of two strengths of one distortion counts as nearer; no people judged. "
    )
    elsewhere = f" at the standard budget, {how['elsewhere']} elsewhere" if how.get("elsewhere") else ""
    schedule = f" on a {how['schedule']} schedule" if how.get("schedule") else ""
    references = f"inflation of {how['references']} references; " if how.get("references") else ""
    return (
        f"{people}Measured on {how['natural']} triplets with a judge, {how['triplets']} of which were attacked{elsewhere} (PGD, "
        f"{how['steps']} steps{schedule}; {_counted(how['restarts_at_standard'], 'restart')} at the standard budget, {how['restarts']} elsewhere), and on "
        f"{how['mixed']} for the agreement; {references}{how['size']}-pixel patches, {how['data']}. `{how['command']}`"
    )


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'s' * (count != 1)}"


# ---- attacks on classifiers


def accuracy_table(report: Report) -> str:
    """The accuracy under every attack of `rlpips.evaluate.robust_accuracy`, a row each, classifier by classifier."""
    rows = {name: _rows(classifier) for name, classifier in report["classifiers"].items()}
    attacks = list(dict.fromkeys(attack for of_classifier in rows.values() for attack in of_classifier))
    columns = {
        classifier_title(name): [of_classifier.get(attack, {}).get("accuracy") for attack in attacks]
        for name, of_classifier in rows.items()
    }
    return markdown("accuracy", columns, [attack_text(*attack) for attack in attacks])


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
    return _lines("difference in accuracy", map(classifier_title, names), rows)


def cost_table(report: Report, classifier: str) -> str:
    """How large the changes are that the attacks on one classifier make, on average over the attacked pictures."""
    rows = []
    for attack, row in _rows(report["classifiers"][classifier]).items():
        if row["cost"]:
            costs = {**row["cost"], "linf": 255 * row["cost"]["linf"]}
            rows.append((attack_text(*attack), [f"{costs[name]:.3g}" for name in COSTS]))
    return _lines("change of a picture", COSTS.values(), rows)


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
    return _lines("natural distortion", headings, rows)


def authors_table(report: Report) -> str:
    """How far unrelated pictures are apart in what the code of R-LPIPS's authors bounds, and pictures from their negatives."""
    rows = []
    for norm, pairs in report["bounds"]["authors"].items():
        cells = [f"{pair['mean']:.3g} ({pair['least']:.3g}–{pair['most']:.3g})" for pair in pairs.values()]
        rows.append((AUTHORS[norm], cells))
    return _lines("mean distance (least–most)", ("unrelated pictures", "a picture and its negative"), rows)


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
    if card.norm in NORMS:
        return f"{card.title.split()[0]}, {budget(card.norm, bound)}"
    unit = f"{card.unit} " if card.metric else ""
    return f"{card.title}, {unit}{bound:.3g}{' px' if card.norm == 'flow' else ''}"


def classifier_title(name: str) -> str:
    """A classifier's title."""
    return catalog.CLASSIFIERS[name].title


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


# ---- what all tables share


def standard(result: Mapping[str, Any], norm: str) -> Mapping[str, Any] | None:
    """The entry of one metric's results at the standard budget of a norm; None if it was not measured."""
    return next((entry for entry in result["attacked"][norm] if entry["standard"]), None)


def budget(norm: str, eps: float) -> str:
    """A budget as text, such as "l∞ 4/255", "l2 1" or "flow 0.5 px"; eps in [0, 1] pixel units, of a flow in pixels."""
    if norm == "flow":
        return f"flow {eps:.3g} px"
    return f"{NORMS[norm]} {255 * eps:.3g}/255" if norm == "linf" else f"{NORMS[norm]} {eps:.3g}"


def titles(results: Results) -> list[str]:
    """The metrics' titles."""
    return [catalog.card(name).title for name in results]


def with_interval(figure: Interval | None) -> str:
    """A figure as "0.829 (0.781–0.872)"; a dash for None."""
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})" if figure else "–"


def markdown(corner: str, columns: Mapping[str, Sequence[Interval | None]], rows: Iterable[str]) -> str:
    """A Markdown table of {heading: a figure or None for each row}, with the rows' names in front."""
    figures = zip(*columns.values(), strict=True)
    return _lines(corner, columns, [(row, map(with_interval, line)) for row, line in zip(rows, figures, strict=True)])


def _lines(corner: str, headings: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    """A Markdown table of rows (name, cells)."""
    headings = list(headings)
    lines = [f"| {corner} | {' | '.join(headings)} |", "|---" * (1 + len(headings)) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    return "\n".join(lines)
