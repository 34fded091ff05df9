"""`rlpips.compare`: many pairs, from whatever holds them to a table."""

import platform
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import PIL

from rlpips.engine.provenance import surroundings, weights_digest
from rlpips.engine.ruler import SEVERITIES
from rlpips.pairs.distances import DISTORTION
from rlpips.pairs.inputs import MAX_SIDE, Inputs, Pair, Problem, printable
from rlpips.pairs.measure import METRICS, Measurer, Settings, pieces_of
from rlpips.pairs.reading import read
from rlpips.pairs.results import Pairs
from rlpips.pairs.table import Columns
from rlpips.pairs.verdict import THRESHOLD
from rlpips.validation import check_whole


def compare(
    references: Any,
    candidates: Any = None,
    metrics: Sequence[Any] = METRICS,
    backbone: str = "alex",
    *,
    threshold: int = THRESHOLD,
    values: str | Sequence[str] | None = None,
    listed: Any = None,
    equivalents: bool = True,
    max_side: int = MAX_SIDE,
    eye: bool = True,
    device: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pairs:
    """Measure many pairs: which of them fool the first metric and not the second?

    references, candidates  folders, zips, lists, tensors (N, 3, H, W), arrays (N, H, W, 3), `.npy`, `.npz`, `.pt` or `.safetensors`;
                  or `references` alone, which holds both kinds (`rlpips.pairs.reading.read`)
    metrics       names of the catalogue, or metrics; the verdicts are about the first two
    threshold     the JPEG quality, 1 to 99, as far as which a metric must find a pair to count as fooled
    values        the range of values in arrays, "unit", "signed", "bytes", "imagenet", …, or two; None recognises it, and
                  `Pairs.notes` says what was recognised
    listed        a CSV of two columns of names that decides what belongs together
    equivalents   False measures distances alone, which takes about half of the time and gives no verdicts
    max_side      the longest side, in pixels, that is measured at full size
    eye           whether FLIP, a model of the eye, is asked, where it is installed, about pairs of up to 512×512 pixels; it takes longer
                  than all else (about 0.25 s a pair of 256×256 pixels)
    progress      is called with the number of pairs done and of all

    Returns `Pairs`. Pairs that cannot be matched or read are in its `problems`. ValueError where nothing can be paired.
    """
    check_whole("The threshold", threshold, 1, 99)
    check_whole("max_side", max_side, 64, 8192)
    settings = Settings(_tuple(metrics), backbone, max_side, equivalents, eye)
    inputs = read(references, candidates, listed, (values,) if isinstance(values, str) else values)
    measurer = Measurer(settings, device)
    pieces = pieces_of(inputs.pairs)

    def results() -> Iterable[Sequence[Any]]:
        done = 0
        for rows in measurer.rows(pieces):
            done += len(rows)
            if progress:
                progress(done, len(inputs.pairs))
            yield rows

    return tabulate(inputs, measurer, results(), threshold)


def tabulate(inputs: Inputs, measurer: Measurer, results: Iterable[Sequence[Any]], threshold: int) -> Pairs:
    """The table of what was measured: for each piece of the pairs, in order, its rows or `Problem`s."""
    columns, sources, problems = Columns(), [], list(inputs.problems)
    everything: Iterable[tuple[Pair, Any]] = zip(
        inputs.pairs, (each for piece in results for each in piece), strict=True
    )
    for pair, each in everything:
        if isinstance(each, Problem):
            problems.append(each)
        else:
            columns.add(each)
            sources.append(pair)
    return Pairs(
        columns,
        range(len(columns)),
        sources,
        measurer,
        threshold,
        tuple(Problem(printable(each.name), printable(each.reason)) for each in problems),
        (*inputs.notes, *measurer.notes),
        receipt(measurer),
        printable(inputs.label),
    )


def receipt(measurer: Measurer) -> dict[str, Any]:
    """What the numbers depend on: versions, device, weights, settings."""
    settings = measurer.settings
    return {
        **surroundings(measurer.device),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "metrics": list(settings.names),
        "backbone": settings.backbone,
        "weights": {
            name: weights_digest(metric, settings.backbone)
            for name, metric in zip(settings.names, settings.metrics, strict=True)
        },
        "ruler": {"distortion": DISTORTION, "severities": list(SEVERITIES)} if settings.equivalents else None,
        "eye": "flip" if measurer.has_eye else None,
        "max_side": settings.max_side,
    }


def _tuple(metrics: Any) -> tuple[Any, ...]:
    return tuple(metrics) if isinstance(metrics, (list, tuple)) else (metrics,)
