"""One classifier under attack: how much of its accuracy is left, and what the attack costs."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rlpips.attacks import by_card
from rlpips.attacks.balls import enlarged
from rlpips.evaluate.scores import interval, measure
from rlpips.metrics.fidelity import ssim
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.norms import L2, LINF
from rlpips.parallel import share
from rlpips.zoo.attack_cards import ATTACKS

STEPS = 20  # Ghazanfari et al. evaluate with 40; half of that, because two CPU cores must be enough
_AT_ONCE = 32  # pictures in a piece: the same pieces for any number of processes
_ROUNDING = 2e-3  # how far outside a ball, as a share of its radius, rounding may carry a result


class Trial:
    """One classifier on pictures x (N, 3, 32, 32) in [0, 1] with labels (N,); `right` (N,) says which it gets right."""

    def __init__(
        self,
        classifier: Callable[[Tensor], Tensor],
        x: Tensor,
        labels: Tensor,
        metrics: Mapping[str, PerceptualMetric],
        steps: int = STEPS,
        seed: int = 0,
    ):
        self.classifier, self.x, self.labels, self.metrics = classifier, x, labels, metrics
        self.steps, self.seed = steps, seed
        self.right = self._classes(x) == labels

    def row(self, attack: str, bound: float | None) -> dict[str, Any]:
        """The accuracy under an attack within a bound, and the attack's cost, ready for JSON.

        `attack` is a name of `ATTACKS`, or "none" with the bound None. Pictures that the classifier gets wrong without an
        attack count as wrong and are not attacked. Results outside of the bound count as failed attacks; "outside" is
        their number.
        """
        began = time.monotonic()
        robust, attacked, outside, cost = self.right.clone(), 0, 0, None
        if bound is not None and self.right.any():
            x, labels = self.x[self.right], self.labels[self.right]
            pushed = self._push(attack, bound, x, labels)
            costs = cost_of(self.metrics, x, pushed)
            inside = self._inside(attack, bound, costs, x, pushed)
            robust[self.right] = ~(inside & (self._classes(pushed) != labels))
            attacked, outside = len(x), int((~inside).sum())
            cost = {name: round(values.mean().item(), 6) for name, values in costs.items()}
        return {
            "attack": attack,
            "bound": bound,
            "accuracy": interval(robust.float()),
            "robust": to_digits(robust),
            "attacked": attacked,
            "outside": outside,
            "cost": cost,
            "seconds": round(time.monotonic() - began, 1),
            "torch": torch.__version__,
        }

    def _push(self, attack: str, bound: float, x: Tensor, labels: Tensor) -> Tensor:
        """The results of an attack on pictures x (N, 3, 32, 32)."""
        card = ATTACKS[attack]

        def push(rows: Tensor) -> Tensor:
            target, seed = (self.classifier, x[rows], labels[rows]), self.seed + int(rows[0])
            iterates = by_card.iterates(card, *target, bound, self.metrics, self.steps, seed)
            (result,) = deque(iterates, maxlen=1)  # the last iterate is the attack's result
            return result

        return torch.cat(share(push, torch.arange(len(x), device=x.device).split(_AT_ONCE)))

    @torch.no_grad()
    def _inside(self, attack: str, bound: float, costs: Mapping[str, Tensor], x: Tensor, pushed: Tensor) -> Tensor:
        """Whether the results of an attack are inside of its bound, (N,): as measured, whatever the attack promises. Of a flow and of a
        map of colours only the result is known, which their attacks keep inside."""
        card, radius = ATTACKS[attack], bound * (1 + _ROUNDING)
        if card.metric is not None:
            return costs[card.metric] <= radius**2
        if card.norm in costs:
            return costs[card.norm] <= radius
        if card.kind in ("ppgd", "lpa"):
            return by_card.ball_of(card, bound, self.metrics).distance(x, pushed) <= radius
        return torch.ones(len(x), dtype=torch.bool, device=x.device)

    @torch.no_grad()
    def _classes(self, x: Tensor) -> Tensor:
        """The classifier's answers, (N,), in the same pieces for any number of processes, so that they agree to the bit."""
        return torch.cat(share(self.classifier, x.split(_AT_ONCE))).argmax(1)


@torch.no_grad()
def cost_of(metrics: Mapping[str, PerceptualMetric], x: Tensor, pushed: Tensor) -> dict[str, Tensor]:
    """The cost of a change, {name: (N,)}: each metric's distance of the enlarged pictures, the l_inf and l2 norms in [0, 1]
    pixel units, and the SSIM."""
    large, large_pushed = enlarged(x), enlarged(pushed)
    change = pushed - x
    return {
        **{name: measure(metric, large, large_pushed) for name, metric in metrics.items()},
        "linf": LINF.measure(change),
        "l2": L2.measure(change),
        "ssim": ssim(x, pushed),
    }


def to_digits(flags: Tensor) -> str:
    """(N,) of bool as a string of N digits, "1" for true."""
    return "".join("1" if flag else "0" for flag in flags.tolist())


def from_digits(digits: str) -> Tensor:
    """The string that `to_digits` returns as (N,) float32, 0 or 1."""
    return torch.tensor([float(digit) for digit in digits])
