"""Do attacks transfer? The matrix on the Robustness page: attacked on one metric, judged by the others. No torch."""

import html
import math
from collections.abc import Mapping

from rlpips.evaluate.comparison_tables import NOISE, Transfer, row_title
from rlpips.ui.pages.robustness_text import title
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

_FAINTEST, _STRONGEST = 0.01, 3.0  # natural distortions; the shades between them are on a log scale


def matrix(transfer: Transfer) -> str:
    """A row for each attacked metric and for noise, a column for each judge; a cell has the judge's inflation, its 95 % interval, and a shade
    of the inflation. A metric's own attack is framed."""
    rows = transfer["rows"]
    judges = list(next(iter(rows.values())))
    heads = "".join(f'<th scope="col" {_ink(judge)}><span>{html.escape(title(judge))}</span></th>' for judge in judges)
    body = "".join(
        f'<tr><th scope="row" {_ink(attacked)}>{html.escape(row_title(attacked))}</th>'
        + "".join(_cell(row[judge], attacked == judge) for judge in judges)
        + "</tr>"
        for attacked, row in rows.items()
    )
    return (
        '<div class="transfer" tabindex="0" role="region" aria-label="Transfer of attacks"><table><thead><tr>'
        f'<th rowspan="2" scope="col">attacked on</th><th colspan="{len(judges)}" scope="colgroup">looks so far to, in natural '
        f"distortions</th></tr><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(interval: Mapping[str, float], own: bool) -> str:
    value, low, high = (interval[part] for part in ("value", "low", "high"))
    shade = math.log(max(value, _FAINTEST) / _FAINTEST) / math.log(_STRONGEST / _FAINTEST)
    kind = ' class="own"' if own else ""
    return f'<td{kind} style="--shade:{min(shade, 1):.2f}"><b>{_far(value)}</b><small>{_far(low)}–{_far(high)}</small></td>'


def _ink(name: str) -> str:
    card = catalog.CATALOG.get(name)
    return f'class="metric-ink" style="--raw:{card.color}"' if card else ""


def sentence(transfer: Transfer) -> str:
    """On the matrix: how far the attacks on the two metrics of the duel carry over, and what noise does."""
    rows = {
        attacked: {judge: _far(interval["value"]) for judge, interval in row.items()}
        for attacked, row in transfer["rows"].items()
    }
    if not all(name in rows for name in PAIR):
        return ""
    (a, b), noise = PAIR, rows[NOISE]
    return (
        f"A picture pushed away on {title(a)} looks {rows[a][a]} average natural distortions far to {title(a)} and {rows[a][b]} to {title(b)}; "
        f"pushed away on {title(b)}, {rows[b][a]} to {title(a)} and {rows[b][b]} to {title(b)}. A random point of the same ball, the noise, "
        f"looks {noise[a]} and {noise[b]} far. Framed: attacks on the judge itself."
    )


def _far(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"
