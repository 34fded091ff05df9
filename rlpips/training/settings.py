"""The settings of a training of heads, with a reason beside each unusual default."""

import argparse
import math
from dataclasses import dataclass, fields
from typing import Any

from rlpips.evaluate.standard import STANDARD
from rlpips.metrics.backbones import BACKBONES

_LOWEST = {"size": 32, "seed": 0}  # of whole numbers; 1 for all others


@dataclass(frozen=True)
class Settings:
    """The settings of a training of heads; ValueError for one out of its range."""

    norm: str = "linf"
    eps: float = 0.0  # in [0, 1] pixel units; 0 is the standard budget of the norm
    backbone: str = "alex"
    size: int = 64  # pixels a side of a patch, as in BAPPS; heads trained on patches work on whole pictures, too
    gap: float = 0.1  # the least difference between the severities of one family, as in the evaluation
    triplets: int = 6000  # with a judge, and as many of mixed families
    rounds: int = 120
    attacked: int = 48  # triplets attacked in a round, and half as many references
    attack_steps: int = 8  # fewer than in the evaluation: what one attack misses, that of a later round can find
    restarts: int = 1
    updates: int = 20  # of the heads in a round; each costs only a matrix product
    batch: int = 256
    memory: int = 4000  # attacked triplets in memory; older ones were made against heads that no longer exist
    lr: float = 0.03  # of Adam, on log w, which keeps w > 0 and lets weights change by factors
    sharpness: float = 5.0  # s: the metric is 85 % sure between distances a factor of sqrt(2) apart
    clean_weight: float = 4.0
    attacked_weight: float = 4.0
    inflation_weight: float = 1.0
    lpips_weight: float = 8.0
    floor: float = 0.02  # the least share of the natural distance for each layer; without it conv1 takes nearly all
    floor_weight: float = 1.0
    validation: int = 96  # triplets that choose the best of four stages, and 4 times as many of mixed families
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def budget(self) -> float:
        """The radius of the ball that the heads are trained for, in [0, 1] pixel units."""
        return self.eps or STANDARD[self.norm]


def check_settings(settings: Any) -> None:
    """ValueError for a setting of a training that is out of its range."""

    def refuse(name: str, expected: str) -> None:
        raise ValueError(f"{name} must be {expected}; got {getattr(settings, name)!r}.")

    for name, choices in (("norm", STANDARD), ("backbone", BACKBONES)):
        if getattr(settings, name) not in choices:
            refuse(name, f"one of {', '.join(choices)}")
    for field in fields(settings):
        name, value = field.name, getattr(settings, field.name)
        lowest = _LOWEST.get(name, 1)
        if field.type is int and (not isinstance(value, int) or value < lowest):
            refuse(name, f"a whole number of at least {lowest}")
        if field.type is float and not (0 <= value < math.inf):
            refuse(name, "a finite number that is not negative")
    diameter = 1 if settings.norm == "linf" else math.sqrt(3) * settings.size  # between a black and a white patch
    highest = {"eps": diameter, "gap": 0.9, "floor": 1 / len(BACKBONES[settings.backbone].channels)}
    for name, bound in highest.items():
        if getattr(settings, name) > bound:
            refuse(name, f"at most {bound:.4g}")
    for name in ("lr", "sharpness"):
        if getattr(settings, name) == 0:
            refuse(name, "above 0")


def add_settings(parser: argparse.ArgumentParser, default: Any = Settings()) -> None:
    """Add an option for every setting of `default` to a parser."""
    for field in fields(default):
        option, kind = f"--{field.name.replace('_', '-')}", type(getattr(default, field.name))
        parser.add_argument(
            option, type=kind, default=getattr(default, field.name), metavar=kind.__name__, help="default: %(default)s"
        )
