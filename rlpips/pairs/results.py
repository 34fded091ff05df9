"""The result of many pairs: the table, and what is written of it."""

import html
import json
import os
import re
from pathlib import Path
from typing import Any

from rlpips import saving
from rlpips.pairs.report import page
from rlpips.pairs.table import Table, title

_INNER = ("_place",)  # columns for charts, not for files
_SHOWN = 20  # rows of a table in a notebook


class Pairs(Table):
    """Measured pairs: a sequence of rows, each a dict of plain values, the verdict among them; and files of them. A path that is a folder
    gets a file named after what is in it."""

    def to_csv(self, path: str | os.PathLike | None = None) -> str | Path:
        """Write one line a pair, in UTF-8, or return the text."""
        return self._put(saving.csv_text(map(_outer, self)), path, "csv")

    def to_json(self, path: str | os.PathLike | None = None) -> str | Path:
        """Write everything: the receipt, the summary, what could not be measured, and every row; or return the text."""
        head = {
            "receipt": {**self.receipt, "threshold": self.threshold},
            "summary": {"pairs": len(self), "verdicts": self.counts(), "metrics": self.summary()},
            "notes": list(self.notes),
            "problems": [{"name": each.name, "reason": each.reason} for each in self.problems],
        }
        rows = ",\n".join(_json(_finite(_outer(row))) for row in self)  # a line each
        return self._put(f'{_json(head, indent=1)[:-2]},\n "rows": [\n{rows}\n]}}\n', path, "json")

    def to_latex(self, path: str | os.PathLike | None = None) -> str | Path:
        """Write the summary as a LaTeX table (booktabs), or return the text."""
        lines = [
            r"\begin{tabular}{lrrrr}",
            r"\toprule",
            r"metric & fooled & median distance & as far as JPEG & channels for half \\",
            r"\midrule",
        ]
        for each in self.summary():
            fooled = each["fooled"]
            share = "--" if fooled is None else rf"{fooled} ({100 * fooled / max(1, len(self)):.1f}\,\%)"
            half = "--" if each["median_half"] is None else f"{each['median_half']:g}"
            cells = [
                _latex(title(each["metric"])),
                share,
                f"{each['median_distance']:.3g}",
                _latex(each["median_equivalent"]),
                half,
            ]
            lines.append(" & ".join(cells) + r" \\")
        counts = ", ".join(f"{_latex(_worded(each))} {count}" for each, count in self.counts().items())
        lines += [
            r"\bottomrule",
            r"\end{tabular}",
            f"% {len(self)} pairs: {counts}; fooled: JPEG quality {self.threshold} or less",
        ]
        return self._put("\n".join(lines) + "\n", path, "tex")

    def to_html(self, path: str | os.PathLike | None = None) -> str | Path:
        """Write a report that opens anywhere, without a network, at most 20 MB, or return the text: all rows, to sort and to filter, the
        two metrics against each other, and some pairs with maps (`rlpips.pairs.report`)."""
        return self._put(page(self), path, "html")

    def to_sheet(self, path: str | os.PathLike, count: int = 8) -> Path:
        """Write a contact sheet of some pairs with maps, as PNG or PDF by the ending (`rlpips.pairs.sheet`). OSError as from `saving`."""
        from rlpips.pairs.sheet import sheet  # matplotlib is slow to import

        path = self.named(path, "png")
        figure = sheet(self, count)
        with saving.beside(path) as part:
            figure.savefig(part, format=path.suffix[1:] or "png", dpi=150)
        return path

    def named(self, path: str | os.PathLike, ending: str) -> Path:
        """`path`, or in a folder a file named after what is in it: adv-500-lpips-rlpips-linf.csv."""
        path = Path(path)
        if not path.is_dir():
            return path
        words = "-".join([self.label.rpartition(".")[0] or self.label, str(len(self)), *self.metrics[:2]])
        return path / (re.sub(r"[^\w\-]+", "-", words).strip("-")[:100] + "." + ending)

    def _repr_html_(self) -> str:
        """The verdicts and the first rows, for a notebook."""
        keys = [
            "pair",
            "verdict",
            *(key for name in self.metrics for key in (name, f"{name}_equivalent")),
            "psnr",
            "ssim",
        ]
        head = "".join(f"<th>{html.escape(key)}</th>" for key in keys)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(saving.cell(row[key]))}</td>" for key in keys) + "</tr>"
            for row in self[:_SHOWN]
        )
        more = f"<p>{len(self) - _SHOWN} more</p>" if len(self) > _SHOWN else ""
        return f"<p>{html.escape(self.headline())}</p><table><tr>{head}</tr>{body}</table>{more}"

    def _put(self, text: str, path: str | os.PathLike | None, ending: str) -> str | Path:
        if path is None:
            return text
        path = self.named(path, ending)
        saving.write(path, text)
        return path


def _worded(name: str) -> str:
    """A verdict with the metrics' titles."""
    return f"{title(name.removesuffix(' only'))} only" if name.endswith(" only") else name


def _outer(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not key.endswith(_INNER)}


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: the PSNR of equal pictures is null."""
    return {key: None if value == float("inf") else value for key, value in row.items()}


def _latex(text: str) -> str:
    text = re.sub(r"([&%$#_{}])", r"\\\1", text)
    return text.replace("l∞", r"$\ell_\infty$").replace(" l2", r" $\ell_2$").replace("−", "$-$")
