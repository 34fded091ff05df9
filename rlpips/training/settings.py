"""The settings of a training, each with its reason, and what is refused."""

import math
from dataclasses import dataclass, fields

from rlpips.evaluate.standard import STANDARD
from rlpips.metrics.backbones import BACKBONES


@dataclass(frozen=True)
class Settings:
    """ValueError for a setting that makes no sense."""

    norm: str = "linf"
    eps: float = 0.0  # in [0, 1] pixel units; 0 takes the standard budget of the norm
    backbone: str = "alex"
    size: int = 64  # pixels a side of a patch, as in BAPPS; heads learnt on patches hold on whole pictures
    gap: float = 0.1  # severities of one family differ by this at least, as in the evaluation
    triplets: int = 6000  # with a judge, and as many of mixed families
    rounds: int = 120
    attacked: int = 48  # triplets attacked a round, and half as many references
    attack_steps: int = 8  # fewer than in the evaluation: what it misses today is attacked again tomorrow
    restarts: int = 1
    updates: int = 20  # updates of the heads a round; they cost a matrix product each
    batch: int = 256
    memory: int = 4000  # attacked triplets remembered; older ones were made against heads that no longer exist
    lr: float = 0.03  # of Adam, on log w, which keeps w > 0 and lets weights move by factors
    sharpness: float = 5.0  # s: candidates whose distances differ by half (2^0.5) are told apart with 0.85 certainty
    clean_weight: float = 4.0
    attacked_weight: float = 4.0
    inflation_weight: float = 1.0
    lpips_weight: float = 8.0
    floor: float = 0.02  # share of the natural distance that no layer may fall below: else conv1 takes everything
    floor_weight: float = 1.0
    validation: int = 96  # triplets by which the best of four stages is chosen, and 4 times as many of mixed families
    seed: int = 0

    def __post_init__(self):
        def refuse(name, expected):
            raise ValueError(f"{name} must be {expected}; got {getattr(self, name)!r}.")

        for name, choices in (("norm", STANDARD), ("backbone", BACKBONES)):
            if getattr(self, name) not in choices:
                refuse(name, f"one of {', '.join(choices)}")
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if field.type is int and (not isinstance(value, int) or value < LOWEST.get(name, 1)):
                refuse(name, f"a whole number of at least {LOWEST.get(name, 1)}")
            if field.type is float and not (0 <= value < math.inf):
                refuse(name, "a finite number that is not negative")
        widest = 1 if self.norm == "linf" else math.sqrt(3) * self.size  # the whole range of images
        for name, most in (("eps", widest), ("gap", 0.9), ("floor", 1 / len(BACKBONES[self.backbone].channels))):
            if getattr(self, name) > most:
                refuse(name, f"at most {most:.4g}")
        for name in ("lr", "sharpness"):
            if getattr(self, name) == 0:
                refuse(name, "above 0")

    @property
    def budget(self):
        """The radius of the ball that is trained for, in [0, 1] pixel units."""
        return self.eps or STANDARD[self.norm]


LOWEST = {"size": 32, "seed": 0}


def add_settings(parser, default=Settings()):
    """An option for every setting."""
    for field in fields(Settings):
        option = f"--{field.name.replace('_', '-')}"
        value = getattr(default, field.name)
        parser.add_argument(
            option, type=field.type, default=value, metavar=field.type.__name__, help="default: %(default)s"
        )
