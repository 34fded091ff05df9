"""The table that compares our PPGD, LPA and Fast-LPA with the same attacks as their authors publish them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rlpips.attacks.balls import Ball, MetricBall, SelfBall
from rlpips.attacks.classifier import margins
from rlpips.attacks.lpa import fast_lpa, lpa
from rlpips.attacks.ppgd import ppgd
from rlpips.benchmark import ours
from rlpips.benchmark.published import LpipsFeatures, PublishedAttacks, flatten
from rlpips.benchmark.timing import Table, in_turns, median_text, ratio_text
from rlpips.classifiers.models import Classifier
from rlpips.metrics.lpips import load_metric

OPTIONS = {"ppgd": {"steps": 10, "cg_steps": 5}, "lpa": {"steps": 20, "searches": 5}, "fast_lpa": {"steps": 20}}
OURS: dict[str, Callable[..., Any]] = {"ppgd": ppgd, "lpa": lpa, "fast_lpa": fast_lpa}
TITLES = {"ppgd": "PPGD", "lpa": "LPA", "fast_lpa": "Fast-LPA"}
BALLS = ("lpips", "self")
SIZE = (32, 32)


def perceptual_table(
    classifier: Classifier,
    bounds: Sequence[float] = (0.2,),
    batches: Sequence[int] = (1, 16),
    rounds: int = 3,
    device: str | torch.device = "cpu",
    attacks: Mapping[str, Mapping[str, int]] = OPTIONS,
) -> Table:
    """The table; `classifier` is of 32×32 pictures, `bounds` are feature distances, `attacks` is {name: options}."""
    rows = [
        [TITLES[name], ball, bound, batch, *_compare(classifier, ball, bound, name, options, batch, rounds, device)]
        for ball in BALLS
        for bound in bounds
        for name, options in attacks.items()
        for batch in batches
    ]
    results = [f"{who}: {what}" for who in ("ours", "published") for what in ("fooled", "margin", "distance")]
    return Table(
        "Perceptual attacks on classifiers",
        f"{classifier.name}, pictures at {SIZE[0]}×{SIZE[1]}, labels are its own verdicts: ours, `rlpips.attacks`, and the attacks "
        "as their authors publish them, with as many iterations. ms a run of the whole batch, medians; the ratio is the median "
        "of the rounds' (smallest–largest): above 1, ours is faster. Results: the share of pictures fooled within 1.001 of the "
        "bound, the mean margin, and the largest distance over the bound.",
        ["attack", "ball", "bound", "batch", "ours", "published", "ratio", *results],
        rows,
    )


def _compare(
    classifier: Classifier,
    ball_name: str,
    bound: float,
    name: str,
    options: Mapping[str, int],
    batch: int,
    rounds: int,
    device: str | torch.device,
) -> list[str]:
    """The cells of a row from "ours" on."""
    x = ours.sample_pictures(batch, SIZE, device)
    with torch.no_grad():
        labels = classifier(x).argmax(1)
    ball: Ball
    features: Callable[[Tensor], Tensor]
    if ball_name == "self":
        ball, features = SelfBall(classifier, bound), lambda x: flatten(classifier.features_logits(x)[0])
    else:
        ball, features = MetricBall(load_metric(ball_name, "alex", device), bound), LpipsFeatures(ball_name, device)
    published = getattr(PublishedAttacks(classifier, features, bound), name)
    attacked: dict[str, Tensor] = {}

    def run_ours() -> None:
        *_, attacked["ours"] = OURS[name](classifier, x, labels, ball, **options)

    def run_published() -> None:
        attacked["published"] = published(x, labels, **options)

    times = in_turns({"ours": run_ours, "published": run_published}, rounds, device)
    return [
        median_text(times["ours"]),
        median_text(times["published"]),
        ratio_text(times["published"], times["ours"]),
        *_results(classifier, ball, x, attacked["ours"], labels),
        *_results(classifier, ball, x, attacked["published"], labels),
    ]


@torch.no_grad()
def _results(classifier: Classifier, ball: Ball, x: Tensor, attacked: Tensor, labels: Tensor) -> list[str]:
    margin, relative = margins(classifier(attacked), labels), ball.distance(x, attacked) / ball.bound
    fooled = (margin > 0) & (relative <= 1.001)
    return [f"{fooled.float().mean():.0%}", f"{margin.mean():.2f}", f"{relative.max():.3f}"]
