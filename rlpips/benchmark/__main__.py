"""`python -m rlpips.benchmark` prints Markdown tables of how fast the engine is, all measured in one run.

Nothing else should run on the machine meanwhile; ratios suffer less than times, as the contestants take turns. All tables take
about four minutes on two cores.
"""

import argparse
import itertools
import os
from collections.abc import Iterator, Sequence

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch is imported, as in app.py, which says why

import torch

from rlpips.benchmark import strength
from rlpips.benchmark.packages import load_packages
from rlpips.benchmark.perceptual import perceptual_table
from rlpips.benchmark.tables import accuracy_table, engine_table, floor_table
from rlpips.benchmark.timing import Table
from rlpips.classifiers.models import load_classifier
from rlpips.device import pick_device
from rlpips.engine.bfloat16 import PRECISIONS, pick_precision
from rlpips.engine.provenance import surroundings
from rlpips.zoo.catalog import PAIR

DEFAULT = ("engine", "floor", "accuracy", "perceptual")
TABLES = (*DEFAULT, "strength")
# (height and width, batch, norm)
CASES = [
    ((64, 64), 1, "linf"),
    ((128, 128), 1, "linf"),
    ((256, 256), 1, "linf"),
    ((512, 512), 1, "linf"),
    ((64, 64), 4, "linf"),
    ((64, 64), 16, "linf"),
    ((256, 256), 2, "linf"),
    ((256, 256), 1, "l2"),
]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.benchmark", description="Print tables of how fast the engine is."
    )
    parser.add_argument("tables", nargs="*", metavar="table", help=f"of {', '.join(TABLES)}; default: all but strength")
    parser.add_argument(
        "--sizes", type=int, nargs="+", help="sides of square pictures, each with all --batches and --norms"
    )
    parser.add_argument("--batches", type=int, nargs="+")
    parser.add_argument("--norms", nargs="+", choices=("linf", "l2"))
    parser.add_argument("--steps", type=int, default=40, help="of the whole attack; keyframes depend on their number")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=3, help="for strength: how many; default: %(default)s")
    parser.add_argument("--images", help="for strength: a folder of pictures, in place of the samples")
    parser.add_argument(
        "--quick", action="store_true", help="for strength: one budget a norm, and a shorter search for the best"
    )
    parser.add_argument("--device", help='"cpu" or "cuda"; default: the GPU where there is one')
    parser.add_argument("--backbone", default="alex", choices=("alex", "vgg"))
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.tables) - set(TABLES)):
        parser.error(f"there is no table {', '.join(unknown)}; the tables are {', '.join(TABLES)}")
    try:
        for part in report(options):
            print(part, flush=True)
    except ValueError as error:  # of a folder of pictures
        parser.error(str(error))


def report(options: argparse.Namespace) -> Iterator[str | Table]:
    """A line on the machine, and the tables, each when it is measured."""
    device, backbone, rounds = pick_device(options.device), options.backbone, options.rounds
    in_hardware = pick_precision(None, device) == "bfloat16"  # otherwise it is slower than float32, and nobody uses it
    precisions = PRECISIONS if in_hardware else ("float32",)
    sizes = [(side, side) for side in options.sizes or [256]]
    cases = CASES
    if options.sizes or options.batches or options.norms:
        cases = list(itertools.product(sizes, options.batches or [1], options.norms or ["linf"]))

    machine = f"{surroundings(device)['device']}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    hardware = f"{'' if in_hardware else 'no '}bfloat16 in hardware"
    yield f"# Benchmark\n\n{machine}; {hardware}; {backbone}; {rounds} rounds.\n"
    if missing := load_packages(PAIR, backbone)[1]:
        yield f"Not installed, and left out: {', '.join(missing)}. `pip install lpips torchmetrics`\n"
    for name in options.tables or DEFAULT:
        if name == "engine":
            yield engine_table(cases, options.steps, rounds, device, precisions, backbone)
        elif name == "floor":
            sizes_and_batches = list(dict.fromkeys((size, batch) for size, batch, _ in cases))
            yield floor_table(sizes_and_batches, rounds, device, precisions, backbone)
        elif name == "accuracy":
            for size in sizes:
                yield accuracy_table(size, device=device, backbone=backbone)
        elif name == "strength":
            norms = options.norms or ("linf", "l2")
            budgets = [budget for budget in strength.BUDGETS[:: -2 if options.quick else 1] if budget[0] in norms]
            best = strength.QUICK_BEST if options.quick else strength.BEST
            for side in options.sizes or [64]:
                pictures = strength.sample_pictures(options.pictures, side, device, options.images)
                yield from strength.strength_tables(pictures, budgets, best=best)
        elif name == "perceptual":
            classifier = load_classifier("undefended", device)
            yield perceptual_table(classifier, batches=options.batches or (1, 16), rounds=rounds, device=device)


if __name__ == "__main__":
    main()
