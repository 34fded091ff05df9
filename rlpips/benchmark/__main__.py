"""`python -m rlpips.benchmark` prints Markdown tables of how fast the engine is, all measured in this one run.

Nothing else should run meanwhile; ratios bear it better than times, as contestants take turns. By default it takes
about four minutes on two cores; name tables to have only those.
"""

import argparse
import itertools
import os

# Before torch is imported, as app.py does, and for the same reason.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

TABLES = ("engine", "floor", "accuracy", "perceptual")


def main():
    parser = argparse.ArgumentParser(prog="python -m rlpips.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="table", help=f"of {', '.join(TABLES)}; all if none is named")
    parser.add_argument(
        "--sizes", type=int, nargs="+", help="sides of square pictures, all with all --batches and --norms"
    )
    parser.add_argument("--batches", type=int, nargs="+")
    parser.add_argument("--norms", nargs="+", choices=("linf", "l2"))
    parser.add_argument(
        "--steps", type=int, default=40, help="of the whole attack; how many decides how many are keyframes"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", help='"cpu" or "cuda"; the GPU where there is one')
    parser.add_argument("--backbone", default="alex", choices=("alex", "vgg"))
    given = parser.parse_args()
    if wrong := set(given.tables) - set(TABLES):
        parser.error(f"there is no table {', '.join(sorted(wrong))}; there are {', '.join(TABLES)}")
    for table in made(given):
        print(table, flush=True)


def made(given):
    """The tables asked for, each when it is measured, and before them a line on the machine."""
    import torch

    from rlpips.benchmark import tables
    from rlpips.benchmark.contestants import packages
    from rlpips.benchmark.perceptual import perceptual_table
    from rlpips.classifiers.models import load_classifier
    from rlpips.device import pick_device
    from rlpips.engine.bfloat16 import PRECISIONS, pick_precision
    from rlpips.engine.provenance import surroundings
    from rlpips.zoo.catalog import PAIR

    device = pick_device(given.device)
    low = pick_precision(None, device) == "bfloat16"  # where it would only be slower nobody runs it
    precisions = PRECISIONS if low else ("float32",)
    chosen = bool(given.sizes or given.batches or given.norms)
    sizes = [(side, side) for side in given.sizes or [256]]
    counts, norms = given.batches or [1], given.norms or ["linf"]
    if chosen:
        cases = list(itertools.product(sizes, counts, norms))
    else:
        one = [((side, side), 1, "linf") for side in (64, 128, 256, 512)]
        cases = [*one, ((64, 64), 4, "linf"), ((64, 64), 16, "linf"), ((256, 256), 2, "linf"), ((256, 256), 1, "l2")]
    pairs = list(dict.fromkeys((size, batch) for size, batch, _ in cases))
    common = {"device": device, "precisions": precisions, "backbone": given.backbone}

    machine = f"{surroundings(device)['device']}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    hardware = "bfloat16 in hardware" if low else "no bfloat16 in hardware"
    yield f"# Benchmark\n\n{machine}; {hardware}; {given.backbone}; {given.rounds} rounds.\n"
    if missing := packages(PAIR, given.backbone)[1]:
        yield f"Not installed, and left out: {', '.join(missing)}. `pip install lpips torchmetrics`\n"
    for name in given.tables or TABLES:
        if name == "engine":
            yield tables.engine_table(cases, given.steps, given.rounds, **common)
        elif name == "floor":
            yield tables.floor_table(pairs, given.rounds, **common)
        elif name == "accuracy":
            for size in sizes:
                yield tables.accuracy_table(size, device=device, backbone=given.backbone)
        elif name == "perceptual":
            classifier = load_classifier("undefended", device)
            yield perceptual_table(classifier, batches=given.batches or [1, 16], rounds=given.rounds, device=device)


if __name__ == "__main__":
    main()
