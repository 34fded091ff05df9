"""Projected gradient ascent on a batch of pictures (Madry et al., arXiv 1706.06083), for any objective."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from rlpips.norms import Norm

Objective = Callable[[Tensor], tuple[Tensor, ...]]  # x (B, 3, H, W) -> (the values to raise (B,), *readings)


def pgd(
    start: Tensor, initial: Tensor, objective: Objective, norm: Norm, eps: Any, steps: int, step_size: Any
) -> Iterator[tuple[Tensor, ...]]:
    """Yields (iterate, *readings) steps + 1 times, the initial point first.

    start      (B, 3, H, W) in [0, 1], the centres of the balls
    initial    the first iterate, same shape; it is projected into the balls
    objective  gives the values to raise, and readings: tensors that are yielded with the iterate they belong to
    norm       one of the values of `rlpips.norms.NORMS`
    eps, step_size  numbers, or tensors (B, 1, 1, 1), in [0, 1] pixel units
    """
    start, initial = (each.contiguous(memory_format=torch.channels_last) for each in (start, initial))
    x = inside(initial - start, start, norm, eps)
    for _ in range(steps):
        moved, *readings = ascend(x, start, objective, norm, eps, step_size)
        yield x, *readings
        x = moved
    with torch.no_grad():  # ends before the yield, because the caller has a gradient mode of their own
        readings = list(objective(x)[1:])
    yield x, *readings


@torch.no_grad()
def ascend(x: Tensor, start: Tensor, objective: Objective, norm: Norm, eps: Any, step_size: Any) -> tuple[Tensor, ...]:
    """One step of `pgd` from `x`: (the next iterate, *readings of `x`)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        values, *readings = objective(x)
        (gradient,) = torch.autograd.grad(values.sum(), x)
    moved = norm.step(gradient, step_size).add_(x).sub_(start)
    return inside(moved, start, norm, eps), *(each.detach() for each in readings)


def inside(delta: Tensor, start: Tensor, norm: Norm, eps: Any) -> Tensor:
    """The point of [0, 1] and of the ball around `start` that is nearest to start + delta; may write over `delta`."""
    # Clipping moves every value towards `start`, which is an image itself, so the point stays in either ball.
    return norm.project(delta, eps).add_(start).clamp_(0, 1)


def best_iterate(iterates: Iterable[tuple[Tensor, ...]], x: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Row by row the (x, value) with the highest value, of `x` (B, 3, H, W) with `values` (B,) and of `iterates`, (x, values) each."""
    for iterate, reached in iterates:
        better = reached > values
        x = torch.where(better.view(-1, 1, 1, 1), iterate.detach(), x)
        values = torch.where(better, reached, values)
    return x, values
