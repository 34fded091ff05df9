"""The example that the page of many pairs opens with: the recorded attacks as pairs, and what was measured of them. Needs no torch,
but for `measure`."""

import hashlib
import io
import json
import tempfile
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rlpips import paths
from rlpips.data import images, zips
from rlpips.traces.trace import Trace

NAME = "example.zip"


@dataclass(frozen=True)
class Example:
    """What was measured of the example's pairs: rows in their order, as `rlpips.pairs.measure` makes them, what the numbers depend on, and
    the JPEG qualities of a ruler, mild to strong."""

    rows: list[dict[str, Any]]
    receipt: dict[str, Any]
    ladder: list[int]


@lru_cache(maxsize=1)
def pictures() -> dict[str, np.ndarray]:
    """Originals and results of the recorded attacks that push away, uint8 (H, W, 3) by their names in a zip: against each of two metrics,
    and noise of the same budget. ValueError or OSError if a recording cannot be read."""
    by_name: dict[str, np.ndarray] = {}
    for path in sorted(paths.PRECOMPUTED.glob("*-away-*.zip")):
        trace, name = Trace.load(path), path.stem.replace("-away", "")
        by_name[f"clean/{name}.png"] = trace.reference
        by_name |= {f"attacked/{name}_adv_{lane}.png": each for lane, each in zip(trace.lanes, trace.adversarial)}
    return by_name


@lru_cache(maxsize=1)
def archive() -> bytes:
    """The pictures as a zip. Errors as from `pictures`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name, pixels in pictures().items():
            zips.pack(zipped, name, images.png_bytes(pixels))
    return file.getvalue()


def measure() -> dict[str, Any]:
    """Measure the example: the content of the file that `stored` reads."""
    from rlpips.pairs.compare import compare
    from rlpips.pairs.report import ladder

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / NAME).write_bytes(archive())
        table = compare(Path(folder) / NAME)
    rows = [table.columns.row(place) for place in table.chosen]
    return {"receipt": table.receipt, "ladder": ladder(), "rows": rows}


def stored() -> Example:
    """What is stored of the example. ValueError or OSError if it cannot be read, and if it was measured of other pictures."""
    content = json.loads(paths.PAIRS_EXAMPLE.read_text("utf-8"))
    rows = content["rows"]
    for row in rows:
        for side in ("clean", "attacked"):
            pixels = pictures().get(row[side])
            if pixels is None or hashlib.sha256(pixels.tobytes()).hexdigest() != row[f"{side}_sha256"]:
                raise ValueError(
                    f"{row[side]} is not the picture that was measured; run `python -m rlpips.precompute pairs`."
                )
    return Example(rows, content["receipt"], content["ladder"])
