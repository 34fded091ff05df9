"""Pictures whose pixels are moved, not changed: the spatially transformed adversarial examples of Xiao et al., "stAdv"
(arXiv 1801.02612, ICLR 2018). No ball of pixels bounds such a change: where there is an edge, half a pixel's move changes a value
by half the edge's height. So it has a budget of its own, the largest displacement, in pixels.

A flow (N, 2, h, w) holds arrows (right, down), in pixels, at the nodes of a grid that spans the picture evenly; between the nodes it
is linear. The moved picture takes at each position the colour that the original has at the arrow's tip, sampled bilinearly; beyond
the edge, the edge's.

Two things differ from the paper, which lets every pixel have an arrow and raises loss - tau · (total variation of the flow) by L-BFGS.
- The flow is smooth by construction: on a grid of some pixels it can neither tear nor swap neighbouring pixels. So there is no tau
  to weigh against an objective, whose unit differs from metric to metric.
- The length of every arrow is bounded, so metrics, restarts and random flows are compared at one budget. No arrow between nodes is
  longer than the longest at a node, because it is a mean of theirs.
With that it is a `rlpips.norms.Norm`, and `rlpips.attacks.pgd` climbs in it as in any ball.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips import validation
from rlpips.attacks.pgd import Objective, scheduled
from rlpips.attacks.request import MAX_FLOW, MAX_SEED, MAX_STEPS
from rlpips.attacks.schedule import SCHEDULES
from rlpips.device import in_neutral_state
from rlpips.norms import Norm

SPACING = 4  # pixels between nodes
EPS = 0.5  # the default budget: with it the moves are hard to see at 256×256, with 1.0 edges begin to wobble

_TINY = 1e-12  # keeps 0/0 away


def lengths(flow: Tensor) -> Tensor:
    """How far every node is moved, (N, 1, h, w), in pixels."""
    return torch.linalg.vector_norm(flow, dim=1, keepdim=True)


def _random(like: Tensor, eps: float | Tensor, generator: torch.Generator | None) -> Tensor:
    # Drawn on the generator's device (the CPU), so that a seed gives the same start on every device.
    angle, share = torch.rand((2, len(like), 1, *like.shape[-2:]), generator=generator, dtype=torch.float32).to(like)
    angle, radius = 2 * torch.pi * angle, eps * share.sqrt()
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)


FLOW = Norm(
    name="flow",
    measure=lambda flow: lengths(flow).amax((1, 2, 3)),
    random=_random,
    step=lambda gradient, size: size * gradient / lengths(gradient).clamp_min(_TINY),
    project=lambda flow, eps: flow * (eps / lengths(flow).clamp_min(_TINY)).clamp(max=1),
    values=(-torch.inf, torch.inf),
)


def no_flow(pictures: Tensor, spacing: float = SPACING) -> Tensor:
    """The flow that moves nothing, (N, 2, h, w), with nodes about `spacing` pixels apart, at least two a side: the centre of every
    budget. A spacing of 1 gives every pixel an arrow of its own, which is no smooth flow any more."""
    nodes = [max(2, round((side - 1) / spacing) + 1) for side in pictures.shape[-2:]]
    return pictures.new_zeros(len(pictures), 2, *nodes)


def warp(pictures: Tensor, flow: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) moved by flows (N, 2, h, w) in pixels: (N, 3, H, W). Gradients flow to both."""
    height, width = pictures.shape[-2:]
    right, down = dense(flow, height, width).unbind(1)
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    # grid_sample counts from -1, the middle of the first pixel, to 1, the middle of the last.
    grid = torch.stack([(columns + right) * (2 / (width - 1)) - 1, (rows + down) * (2 / (height - 1)) - 1], -1)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=True)


def dense(flow: Tensor, height: int, width: int) -> Tensor:
    """The flow (N, 2, h, w) at every pixel, (N, 2, height, width), linear between the nodes."""
    # As products of matrices, because the gradient of F.interpolate is not deterministic on a GPU.
    down, across = (
        _between_nodes(side, nodes).to(flow) for side, nodes in zip((height, width), flow.shape[-2:], strict=True)
    )
    return down @ flow @ across.T


@lru_cache(maxsize=16)
def _between_nodes(side: int, nodes: int) -> Tensor:
    """(side, nodes): the weight of each node at each pixel, a hat around the node. Rows add up to one."""
    at = torch.linspace(0, nodes - 1, side, dtype=torch.float64)[:, None]
    return (1 - (at - torch.arange(nodes)).abs()).clamp_min(0)


@in_neutral_state
def push(
    pictures: Tensor, objective: Objective, eps: float = EPS, steps: int = 40, schedule: str = "cosine",
    seed: int = 0, spacing: float = SPACING,
) -> Iterator[tuple[Tensor, ...]]:  # fmt: skip
    """Move the pixels of pictures (N, 3, H, W) in [0, 1] so as to raise any objective of pictures.

    objective  moved pictures (N, 3, H, W) -> (the values to raise (N,), *readings), as `rlpips.attacks.pgd.pgd` takes it
    eps        the largest displacement in pixels, above 0 and at most 2
    schedule   one of `rlpips.attacks.schedule.SCHEDULES`
    seed       of the random start, uniform in the budget: picture n gets seed + n, so a batch gives what its pictures would alone
    spacing    pixels between the nodes, about

    Yields (moved pictures, flows (N, 2, h, w), *readings) steps + 1 times, first the start and last, picture by picture, the best
    iterate. ValueError for arguments out of range.
    """
    validation.check_real("eps", eps, MAX_FLOW, "in pixels")
    validation.check_whole("steps", steps, 1, MAX_STEPS)
    validation.check_whole("seed", seed, 0, MAX_SEED)
    validation.check_choice("schedule", schedule, SCHEDULES)
    centre = no_flow(pictures, spacing)
    initial = [
        FLOW.random(each, eps, torch.Generator().manual_seed(seed + n)) for n, each in enumerate(centre.split(1))
    ]
    return _push(pictures, objective, centre, eps, steps, schedule, torch.cat(initial))


@in_neutral_state
def _push(pictures, objective, centre, eps, steps, schedule, initial):
    def of_flow(flow):
        moved = warp(pictures, flow)
        values, *readings = objective(moved)
        return values, moved, *readings

    for flow, moved, *readings in scheduled(schedule, centre, initial, of_flow, FLOW, eps, steps):
        yield moved, flow, *readings
