"""The agreement dial, the transfer of attacks and published figures, as Markdown tables. No torch."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlpips.evaluate import tables
from rlpips.zoo import catalog

Curve = Mapping[str, Any]  # {"how", "points"}, as `rlpips.evaluate.dial` measures it
Transfer = Mapping[str, Any]  # {"how", "rows"}, as `rlpips.evaluate.transfer` measures it


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
