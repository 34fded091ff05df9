"""Attacks on triplets: one candidate of each, or the reference, is changed within a budget (`rlpips.attacks.threats`), so as to turn the metric's choice
between the two candidates."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from rlpips.attacks.pgd import scheduled
from rlpips.attacks.schedule import SCHEDULES
from rlpips.attacks.threats import THREATS
from rlpips.data.triplets import Triplets
from rlpips.device import in_neutral_state
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.engine.panel import Panel
from rlpips.metrics.backbones import unit_length
from rlpips.metrics.base import FeatureMetric
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import share
from rlpips.validation import check_choice

Metric: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # (x, y), both (N, 3, H, W) -> distances (N,), differentiable
Values: TypeAlias = Callable[[Tensor], Tensor]  # x (N, 3, H, W) -> (N,)

_AT_ONCE = 24  # pictures: enough to fill a CPU at 64 pixels, few enough to share out to processes


@in_neutral_state
def attack_triplets(
    metric: Metric,
    triplets: Triplets,
    norm: str = "linf",
    eps: float = 4 / 255,
    steps: int = 20,
    restarts: int = 1,
    seed: int = 0,
    schedule: str = "cosine",
    until_turned: bool = False,
) -> Triplets:
    """The same triplets with one candidate of each, chosen at random, moved inside its ball.

    The candidate that the judges find nearer is pushed away from the reference, the one they find farther is pulled towards it.
    The reference and the other candidate stay as they are. White box: `metric` itself is attacked, by PGD from a random start
    with steps by a `schedule` of `rlpips.attacks.request.AttackRequest`; the best iterate is kept. `until_turned` leaves out the
    restarts of triplets whose choice is turned, which changes no score. eps is in [0, 1] pixel units; for the norm "flow", in pixels. ValueError for triplets without a judge.
    """
    _check_judges(triplets)
    generator = torch.Generator().manual_seed(seed)
    p0_is_attacked, sign = draw_candidates(triplets.judge, generator)
    where = p0_is_attacked.view(-1, 1, 1, 1)
    start, other = torch.where(where, triplets.p0, triplets.p1), torch.where(where, triplets.p1, triplets.p0)
    turned = sign * between(metric, triplets.reference, other) if until_turned else None
    options = norm, eps, steps, restarts, generator, schedule
    attacked = push(metric, triplets.reference, start, sign, *options, turned)
    return replace(triplets, p0=torch.where(where, attacked, triplets.p0), p1=torch.where(where, triplets.p1, attacked))


@in_neutral_state
def attack_references(
    metric: Metric,
    triplets: Triplets,
    norm: str = "linf",
    eps: float = 4 / 255,
    steps: int = 20,
    restarts: int = 1,
    seed: int = 0,
    schedule: str = "cosine",
) -> Triplets:
    """The same triplets with the reference of each moved inside its ball, away from the candidate that the judges find nearer and
    towards the other: d(reference, nearer) - d(reference, farther) is raised. Both candidates stay as they are. A triplet whose
    choice is turned is not restarted.

    This is the variant "ref" of R-LPIPS (Ghazanfari et al., arXiv 2307.15157). The arguments are those of `attack_triplets`.
    """
    _check_judges(triplets)
    sign = torch.where(triplets.judge < 0.5, 1.0, -1.0)

    def values_of(rows: Tensor) -> Values:
        nearer_to_p1 = _preference(metric, triplets.p0[rows], triplets.p1[rows])
        return lambda x: sign[rows] * nearer_to_p1(x)

    generator = torch.Generator().manual_seed(seed)
    options = norm, eps, steps, restarts, generator, schedule
    return replace(triplets, reference=_climb(values_of, triplets.reference, *options, torch.zeros_like(sign)))


def _check_judges(triplets: Triplets) -> None:
    if triplets.judge.isnan().any():
        raise ValueError("An attack turns the judges' choice, and these triplets have no judge.")


def draw_candidates(judge: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws which candidate of each triplet is attacked, given the judges' fractions (N,): whether it is p0, (N,) bool, and the
    sign of the attack (N,), 1 for away from the reference, -1 for towards it."""
    p0_is_attacked = (torch.rand(len(judge), generator=generator) < 0.5).to(judge.device)
    return p0_is_attacked, torch.where(p0_is_attacked == (judge < 0.5), 1.0, -1.0)


def distance_from(metric: Metric, reference: Tensor) -> Values:
    """x -> d(reference, x), (N,), with gradients to x. The features of the references (N, 3, H, W) are computed once, if the
    metric is a `PerceptualMetric` or a `FeatureMetric`."""
    if isinstance(metric, PerceptualMetric | FeatureMetric):
        panel = Panel([metric], reference)
        return lambda x: panel.per_layer(x).sum((1, 2))
    return lambda x: metric(reference, x)


