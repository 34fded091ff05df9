"""Which of many attacked pairs fool LPIPS and not R-LPIPS?

    python -m rlpips.pairs CLEAN ADV --report report.html --csv rows.csv     two folders, zips or files of arrays
    python -m rlpips.pairs PAIRS --out RESULTS                               one that holds both kinds, or a CSV of two columns
    python -m rlpips.pairs CLEAN ADV --list > match.csv                      how they match; edit it, then add --match match.csv
    torchrun --nproc-per-node 2 -m rlpips.pairs CLEAN ADV --out RESULTS      the same rows, from several processes

A run that was killed goes on where it was when it is started again with the same arguments.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from rlpips import parallel
from rlpips.device import pick_device
from rlpips.pairs import values
from rlpips.pairs.compare import receipt, tabulate
from rlpips.pairs.inputs import MAX_SIDE, Inputs, Problem, printable
from rlpips.pairs.journal import Journal
from rlpips.pairs.measure import METRICS, Measurer, Settings, pieces_of
from rlpips.pairs.reading import read
from rlpips.pairs.results import Pairs
from rlpips.pairs.table import title
from rlpips.pairs.verdict import THRESHOLD
from rlpips.progress import Progress
from rlpips.zoo import catalog

OUTPUTS = ("report", "csv", "json", "latex", "sheet")
_MANY = 10  # problems that are printed


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments, by default the terminal's. Wrong ones end it with a message and exit code 2."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{Path(error.filename or '').name}: {error.strerror}.")
    except KeyboardInterrupt:
        parser.exit(130, "\nStopped. The same command goes on from here.\n")
    finally:
        parallel.leave()


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.pairs",
        usage="%(prog)s CLEAN ADV [options], or %(prog)s PAIRS [options]",
        description="Which of many attacked pairs fool LPIPS and not R-LPIPS?",
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="PAIRS", help="originals and attacked pictures, or one that holds both")
    add("--match", type=Path, metavar="CSV", help="two columns of names within the inputs: what belongs together")
    add("--list", action="store_true", help="only print how the inputs match, as such a CSV")
    add("--swap", action="store_true", help="the first input holds the attacked pictures")
    add(
        "--values",
        nargs="+",
        choices=values.RANGES,
        metavar="RANGE",
        help=f"of arrays, for originals and attacked ones: {', '.join(values.RANGES)}; by default it is recognised",
    )
    add("--metrics", nargs="+", default=METRICS, metavar="NAME", help="the verdicts are about the first two")
    add("--backbone", default="alex", choices=catalog.TRUNKS)
    add(
        "--threshold",
        type=int,
        default=THRESHOLD,
        metavar="QUALITY",
        help="a metric is fooled at this JPEG quality or below",
    )
    add("--distances-only", action="store_true", help="no equivalents and no verdicts, in about half of the time")
    add("--no-eye", action="store_true", help="do not ask FLIP, a model of the eye, which takes longer than all else")
    add("--max-side", type=int, default=MAX_SIDE, metavar="PIXELS", help="larger pairs are reduced, and say so")
    add("--device", help="cpu or cuda; by default a GPU where there is one")
    for name, what in zip(
        OUTPUTS, ("a page", "rows", "everything", "the summary", "some pairs, PNG or PDF"), strict=True
    ):
        add(
            f"--{name}",
            type=Path,
            metavar="FILE",
            help=f"write {what} to a file, or to a folder under a name of its own",
        )
    add("--out", type=Path, metavar="FOLDER", help="write all of these to a folder")
    return parser


def _run(options: argparse.Namespace) -> None:
    inputs = _read(options)
    if options.list:
        csv.writer(sys.stdout, lineterminator="\n").writerows(
            [("original", "attacked"), *((pair.clean.name, pair.attacked.name) for pair in inputs.pairs)]
        )
        _say(inputs)
        return
    settings = Settings(
        tuple(options.metrics), options.backbone, options.max_side, not options.distances_only, not options.no_eye
    )
    device = parallel.join(pick_device(options.device))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    outputs = {name: getattr(options, name) or options.out for name in OUTPUTS}
    _check_outputs(outputs)  # now, not after hours
    if parallel.is_first():
        _say(inputs)
    measurer = Measurer(settings, device)
    with tempfile.TemporaryDirectory() as nowhere:
        kept = next((path for path in outputs.values() if path), None)
        if kept is None and parallel.processes() > 1:
            raise ValueError("Several processes need a file to write to, such as --csv rows.csv.")
        folder = Path(nowhere) if kept is None else kept if kept.is_dir() else kept.absolute().parent
        journal = Journal(folder, inputs.pairs, receipt(measurer), parallel.rank())
        _measure(inputs, measurer, journal)
        if parallel.is_first():
            results = tabulate(inputs, measurer, journal.results(), options.threshold)
            unread = results.problems[len(inputs.problems) :]
            print("\n".join(_listed(unread, "pairs cannot be measured")), end="\n" * bool(unread), file=sys.stderr)
            _write(results, outputs)
            journal.clear()


def _check_outputs(outputs: dict[str, Path | None]) -> None:
    for name, path in outputs.items():
        if path and not path.is_dir() and not path.absolute().parent.is_dir():
            raise ValueError(f"There is no folder {path.parent} for --{name}.")
    sheet = outputs["sheet"]
    if sheet and not sheet.is_dir() and sheet.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"A sheet is written as .png, .pdf or .svg; got {sheet.name}.")


def _read(options: argparse.Namespace) -> Inputs:
    given = options.inputs
    first, second = given if len(given) == 2 else (given[0] if len(given) == 1 else given, None)
    inputs = read(first, second, options.match, options.values)
    return inputs.swapped() if options.swap else inputs


def _say(inputs: Inputs) -> None:
    """What matches, on stderr, before anything is measured."""
    first = inputs.pairs[0]
    lines = [f"{len(inputs.pairs)} pairs, such as {first.clean.name} and {first.attacked.name}"]
    lines += [*inputs.notes, *_listed(inputs.problems, "files have no pair")]
    print("\n".join(map(printable, lines)), file=sys.stderr)


def _listed(problems: Sequence[Problem], what: str) -> list[str]:
    if not problems:
        return []
    lines = [f"  {each.name}: {each.reason}" for each in problems[:_MANY]]
    return [f"{len(problems)} {what}:", *lines, *["  …"] * (len(problems) > _MANY)]


def _measure(inputs: Inputs, measurer: Measurer, journal: Journal) -> None:
    """Measure the pieces that the journal lacks."""
    pieces = pieces_of(inputs.pairs)
    # All processes go by what the first one finds: others may have begun to write.
    done = {int(piece) for piece in parallel.share(lambda _: torch.tensor([float(p) for p in journal.done()]), [0])[0]}
    waiting = [piece for piece in range(len(pieces)) if piece not in done]
    progress, begin, count = Progress(), time.monotonic(), 0
    if done:
        progress(f"{len(done)} of {len(pieces)} pieces were measured before", keep=True)

    def work(piece: int) -> torch.Tensor:
        nonlocal count
        (rows,) = measurer.rows([pieces[piece]])
        journal.add(piece, rows)
        count += 1
        part = min(1.0, count * parallel.processes() / len(waiting))
        left = (time.monotonic() - begin) * (1 - part) / part
        measured = round(part * sum(len(pieces[each]) for each in waiting))
        progress(f"about {measured} pairs, {_clock(left)} left", part, 1)
        return torch.zeros(1)

    parallel.share(work, waiting)
    progress(f"{len(inputs.pairs)} pairs", keep=True)


def _write(results: Pairs, outputs: dict[str, Path | None]) -> None:
    """Write the files and print the summary."""
    writers = {
        "report": results.to_html,
        "csv": results.to_csv,
        "json": results.to_json,
        "latex": results.to_latex,
        "sheet": results.to_sheet,
    }
    for name, path in outputs.items():
        if path:
            print(f"wrote {writers[name](path)}", file=sys.stderr)  # type: ignore[operator]
    print(results.headline())
    for verdict, count in results.counts().items():
        print(f"  {verdict:24} {count:6}  {100 * count / max(1, len(results)):5.1f} %")
    for each in results.summary():
        fooled = "" if each["fooled"] is None else f", {each['median_equivalent']}, fooled by {each['fooled']}"
        print(f"  {title(each['metric']):24} median {each['median_distance']:.4g}{fooled}")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


if __name__ == "__main__":
    main()
