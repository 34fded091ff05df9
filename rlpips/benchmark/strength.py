"""How much of what can be found attacks find, over their steps and schedules."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from rlpips.attacks.triplets import push
from rlpips.benchmark.packages import load_packages
from rlpips.benchmark.timing import Table
from rlpips.metrics.lpips import shared_metric
from rlpips.norms import NORMS
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

STEPS = (10, 20, 40, 100)
BEST_STEPS, BEST_RESTARTS = 500, 5
ENOUGH = 0.9  # of the best distance


def strength_table(
    pictures: Tensor,
    norm: str,
    eps: float,
    steps: Sequence[int] = STEPS,
    best: tuple[int, int] = (BEST_STEPS, BEST_RESTARTS),
) -> Table:
    """Attacks on d(x, x + delta) of pictures (N, 3, H, W): the share of the best distance that any attack of the table found, the
    mean over the pictures; `best` are steps and restarts of APGD."""
    device = pictures.device
    metrics = [shared_metric(name, device=device) for name in PAIR]
    reached: dict[tuple[str, int], list[Tensor]] = {}
    seconds: dict[tuple[str, int], float] = {}
    schedules = [(schedule, count, 1) for schedule in ("fixed", "cosine", "apgd") for count in steps]
    for schedule, count, restarts in [*schedules, ("apgd", *best)]:
        begun, values = time.perf_counter(), []
        for metric in metrics:
            generator = torch.Generator().manual_seed(0)
            x = push(metric, pictures, pictures, 1.0, norm, eps, count, restarts, generator, schedule)
            with torch.no_grad():
                values.append(metric(pictures, x))
        reached[schedule, count] = values
        seconds[schedule, count] = time.perf_counter() - begun
    highest = [torch.stack(values).amax(0) for values in zip(*reached.values())]

    rows = []
    for (schedule, count), values in reached.items():
        shares = [(value / most).mean().item() for value, most in zip(values, highest)]
        text = f"{best[1]} restarts" if count == best[0] else ""
        rows.append([schedule, count, text, *(f"{share:.2f}" for share in shares), f"{seconds[schedule, count]:.1f}"])
    rows += _package_rows(pictures, norm, eps, max(steps), highest)
    height, width = pictures.shape[2:]
    titles = [catalog.card(name).title for name in PAIR]
    return Table(
        f"Strength: {norm}, eps {eps:.4g}, {len(pictures)} pictures of {height}×{width}",
        f"The share of the best distance that any attack here found, and the seconds of both attacks. {ENOUGH} of the best for both: "
        f"{_enough(rows)}.",
        ["steps of which size", "steps", "", *titles, "s"],
        rows,
    )


def _package_rows(pictures: Tensor, norm: str, eps: float, steps: int, highest: Sequence[Tensor]) -> list[list]:
    """A loop of fixed steps over other packages, as their users write it."""
    rows = []
    for package in load_packages(PAIR, "alex", pictures.device)[0]:
        start = (pictures + NORMS[norm].random(pictures, eps, torch.Generator().manual_seed(0))).clamp(0, 1)
        begun, shares = time.perf_counter(), []
        for model, most in zip(package.models, highest, strict=True):
            best = torch.zeros(len(pictures), device=pictures.device)
            for _, distances, _ in package.iterates(model, pictures, start, norm, eps, steps):
                best = torch.maximum(best, distances.flatten())
            shares.append((best / most).mean().item())
        seconds = time.perf_counter() - begun
        rows.append(
            [f"loop over {package.name}", steps, "fixed", *(f"{share:.2f}" for share in shares), f"{seconds:.1f}"]
        )
    return rows


def _enough(rows: Sequence[Sequence]) -> str:
    """The three quickest rows that reach enough of both metrics."""
    good = [row for row in rows if min(map(float, row[3:5])) >= ENOUGH]
    quickest = sorted(good, key=lambda row: float(row[5]))[:3]
    return "; ".join(f"{row[0]}, {row[1]} steps, {row[5]} s" for row in quickest) or "none"
