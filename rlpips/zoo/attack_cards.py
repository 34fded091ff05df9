"""The attacks on classifiers that the page compares, and the ball that each stays in. Only data, no torch: the page reads its
choices from here. The attacks themselves are in `rlpips.attacks`; `rlpips.attacks.side_by_side` runs them.
"""

from dataclasses import dataclass
from typing import Literal

from rlpips.zoo import cards, catalog

MAX_PERCEPTUAL_BOUND = 10.0  # two pictures are never that far apart


@dataclass(frozen=True)
class AttackCard:
    """One attack on a classifier. The pictures it may reach form a ball, by a norm of the pixels or by a metric's distance.

    norm     "linf" or "l2" of the change in [0, 1] pixel units, or "features": ||phi(x~) - phi(x)||_2 = sqrt(d), with d the
             distance of `metric`
    bound    the default radius of the ball, in `unit`: a bound b in √LPIPS allows an LPIPS of b²
    color    of the card's metric, where it has one; hex
    """

    name: str
    title: str
    norm: Literal["linf", "l2", "features"]
    metric: str | None
    bound: float
    unit: str
    color: str


def _perceptual(name: str, title: str, metric: str) -> AttackCard:
    card = catalog.card(metric)
    return AttackCard(name, title, "features", metric, 0.5, f"√{card.title}", card.color)


ATTACKS: dict[str, AttackCard] = {
    attack.name: attack
    for attack in (
        AttackCard("pgd-linf", "PGD l∞", "linf", None, 8 / 255, "l∞ on [0, 1]", "#555555"),
        AttackCard("pgd-l2", "PGD l2", "l2", None, 1.0, "l2 on [0, 1]", "#8C6D1F"),
        _perceptual("ppgd", "PPGD", "lpips"),
        _perceptual("r-ppgd", "R-PPGD", "rlpips-linf"),
        _perceptual("lpa", "LPA", "lpips"),
        _perceptual("r-lpa", "R-LPA", "rlpips-linf"),
    )
}


def card(name: str) -> AttackCard:
    """The card of the attack called `name`; ValueError listing the names if there is none."""
    if not isinstance(name, str) or name not in ATTACKS:
        raise ValueError(f"Unknown attack {name!r}; the attacks are {', '.join(ATTACKS)}.")
    return ATTACKS[name]


def matched_bounds() -> dict[str, float]:
    """Bounds {metric: bound} within which LPIPS and R-LPIPS allow equally strong natural distortions, from the stored results.

    The same number is not the same ball: the metrics have different scales, so "bound 0.5" allows one of them far more.
    Raises ValueError with a sentence for the user: the bounds are not measured yet, or the stored results cannot be read.
    """
    results = cards.read_results()
    if "bounds" not in results:
        raise ValueError(
            "The matched bounds are not measured yet: `python -m rlpips.evaluate classifiers` measures them. "
            "Choose the papers' bounds, or your own."
        )
    return results["bounds"]["settings"]["matched"]
