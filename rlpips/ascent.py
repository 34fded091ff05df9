"""Projected gradient ascent on a batch of pictures (Madry et al., arXiv 1706.06083), whatever it is that is to be raised."""

import torch

from rlpips.replay import Replay


def pgd(start, initial, objective, norm, eps, steps, step_size):
    """Yields (iterate, *readings) steps + 1 times, the initial point first.

    `start` (B, 3, H, W) in [0, 1] is the centre of the balls, `initial` the first iterate. `objective(x)` returns the
    values to raise, (B,), and tensors to hand on as readings; it is recorded where that pays, see `rlpips.replay`. `norm` is
    one of `rlpips.norms.NORMS`' values.
    """
    return Ascent(start, objective, norm, eps, step_size, steps).climb(initial, steps)


class Ascent:
    """What `pgd` does, for several initial points in turn, so that it is recorded once; `steps` is how many there will be at
    least, as to record a few does not pay."""

    def __init__(self, start, objective, norm, eps, step_size, steps):
        start = start.contiguous(memory_format=torch.channels_last)  # as networks like it
        self.start, self._objective, self._norm = start, objective, norm
        eps, step_size = (_where_a_recording_finds_it(each, start.device) for each in (eps, step_size))
        self._numbers = numbers = {"eps": eps, "step_size": step_size}

        @torch.no_grad()
        def ascend(x):
            with torch.enable_grad():
                here = x.detach().requires_grad_()
                values, *readings = objective(here)
                (gradient,) = torch.autograd.grad(values.sum(), here)
            moved = norm.step(gradient, numbers["step_size"]).add_(x).sub_(start)
            return inside(moved, start, norm, numbers["eps"]), *(each.detach() for each in readings)

        self._step = Replay(ascend, steps)

    def aim(self, start, eps, step_size):
        """Climb in other balls of the same number and size from now on."""
        self.start.copy_(start)
        for name, number in (("eps", eps), ("step_size", step_size)):
            held = self._numbers[name]
            self._numbers[name] = held.fill_(number) if torch.is_tensor(held) else number

    def climb(self, initial, steps):
        """Yields (iterate, *readings) steps + 1 times."""
        initial = initial.contiguous(memory_format=torch.channels_last)
        x = inside(initial - self.start, self.start, self._norm, self._numbers["eps"])
        for _ in range(steps):
            further, *readings = self._step(x)
            yield x, *readings
            x = further
        with torch.no_grad():  # closed before the yield: whoever iterates has a mode of their own
            readings = self._objective(x)[1:]
        yield x, *readings


def inside(delta, start, norm, eps):
    """The point of [0, 1] and of the ball around `start` that is nearest to start + delta; writes over what it makes."""
    # Clipping moves every value towards `start`, which is an image itself, so the point stays in either ball.
    return norm.project(delta, eps).add_(start).clamp_(0, 1)


def _where_a_recording_finds_it(number, device):
    # A number would be recorded for good. On a CPU, where nothing is recorded, numbers are faster than tensors.
    return torch.as_tensor(number, device=device) if device.type == "cuda" else number
