"""How long the steps of an attack are."""

import math
from typing import Any

SCHEDULES = ("cosine", "fixed", "apgd")


def step_sizes(schedule: str, eps: Any, steps: int, step_size: Any = None) -> list[Any]:
    """The sizes of an attack's steps, in the unit of eps, a number or a tensor (B, 1, 1, 1).

    "cosine"  step k of n is eps (1 + cos(pi k / n)), from 2 eps to 0: long steps find the region, short ones its highest point
    "fixed"   all are `step_size`, or 2.5 eps / steps (Madry et al., arXiv 1706.06083)
    """
    if schedule == "cosine":
        return [eps * (1 + math.cos(math.pi * k / steps)) for k in range(steps)]
    return [2.5 * eps / steps if step_size is None else step_size] * steps
