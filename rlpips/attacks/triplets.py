"""Attacks on triplets: one candidate of each is moved within a ball of pixels, so as to turn the metric's choice between the two."""

from dataclasses import replace

import torch
from torch import Tensor

from rlpips.attacks.pgd import scheduled
from rlpips.attacks.schedule import SCHEDULES
from rlpips.data.triplets import Triplets
from rlpips.device import in_neutral_state
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.norms import NORMS
from rlpips.parallel import share
from rlpips.validation import check_choice

_AT_ONCE = 24  # pictures: enough to fill a CPU at 64 pixels, few enough to share out to processes


@in_neutral_state
def attack_triplets(
    metric: PerceptualMetric,
    triplets: Triplets,
    norm: str = "linf",
    eps: float = 4 / 255,
    steps: int = 20,
    restarts: int = 1,
    seed: int = 0,
    schedule: str = "fixed",
) -> Triplets:
    """The same triplets with one candidate of each, chosen at random, moved inside its ball.

    The candidate that the judges find nearer is pushed away from the reference, the one they find farther is pulled towards it.
    The reference and the other candidate stay as they are. White box: `metric` itself is attacked, by PGD from a random start
    with steps by a `schedule` of `rlpips.attacks.request.AttackRequest`; the best iterate is kept. eps is in [0, 1] pixel units. ValueError for triplets without a judge.
    """
    if triplets.judge.isnan().any():
        raise ValueError("An attack turns the judges' choice, and these triplets have no judge.")
    generator = torch.Generator().manual_seed(seed)
    p0_is_attacked, sign = draw_candidates(triplets.judge, generator)
    where = p0_is_attacked.view(-1, 1, 1, 1)
    start = torch.where(where, triplets.p0, triplets.p1)
    attacked = push(metric, triplets.reference, start, sign, norm, eps, steps, restarts, generator, schedule)
    return replace(triplets, p0=torch.where(where, attacked, triplets.p0), p1=torch.where(where, triplets.p1, attacked))


def draw_candidates(judge: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws which candidate of each triplet is attacked, given the judges' fractions (N,): whether it is p0, (N,) bool, and the
    sign of the attack (N,), 1 for away from the reference, -1 for towards it."""
    p0_is_attacked = (torch.rand(len(judge), generator=generator) < 0.5).to(judge.device)
    return p0_is_attacked, torch.where(p0_is_attacked == (judge < 0.5), 1.0, -1.0)


@in_neutral_state
def push(
    metric: PerceptualMetric,
    reference: Tensor,
    start: Tensor,
    sign: Tensor | float,
    norm: str,
    eps: float,
    steps: int,
    restarts: int,
    generator: torch.Generator,
    schedule: str = "fixed",
) -> Tensor:
    """The points in the balls around `start` (N, 3, H, W) at which PGD found the largest sign·d(reference, point).

    `sign` is 1 (away) or -1 (towards), a number or (N,). A short attack can do worse than none, so the start counts as well. Where
    several processes run, each attacks some of the pictures and all get all of them.
    """
    check_choice("schedule", schedule, SCHEDULES)
    ball = NORMS[norm]
    signs = torch.as_tensor(sign, dtype=torch.float32).expand(len(start)).to(start.device)
    pieces = torch.arange(len(start)).split(_AT_ONCE)
    seeds = torch.randint(
        2**53, (len(pieces),), generator=generator
    ).tolist()  # the same whichever process works the piece

    def work(piece):
        at, seed = piece
        centre, panel = start[at], Panel([metric], reference[at])
        piece_generator = torch.Generator().manual_seed(seed)

        def objective(x):
            values = signs[at] * panel.per_layer(x).sum((1, 2))
            return values, values.detach()

        with torch.no_grad():
            best, highest = centre, objective(centre)[0]
        for _ in range(restarts):
            initial = centre + ball.random(centre, eps, piece_generator)
            *_, (x, values) = scheduled(schedule, centre, initial, objective, ball, eps, steps)  # the last is the best
            better = values > highest
            best = torch.where(better.view(-1, 1, 1, 1), x, best)
            highest = torch.where(better, values, highest)
        return best

    # In one memory layout whatever happened before: a network rounds differently where channels lie last.
    return torch.cat(share(work, list(zip(pieces, seeds, strict=True)))).contiguous()
