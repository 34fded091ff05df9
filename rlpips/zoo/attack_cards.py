"""The attacks on classifiers that are put side by side, and what each may change. Only data, no torch: the page reads
its choices from here. The attacks themselves are in `rlpips.attacks`, and are run by `rlpips.attacks.side_by_side`.
"""

import json
from dataclasses import dataclass

from rlpips import paths
from rlpips.zoo import catalog

WIDEST = 10.0  # the largest perceptual bound that makes sense: two pictures are never that far apart


@dataclass(frozen=True)
class Attack:
    """One attack on a classifier: the pictures it may reach are a ball, of a norm of pixels or of a metric's distance.

    norm     "linf" or "l2" of the change in [0, 1] pixel units, or "features": ||phi(x~) - phi(x)||_2 = sqrt(d), with d
             the distance of `metric`
    bound    the radius of the ball unless another is asked for, in `unit`: b in √LPIPS allows an LPIPS of b²
    color    that of its metric, where it has one
    """

    name: str
    title: str
    norm: str
    metric: str | None
    bound: float
    unit: str
    color: str


def _perceptual(name, title, metric):
    card = catalog.card(metric)
    return Attack(name, title, "features", metric, 0.5, f"√{card.title}", card.color)


ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Attack("pgd-linf", "PGD l∞", "linf", None, 8 / 255, "l∞ on [0, 1]", "#555555"),
        Attack("pgd-l2", "PGD l2", "l2", None, 1.0, "l2 on [0, 1]", "#8C6D1F"),
        _perceptual("ppgd", "PPGD", "lpips"),
        _perceptual("r-ppgd", "R-PPGD", "rlpips-linf"),
        _perceptual("lpa", "LPA", "lpips"),
        _perceptual("r-lpa", "R-LPA", "rlpips-linf"),
    )
}


def attack(name: str) -> Attack:
    """The attack called `name`; ValueError listing the names if there is none."""
    if not isinstance(name, str) or name not in ATTACKS:
        raise ValueError(f"Unknown attack {name!r}; the attacks are {', '.join(ATTACKS)}.")
    return ATTACKS[name]


def matched_bounds() -> dict[str, float] | None:
    """Bounds {metric: bound} within which LPIPS and R-LPIPS allow equally strong natural distortions; None where they
    have not been measured.

    The same number is not the same ball: the metrics have different scales, so "bound 0.5" allows one of them far more.
    """
    try:
        return json.loads(paths.RESULTS.read_text("utf-8"))["bounds"]["settings"]["matched"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
