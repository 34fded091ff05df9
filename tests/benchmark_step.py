"""What one step of the duel costs, against two loops over the `lpips` package: `python tests/benchmark_step.py`.

Both sides do the same: PGD against LPIPS and PGD against R-LPIPS, every step reading each attacked picture's distance under
both metrics, per layer. The loops are what a user of the package would write: one attack after the other, each metric a
model of its own. The two are timed in turns, in one process; the table gives medians, and their ratio.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from truth import official  # noqa: E402

import rlpips  # noqa: E402
from rlpips.norms import LINF  # noqa: E402

EPS, STEPS = 4 / 255, 40


def package_loops(reference, models):
    """Two PGD attacks on the `lpips` package, one after the other; each also reads the other metric off."""
    readings, x0 = [], 2 * reference - 1
    for attacked in models:
        other = next(model for model in models if model is not attacked)
        x = (reference + LINF.random(reference, EPS, torch.Generator().manual_seed(0))).clamp(0, 1)
        for _ in range(STEPS):
            x.requires_grad_()
            distance, layers = attacked(x0, 2 * x - 1, retPerLayer=True)
            (gradient,) = torch.autograd.grad(distance.sum(), x)
            with torch.no_grad():
                readings.append((layers, other(x0, 2 * x - 1, retPerLayer=True)[1]))
                x = reference + (x + 2.5 * EPS / STEPS * gradient.sign() - reference).clamp(-EPS, EPS)
                x = x.clamp(0, 1)
    return readings


def ours(reference, _):
    """The engine as everybody uses it, with the pictures and maps of its keyframes."""
    return [step.distance for step in rlpips.attack_steps(reference, eps=EPS, steps=STEPS)]


def seconds(function, *arguments):
    begun = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()

    models = [official("alex"), official("alex")]
    robust = rlpips.load_metric("rlpips-linf").heads
    for layer, head in zip(models[1].lins, robust):
        layer.model[1].weight.data.copy_(head.view(1, -1, 1, 1))

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; ms a step, median of {chosen.rounds} rounds")
    print("| size | lpips package, two loops | this library, keyframes included | ratio |\n|---|---|---|---|")
    for size in chosen.sizes:
        reference = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        times = {package_loops: [], ours: []}
        for turn in range(chosen.rounds + 1):
            for function, found in times.items():
                spent = seconds(function, reference, models)
                if turn:  # the first warms up
                    found.append(1000 * spent / STEPS)
        theirs, mine = (statistics.median(found) for found in times.values())
        ratios = [a / b for a, b in zip(times[package_loops], times[ours])]
        print(f"| {size}×{size} | {theirs:.1f} | {mine:.1f} | {statistics.median(ratios):.2f} |")


if __name__ == "__main__":
    main()
