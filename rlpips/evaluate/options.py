"""The options of `python -m rlpips.evaluate`, command by command."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from rlpips.evaluate.attacked_classifier import STEPS as ATTACK_STEPS
from rlpips.evaluate.matching import BOUND
from rlpips.evaluate.robust_accuracy import CLASSIFIERS
from rlpips.evaluate.standard import ELSEWHERE, EPS, REFERENCES, RESTARTS_AT_STANDARD, STEPS
from rlpips.zoo import catalog


def make_parser() -> argparse.ArgumentParser:
    """The parser. Its result has the attribute `command`, such as "standard"."""
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.evaluate", description="Measure the metrics, and attacks bounded by them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    shared = _shared_options()
    of_metrics = _metric_options(shared)
    _add_standard(commands, of_metrics)
    _add_masking(commands, of_metrics)
    _add_flow(commands, of_metrics)
    _add_dial(commands, of_metrics)
    _add_transfer(commands, of_metrics)
    commands.add_parser("judge", parents=[of_metrics], allow_abbrev=False, help="do they choose as ColorVideoVDP does?")
    _add_classifiers(commands, shared)
    return parser


def _shared_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--seed", type=_number(int, 0, 2**53), default=3)
    options.add_argument("--device", default="cpu")
    options.add_argument("--out", type=Path, help="folder for the results, as JSON and as Markdown tables")
    return options


def _metric_options(shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False, parents=[shared])
    options.add_argument("--images", type=Path, help="folder of photographs; by default the sample pictures")
    options.add_argument("--all", action="store_true", help="use all photographs, or all triplets of BAPPS")
    options.add_argument(
        "--metrics", nargs="+", help="names of the catalogue, or mse; by default all that need no download"
    )
    options.add_argument("--backbone", default="alex", choices=catalog.TRUNKS)
    options.add_argument(
        "--mixed", type=_number(int, 1, 100_000), default=2000, help="triplets of two families, never attacked"
    )
    options.add_argument("--size", type=_number(int, 32, 512), default=64, help="pixels a side of a patch")
    options.add_argument(
        "--gap", type=_number(float, 0, 0.9), default=0.1, help="least difference of two severities, 0 to 1"
    )
    options.add_argument("--cards", action="store_true", help="write the results into the cards of the heads")
    return options


def _add_standard(commands, of_metrics: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "standard", parents=[of_metrics], allow_abbrev=False, help="all figures of a card (the default)"
    )
    command.add_argument("--natural", type=_number(int, 1, 100_000), default=2000, help="triplets of one family each")
    command.add_argument(
        "--triplets", type=_number(int, 1, 100_000), default=500, help="how many are attacked at the standard budgets"
    )
    command.add_argument(
        "--elsewhere", type=_number(int, 1, 100_000), default=ELSEWHERE, help="how many of these at other budgets"
    )
    command.add_argument(
        "--references",
        type=_number(int, 1, 100_000),
        default=REFERENCES,
        help="how many are attacked for the inflation",
    )
    command.add_argument(
        "--restarts", type=_number(int, 1, 100), default=RESTARTS_AT_STANDARD, help="of PGD at the standard budgets"
    )
    command.add_argument(
        "--brief", action="store_true", help="no attacks on references of triplets, no OPT at its official settings"
    )
    command.add_argument("--bapps", type=Path, help="folder of BAPPS, with 2afc/val/<family>/{ref,p0,p1,judge}")
    eps_linf = [255 * eps for eps in EPS["linf"]]
    command.add_argument("--eps-linf", type=_number(float, 0.01, 255), nargs="+", default=eps_linf, help="n/255")
    command.add_argument(
        "--eps-l2", type=_number(float, 0.001, 1000), nargs="+", default=EPS["l2"], help="for pixels in [0, 1]"
    )
    command.add_argument("--steps", type=_number(int, 1, 10_000), default=STEPS, help="of PGD")


def _add_masking(commands, of_metrics: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "masking", parents=[of_metrics], allow_abbrev=False, help="do gradients mislead the attacker?"
    )
    command.add_argument("--triplets", type=_number(int, 1, 100_000), default=48, help="of one family each, attacked")
    command.add_argument("--large", type=_number(int, 1, 10_000), default=24, help="triplets of large pictures")
    command.add_argument(
        "--queries", type=_number(int, 2, 1_000_000), default=1000, help="of the Square attack, for each picture"
    )


def _add_flow(commands, of_metrics: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "flow",
        parents=[of_metrics],
        allow_abbrev=False,
        help="what if an attack moves pixels instead of changing them?",
    )
    command.add_argument("--triplets", type=_number(int, 1, 100_000), default=100, help="of one family each, attacked")
    command.add_argument("--references", type=_number(int, 1, 100_000), default=60, help="attacked for the inflation")
    command.add_argument("--steps", type=_number(int, 1, 10_000), default=STEPS, help="of PGD")


def _add_dial(commands, of_metrics: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "dial", parents=[of_metrics], allow_abbrev=False, help="metrics between LPIPS and robust ones"
    )
    _add_attack(command, references=50, restarts=1)
    command.add_argument("--triplets", type=_number(int, 1, 100_000), default=500, help="how many are attacked")
    command.add_argument("--points", type=_number(int, 2, 101), default=11, help="of each curve, the ends included")


def _add_transfer(commands, of_metrics: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "transfer", parents=[of_metrics], allow_abbrev=False, help="attacks on one metric, judged by the others"
    )
    _add_attack(command, references=48, restarts=RESTARTS_AT_STANDARD)


def _add_attack(command: argparse.ArgumentParser, references: int, restarts: int) -> None:
    """The options of attacks within the standard budget of l_inf."""
    command.add_argument("--natural", type=_number(int, 1, 100_000), default=2000, help="triplets of one family each")
    command.add_argument(
        "--references", type=_number(int, 1, 100_000), default=references, help="how many are attacked themselves"
    )
    command.add_argument("--restarts", type=_number(int, 1, 100), default=restarts, help="of PGD")
    command.add_argument("--steps", type=_number(int, 1, 10_000), default=STEPS, help="of PGD")


def _add_classifiers(commands, shared: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "classifiers", parents=[shared], allow_abbrev=False, help="accuracy of classifiers under perceptual attacks"
    )
    command.add_argument(
        "--images", type=Path, help="folder of CIFAR-10, with test/<class>/*.jpg; by default it is downloaded"
    )
    command.add_argument(
        "--classifiers",
        nargs="+",
        choices=CLASSIFIERS,
        default=CLASSIFIERS,
        metavar="NAME",
        help=f"of {', '.join(CLASSIFIERS)}; by default all",
    )
    command.add_argument("--pictures", type=_number(int, 1, 10_000), default=200, help="how many are drawn")
    command.add_argument(
        "--bound",
        type=_number(float, 0.01, 10),
        default=BOUND,
        help="the papers' bound, a root of distances; comparable bounds, and half as far, are run, too",
    )
    command.add_argument("--steps", type=_number(int, 1, 10_000), default=ATTACK_STEPS, help="of every attack")


def _number(kind: type, low: float, high: float) -> Callable[[str], float]:
    """A type of arguments: numbers of a kind, int or float, from `low` to `high`."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            whole = "whole " if kind is int else ""
            raise argparse.ArgumentTypeError(f"expected a {whole}number from {low} to {high}; got {text!r}.")
        return value

    return read
