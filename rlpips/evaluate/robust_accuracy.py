"""How accurate classifiers stay under attack, and whether the robust metric makes the stronger attacks on them.

Laidlaw, Singla and Feizi (arXiv 2006.12655) bound attacks on classifiers by LPIPS: PPGD and LPA. Ghazanfari et al. (arXiv
2307.15157) bound them by R-LPIPS instead, R-PPGD and R-LPA, and report that these weaken perceptual adversarial training
more. Both papers use the same number as the bound of every metric, though the metrics have different scales. So attacks are
compared both at the papers' bound and at comparable bounds, within which natural distortions are about equally strong: as strong
as the papers' bound allows in the distance that it was chosen for, that of AlexNet's features without weights.

Beside them stand attacks that no metric bounds: APGD in balls of pixels, the yardstick; two unseen threats, stAdv and ReColorAdv;
and R-PPGD and R-LPA in what the public code of R-LPIPS's authors bounds (`rlpips.attacks.balls.SumBall`).

All bounds of metrics are ||phi(x) - phi(y)||_2, the root of the distance, of CIFAR-10 pictures enlarged to 64 pixels a
side (see `rlpips.attacks.balls`). Every classifier sees the same pictures; those that it gets wrong without an attack count
as wrong. Intervals are 95 % bootstrap intervals over pictures (`rlpips.evaluate.scores.interval`): they say how other
pictures would change the figures, not how another training would.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rlpips.attacks import by_card
from rlpips.attacks.balls import MetricBall, SumBall
from rlpips.classifiers.cifar10 import Pictures
from rlpips.engine.provenance import surroundings
from rlpips.evaluate import classifier_tables
from rlpips.evaluate.attacked_classifier import STEPS, Trial, from_digits, to_digits
from rlpips.evaluate.matching import BOUND, bounds_of
from rlpips.evaluate.scores import interval
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.progress import ProgressCallback, quiet
from rlpips.zoo import catalog, classifier_cards
from rlpips.zoo.attack_cards import ATTACKS
from rlpips.zoo.catalog import PAIR

CLASSIFIERS = ("undefended", "at-linf", "at-l2", "pat-self", "pat-alexnet", "pat-rlpips")  # those of CIFAR-10
YARDSTICKS = ("apgd-linf", "apgd-l2", "stadv", "recolour")
AUTHORS = tuple(name for name, card in ATTACKS.items() if card.norm in ("scaled sums", "sums"))
PAIRS = (("r-ppgd", "ppgd"), ("r-lpa", "lpa"))  # the attack bounded by R-LPIPS, and the same bounded by LPIPS
_METRICS = {name: card.metric for name, card in ATTACKS.items() if card.metric}  # that bound perceptual attacks
NATURAL = 48  # pictures that the metrics are matched on


def robust_accuracy(
    names: Sequence[str],
    load: Callable[[str], Callable[[Tensor], Tensor]],
    pictures: Pictures,
    metrics: Mapping[str, PerceptualMetric],
    how: Mapping[str, Any] | None = None,
    earlier: Mapping[str, Any] | None = None,
    progress: ProgressCallback = quiet,
    steps: int = STEPS,
    bound: float = BOUND,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield the report, ready for JSON, after every attack on every classifier, and once at the end.

    names     of classifiers in the catalogue; `load(name)` returns each, frozen and in eval mode, on the metrics' device
    pictures  the pictures to attack
    metrics   {name: PerceptualMetric} for `PAIR`
    how       facts about the conditions to add to those in the report
    earlier   a report of an earlier run. Its rows are kept, also those of classifiers not in `names`, if they were measured
              under the same conditions but for the version of torch, which every row names, and the classifier is the same
    bound     the papers' bound, from which `bounds_of` derives the others

    The report has "how", "bounds" (see `bounds_of`; "authors" is what `authors_distances` returns), "classifiers", whose rows say
    for each attack and bound what accuracy is left and what it cost, and "findings" (see `compare`). ValueError where there are
    no pictures.
    """
    if not len(pictures):
        raise ValueError("There are no pictures to attack.")
    began = time.monotonic()
    device = metrics["lpips"].trunk.scale.device
    x, labels = pictures.x.to(device).float() / 255, pictures.y.to(device)
    how = {**(how or {}), **_conditions(pictures, device, steps, seed)}
    progress("natural distortions")
    bounds = bounds_of(x[:NATURAL], [metrics[name] for name in PAIR], bound, seed)
    bounds["authors"] = authors_distances(x[:NATURAL], metrics)
    plan = _plan(bounds["settings"])
    classifiers = _reusable(earlier, how, plan) if earlier else {}
    if earlier and not classifiers:
        progress("the earlier results were measured under other conditions; all is measured again", keep=True)
    seconds = time.monotonic() - began

    for position, name in enumerate(names):
        entry = classifiers.setdefault(
            name, {"sha256": classifier_cards.CLASSIFIERS[name].sha256, "right": "", "rows": []}
        )
        trial = None
        for index, attack in enumerate(plan):
            if attack in map(_key, entry["rows"]):
                continue
            text = f"{name}: {classifier_tables.attack_text(*attack)}"
            progress(text, position * len(plan) + index, len(names) * len(plan))
            if trial is None:
                trial = Trial(load(name), x, labels, metrics, steps, seed)
                entry["right"] = to_digits(trial.right)
            row = trial.row(*attack)
            entry["rows"] = sorted([*entry["rows"], row], key=lambda each: plan.index(_key(each)))
            progress(f"{text}: accuracy {row['accuracy']['value']:.3f}, {row['seconds']:.0f} seconds", keep=True)
            yield _report(how, bounds, classifiers, seconds)
    yield _report(how, bounds, classifiers, seconds)


