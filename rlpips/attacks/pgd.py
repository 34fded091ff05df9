"""Projected gradient ascent on a batch of pictures (Madry et al., arXiv 1706.06083), whatever it is that is to be raised."""

import torch


def pgd(start, initial, objective, norm, eps, steps, step_size):
    """Yields (iterate, *readings) steps + 1 times, the initial point first.

    start      (B, 3, H, W) in [0, 1], the centres of the balls
    initial    the first iterate, same shape; it is projected into the balls
    objective  x -> (the values to raise (B,), *readings): tensors that are handed on with the iterate they belong to
    norm       one of the values of `rlpips.norms.NORMS`
    eps, step_size  numbers, or tensors (B, 1, 1, 1), in [0, 1] pixel units
    """
    start, initial = (each.contiguous(memory_format=torch.channels_last) for each in (start, initial))
    x = inside(initial - start, start, norm, eps)
    for _ in range(steps):
        moved, *readings = ascend(x, start, objective, norm, eps, step_size)
        yield x, *readings
        x = moved
    with torch.no_grad():  # closed before the yield: whoever iterates has a mode of their own
        readings = objective(x)[1:]
    yield x, *readings


@torch.no_grad()
def ascend(x, start, objective, norm, eps, step_size):
    """One step of `pgd` from `x`: (the next iterate, *readings of `x`)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        values, *readings = objective(x)
        (gradient,) = torch.autograd.grad(values.sum(), x)
    moved = norm.step(gradient, step_size).add_(x).sub_(start)
    return inside(moved, start, norm, eps), *(each.detach() for each in readings)


def inside(delta, start, norm, eps):
    """The point of [0, 1] and of the ball around `start` that is nearest to start + delta; writes over what it makes."""
    # Clipping moves every value towards `start`, which is an image itself, so the point stays in either ball.
    return norm.project(delta, eps).add_(start).clamp_(0, 1)
