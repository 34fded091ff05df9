"""What an attack may do to a picture: change its pixels within a ball, or move them.

An attack climbs over points of a `Norm`'s ball. For "linf" and "l2" a point is a picture; for "flow" it is the flow that moves one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from rlpips.attacks.flow import FLOW, no_flow, warp
from rlpips.norms import NORMS, Norm


@dataclass(frozen=True)
class Threat:
    """A norm, and what its points have to do with pictures (N, 3, H, W).

    centre(pictures)          the centres of the balls, (N, …)
    picture(point, pictures)  what becomes of the pictures at these points, (N, 3, H, W); gradients flow to the points
    """

    norm: Norm
    centre: Callable[[Tensor], Tensor]
    picture: Callable[[Tensor, Tensor], Tensor]


THREATS = {name: Threat(norm, lambda pictures: pictures, lambda point, _: point) for name, norm in NORMS.items()}
THREATS["flow"] = Threat(FLOW, no_flow, lambda flow, pictures: warp(pictures, flow))
