"""What `rlpips.evaluate` measured, as Markdown tables: for its reports, the pages and the documents. No torch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from rlpips.zoo import catalog

TOGETHER = "the strongest of all these for each picture"  # a row of the masking table
NORMS = {"linf": "l∞", "l2": "l2"}
_TRAINED_ELSEWHERE = {
    "l2": (1.5,)
}  # budgets that the official R-LPIPS trains with, where they are not the standard ones

Results: TypeAlias = Mapping[str, Mapping[str, Any]]  # {metric: its results, as a card stores them}
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
    return f"{rows_table('from the standard attack to the strongest', titles(maskings), rows)}\n\n{measured}"


def flow_table(results: Results) -> str:
    """The figures of `rlpips.evaluate.flow`, a column for each metric."""
    rows: dict[str, list[Interval | None]] = {}
    for of_metric in results.values():
        for row in of_metric["rows"]:
            limit = budget(row["norm"], row["eps"])
            for key, name in (
                ("2afc", "attacked 2AFC"),
                ("inflation", "inflation"),
                ("random", "inflation, at random"),
            ):
                rows.setdefault(f"{name}, {limit}", []).append(row[key])
    return markdown(_task(results), dict(zip(titles(results), zip(*rows.values()))), rows)


def flow_conditions(results: Results) -> str:
    """How the figures of `flow_table` were measured, and the command that repeats them."""
    how = next(iter(results.values()))["how"]
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
    return rows_table("share of the natural distance", layers, rows)


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
    return rows_table(
        corner, columns, [(row, map(with_interval, line)) for row, line in zip(rows, figures, strict=True)]
    )


def rows_table(corner: str, headings: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    """A Markdown table of rows (name, cells)."""
    headings = list(headings)
    lines = [f"| {corner} | {' | '.join(headings)} |", "|---" * (1 + len(headings)) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    return "\n".join(lines)
