"""Pictures whose colours are changed by one smooth map: the functional adversarial examples of Laidlaw and Feizi, "ReColorAdv" (arXiv
1906.00001, NeurIPS 2019). All pixels of a colour get the same new colour, so edges and textures stay. No ball of pixels bounds such
a change; it has a budget of its own, the largest change of a colour.

Colours are those of CIELUV, in which equal distances look about equally large, scaled as in the authors' code: a unit is 100 of L*, and
200 of u* and v*. A map (N, 3, 8, 144) holds a change at each node of a grid of 8 × 12 × 12 colours (L*, u*, v*) that spans what sRGB can
show; between the nodes it is linear. Colours are clipped to what sRGB can show after the change.

One thing differs from the paper, whose grid is finer and which weighs a penalty for maps that are not smooth against the objective:
here the map is smooth by construction. The nodes lie about two budgets of 0.06 apart, so that neighbouring colours hardly change places.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips import validation
from rlpips.attacks.pgd import Objective, scheduled
from rlpips.attacks.request import MAX_SEED, MAX_STEPS
from rlpips.device import in_neutral_state
from rlpips.norms import LINF, Norm

NODES = (8, 12, 12)  # of L*, u* and v*
MAX_CHANGE = 1.0  # the whole range of L*

LOW, HIGH = (0.0, -0.42, -0.68), (1.0, 0.88, 0.54)  # the ends of the grid: what sRGB spans of L*/100, u*/200 and v*/200
_WHITE = (0.95047, 1.0, 1.08883)  # D65
_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_DARK = (6 / 29) ** 3  # the luminance from which on L* is a cube root
_TINY = 1e-6  # keeps divisions by zero away, far below a level of 8 bits

CHANGE = Norm(
    name="colour",
    measure=LINF.measure,
    random=LINF.random,
    step=LINF.step,
    project=LINF.project,
    values=(-torch.inf, torch.inf),
)


def to_luv(x: Tensor) -> Tensor:
    """sRGB pictures (N, 3, H, W) in [0, 1] as L*/100, u*/200 and v*/200 of CIELUV (D65)."""
    light = torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055).clamp_min(_TINY) ** 2.4)
    u, v, luminance = _chromaticity(_mix(light, torch.tensor(_TO_XYZ)))
    white_u, white_v, _ = _chromaticity(torch.tensor(_WHITE).to(x).view(1, 3, 1, 1))
    # f(Y) = 1.16 Y^(1/3) - 0.16, linear in the dark
    lightness = torch.where(
        luminance > _DARK, 1.16 * luminance.clamp_min(_TINY) ** (1 / 3) - 0.16, luminance * (29 / 3) ** 3 / 100
    )
    return torch.cat([lightness, 6.5 * lightness * (u - white_u), 6.5 * lightness * (v - white_v)], 1)


def to_rgb(luv: Tensor) -> Tensor:
    """The inverse of `to_luv`, clipped to [0, 1]. Gradients flow."""
    lightness, u, v = luv.clamp_min(torch.tensor((0.0, -torch.inf, -torch.inf)).to(luv).view(1, 3, 1, 1)).split(1, 1)
    white_u, white_v, _ = _chromaticity(torch.tensor(_WHITE).to(luv).view(1, 3, 1, 1))
    scale = 6.5 * lightness.clamp_min(_TINY)
    u, v = u / scale + white_u, (v / scale + white_v).clamp_min(0.01)
    luminance = torch.where(lightness > 0.08, ((lightness + 0.16) / 1.16) ** 3, lightness * 100 * (3 / 29) ** 3)
    xyz = torch.cat([luminance * 9 * u / (4 * v), luminance, luminance * (12 - 3 * u - 20 * v) / (4 * v)], 1)
    light = _mix(xyz, torch.linalg.inv(torch.tensor(_TO_XYZ, dtype=torch.float64)))
    rgb = torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)
    return rgb.clamp(0, 1)


def _mix(x: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix.to(x), x)


def _chromaticity(xyz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(u', v', Y) of XYZ, each (N, 1, H, W)."""
    x, y, z = xyz.split(1, 1)
    total = (x + 15 * y + 3 * z).clamp_min(_TINY)
    return 4 * x / total, 9 * y / total, y


def no_change(pictures: Tensor) -> Tensor:
    """The map that changes nothing, (N, 3, 8, 144): the centre of every budget."""
    first, *others = NODES
    return pictures.new_zeros(len(pictures), 3, first, others[0] * others[1])


def recoloured(pictures: Tensor, change: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in [0, 1] with their colours changed by maps (N, 3, 8, 144): (N, 3, H, W). Gradients flow to the maps."""
    return _Recolouring(pictures)(change)


class _Recolouring:
    """The colours of pictures, looked up once."""

    @torch.no_grad()
    def __init__(self, pictures: Tensor):
        self._luv = to_luv(pictures)
        low, high = (torch.tensor(ends).to(pictures).view(1, 3, 1, 1) for ends in (LOW, HIGH))
        place = (2 * (self._luv - low) / (high - low) - 1).clamp(-1, 1)
        # grid_sample takes the coordinates of the last axis of the grid first.
        self._places = place.flip(1).permute(0, 2, 3, 1)[:, None]  # (N, 1, H, W, 3)

    def __call__(self, change: Tensor) -> Tensor:
        at_colours = F.grid_sample(change.reshape(len(change), 3, *NODES), self._places, align_corners=True)[:, :, 0]
        return to_rgb(self._luv + at_colours)


@in_neutral_state
def push(
    pictures: Tensor, objective: Objective, eps: float, steps: int = 40, seed: int = 0
) -> Iterator[tuple[Tensor, ...]]:
    """Change the colours of pictures (N, 3, H, W) in [0, 1] so as to raise any objective of pictures, with steps on the cosine schedule.

    objective  pictures (N, 3, H, W) -> (the values to raise (N,), *readings), as `rlpips.attacks.pgd.pgd` takes it
    eps        the largest change of a colour, above 0 and at most 1, in units of 100 L*, 200 u* and 200 v*
    seed       of the random start, uniform in the budget: picture n gets seed + n, so a batch gives what its pictures would alone

    Yields (recoloured pictures, maps (N, 3, 8, 144), *readings) steps + 1 times, first the start and last, picture by picture, the
    best iterate. ValueError for arguments out of range.
    """
    validation.check_real("eps", eps, MAX_CHANGE, "of CIELUV's range")
    validation.check_whole("steps", steps, 1, MAX_STEPS)
    validation.check_whole("seed", seed, 0, MAX_SEED)
    centre = no_change(pictures)
    initial = [
        CHANGE.random(each, eps, torch.Generator().manual_seed(seed + n)) for n, each in enumerate(centre.split(1))
    ]
    return _push(pictures, objective, centre, eps, steps, torch.cat(initial))


@in_neutral_state
def _push(pictures, objective, centre, eps, steps, initial):
    recolour = _Recolouring(pictures)

    def of_map(change):
        shown = recolour(change)
        values, *readings = objective(shown)
        return values, shown, *readings

    for change, shown, *readings in scheduled("cosine", centre, initial, of_map, CHANGE, eps, steps):
        yield shown, change, *readings
