"""The variants of the training that the study compares: one change each against "baseline"."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rlpips.attacks.triplets import attack_triplets
from rlpips.study.official import official_attack
from rlpips.training.settings import Settings

SHORT = Settings(rounds=20, triplets=800, attacked=24, validation=24, clean_weight=1.0, floor=0.01)


@dataclass(frozen=True)
class Variant:
    """One change against "baseline", and why it is tried. `changes` are settings; `network` ranks with a `FreeRanking`."""

    name: str
    why: str
    changes: dict = field(default_factory=dict)
    network: bool = False
    attack: Callable = attack_triplets


VARIANTS = (
    Variant("baseline", "The recipe that all others change in one thing."),
    Variant("free ranking network", "A learnt network ranks, as in LPIPS and R-LPIPS.", {}, True),
    Variant("free ranking network, no inflation term", "The same, left to itself.", {"inflation_weight": 0.0}, True),
    Variant("official attack", "Triplets are attacked as the official code does it.", {}, False, official_attack),
    Variant(
        "official attack and network",
        "The official recipe: its attack, its network, attacked triplets and nothing else.",
        {"clean_weight": 0.0, "inflation_weight": 0.0, "lpips_weight": 0.0, "floor_weight": 0.0},
        True,
        official_attack,
    ),
    Variant("clean only", "No attacked pictures at all.", {"attacked_weight": 0.0, "inflation_weight": 0.0}),
    Variant("attacked only", "No natural triplets, judged or not.", {"clean_weight": 0.0, "lpips_weight": 0.0}),
    Variant("no inflation term", "Nothing says that an invisible change is near.", {"inflation_weight": 0.0}),
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
