"""Honest evaluation of the metrics, on photographs that had no part in the training, and of attacks bounded by them.

    python -m rlpips.evaluate --images FOLDER             every metric at hand; minutes each on two CPU cores
    python -m rlpips.evaluate masking --images FOLDER     is their robustness real?
    python -m rlpips.evaluate classifiers                 how accurate classifiers stay under perceptual attacks
    torchrun --nproc-per-node 2 -m rlpips.evaluate …      the same results, from several processes

What is measured, and how, is said in `rlpips.evaluate.standard`, `rlpips.evaluate.masking` and `rlpips.evaluate.robust_accuracy`. Triplets are made from
photographs, or are those of BAPPS (Zhang et al., arXiv 1801.03924) where its folder is given; classifiers are attacked on
the test part of CIFAR-10.
"""

import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rlpips import parallel
from rlpips.classifiers import cifar10
from rlpips.classifiers.models import load_classifier
from rlpips.device import pick_device
from rlpips.engine.provenance import surroundings
from rlpips.evaluate import masking, tables
from rlpips.evaluate.data import from_bapps, from_photographs
from rlpips.evaluate.options import make_parser
from rlpips.evaluate.robust_accuracy import robust_accuracy
from rlpips.evaluate.standard import RESTARTS_AT_STANDARD, standard
from rlpips.evaluate.tables import family_table, table
from rlpips.metrics.lpips import load_metric
from rlpips.progress import Progress
from rlpips.zoo import cards, catalog, weights
from rlpips.zoo.catalog import PAIR, check_metrics

LARGE = 256  # pixels a side: do heads that were learnt on patches hold on whole pictures?