def _preference(metric: Metric, p0: Tensor, p1: Tensor) -> Values:
    """x -> d(x, p0) - d(x, p1), (N,), with gradients to x. With u the features of unit length that a `PerceptualMetric` compares,
    |u(x) - u0|² - |u(x) - u1|² = |u0|² - |u1|² + 2 u(x)·(u1 - u0): one pass of the network serves both distances."""
    if not isinstance(metric, PerceptualMetric):
        return lambda x: metric(x, p0) - metric(x, p1)
    trunk, softness, constants, slopes = FastTrunk(metric.trunk), metric.trunk.softness, [], []

    def units(x: Tensor) -> Iterator[Tensor]:
        return (unit_length(f, c) for f, c in zip(trunk.features(x), softness, strict=True))

    with torch.no_grad():
        for u0, u1, head in zip(units(p0), units(p1), metric.heads, strict=True):
            weights = head.view(-1, 1, 1) / u0[0, 0].numel()
            constants.append(((u0.square() - u1.square()) * weights).sum((1, 2, 3)))
            slopes.append(2 * weights * (u1 - u0))
    constant = torch.stack(constants).sum(0)

    def values(x: Tensor) -> Tensor:
        return constant + sum((u * slope).sum((1, 2, 3)) for u, slope in zip(units(x), slopes, strict=True))

    return values


@torch.no_grad()
def between(metric: Metric, x: Tensor, y: Tensor) -> Tensor:
    """d(x, y) of pictures (N, 3, H, W), (N,), as attacks measure it, batch by batch."""
    return torch.cat(
        [distance_from(metric, some)(others) for some, others in zip(x.split(64), y.split(64), strict=True)]
    )


@in_neutral_state
def push(
    metric: Metric,
    reference: Tensor,
    start: Tensor,
    sign: Tensor | float,
    norm: str,
    eps: float,
    steps: int,
    restarts: int,
    generator: torch.Generator,
    schedule: str = "cosine",
    enough: Tensor | None = None,
) -> Tensor:
    """The points in the balls around `start` (N, 3, H, W) at which PGD found the largest sign·d(reference, point).

    `sign` is 1 (away) or -1 (towards), a number or (N,). A short attack can do worse than none, so the start counts as well.
    Pictures whose value is above `enough` (N,) are not restarted. Where several processes run, each attacks some of the pictures
    and all get all of them.
    """
    signs = torch.as_tensor(sign, dtype=torch.float32).expand(len(start)).to(start.device)

    def values_of(rows: Tensor) -> Values:
        distance = distance_from(metric, reference[rows])
        return lambda x: signs[rows] * distance(x)

    return _climb(values_of, start, norm, eps, steps, restarts, generator, schedule, enough)


def _climb(
    values_of: Callable[[Tensor], Values],
    start: Tensor,
    norm: str,
    eps: float,
    steps: int,
    restarts: int,
    generator: torch.Generator,
    schedule: str,
    enough: Tensor | None,
) -> Tensor:
    """The points in the balls around `start` with the highest values; `values_of` takes the rows whose values it gives."""
    check_choice("schedule", schedule, SCHEDULES)
    threat = THREATS[norm]
    pieces = torch.arange(len(start), device=start.device).split(_AT_ONCE)
    seeds = torch.randint(
        2**53, (len(pieces),), generator=generator
    ).tolist()  # the same whichever process works the piece

    def work(piece: tuple[Tensor, int]) -> Tensor:
        rows, seed = piece
        draws = torch.Generator().manual_seed(seed)
        best = start[rows]
        with torch.no_grad():
            highest = values_of(rows)(best)
        left = torch.arange(len(rows), device=rows.device)
        for restart in range(restarts):
            if restart and enough is not None:
                left = (highest <= enough[rows]).nonzero()[:, 0]
                if not len(left):
                    break
            pictures = start[rows[left]]
            centre = threat.centre(pictures)
            drawn = threat.norm.random(threat.centre(start[rows]), eps, draws)[
                left
            ]  # whatever happened to the other rows
            values = values_of(rows[left])

            def objective(point: Tensor, values: Values = values, pictures: Tensor = pictures) -> tuple[Tensor, Tensor]:
                reached = values(threat.picture(point, pictures))
                return reached, reached.detach()

            # The last is the best.
            *_, (point, reached) = scheduled(schedule, centre, centre + drawn, objective, threat.norm, eps, steps)
            x = threat.picture(point, pictures)
            better = reached > highest[left]
            best = best.index_copy(0, left, torch.where(better.view(-1, 1, 1, 1), x, best[left]))
            highest = highest.index_copy(0, left, torch.where(better, reached, highest[left]))
        return best

    # In one memory layout whatever happened before: a network rounds differently where channels lie last.
    return torch.cat(share(work, list(zip(pieces, seeds, strict=True)))).contiguous()
