"""The options of `python -m rlpips.evaluate`, command by command."""

import argparse
import math
from pathlib import Path

from rlpips.evaluate.matching import BOUND
from rlpips.evaluate.robust_accuracy import CLASSIFIERS
from rlpips.evaluate.robust_accuracy import STEPS as ATTACK_STEPS
from rlpips.evaluate.standard import EPS, STEPS
from rlpips.zoo import catalog


def make_parser():
    """The parser; what it parsed has the attribute `command`, "standard", "masking" or "classifiers"."""
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.evaluate", description="Measure the metrics, and attacks bounded by them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument("--seed", type=_number(int, 0, 2**53), default=3)
    everywhere.add_argument("--device", default="cpu")
    everywhere.add_argument("--out", type=Path, help="folder for the results, as JSON and as Markdown tables")

    metrics = argparse.ArgumentParser(add_help=False, parents=[everywhere])
    metrics.add_argument("--images", type=Path, help="folder of photographs; without it the sample pictures serve")
    metrics.add_argument("--all", action="store_true", help="all photographs, or triplets of BAPPS, not only a part")
    metrics.add_argument("--metrics", nargs="+", help="names of the catalogue; else all that need no download")
    metrics.add_argument("--backbone", default="alex", choices=catalog.TRUNKS)
    metrics.add_argument(
        "--mixed", type=_number(int, 1, 100_000), default=2000, help="triplets of two families, never attacked"
    )
    metrics.add_argument("--size", type=_number(int, 32, 512), default=64, help="pixels a side of a patch")
    metrics.add_argument(
        "--gap", type=_number(float, 0, 0.9), default=0.1, help="least difference of two severities, 0 to 1"
    )
    metrics.add_argument("--cards", action="store_true", help="write the results into the cards of the heads")

    one = commands.add_parser("standard", parents=[metrics], allow_abbrev=False, help="all figures of a card")
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
        "masking", parents=[metrics], allow_abbrev=False, help="do gradients mislead the attacker?"
    )
    two.add_argument("--triplets", type=_number(int, 1, 100_000), default=96, help="of one family each, attacked")
    two.add_argument("--large", type=_number(int, 1, 10_000), default=24, help="triplets of large pictures")
    two.add_argument(
        "--queries", type=_number(int, 2, 1_000_000), default=1000, help="of the Square attack, for each picture"
    )

    three = commands.add_parser(
        "classifiers", parents=[everywhere], allow_abbrev=False, help="accuracy of classifiers under perceptual attacks"
    )
    three.add_argument("--images", type=Path, help="folder of CIFAR-10, test/<class>/*.jpg; else it is downloaded")
    three.add_argument(
        "--classifiers",
        nargs="+",
        choices=CLASSIFIERS,
        default=CLASSIFIERS,
        metavar="NAME",
        help="else all of CIFAR-10",
    )
    three.add_argument("--pictures", type=_number(int, 1, 10_000), default=200, help="how many are drawn")
    three.add_argument(
        "--bound",
        type=_number(float, 0.01, 10),
        default=BOUND,
        help="the papers' bound, a root of distances; matched bounds and half of them are tried, too",
    )
    three.add_argument("--steps", type=_number(int, 1, 10_000), default=ATTACK_STEPS, help="of every attack")
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
