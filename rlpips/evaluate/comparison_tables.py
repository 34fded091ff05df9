"""Robustness beside agreement, the transfer of attacks, and figures published elsewhere, as Markdown tables. No torch."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlpips.evaluate import tables
from rlpips.zoo import catalog

Curve = Mapping[str, Any]  # {"how", "points"}, as `rlpips.evaluate.dial` measures it
Point = Mapping[str, tables.Interval]  # {"2afc", "agreement"}
Transfer = Mapping[str, Any]  # {"how", "rows"}, as `rlpips.evaluate.transfer` measures it
NOISE = "noise"  # the row of random points of the ball, which are never pushed

# Croce et al. ("croce2025adversarially" in `rlpips.zoo.references`; first at an ICML workshop in 2024): percent right on NIGHTS (Fu et al.,
# "fu2023dreamsim"), clean and attacked within l_inf 4/255 and l2 3.
PUBLISHED_AT = "https://github.com/fra31/perceptual-metrics"
PUBLISHED = {
    "R-CLIP (ConvNeXt-B, not trained on NIGHTS)": (92.3, 81.9, 78.5),
    "LipSim (margin 0.5)": (85.1, 32.8, 53.1),
    "R-LPIPS (its authors' checkpoint)": (71.6, 16.2, 26.9),
    "DreamSim (with LoRA)": (96.2, 0.5, 0.9),
}
PUBLISHED_COLUMNS = ("clean", "l∞ 4/255", "l2 3")


def tradeoff_points(results: tables.Results) -> dict[str, Point]:
    """{metric: its attacked 2AFC at the standard l_inf budget, and its agreement with LPIPS}, of the metrics that have both. LPIPS agrees
    with itself."""
    always = {"value": 1.0, "low": 1.0, "high": 1.0}
    points = {}
    for name, result in results.items():
        entry, agreement = tables.standard(result, "linf"), result.get("agreement") or (name == "lpips" and always)
        if entry and agreement:
            points[name] = {"2afc": entry["2afc"], "agreement": agreement}
    return points


def tradeoff_table(results: tables.Results) -> str:
    """A row for each metric of `tradeoff_points`: agreement with LPIPS, attacked 2AFC and inflation."""
    points = tradeoff_points(results)
    entries = [tables.standard(results[name], "linf") or {} for name in points]
    budget = tables.budget("linf", 4 / 255)
    columns = {
        "agreement with LPIPS": [point["agreement"] for point in points.values()],
        f"attacked 2AFC, {budget}": [point["2afc"] for point in points.values()],
        f"inflation, {budget}": [entry["inflation"] for entry in entries],
    }
    return tables.markdown("metric", columns, [catalog.card(name).title for name in points])


def dial_table(curve: Curve) -> str:
    """A row for each point: attacked 2AFC, inflation and agreement with LPIPS, with their 95 % intervals."""
    points, budget = curve["points"], tables.budget("linf", curve["how"]["eps"])
    columns = {
        "agreement with LPIPS": [point["agreement"] for point in points],
        f"attacked 2AFC, {budget}": [point["2afc"] for point in points],
        f"inflation, {budget}": [point["inflation"] for point in points],
    }
    return tables.markdown("share of the robust heads", columns, [f"{point['share']:.3g}" for point in points])


def dial_conditions(how: Mapping[str, Any]) -> str:
    """How one curve was measured, and the command that measures it again."""
    return (
        f"Measured on {how['triplets']} attacked triplets and {how['references']} attacked references ({_attack(how)}), and on {how['mixed']} "
        f"triplets for the agreement; {_data(how)}"
    )


def transfer_table(transfer: Transfer) -> str:
    """A row for each attacked metric, and for noise, and a column for each judge: the judge's inflation."""
    rows = transfer["rows"]
    judges = list(next(iter(rows.values())))
    columns = {catalog.card(judge).title: [row[judge] for row in rows.values()] for judge in judges}
    return tables.markdown("inflation: attacked on ↓, judged by →", columns, map(row_title, rows))


def transfer_conditions(how: Mapping[str, Any]) -> str:
    """How the matrix was measured, and the command that measures it again."""
    return (
        f"Measured on {how['references']} attacked references ({_attack(how)}); the unit is each judge's mean distance to the natural distortions "
        f"of {how['mixed']} triplets; {_data(how)}"
    )


def row_title(name: str) -> str:
    """The title of a row of the transfer: a metric's, or "noise (a random point)"."""
    return catalog.CATALOG[name].title if name in catalog.CATALOG else f"{name} (a random point)"


def published_table() -> str:
    """The figures of others, in percent."""
    lines = [f"| 2AFC on NIGHTS, % | {' | '.join(PUBLISHED_COLUMNS)} |", "|---" * (1 + len(PUBLISHED_COLUMNS)) + "|"]
    lines += [f"| {name} | {' | '.join(map(str, values))} |" for name, values in PUBLISHED.items()]
    return "\n".join(lines)


def dial_blocks(curves: Mapping[str, Curve]) -> Iterator[str]:
    """The report: a table for each curve."""
    for name, curve in curves.items():
        yield f"## From LPIPS to {catalog.card(name).title}\n\n{dial_table(curve)}\n\n{dial_conditions(curve['how'])}"


def transfer_blocks(transfer: Transfer) -> Iterator[str]:
    """The report: the matrix, and how it was measured."""
    yield transfer_table(transfer)
    yield transfer_conditions(transfer["how"])


def _attack(how: Mapping[str, Any]) -> str:
    restarts = f"{how['restarts']} restart{'s' * (how['restarts'] != 1)}"
    return f"PGD, {tables.budget(how['norm'], how['eps'])}, {how['steps']} steps on a {how['schedule']} schedule, {restarts}"


def _data(how: Mapping[str, Any]) -> str:
    return f"{how['size']}-pixel patches, {how['data']}. `{how['command']}`"