def main(arguments=None):
    """The command, with the terminal's words or others; what is wrong with them is said, with exit code 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    named = {*COMMANDS, "-h", "--help"} & set(arguments[:1])
    parser = make_parser()
    chosen = parser.parse_args(arguments if named else ["standard", *arguments])
    command, progress = COMMANDS[chosen.command], Progress()
    chosen.line = _line(arguments)
    try:
        ready = _prepare(command, chosen, parser)
        for found in command.measure(chosen, *ready, progress):
            if parallel.is_first():
                text = _keep(chosen, command, found)
        if parallel.is_first():
            print(text)
    finally:
        parallel.leave()


def _prepare(command, chosen, parser):
    """What the command asks for, with all that can be wrong found out before the work begins."""
    try:
        chosen.device = parallel.join(pick_device(chosen.device))
        if chosen.out:
            chosen.out.mkdir(parents=True, exist_ok=True)
        return command.prepare(chosen)
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}.")


@dataclass(frozen=True)
class Command:
    """`prepare(chosen)` gives what `measure(chosen, *prepared, progress)` needs, which yields all that was found so far,
    again and again; `report(found)` makes blocks of Markdown of it. Results are stored as `key`.json and `key`.md."""

    prepare: Callable
    measure: Callable
    report: Callable
    key: str


def of_metrics(run, report, key):
    """A command that measures one metric after the other by `run(chosen, name, data, progress)`, and may store what it
    found in their cards, as `key`."""

    def with_conditions(found):
        how = list(found.values())[-1]["how"]
        return [*report(found), f"{how['data'][:1].upper()}{how['data'][1:]}. `{how['command']}`"]

    return Command(
        lambda chosen: (_names(chosen), _data(chosen)), partial(_each_metric, run, key), with_conditions, key
    )


def _each_metric(run, key, chosen, names, data, progress):
    found = {}
    for name in names:
        began = time.monotonic()
        made = run(chosen, name, data, progress)
        made["how"] = _how(chosen, name, data) | made["how"]
        made["how"]["seconds"] = round(time.monotonic() - began)
        found[name] = made
        progress(f"{name}: measured in {made['how']['seconds']} seconds", keep=True)
        if chosen.cards and parallel.is_first():
            cards.store(name, chosen.backbone, **{key: made})
        yield found


def _standard(chosen, name, data, progress):
    metric, lpips = (load_metric(each, chosen.backbone, chosen.device) for each in (name, "lpips"))
    same, mixed = (triplets.to(chosen.device) for triplets in (data.same, data.mixed))
    eps = {"linf": [n / 255 for n in chosen.eps_linf], "l2": chosen.eps_l2}
    how = {"triplets": min(chosen.triplets, len(same)), "steps": chosen.steps, "restarts": 1}
    how["restarts_at_standard"] = RESTARTS_AT_STANDARD
    return {"how": how} | standard(
        metric, lpips, same, mixed, progress, eps, chosen.steps, chosen.seed, chosen.triplets
    )


def _masking(chosen, name, data, progress):
    other = _transferred_from(name)
    metric, other = (load_metric(each, chosen.backbone, chosen.device) for each in (name, other))
    parts = (triplets.to(chosen.device) for triplets in (data.same, data.mixed, data.large, data.large_mixed))
    how = {"triplets": len(data.same), "norm": "linf", "eps": masking.EPS, "queries": chosen.queries}
    return {"how": how} | masking.masking(metric, other, *parts, progress, chosen.queries, chosen.seed)


def _transferred_from(name):
    return "rlpips-linf" if name == "lpips" else "lpips"


def _standard_report(found):
    yield table(found)
    for norm, title in tables.NORMS.items():
        yield f"## {title}, every budget\n\n" + tables.eps_table(found, norm)
        yield f"## {title}, every family\n\n" + family_table(found, norm)


def _masking_report(found):
    for title, one in zip(tables.titles(found), found.values()):
        yield f"## {title}\n\n{one['verdict']}\n\n{tables.masking_table(one)}"


def _ready_to_attack(chosen):
    """(names, pictures, metrics, how, known) for the attacks on classifiers, of which every one is loaded once."""
    names = chosen.classifiers
    if len(set(names)) < len(names):
        raise ValueError(f"classifiers must be named once each; got {', '.join(names)}.")
    everything = cifar10.read("test", chosen.images)
    pictures = everything.subset(chosen.pictures, chosen.seed)
    for name in names:
        load_classifier(name)
    where = " in a folder of picture files" if chosen.images else ""
    how = {"command": chosen.line, "data": f"drawn from {len(everything)} test pictures of CIFAR-10{where}"}
    metrics = {name: load_metric(name, "alex", chosen.device) for name in PAIR}
    file = chosen.out and chosen.out / "classifiers.json"
    known = json.loads(file.read_text("utf-8")) if file and file.exists() else None
    return names, pictures, metrics, how, known


def _attack(chosen, names, pictures, metrics, how, known, progress):
    load = partial(load_classifier, device=chosen.device)
    return robust_accuracy(
        names, load, pictures, metrics, how, known, progress, chosen.steps, chosen.bound, chosen.seed
    )


def _classifiers_report(found):
    yield tables.accuracy_table(found)
    yield "## Do attacks bounded by R-LPIPS leave less?\n\n" + tables.findings_table(found)
    for name in found["classifiers"]:
        yield f"## {tables.classifier_title(name)}: what the attacks cost\n\n" + tables.cost_table(found, name)
    yield tables.match_table(found)
    yield tables.classifier_conditions(found)


COMMANDS = {
    "standard": of_metrics(_standard, _standard_report, "results"),
    "masking": of_metrics(_masking, _masking_report, "masking"),
    "classifiers": Command(_ready_to_attack, _attack, _classifiers_report, "classifiers"),
}


def _data(chosen):
    bapps = chosen.command == "standard" and chosen.bapps
    if bapps and chosen.images:
        raise ValueError("Triplets come from --images or from --bapps, not from both.")
    if bapps:
        return from_bapps(bapps, None if chosen.all else chosen.natural, chosen.seed)
    counts, large = (chosen.triplets, chosen.mixed), None
    if chosen.command == "masking":
        large = chosen.large, LARGE
    else:
        counts = max(chosen.natural, chosen.triplets), chosen.mixed
    return from_photographs(chosen.images, chosen.all, counts, chosen.size, chosen.gap, chosen.seed, large)


def _names(chosen):
    """The metrics to measure, loaded once, so that what is missing is known before the work begins."""
    names = chosen.metrics or []
    if not names:
        for name in catalog.CATALOG:
            if reason := _out_of_reach(name, chosen.backbone):
                if parallel.is_first():
                    print(f"{name} is left out: {reason}", file=sys.stderr)
            else:
                names.append(name)
        if not names:
            raise ValueError("No metric is at hand without a download; name those to download with --metrics.")
    needed = [*check_metrics(names, chosen.backbone)]
    if chosen.command == "masking":
        needed += map(_transferred_from, names)
    for name in needed:
        catalog.check(name, chosen.backbone)
    for name in needed:
        load_metric(name, chosen.backbone)
    if chosen.cards:
        for name in names:
            cards.path(name, chosen.backbone)
    return names


def _out_of_reach(name, backbone):
    """Why a metric cannot be had without a download, or nothing."""
    try:
        catalog.check(name, backbone)
    except ValueError as error:
        return str(error)
    trunk, official = catalog.trunk_card(backbone), catalog.card(name).official
    if trunk.bundled and not official:
        return None
    files = [official.file] if official else [trunk.torchvision, trunk.features.file if trunk.features else ""]
    if any(weights.find(file) for file in files if file):
        return None
    return f"{files[0]} would have to be downloaded (name the metric with --metrics to do so)."


def _how(chosen, name, data):
    """How the figures came about, and the command that repeats them."""
    heads = catalog.card(name).heads.get(chosen.backbone)  # none: an official checkpoint, which its blob id names
    around = surroundings(chosen.device)
    return {
        "command": chosen.line,
        **data.facts,
        "seed": chosen.seed,
        "backbone": chosen.backbone,
        "heads_sha256": heads.sha256 if heads else None,
        "device": around["device"],
        "torch": around["torch"],
    }


def _line(arguments):
    """The command as it was given, but for where somebody's files lie, which is theirs."""
    stand_ins = {"--images": "FOLDER", "--bapps": "FOLDER", "--out": "DIR"}
    line = []
    for word in arguments:
        option = word.partition("=")[0]
        if line and line[-1] in stand_ins:
            word = stand_ins[line[-1]]
        elif "=" in word and option in stand_ins:
            word = f"{option}={stand_ins[option]}"
        line.append(word)
    return shlex.join(["python", "-m", "rlpips.evaluate", *line])


def _keep(chosen, command, found):
    """Store what was found where that was asked for; return the tables."""
    text = "\n\n".join(command.report(found)) + "\n"
    if chosen.out:
        for suffix, written in (("json", cards.written(found)), ("md", text)):
            part = chosen.out / f"{command.key}.{suffix}.part"
            part.write_text(written, "utf-8")
            part.replace(part.with_suffix(""))  # an interruption while writing leaves the older file
    return text


if __name__ == "__main__":
    main()
