"""Evaluation of the metrics on photographs that had no part in the training, and of attacks bounded by them.

    python -m rlpips.evaluate --images FOLDER             every metric at hand; minutes each on two CPU cores
    python -m rlpips.evaluate masking --images FOLDER     is their robustness real?
    python -m rlpips.evaluate judge --images FOLDER       do they choose as a model of human vision does?
    python -m rlpips.evaluate flow --images FOLDER        what if an attack moves pixels instead of changing them?
    python -m rlpips.evaluate dial --images FOLDER        metrics between LPIPS and R-LPIPS
    python -m rlpips.evaluate transfer --images FOLDER    attacks on one metric, judged by the others
    python -m rlpips.evaluate classifiers                 how accurate classifiers stay under perceptual attacks
    torchrun --nproc-per-node 2 -m rlpips.evaluate …      the same results, from several processes

`rlpips.evaluate.standard`, `masking`, `judge`, `flow`, `dial`, `transfer` and `robust_accuracy` say what is measured, and how.
Triplets are made from photographs, or are those of BAPPS (Zhang et al., arXiv 1801.03924) with --bapps; classifiers are
attacked on the test part of CIFAR-10.
"""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

from rlpips import parallel
from rlpips.device import pick_device
from rlpips.evaluate.classifier_command import attack_classifiers
from rlpips.evaluate.comparison_commands import measure_dial, measure_transfer
from rlpips.evaluate.metric_commands import measure_metrics
from rlpips.evaluate.options import make_parser
from rlpips.evaluate.report import Report
from rlpips.progress import Progress

COMMANDS = {
    **dict.fromkeys(("standard", "masking", "judge", "flow"), measure_metrics),
    "dial": measure_dial,
    "transfer": measure_transfer,
    "classifiers": attack_classifiers,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments, by default the terminal's. Wrong ones end it with a message and exit code 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = make_parser()
    options = parser.parse_args(_with_command(arguments))
    options.command_line = _command_line(arguments)
    try:
        for report in _start(options, parser):
            if options.out and parallel.is_first():
                report.store(options.out)
        if parallel.is_first():
            print(report.text)
    finally:
        parallel.leave()


def _with_command(arguments: list[str]) -> list[str]:
    """The arguments with the command in front; the default is "standard"."""
    first = arguments[0] if arguments else ""
    return arguments if first in (*COMMANDS, "-h", "--help") else ["standard", *arguments]


def _command_line(arguments: list[str]) -> str:
    """The command as it was typed, for the reports, but without the paths of the user's folders."""
    placeholders = {"--images": "FOLDER", "--bapps": "FOLDER", "--out": "DIR"}
    words: list[str] = []
    for word in arguments:
        option = word.partition("=")[0]
        if words and words[-1] in placeholders:
            word = placeholders[words[-1]]
        elif "=" in word and option in placeholders:
            word = f"{option}={placeholders[option]}"
        words.append(word)
    return shlex.join(["python", "-m", "rlpips.evaluate", *words])


def _start(options: Namespace, parser: ArgumentParser) -> Iterator[Report]:
    """Check the options, load what the command needs, and return its reports, which are measured one by one."""
    try:
        options.device = parallel.join(pick_device(options.device))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
        return COMMANDS[options.command](options, Progress())
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}.")


if __name__ == "__main__":
    main()
