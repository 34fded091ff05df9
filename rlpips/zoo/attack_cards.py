"""The attacks on classifiers that the page compares, and the ball that each stays in. Only data, no torch: the page reads its
choices from here. The attacks themselves are in `rlpips.attacks`; `rlpips.attacks.side_by_side` runs them.
"""

from dataclasses import dataclass
from typing import Literal

from rlpips.zoo import cards, catalog

MAX_PERCEPTUAL_BOUND = 10.0  # two pictures are never that far apart


@dataclass(frozen=True)
class AttackCard:
    """One attack on a classifier. What bounds it is a norm of the pixels, a metric's distance, or a quantity of its own.

    kind     which attack it is, whatever bounds it (`rlpips.attacks.by_card`)
    norm     of the change in [0, 1] pixel units, "linf" or "l2"; "features": ||phi(x~) - phi(x)||_2 = sqrt(d), with d the
             distance of `metric`; "scaled sums" and "sums": what two versions of the code of R-LPIPS's authors bound
             (`rlpips.attacks.balls.SumBall`); "flow": the largest displacement; "colour": the largest change of a colour
    bound    the default radius of the ball, in `unit`: a bound b in √LPIPS allows an LPIPS of b²
    color    of the metric that bounds it, where one does; hex
    """

    name: str
    title: str
    kind: Literal["pgd", "apgd", "ppgd", "lpa", "flow", "recolour"]
    norm: Literal["linf", "l2", "features", "scaled sums", "sums", "flow", "colour"]
    metric: str | None
    bound: float
    unit: str
    color: str


_PLAIN = {"linf": (8 / 255, "l∞ on [0, 1]"), "l2": (1.0, "l2 on [0, 1]")}
_SUMS = {"scaled sums": "scaled sums of features", "sums": "sums of features"}


def _pixels(kind: Literal["pgd", "apgd"], title: str, norm: Literal["linf", "l2"], color: str) -> AttackCard:
    return AttackCard(f"{kind}-{norm}", title, kind, norm, None, *_PLAIN[norm], color)


def _perceptual(kind: Literal["ppgd", "lpa"], title: str, metric: str, prefix: str = "") -> AttackCard:
    card = catalog.card(metric)
    return AttackCard(prefix + kind, title, kind, "features", metric, 0.5, f"√{card.title}", card.color)


def _authors(
    kind: Literal["ppgd", "lpa"], title: str, norm: Literal["scaled sums", "sums"], name: str, color: str
) -> AttackCard:
    return AttackCard(f"r-{kind}-{name}", title, kind, norm, None, 0.5, _SUMS[norm], color)


ATTACKS: dict[str, AttackCard] = {
    attack.name: attack
    for attack in (
        _pixels("pgd", "PGD l∞", "linf", "#555555"),
        _pixels("pgd", "PGD l2", "l2", "#8C6D1F"),
        _pixels("apgd", "APGD l∞", "linf", "#4B6B2F"),
        _pixels("apgd", "APGD l2", "l2", "#7A4B8C"),
        # Budgets as Laidlaw, Singla and Feizi attack CIFAR-10: stAdv within 0.05 of half a side, ReColorAdv within 0.06.
        AttackCard("stadv", "stAdv", "flow", "flow", None, 0.8, "pixels of displacement", "#A0522D"),
        AttackCard("recolour", "ReColorAdv", "recolour", "colour", None, 0.06, "of CIELUV's range", "#B5338A"),
        _perceptual("ppgd", "PPGD", "lpips"),
        _perceptual("ppgd", "R-PPGD", "rlpips-linf", "r-"),
        _perceptual("lpa", "LPA", "lpips"),
        _perceptual("lpa", "R-LPA", "rlpips-linf", "r-"),
        _authors("ppgd", "R-PPGD, authors' code", "scaled sums", "authors", "#2F4858"),
        _authors("lpa", "R-LPA, authors' code", "scaled sums", "authors", "#33658A"),
        _authors("ppgd", "R-PPGD, unscaled sums", "sums", "sums", "#4A5568"),
        _authors("lpa", "R-LPA, unscaled sums", "sums", "sums", "#5B7C99"),
    )
}


def card(name: str) -> AttackCard:
    """The card of the attack called `name`; ValueError listing the names if there is none."""
    if not isinstance(name, str) or name not in ATTACKS:
        raise ValueError(f"Unknown attack {name!r}; the attacks are {', '.join(ATTACKS)}.")
    return ATTACKS[name]


def matched_bounds() -> dict[str, float]:
    """Comparable bounds {metric: bound}, within which LPIPS and R-LPIPS allow about equally strong natural distortions, from the
    stored results.

    The same number is not the same ball: the metrics have different scales. Nor are comparable bounds the same ball: families of
    distortions differ in what would be equal.
    Raises ValueError with a sentence for the user: they are not measured yet, or the stored results cannot be read.
    """
    results = cards.read_results()
    if "bounds" not in results:
        raise ValueError(
            "Comparable bounds are not measured yet: `python -m rlpips.evaluate classifiers` measures them. "
            "Choose the papers' bounds, or your own."
        )
    return results["bounds"]["settings"]["matched"]
