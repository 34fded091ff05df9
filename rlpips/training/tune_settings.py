"""The settings of a tuning of trunk and heads, with a reason beside each unusual default."""

from dataclasses import dataclass

from rlpips.evaluate.standard import STANDARD
from rlpips.training.settings import check_settings


@dataclass(frozen=True)
class TuneSettings:
    """The settings of a tuning; ValueError for one out of its range."""

    norm: str = "linf"
    eps: float = 0.0  # in [0, 1] pixel units; 0 is the standard budget of the norm
    backbone: str = "alex"
    size: int = 64  # pixels a side of a patch
    gap: float = 0.1  # the least difference between the severities of one family, as in the evaluation
    triplets: int = 3000  # with a judge, and as many of mixed families
    softness: float = 1.0  # of the features, in median lengths of a layer's features
    align_steps: int = 1000
    align_batch: int = 12  # patches in each of two pieces
    align_attack_steps: int = 2  # what one attack misses, that of a later step can find
    align_lr: float = 3e-4
    steps: int = 1400
    batch: int = 8  # triplets of each kind in each of two pieces, and half as many attacked references
    attack_steps: int = 4
    lr: float = 2e-4  # of Adam, on the trunk
    head_lr: float = 1e-2  # on log w: weights change by factors
    sharpness: float = 5.0  # as for heads
    clean_weight: float = 2.0
    attacked_weight: float = 4.0
    inflation_weight: float = 1.0
    lpips_weight: float = 8.0
    floor: float = 0.02  # the least share of the natural distance for each layer
    floor_weight: float = 1.0
    validation: int = 96  # triplets that choose the best of four stages, and 4 times as many of mixed families
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def budget(self) -> float:
        """The radius of the ball that the metric is trained for, in [0, 1] pixel units."""
        return self.eps or STANDARD[self.norm]
