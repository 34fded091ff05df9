"""The attacks on classifiers by their cards in `rlpips.zoo.attack_cards`: what the page runs and the experiment measures."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from rlpips.attacks import lpa, pixels, ppgd, unseen
from rlpips.attacks.balls import MetricBall, SumBall
from rlpips.attacks.classifier import Classifier
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.zoo.attack_cards import AttackCard

# What each kind of attack is told besides its bound, steps and seed.
SETTINGS: dict[str, dict[str, Any]] = {
    "pgd": {},
    "apgd": {"targets": 3},
    "flow": {},
    "recolour": {},
    "ppgd": {"cg_steps": 5, "projection": "newton"},
    "lpa": {"searches": 5, "projection": "newton"},
}
SUMS_OF = "rlpips-linf"  # the metric whose weights the authors' balls have


def iterates(
    card: AttackCard,
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    bound: float,
    metrics: Mapping[str, PerceptualMetric],
    steps: int,
    seed: int = 0,
) -> Iterator[Tensor]:
    """The iterates of an attack, `total_steps(card, steps)` + 1 of them, the result last.

    x, labels  pictures (N, 3, H, W) in [0, 1] and their classes, int64 (N,)
    bound      in the card's unit
    metrics    {name: PerceptualMetric} that bound attacks
    The other arguments are those of `rlpips.attacks.ppgd.ppgd`. ValueError for arguments out of range.
    """
    target, more = (classifier, x, labels), {"steps": steps, "seed": seed, **SETTINGS[card.kind]}
    if card.kind in ("pgd", "apgd"):
        run = pixels.pgd if card.kind == "pgd" else pixels.apgd
        return run(*target, card.norm, bound, **more)
    if card.kind == "flow":
        return unseen.stadv(*target, bound, **more)
    if card.kind == "recolour":
        return unseen.recoloradv(*target, bound, **more)
    run_in_ball = ppgd.ppgd if card.kind == "ppgd" else lpa.lpa
    return run_in_ball(*target, ball_of(card, bound, metrics), **more)


def ball_of(card: AttackCard, bound: float, metrics: Mapping[str, PerceptualMetric]) -> MetricBall:
    """The ball of features that a card names. KeyError for a card whose ball is none of features."""
    if card.metric:
        return MetricBall(metrics[card.metric], bound)
    return SumBall(metrics[SUMS_OF], bound, is_scaled={"scaled sums": True, "sums": False}[card.norm])


def total_steps(card: AttackCard, steps: int) -> int:
    """How many steps an attack takes that is told `steps`: LPA makes several searches of so many, APGD a run for each objective."""
    settings = SETTINGS[card.kind]
    return steps * settings.get("searches", 1 + settings.get("targets", 0))
