"""The balls that a perturbation stays in, l_inf and l2: how to start, step and project (Madry et al., arXiv 1706.06083).

Everything is a batch (N, 3, H, W) in [0, 1] pixel units, and every sample has a ball of its own. The l2 norm runs over all
3·H·W values of a picture, so an l2 eps of 5 at 256×256 is a root mean square of 2.9/255.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8  # pixels a side of what `coarse_random` draws one colour for
LEAST_SIDE = 128  # pixels, of pictures that it draws blocks for
_TINY = 1e-12  # avoids 0/0 where a gradient or a perturbation is exactly zero; far below any real one


@dataclass(frozen=True)
class Norm:
    """One norm and what an attack needs of its ball.

    measure(delta)                the norm of each sample, (N,)
    random(like, eps, generator)  uniform points of the balls, in the shape of `like`
    step(gradient, size)          the steepest ascent of length `size`
    project(delta, eps)           the nearest points of the balls

    `eps` and `size` are numbers, or tensors (N, 1, 1, 1). `values` is the range that the centre plus a perturbation stays in.
    """

    name: str
    measure: Callable[[Tensor], Tensor]
    random: Callable[[Tensor, float | Tensor, torch.Generator | None], Tensor]
    step: Callable[[Tensor, float | Tensor], Tensor]
    project: Callable[[Tensor, float | Tensor], Tensor]
    values: tuple[float, float] = (0.0, 1.0)  # those of pictures


def _length(delta: Tensor) -> Tensor:  # (N, 3, H, W) -> (N, 1, 1, 1)
    return torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True)


def _draw(kind: Callable[..., Tensor], like: Tensor, generator: torch.Generator | None) -> Tensor:
    # Drawn on the generator's device (the CPU), so that a seed gives the same start on every device.
    return kind(like.shape, generator=generator, dtype=torch.float32).to(like)


def _linf_random(like: Tensor, eps: float | Tensor, generator: torch.Generator | None) -> Tensor:
    return (2 * _draw(torch.rand, like, generator) - 1) * eps


def _l2_random(like: Tensor, eps: float | Tensor, generator: torch.Generator | None) -> Tensor:
    direction = _draw(torch.randn, like, generator)
    # In a ball of d dimensions the radius is distributed as u^(1/d): nearly all of the ball lies at its surface.
    radius = torch.rand(len(like), 1, 1, 1, generator=generator).to(like) ** (1 / like[0].numel())
    return eps * radius * direction / _length(direction).clamp_min(_TINY)


LINF = Norm(
    name="linf",
    measure=lambda delta: delta.abs().amax((1, 2, 3)),
    random=_linf_random,
    step=lambda gradient, size: gradient.sign().mul_(size),
    project=lambda delta, eps: delta.clamp(-eps, eps),  # type: ignore[arg-type]
)
L2 = Norm(
    name="l2",
    measure=lambda delta: torch.linalg.vector_norm(delta, dim=(1, 2, 3)),
    random=_l2_random,
    step=lambda gradient, size: size * gradient / _length(gradient).clamp_min(_TINY),
    project=lambda delta, eps: delta * (eps / _length(delta).clamp_min(_TINY)).clamp(max=1),
)

NORMS = {norm.name: norm for norm in (LINF, L2)}


def coarse_random(norm: Norm, like: Tensor, eps: float | Tensor, generator: torch.Generator | None) -> Tensor:
    """Random perturbations that are the same within blocks of 8×8 pixels, wholly or in half, in the shape of `like` (N, 3, H, W), within
    the ball. An attack on R-LPIPS that starts here finds more than one that starts at noise of single values.

    For l2 they are blocks alone, at the ball's surface. For l_inf they are the mean of blocks and of noise of single values: from blocks
    alone an attack on SSIM finds a quarter less. Pictures of less than 128 pixels a side get noise of single values, as blocks find less
    there.
    """
    height, width = like.shape[-2:]
    if min(height, width) < LEAST_SIDE:
        return norm.random(like, eps, generator)
    few = like[..., : -(-height // BLOCK), : -(-width // BLOCK)]
    blocks = F.interpolate(norm.random(few, eps, generator), scale_factor=BLOCK, mode="nearest")
    blocks = norm.project(blocks[..., :height, :width], eps)
    return blocks if norm is L2 else (blocks + norm.random(like, eps, generator)) / 2
