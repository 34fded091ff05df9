"""The study's report as a Markdown table."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rlpips.training.settings import Settings

FIGURES = {
    "natural_2afc": "natural 2AFC",
    "attacked_2afc": "attacked 2AFC",
    "inflation": "inflation",
    "agreement_with_lpips": "agreement with LPIPS",
}


def table(report: Mapping[str, Any]) -> str:
    """A Markdown table of the report (see `rlpips.study.compare.study`), and a paragraph on how it was measured."""
    how, held_out, settings = report["how"], report["how"]["held out"], report["how"]["settings"]
    lines = [f"| variant | what it is | {' | '.join(FIGURES.values())} | conv1's share |", "|---" * 7 + "|"]
    for row in report["rows"]:
        shares = list(row.get("share_of_layers", {}).values())
        figures = [f"{row[key]:.3f}" for key in FIGURES] + [f"{shares[0]:.3f}" if shares else "–"]
        lines.append(f"| {row['variant']} | {row['why']} | {' | '.join(figures)} |")
    same, mixed = held_out["triplets"], held_out["mixed"]
    return "\n".join(lines) + (
        f"\n\nThe baseline has the settings of the training, but for {_differences(settings)}; it learns from "
        f"{how['photographs'][0]} photographs. Measured on {same} triplets of one family (severities at least "
        f"{held_out['gap']} apart) and {mixed} of mixed families, from {how['photographs'][2]} photographs held out; "
        f"attacks: PGD, {held_out['steps']} steps, l∞ {255 * settings['eps']:.3g}/255. One standard error is at most "
        f"{0.5 / math.sqrt(same):.3f} for 2AFC and {0.5 / math.sqrt(mixed):.3f} for agreement."
    )


def _differences(settings: Mapping[str, Any]) -> str:
    default = asdict(Settings())
    return ", ".join(
        f"{name} {value:g}"
        for name, value in settings.items()
        if value != default[name] and name not in ("norm", "eps")
    )
