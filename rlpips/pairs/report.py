"""The report of many pairs as one page of HTML that opens anywhere, without a network: style, script, numbers and pictures are in it.

File names come from strangers. They are written as JSON without "<", the script only ever sets them as text, and the page's policy lets
nothing run but this script, and nothing be fetched.
"""

import base64
import hashlib
import html
import json
import re
from typing import Any

import numpy as np

from rlpips import paths
from rlpips.data import images
from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.ruler import SEVERITIES, scale_of
from rlpips.pairs.distances import DISTORTION
from rlpips.pairs.row import quality_of
from rlpips.pairs.table import Table, title
from rlpips.pairs.verdict import LEAST_EYE, LEAST_PSNR, LEAST_SSIM
from rlpips.pairs.views import choose, coloured, views

MAX_MB = 20
SHOWN = 24  # pairs with pictures
MAX_ROWS = 60_000
_EYE = {"name": "eye", "title": "FLIP, the eye"}
_NUMBERS = ("linf", "l2", "psnr", "ssim", "changed", "eye")
_TEXTS = ("notes", "easy_to_see")


def page(pairs: Table) -> str:
    """The report, HTML of at most 20 MB: of more than 60,000 pairs the first, and pictures for as many as there is room for."""
    style, script = ((paths.PAIRS / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    data = _content(pairs)
    parts = {
        "csp": policy,
        "title": html.escape(_heading(pairs)),
        "style": style,
        "script": script,
        "data": _json(data),
    }
    room = MAX_MB * 1e6 - sum(len(part.encode()) for part in parts.values()) - 10_000
    parts["data"] = _json(data | {"pictures": _pictures(pairs, len(data["columns"]["pair"]), room)})
    template = (paths.PAIRS / "report.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], template)


def _content(pairs: Table) -> dict[str, Any]:
    shown = pairs[:MAX_ROWS]
    texts: dict[str, int] = {}
    columns: dict[str, list[Any]] = {"pair": []}
    for row in shown:
        columns["pair"].append(row["pair"])
        cells = {name: _digits(row[name]) for name in _NUMBERS} | {"eye_jpeg": row["eye_jpeg"]}
        cells |= {name: texts.setdefault(row[name], len(texts)) for name in _TEXTS}
        cells["size"] = texts.setdefault(f"{row['width']}×{row['height']}", len(texts))
        for name in pairs.metrics:
            cells[name] = _digits(row[name])
            cells |= {f"{name}{key}": row[f"{name}{key}"] for key in ("_jpeg", "_place", "_layer_share")}
            cells[f"{name}_layer"] = texts.setdefault(row[f"{name}_layer"], len(texts))
            if f"{name}_half" in row:
                cells[f"{name}_half"] = row[f"{name}_half"]
        for name, cell in cells.items():
            columns.setdefault(name, []).append(cell)
    ruled = len(shown) > 0 and columns[f"{pairs.metrics[0]}_jpeg"][0] is not None
    notes = [*pairs.notes]
    if len(shown) < len(pairs):
        notes.insert(0, f"This page shows the first {len(shown)} of {len(pairs)} pairs; the CSV has all.")
    return {
        "metrics": [{"name": name, "title": title(name)} for name in pairs.metrics],
        "eye": _EYE if any(each is not None for each in columns.get("eye", [])) else None,
        "threshold": pairs.threshold,
        "ladder": ladder() if ruled else [],
        "columns": columns,
        "texts": list(texts),
        "problems": [[each.name, each.reason] for each in pairs.problems[:MAX_ROWS]],
        "notes": notes,
        "receipt": pairs.receipt,
        "explanation": _explanation(pairs),
        "pictures": {},
    }


def _explanation(pairs: Table) -> str:
    return (
        "Distances have no unit. So each is read on its picture's own ruler: the quality of the JPEG of the same original that the metric "
        "finds equally far. At quality 10 blocks and false colours are plain to see; a metric that finds a change as far, "
        f"although it is hard to see, is fooled. Easy to see is a change that FLIP, a model of the eye, finds as far as JPEG quality "
        f"{LEAST_EYE} or worse; where it was not asked, one with a PSNR below {LEAST_PSNR:g} dB or an SSIM below {LEAST_SSIM:g}."
    )


def _heading(pairs: Table) -> str:
    first, second = pairs.judges
    return f"{pairs.label}: {len(pairs)} pairs, {title(first)}" + (f" and {title(second)}" if second else "")


def ladder() -> list[int]:
    """The JPEG qualities of a ruler's entries, mild to strong."""
    scale = scale_of(DISTORTIONS[DISTORTION], SEVERITIES, np.zeros((len(SEVERITIES), 1)))
    return [quality_of(words) for words in scale.words]


def _pictures(pairs: Table, rows: int, room: float) -> dict[int, Any]:
    """For some rows what the page shows of them, within so many bytes."""
    pictures: dict[int, Any] = {}
    for view in views(pairs, choose(pairs[:rows], SHOWN)):
        entry = {
            "clean": _png(view.clean),
            "attacked": _png(view.attacked),
            "change": _png(view.change),
            "times": view.times,
            "reduced": view.reduced,
            "maps": [
                {"title": title(name), "source": _png(coloured(values))}
                for name, values in zip(pairs.metrics, view.maps, strict=True)
            ],
        }
        room -= len(_json(entry))
        if room < 0:
            break
        pictures[view.row] = entry
    return pictures


def _png(pixels: Any) -> str:
    return "data:image/png;base64," + base64.b64encode(images.png_bytes(pixels)).decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """JSON that may stand in a script element: it has no "<"."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _digits(value: float | None) -> float | None:
    return None if value in (None, float("inf")) else float(f"{value:.4g}")
