"""Honest evaluation of the metrics, on photographs that had no part in the training.

    python -m rlpips.evaluate --images FOLDER             every metric at hand; minutes each on two CPU cores
    python -m rlpips.evaluate masking --images FOLDER     is their robustness real?
    torchrun --nproc-per-node 2 -m rlpips.evaluate …      the same results, from several processes

What is measured, and how, is said in `rlpips.measures` and `rlpips.masking`. Triplets are made from photographs, or are
those of BAPPS (Zhang et al., arXiv 1801.03924) where its folder is given.
"""

import argparse
import math
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlpips import cards, catalog, masking, parallel, tables, weights
from rlpips.backbones import pick_device
from rlpips.evaluation_data import from_bapps, from_photographs
from rlpips.measures import EPS, RESTARTS_AT_STANDARD, STEPS, standard
from rlpips.metrics import load_metric
from rlpips.progress import Progress
from rlpips.readings import check_metrics, surroundings
from rlpips.tables import family_table, table

LARGE = 256  # pixels a side: do heads that were learnt on patches hold on whole pictures?


def main(arguments=None):
    """The command, with the terminal's words or others; what is wrong with them is said, with exit code 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    named = {*COMMANDS, "-h", "--help"} & set(arguments[:1])
    parser = _parser()
    chosen = parser.parse_args(arguments if named else ["standard", *arguments])
    command, progress, found = COMMANDS[chosen.command], Progress(), {}
    try:
        names, data = _prepare(chosen, parser)
        for name in names:
            began = time.monotonic()
            made = command.run(chosen, name, data, progress)
            made["how"] = _how(chosen, name, data, arguments) | made["how"]
            made["how"]["seconds"] = round(time.monotonic() - began)
            found[name] = made
            progress(f"{name}: measured in {made['how']['seconds']} seconds", keep=True)
            if parallel.is_first():
                text = _keep(chosen, command, found, name)
        if parallel.is_first():
            print(text)
    finally:
        parallel.leave()


def _prepare(chosen, parser):
    """(names, data), with all that can be wrong found out before the work begins."""
    try:
        chosen.device = parallel.join(pick_device(chosen.device))
        if chosen.out:
            chosen.out.mkdir(parents=True, exist_ok=True)
        return _names(chosen), _data(chosen)
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}.")


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


@dataclass(frozen=True)
class Command:
    """What measures one metric, what makes Markdown of all that was found, and the key in the cards."""

    run: Callable
    report: Callable
    key: str


COMMANDS = {
    "standard": Command(_standard, _standard_report, "results"),
    "masking": Command(_masking, _masking_report, "masking"),
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


def _how(chosen, name, data, arguments):
    """How the figures came about, and the command that repeats them."""
    heads = catalog.card(name).heads.get(chosen.backbone)  # none: an official checkpoint, which its blob id names
    stand_ins = {"--images": "FOLDER", "--bapps": "FOLDER", "--out": "DIR"}  # where somebody's files lie is theirs
    line = []
    for word in arguments:
        option = word.partition("=")[0]
        if line and line[-1] in stand_ins:
            word = stand_ins[line[-1]]
        elif "=" in word and option in stand_ins:
            word = f"{option}={stand_ins[option]}"
        line.append(word)
    around = surroundings(chosen.device)
    return {
        "command": shlex.join(["python", "-m", "rlpips.evaluate", *line]),
        **data.facts,
        "seed": chosen.seed,
        "backbone": chosen.backbone,
        "heads_sha256": heads.sha256 if heads else None,
        "device": around["device"],
        "torch": around["torch"],
    }


def _keep(chosen, command, found, name):
    """Store what was found, the metric just measured being the last, where that was asked for; return the tables."""
    how = found[name]["how"]
    text = (
        "\n\n".join([*command.report(found), f"{how['data'][:1].upper()}{how['data'][1:]}. `{how['command']}`"]) + "\n"
    )
    if chosen.out:
        (chosen.out / f"{command.key}.json").write_text(cards.written(found), "utf-8")
        (chosen.out / f"{command.key}.md").write_text(text, "utf-8")
    if chosen.cards:
        cards.store(name, chosen.backbone, **{command.key: found[name]})
    return text


def _parser():
    parser = argparse.ArgumentParser(prog="python -m rlpips.evaluate", description="Measure the metrics.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--images", type=Path, help="folder of photographs; without it the sample pictures serve")
    common.add_argument("--all", action="store_true", help="all photographs, or triplets of BAPPS, not only a part")
    common.add_argument("--metrics", nargs="+", help="names of the catalogue; else all that need no download")
    common.add_argument("--backbone", default="alex", choices=catalog.TRUNKS)
    common.add_argument(
        "--mixed", type=_number(int, 1, 100_000), default=2000, help="triplets of two families, never attacked"
    )
    common.add_argument("--size", type=_number(int, 32, 512), default=64, help="pixels a side of a patch")
    common.add_argument(
        "--gap", type=_number(float, 0, 0.9), default=0.1, help="least difference of two severities, 0 to 1"
    )
    common.add_argument("--seed", type=_number(int, 0, 2**53), default=3)
    common.add_argument("--device", default="cpu")
    common.add_argument("--out", type=Path, help="folder for the results, as JSON and as Markdown tables")
    common.add_argument("--cards", action="store_true", help="write the results into the cards of the heads")

    one = commands.add_parser("standard", parents=[common], allow_abbrev=False, help="all figures of a card")
    one.add_argument("--natural", type=_number(int, 1, 100_000), default=2000, help="triplets of one family each")
    one.add_argument("--triplets", type=_number(int, 1, 100_000), default=200, help="how many of these are attacked")
    one.add_argument("--bapps", type=Path, help="folder that holds BAPPS, 2afc/val/<family>/{ref,p0,p1,judge}")
    one.add_argument(
        "--eps-linf", type=_number(float, 0.01, 255), nargs="+", default=[255 * e for e in EPS["linf"]], help="n/255"
    )
    one.add_argument(
        "--eps-l2", type=_number(float, 0.001, 1000), nargs="+", default=EPS["l2"], help="for pixels in [0, 1]"
    )
    one.add_argument("--steps", type=_number(int, 1, 10_000), default=STEPS, help="of PGD")

    two = commands.add_parser(
        "masking", parents=[common], allow_abbrev=False, help="do gradients mislead the attacker?"
    )
    two.add_argument("--triplets", type=_number(int, 1, 100_000), default=96, help="of one family each, attacked")
    two.add_argument("--large", type=_number(int, 1, 10_000), default=24, help=f"triplets of {LARGE} pixels a side")
    two.add_argument(
        "--queries", type=_number(int, 2, 1_000_000), default=1000, help="of the Square attack, for each picture"
    )
    return parser


def _number(kind, low, high):
    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            whole = "whole " if kind is int else ""
            raise argparse.ArgumentTypeError(f"expected a {whole}number from {low} to {high}; got {text!r}.")
        return value

    return read


if __name__ == "__main__":
    main()
