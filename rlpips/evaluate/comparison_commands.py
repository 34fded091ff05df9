"""The commands "dial" and "transfer" of `python -m rlpips.evaluate`: they measure metrics against each other."""

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlpips import parallel, paths, saving
from rlpips.engine.provenance import surroundings, weights_digest
from rlpips.evaluate import comparison_tables, dial, standard
from rlpips.evaluate.data import Data, from_photographs
from rlpips.evaluate.metric_commands import pick_metrics
from rlpips.evaluate.report import Report
from rlpips.evaluate.transfer import transfer
from rlpips.metrics.lpips import load_metric
from rlpips.progress import ProgressCallback
from rlpips.zoo import cards, catalog

ROBUST = ("rlpips-linf", "rlpips-tune")  # where the curves of the dial lead by default


def measure_dial(options: Namespace, progress: ProgressCallback) -> Iterator[Report]:
    """Check the options and load all metrics and triplets; return an iterator that yields a report after the curve to each metric.
    ValueError or OSError for options that cannot be met."""
    options.metrics = options.metrics or [*ROBUST]
    names = pick_metrics(options)
    for name in names:
        if name == "lpips" or not catalog.card(name).heads:
            raise ValueError(f"A dial leads from LPIPS to a metric with heads of its own; {name} is none.")
    return _dials(options, names, _make_data(options), progress)


def _dials(options: Namespace, names: list[str], data: Data, progress: ProgressCallback) -> Iterator[Report]:
    lpips = load_metric("lpips", options.backbone, options.device)
    same, mixed = data.same[: options.triplets].to(options.device), data.mixed.to(options.device)
    curves: dict[str, Any] = cards.read_stored(paths.DIAL) if options.cards and paths.DIAL.exists() else {}
    shares = [step / (options.points - 1) for step in range(options.points)]
    for name in names:
        robust, began = load_metric(name, options.backbone, options.device), time.monotonic()
        counts = options.restarts, options.seed, options.references
        points = dial.dial(lpips, robust, same, mixed, progress, shares, options.steps, *counts)
        how = {
            **_conditions(options, ["lpips", name], data, began),
            "triplets": len(same),
            "references": min(options.references, len(same)),
        }
        curves = {**curves, name: {"how": how, "points": points}}
        _store(options, paths.DIAL, curves)
        yield Report("dial", curves, comparison_tables.dial_blocks(curves))


def measure_transfer(options: Namespace, progress: ProgressCallback) -> Iterator[Report]:
    """Check the options and load all metrics and triplets; return an iterator that yields one report. ValueError or OSError for
    options that cannot be met."""
    return _transfer(options, pick_metrics(options), _make_data(options), progress)


def _transfer(options: Namespace, names: list[str], data: Data, progress: ProgressCallback) -> Iterator[Report]:
    metrics = {name: load_metric(name, options.backbone, options.device) for name in names}
    triplets, mixed = data.same[: options.references].to(options.device), data.mixed.to(options.device)
    began = time.monotonic()
    rows = transfer(metrics, triplets, mixed, progress, options.steps, options.restarts, options.seed)
    how = {**_conditions(options, names, data, began), "references": len(triplets)}
    result = {"how": how, "rows": rows}
    _store(options, paths.TRANSFER, result)
    yield Report("transfer", result, comparison_tables.transfer_blocks(result))


def _make_data(options: Namespace) -> Data:
    counts = options.natural, options.mixed
    return from_photographs(options.images, options.all, counts, options.size, options.gap, options.seed)


def _conditions(options: Namespace, names: list[str], data: Data, began: float) -> dict[str, Any]:
    """What the figures depend on, and the command that measures them again."""
    around = surroundings(options.device)
    return {
        "command": options.command_line,
        **data.facts,
        "seed": options.seed,
        "backbone": options.backbone,
        "weights": {name: weights_digest(name, options.backbone) for name in names},
        "norm": "linf",
        "eps": standard.STANDARD["linf"],
        "schedule": "cosine",
        "steps": options.steps,
        "restarts": options.restarts,
        **{key: around[key] for key in ("device", "rlpips", "torch")},
        "seconds": round(time.monotonic() - began),
    }


def _store(options: Namespace, file: Path, value: dict[str, Any]) -> None:
    if options.cards and parallel.is_first():
        saving.write(file, cards.format_json(value))
