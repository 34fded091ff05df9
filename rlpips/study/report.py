"""The study's report as a Markdown table."""

import math
from dataclasses import asdict

from rlpips.training.settings import Settings

FIGURES = {
    "natural_2afc": "natural 2AFC",
    "attacked_2afc": "attacked 2AFC",
    "inflation": "inflation",
    "agreement_with_lpips": "agreement with LPIPS",
}


def table(report):
    """The report as one Markdown table, and how it was made."""
    how, rows = report["how"], report["rows"]
    held, settings = how["held out"], how["settings"]
    lines = [f"| variant | what it is | {' | '.join(FIGURES.values())} | conv1's share |", "|---" * 7 + "|"]
    for row in rows:
        shares = list(row.get("share_of_layers", {}).values())
        figures = [f"{row[key]:.3f}" for key in FIGURES] + [f"{shares[0]:.3f}" if shares else "–"]
        lines.append(f"| {row['variant']} | {row['why']} | {' | '.join(figures)} |")
    one, many = held["triplets"], held["mixed"]
    return "\n".join(lines) + (
        f"\n\nThe baseline has the settings of the training, but for {_differences(settings)}; it learns from "
        f"{how['photographs'][0]} photographs. Measured on {one} triplets of one family (severities at least "
        f"{held['gap']} apart) and {many} of mixed families, from {how['photographs'][2]} photographs held out; "
        f"attacks: PGD, {held['steps']} steps, l∞ {255 * settings['eps']:.3g}/255. One standard error is at most "
        f"{0.5 / math.sqrt(one):.3f} for 2AFC and {0.5 / math.sqrt(many):.3f} for agreement."
    )


def _differences(settings):
    usual = asdict(Settings())
    return ", ".join(
        f"{name} {value:g}" for name, value in settings.items() if value != usual[name] and name not in ("norm", "eps")
    )
