"""The variants of the training that the study compares, each with one change from "baseline"."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlpips.attacks.triplets import attack_triplets
from rlpips.data.triplets import Triplets
from rlpips.study.official import official_attack
from rlpips.training.settings import Settings

SHORT = Settings(rounds=20, triplets=800, attacked=24, validation=24, clean_weight=1.0, floor=0.01)


@dataclass(frozen=True)
class Variant:
    """One change from "baseline".

    why           what the change is, for the table
    changes       settings that differ
    free_ranking  rank with a `FreeRanking`
    attack        the attack during the training, with the arguments of `attack_triplets`
    """

    name: str
    why: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    free_ranking: bool = False
    attack: Callable[..., Triplets] = attack_triplets


VARIANTS = (
    Variant("baseline", "The recipe that all others change in one thing."),
    Variant("free ranking network", "A learnt network ranks, as in LPIPS and R-LPIPS.", free_ranking=True),
    Variant(
        "free ranking network, no inflation term",
        "The same, left to itself.",
        {"inflation_weight": 0.0},
        free_ranking=True,
    ),
    Variant("official attack", "Triplets are attacked as the official code does it.", attack=official_attack),
    Variant(
        "official attack and network",
        "The official recipe: its attack, its network, attacked triplets and nothing else.",
        {"clean_weight": 0.0, "inflation_weight": 0.0, "lpips_weight": 0.0, "floor_weight": 0.0},
        free_ranking=True,
        attack=official_attack,
    ),
    Variant("clean only", "No attacked pictures at all.", {"attacked_weight": 0.0, "inflation_weight": 0.0}),
    Variant("attacked only", "No natural triplets, judged or not.", {"clean_weight": 0.0, "lpips_weight": 0.0}),
    Variant("no inflation term", "Nothing says that a change that is hard to see is near.", {"inflation_weight": 0.0}),
    Variant("no LPIPS teacher", "Nobody judges between different distortions.", {"lpips_weight": 0.0}),
    Variant("no floor", "Any layer may vanish.", {"floor_weight": 0.0}),
    Variant("inner attack of 1 step", "The cheapest attack: one step of 2.5 eps.", {"attack_steps": 1}),
    Variant("inner attack of 20 steps", "An attack as long as the one it is measured with.", {"attack_steps": 20}),
    Variant("eps 2/255", "Half the budget in training.", {"eps": 2 / 255}),
    Variant("eps 8/255", "Twice the budget in training.", {"eps": 8 / 255}),
    Variant("2 restarts", "The better of two inner attacks.", {"restarts": 2}),
    Variant("baseline, other seed", "What the seed alone changes.", {"seed": 1}),
    Variant("patches of 32", "Smaller patches in training; all are measured on the same.", {"size": 32}),
    Variant("gap 0.2", "Training triplets easier to tell than those it is measured on.", {"gap": 0.2}),
)
