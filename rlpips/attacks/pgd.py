"""Projected gradient ascent on a batch of points (pictures, flows, maps of colours), for any objective: PGD (Madry et al.,
arXiv 1706.06083) with steps of given sizes, and APGD (Croce and Hein, arXiv 2003.01690), which chooses them."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from rlpips.attacks.schedule import step_sizes
from rlpips.norms import Norm

Objective = Callable[[Tensor], tuple[Tensor, ...]]  # points (B, C, h, w) -> (the values to raise (B,), *readings)
_Row = tuple[Tensor, ...]  # (iterate, values, *readings), whose first dimension is B


def scheduled(
    schedule: str, start: Tensor, initial: Tensor, objective: Objective, norm: Norm, eps: float, steps: int,
    step_size: float | None = None,
) -> Iterator[tuple[Tensor, ...]]:  # fmt: skip
    """`pgd` or `apgd`, by the name of a schedule; `step_size` is of a fixed one."""
    if schedule == "apgd":
        return apgd(start, initial, objective, norm, eps, steps)
    return pgd(start, initial, objective, norm, eps, step_sizes(schedule, eps, steps, step_size))


def pgd(
    start: Tensor, initial: Tensor, objective: Objective, norm: Norm, eps: Any, sizes: Iterable[Any]
) -> Iterator[tuple[Tensor, ...]]:
    """Yields (iterate, *readings) once more than there are `sizes`, the initial point first, and last, row by row, the best one.

    start      (B, C, h, w), the centres of the balls, every value within `norm.values`
    initial    the first iterate, same shape; it is projected into the balls
    objective  gives the values to raise, and readings: tensors (B, …) that are yielded with the iterate they belong to
    norm       of `rlpips.norms.NORMS`, whose points are pictures in [0, 1]; or `flow.FLOW`, or `recolour.CHANGE`
    eps        a number, or a tensor (B, 1, 1, 1), in the units of the points
    sizes      of the steps, like eps (`rlpips.attacks.schedule`)
    """
    start, x = _begin(start, initial, norm, eps)
    best: _Row | None = None
    for size in sizes:
        gradient, values, *readings = climb(x, objective)
        yield x, *readings
        best = _better((x, values, *readings), best)
        x = _move(x, gradient, size, start, norm, eps)
    yield _last(x, objective, best)


def apgd(
    start: Tensor, initial: Tensor, objective: Objective, norm: Norm, eps: Any, steps: int
) -> Iterator[tuple[Tensor, ...]]:
    """The same by Algorithm 1 of APGD: steps of 2 eps with momentum, halved at checkpoints, back at the best iterate, where they have
    found little. Every row has a step size of its own."""
    start, x = _begin(start, initial, norm, eps)
    checkpoints = _checkpoints(steps)
    size = torch.as_tensor(2 * eps, dtype=x.dtype, device=x.device).expand(len(x), 1, 1, 1)
    rises, halved = torch.zeros(len(x), device=x.device), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    previous, before, at_checkpoint, last_checkpoint = x, rises, rises, 0
    best: _Row | None = None
    for step in range(steps):
        gradient, values, *readings = climb(x, objective)
        yield x, *readings
        best = _better((x, values, gradient, *readings), best)
        if step:
            rises = rises + (values > before)
        else:
            at_checkpoint = values
        before = values
        if step in checkpoints:
            best_x, best_values, best_gradient, *_ = best
            # The paper's conditions: fewer than rho = 0.75 of the steps rose; or nothing halved last time, and nothing higher since.
            few = rises < 0.75 * (step - last_checkpoint)
            halved = few | (~halved & (at_checkpoint == best_values))
            rows = halved.view(-1, 1, 1, 1)
            size = torch.where(rows, size / 2, size)
            x, gradient = torch.where(rows, best_x, x), torch.where(rows, best_gradient, gradient)
            previous = torch.where(rows, best_x, previous)
            before = torch.where(halved, best_values, before)
            at_checkpoint, last_checkpoint, rises = best_values, step, torch.zeros_like(rises)
        moved = _move(x, gradient, size, start, norm, eps)
        if step:  # momentum, alpha = 0.75
            moved = inside(x + 0.75 * (moved - x) + 0.25 * (x - previous) - start, start, norm, eps)
        previous, x = x, moved
    yield _last(x, objective, best and (*best[:2], *best[3:]))


def _checkpoints(steps: int) -> set[int]:
    """The steps after which APGD looks back: shares 0, 0.22, 0.41, … of all, whose distances fall by 0.03 to 0.06."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {math.ceil(share * steps) for share in shares[1:] if share < 1}


def _begin(start: Tensor, initial: Tensor, norm: Norm, eps: Any) -> tuple[Tensor, Tensor]:
    """(the centres, the first iterate) in the layout that networks are fast in."""
    start, initial = (each.contiguous(memory_format=torch.channels_last) for each in (start, initial))
    return start, inside(initial - start, start, norm, eps)


@torch.no_grad()
def climb(x: Tensor, objective: Objective) -> tuple[Tensor, ...]:
    """(the gradient, the values, *readings) of an objective at x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        values, *readings = objective(x)
        (gradient,) = torch.autograd.grad(values.sum(), x)
    return gradient, values.detach(), *(each.detach() for each in readings)


@torch.no_grad()
def _move(x: Tensor, gradient: Tensor, size: Any, start: Tensor, norm: Norm, eps: Any) -> Tensor:
    return inside(norm.step(gradient, size).add_(x).sub_(start), start, norm, eps)


@torch.no_grad()
def _better(row: _Row, best: _Row | None) -> _Row:
    """Row by row the one with the higher value."""
    if best is None:
        return row
    better = row[1] > best[1]
    return tuple(
        torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old) for new, old in zip(row, best, strict=True)
    )


def _last(x: Tensor, objective: Objective, best: _Row | None) -> tuple[Tensor, ...]:
    """What an attack yields last: the best of the last iterate `x` and of those before, without the values."""
    with torch.no_grad():  # ends before the yield, because the caller has a gradient mode of their own
        values, *readings = objective(x)
    x, _, *readings = _better((x, values, *readings), best)
    return x, *readings


def inside(delta: Tensor, start: Tensor, norm: Norm, eps: Any) -> Tensor:
    """The point of the norm's values ([0, 1] for pictures) and of the ball around `start` that is nearest to start + delta; may write
    over `delta`."""
    # Clipping moves every value towards `start`, which is an image itself, so the point stays in either ball.
    return norm.project(delta, eps).add_(start).clamp_(*norm.values)