def compare(classifiers: Mapping[str, Any], settings: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Whether attacks bounded by R-LPIPS leave less accuracy than those bounded by LPIPS, for each classifier, setting and
    pair of attacks that were both run.

    "difference" is the accuracy under the attack bounded by R-LPIPS minus that under the other, picture by picture. The
    verdict is "held" where its interval lies below 0, "did not hold" where it lies above, else "undecided".
    """
    findings = []
    for classifier, entry in classifiers.items():
        robust = {(row["attack"], row["bound"]): from_digits(row["robust"]) for row in entry["rows"]}
        for setting, bounds in settings.items():
            for attack, than in PAIRS:
                by_rlpips, by_lpips = (robust.get((name, bounds[_METRICS[name]])) for name in (attack, than))
                if by_rlpips is not None and by_lpips is not None:
                    difference = interval(by_rlpips - by_lpips)
                    findings.append(
                        {
                            "classifier": classifier,
                            "setting": setting,
                            "attack": attack,
                            "than": than,
                            "difference": difference,
                            "verdict": _verdict(difference),
                        }
                    )
    return findings


def _verdict(difference: Mapping[str, float]) -> str:
    if difference["high"] < 0:
        return "held"
    return "did not hold" if difference["low"] > 0 else "undecided"


def _conditions(pictures: Pictures, device: torch.device, steps: int, seed: int) -> dict[str, Any]:
    """What the figures depend on besides the bounds and the classifiers, ready for JSON."""
    return {
        "pictures": len(pictures),
        "pictures_sha256": hashlib.sha256(pictures.x.contiguous().numpy().tobytes()).hexdigest(),
        "seed": seed,
        "attacks": {
            name: {
                "steps": steps,
                **({"schedule": "cosine"} if card.kind in ("flow", "recolour") else {}),
                **by_card.SETTINGS[card.kind],
            }
            for name, card in ATTACKS.items()
            if name in {*YARDSTICKS, *_METRICS, *AUTHORS}
        },
        "metrics": {name: catalog.card(name).heads["alex"].sha256 for name in PAIR},
        "device": surroundings(device)["device"],
    }


def _plan(settings: Mapping[str, Mapping[str, float]]) -> list[tuple[str, float | None]]:
    """(attack, bound) of every row, each once even where settings share it."""
    perceptual = [
        (attack, bounds[_METRICS[attack]])
        for bounds in settings.values()
        for pair in PAIRS
        for attack in reversed(pair)
    ]
    by_themselves = [[(name, ATTACKS[name].bound) for name in names] for names in (YARDSTICKS, AUTHORS)]
    return list(dict.fromkeys([("none", None), *by_themselves[0], *perceptual, *by_themselves[1]]))


def _key(row: Mapping[str, Any]) -> tuple[str, float | None]:
    return row["attack"], row["bound"]


@torch.no_grad()
def authors_distances(x: Tensor, metrics: Mapping[str, PerceptualMetric]) -> dict[str, Any]:
    """How far unrelated pictures are apart, and pictures from their negatives, in what the code of R-LPIPS's authors bounds and in
    the root of R-LPIPS, of x (N, 3, 32, 32) in [0, 1], N >= 2: the least, the mean and the most of N pairs."""
    metric = metrics[by_card.SUMS_OF]
    balls = {
        "scaled sums": SumBall(metric, BOUND), "sums": SumBall(metric, BOUND, is_scaled=False),
        "features": MetricBall(metric, BOUND),
    }  # fmt: skip
    pairs = {"unrelated": x.roll(1, 0), "negative": 1 - x}
    return {
        norm: {name: _summary(ball.distance(x, other)) for name, other in pairs.items()} for norm, ball in balls.items()
    }


def _summary(values: Tensor) -> dict[str, float]:
    summary = {"least": values.min(), "mean": values.mean(), "most": values.max()}
    return {name: float(f"{value.item():.3g}") for name, value in summary.items()}


def _reusable(
    earlier: Mapping[str, Any], how: Mapping[str, Any], plan: list[tuple[str, float | None]]
) -> dict[str, Any]:
    """The classifiers of an earlier report that was measured under the same conditions, if they have not changed, with the rows that
    are still in the plan and whose attacks have the same settings."""

    def conditions(how: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in how.items() if key not in ("seconds", "command", "attacks", "torch")}

    if conditions(earlier["how"]) != conditions(how):
        return {}

    def is_current(row: Mapping[str, Any]) -> bool:
        before, now = (each["attacks"].get(row["attack"]) for each in (earlier["how"], how))
        return _key(row) in plan and before == now

    reusable = {}
    for name, classifier in earlier["classifiers"].items():
        if classifier["sha256"] == classifier_cards.CLASSIFIERS[name].sha256:
            rows = [row for row in classifier["rows"] if is_current(row)]
            for row in rows:  # reports of earlier versions name the version of torch once
                row.setdefault("torch", earlier["how"].get("torch"))
            reusable[name] = {**classifier, "rows": sorted(rows, key=lambda row: plan.index(_key(row)))}
    return reusable


def _report(
    how: Mapping[str, Any], bounds: Mapping[str, Any], classifiers: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """The report on the classifiers so far, in the order of the catalogue; `seconds` is the time that matching took."""
    ordered = {name: classifiers[name] for name in classifier_cards.CLASSIFIERS if name in classifiers}
    seconds += sum(row["seconds"] for classifier in ordered.values() for row in classifier["rows"])
    return {
        "how": {**how, "seconds": round(seconds)},
        "bounds": bounds,
        "classifiers": ordered,
        "findings": compare(ordered, bounds["settings"]),
    }
