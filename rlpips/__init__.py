"""The library of R-LPIPS Explorer: perceptual metrics, attacks on them, and the traces that attacks record.

    import rlpips
    metric = rlpips.load_metric("rlpips-linf")     # x, y (N, 3, H, W) float in [0, 1] -> (N,)
    trace = rlpips.attack("cat.png", eps=4 / 255)  # PGD against LPIPS and R-LPIPS side by side

A name is imported when it is first used, so that a program which only shows recorded traces never waits for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the names in _HOME, for type checkers and editors; "as" exports them
    from rlpips.attacks.balls import MetricBall as MetricBall
    from rlpips.attacks.balls import SelfBall as SelfBall
    from rlpips.attacks.lpa import fast_lpa as fast_lpa
    from rlpips.attacks.lpa import lpa as lpa
    from rlpips.attacks.metric import attack as attack
    from rlpips.attacks.metric import attack_steps as attack_steps
    from rlpips.attacks.ppgd import ppgd as ppgd
    from rlpips.classifiers.models import load_classifier as load_classifier
    from rlpips.engine.ruler import Ruler as Ruler
    from rlpips.engine.ruler import make_ruler as make_ruler
    from rlpips.metrics.heads import Heads as Heads
    from rlpips.metrics.lpips import PerceptualMetric as PerceptualMetric
    from rlpips.metrics.lpips import load_metric as load_metric
    from rlpips.pairs.compare import compare as compare
    from rlpips.pairs.results import Pairs as Pairs
    from rlpips.traces.trace import Trace as Trace
    from rlpips.zoo.catalog import CATALOG as CATALOG

__version__ = "0.1.0"

_HOME = {
    "load_metric": "metrics.lpips",
    "PerceptualMetric": "metrics.lpips",
    "Heads": "metrics.heads",
    "load_classifier": "classifiers.models",
    "attack": "attacks.metric",
    "attack_steps": "attacks.metric",
    "Trace": "traces.trace",
    "CATALOG": "zoo.catalog",
    "make_ruler": "engine.ruler",
    "Ruler": "engine.ruler",
    "compare": "pairs.compare",
    "Pairs": "pairs.results",
    "MetricBall": "attacks.balls",
    "SelfBall": "attacks.balls",
    "ppgd": "attacks.ppgd",
    "lpa": "attacks.lpa",
    "fast_lpa": "attacks.lpa",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rlpips' has no attribute {name!r}")
    return getattr(import_module(f"rlpips.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
