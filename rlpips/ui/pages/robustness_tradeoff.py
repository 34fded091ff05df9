"""Robustness beside agreement on the Robustness page: the sentence on the chart, and figures published elsewhere. No torch."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from rlpips.evaluate import tables
from rlpips.evaluate.comparison_tables import (
    PUBLISHED,
    PUBLISHED_AT,
    PUBLISHED_COLUMNS,
    Curve,
    Point,
)
from rlpips.ui.pages import robustness_tables
from rlpips.ui.pages.robustness_text import joined, percent, title
from rlpips.zoo import catalog
from rlpips.zoo.references import reference


def sentence(points: Mapping[str, Point], curves: Mapping[str, Curve]) -> str:
    """On the chart: where the metrics stand, and what half of the way costs and gains."""
    each = joined(f"{title(name)} {_place(point)}" for name, point in points.items())
    ways = [_way(name, curve["points"]) for name, curve in curves.items()]
    if curves:
        counts = joined(dict.fromkeys(str(curve["how"]["triplets"]) for curve in curves.values()))
        ways.append(f"The curves are measured on {counts} triplets.")
    return " ".join(
        [f"Right under attack, {tables.budget('linf', 4 / 255)}, and in agreement with LPIPS: {each}.", *ways]
    )


def _way(name: str, points: Sequence[Mapping[str, Any]]) -> str:
    """Where one curve of the dial begins, if that is not LPIPS itself, and where it is half-way."""
    middle = _place(min(points, key=lambda point: abs(point["share"] - 0.5)))
    if catalog.card(name).trunk:
        return f"On the trunk of {title(name)}, LPIPS's own heads reach {_place(points[0])}, and half of each {middle}."
    return f"Half LPIPS's heads, half those of {title(name)}: {middle}."


def _place(point: Mapping[str, Any]) -> str:
    return f"{percent(point['2afc']['value'])} and {percent(point['agreement']['value'])}"


def published() -> str:
    """The figures of others, as a table that says so."""
    head = "".join(f'<th scope="col">{column}</th>' for column in PUBLISHED_COLUMNS)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{"".join(f"<td>{value:.1f}</td>" for value in values)}</tr>'
        for name, values in PUBLISHED.items()
    )
    return robustness_tables.section(
        "Published elsewhere, not measured here",
        "<p>Choices that agree with people's, in percent, on "
        f"another task than ours: other pictures ({_paper('fu2023dreamsim', 'NIGHTS')}), other attacks, judgements of people. From the "
        f'<a href="{PUBLISHED_AT}">repository</a> of {_paper("croce2025adversarially", "Croce et al. (2025)")}.</p>'
        '<div class="intervals published" tabindex="0" role="region" aria-label="Published figures"><table><thead><tr>'
        f'<th scope="col">2AFC on NIGHTS, %</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>',
    )


def _paper(key: str, text: str) -> str:
    return f'<a href="{reference(key).url}">{text}</a>'
