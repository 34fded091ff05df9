"""R-LPIPS Explorer's library: perceptual metrics, the attacks on them, and what the attacks leave behind.

    import rlpips
    metric = rlpips.load_metric("rlpips-linf")     # x, y (N, 3, H, W) float in [0, 1] -> (N,)
    trace = rlpips.attack("cat.png", eps=4 / 255)  # PGD against LPIPS and R-LPIPS side by side

Names are imported when first used, so that a program which only shows recorded traces never waits for torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "load_metric": "metrics.lpips",
    "PerceptualMetric": "metrics.lpips",
    "load_classifier": "classifiers.models",
    "attack": "attacks.metric",
    "attack_steps": "attacks.metric",
    "Trace": "traces.trace",
    "CATALOG": "zoo.catalog",
    "make_ruler": "engine.ruler",
    "Ruler": "engine.ruler",
    "MetricBall": "attacks.balls",
    "SelfBall": "attacks.balls",
    "ppgd": "attacks.ppgd",
    "lpa": "attacks.lpa",
    "fast_lpa": "attacks.lpa",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'rlpips' has no attribute {name!r}")
    return getattr(import_module(f"rlpips.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
