"""Is a metric's robustness real, or do its gradients only mislead the attacker (Athalye et al., arXiv 1802.00420)?

Masked gradients show in two ways: an attack that does not use the metric's own gradients gets farther than one that
does, or many more steps and restarts get much farther than a few. So several kinds of attack are run on one metric, on
the same triplets and within the standard l_inf budget. The strongest result for each picture is reported as well, and what
it finds beyond the standard attack.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rlpips.attacks.square import square
from rlpips.attacks.triplets import draw_candidates, push
from rlpips.data.triplets import Triplets
from rlpips.evaluate import tables
from rlpips.evaluate.scores import distances, interval, measure, score_2afc
from rlpips.evaluate.standard import RESTARTS_AT_STANDARD, STANDARD, STEPS
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.norms import LINF
from rlpips.progress import ProgressCallback, quiet
from rlpips.zoo import catalog

EPS = STANDARD["linf"]
# (schedule, steps, restarts): what the standard evaluation reports, and a long one
USUAL, LONG = ("cosine", STEPS, RESTARTS_AT_STANDARD), ("apgd", 500, 5)

# (reference, start, sign, generator, enough) -> the attacked pictures, (N, 3, H, W); sign and enough are as for `push`
Attack: TypeAlias = Callable[[Tensor, Tensor, Tensor | float, torch.Generator, Tensor | None], Tensor]
Distances: TypeAlias = tuple[Tensor, Tensor]  # what `_Trial.attack` returns


def masking(
    metric: PerceptualMetric,
    other: PerceptualMetric,
    same: Triplets,
    mixed: Triplets,
    large: Triplets,
    large_mixed: Triplets,
    progress: ProgressCallback = quiet,
    queries: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Run all attacks on one metric; a dictionary ready for JSON with "verdict", a sentence, "beyond" and "rows".

    other               the metric of the catalogue that the transfer attack is computed against
    same, mixed         `Triplets` with judges, attacked; and others, whose mean distance is the unit of inflation
    large, large_mixed  the same with larger pictures, attacked by PGD alone
    queries             how often Square evaluates the metric on each picture

    A row has "attack", "2afc" with one candidate of each triplet attacked, "inflation" over a quarter as many
    references (null where nothing is attacked), and "seconds". "beyond" says how much lower the attacked 2AFC is after the
    strongest attack for each picture than after the standard one, and how much higher the inflation.
    """
    with_gradients = {_text(*kind): _pgd(metric, *kind) for kind in (USUAL, LONG)}
    without_gradients = _attacks_without_gradients(metric, other, queries)
    attacks = with_gradients | without_gradients
    trial, rows, reached = _Trial(metric, same, mixed, seed), {}, {}
    rows["no attack"] = {**trial.row(trial.attack(_nothing)), "inflation": None}
    for done, (name, attack) in enumerate(attacks.items()):
        progress(f"{metric.name}: {name}", done, len(attacks) + 1)
        began = time.monotonic()
        reached[name] = trial.attack(attack)
        rows[name] = trial.row(reached[name], began)
    signed, opt = (torch.stack(values).amax(0) for values in zip(*reached.values()))
    rows[tables.TOGETHER] = trial.row((signed, opt))

    usual = _text(*USUAL)
    name = f"{usual}, {large.reference.shape[-1]}-pixel pictures ({len(large)} triplets)"
    progress(f"{metric.name}: {name}", len(attacks), len(attacks) + 1)
    began, trial = time.monotonic(), _Trial(metric, large, large_mixed, seed)
    rows[name] = trial.row(trial.attack(attacks[usual]), began)
    return {
        "verdict": verdict(rows, list(without_gradients)),
        "beyond": {
            "2afc": round(rows[usual]["2afc"]["value"] - rows[tables.TOGETHER]["2afc"]["value"], 4),
            "inflation": round(rows[tables.TOGETHER]["inflation"]["value"] - rows[usual]["inflation"]["value"], 4),
        },
        "rows": [{"attack": name, **row} for name, row in rows.items()],
    }


def verdict(rows: Mapping[str, Mapping[str, Any]], without_gradients: Sequence[str]) -> str:
    """Whether one of the attacks `without_gradients` got farther than PGD, and what a long attack and all together gain, in
    two sentences. `rows` is {attack: row}."""
    usual, long = (rows[_text(*kind)] for kind in (USUAL, LONG))
    lowest = min(rows[name]["2afc"]["value"] for name in without_gradients)
    highest = max(rows[name]["inflation"]["value"] for name in without_gradients)
    best = {"2afc": {"value": lowest}, "inflation": {"value": highest}}
    better = lowest < usual["2afc"]["value"] or highest > usual["inflation"]["value"]
    subject = "An attack" if better else "No attack"
    return (
        f"{subject} without the metric's own gradients did better than PGD: the best of them leave {_figures(best)}, "
        f"{_text(*USUAL)} leaves {_figures(usual)}. "
        f"{_text(*LONG)} leaves {_figures(long)}, all attacks together {_figures(rows[tables.TOGETHER])}."
    )


class _Trial:
    """One metric on one set of triplets; every attack gets the same candidates and the same random numbers."""

    def __init__(self, metric: PerceptualMetric, same: Triplets, mixed: Triplets, seed: int):
        self.metric, self.same, self.seed = metric, same, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.p0_is_attacked, self.sign = draw_candidates(same.judge, self.generator)
        self.state = self.generator.get_state()  # after the draw, as in `attack_triplets`
        self.candidate = torch.where(self.p0_is_attacked.view(-1, 1, 1, 1), same.p0, same.p1)
        self.natural = distances(metric, same)
        self.turned = self.sign * torch.where(self.p0_is_attacked, *reversed(self.natural))
        self.natural_mean = torch.cat(distances(metric, mixed)).mean()

    def attack(self, attack: Attack) -> Distances:
        """How far an attack gets: sign·d of the attacked candidates (N,), and d of a quarter of the references from
        themselves attacked."""
        x, references = self.same.reference, self.same.reference[: (len(self.same) + 3) // 4]
        self.generator.set_state(self.state)
        candidate = attack(x, self.candidate, self.sign, self.generator, self.turned)
        self.generator.manual_seed(self.seed)
        moved = attack(references, references, 1.0, self.generator, None)
        return self.sign * measure(self.metric, x, candidate), measure(self.metric, references, moved)

    def row(self, reached: Distances, began: float | None = None) -> dict[str, Any]:
        """The figures of an attack that began at this time by `time.monotonic`."""
        signed, opt = reached
        d0 = torch.where(self.p0_is_attacked, self.sign * signed, self.natural[0])
        d1 = torch.where(self.p0_is_attacked, self.natural[1], self.sign * signed)
        return {
            "2afc": interval(score_2afc(d0, d1, self.same.judge), self.same.photograph),
            "inflation": interval(opt / self.natural_mean, self.same.photograph[: len(opt)]),
            "seconds": round(time.monotonic() - began, 1) if began else 0.0,
        }


def _attacks_without_gradients(metric: PerceptualMetric, other: PerceptualMetric, queries: int) -> dict[str, Attack]:
    """The attacks that do not use the metric's own gradients, by their names in the rows."""

    def square_attack(reference, start, sign, generator, enough):
        return square(metric, reference, start, sign, EPS, queries, generator)

    return {
        "a random point of the ball": _random_point,
        f"transfer, PGD against {catalog.card(other.name).title}": _pgd(other, *USUAL, transferred=True),
        f"Square, {queries} queries": square_attack,
    }


def _nothing(reference, start, sign, generator, enough):
    return start


def _random_point(reference, start, sign, generator, enough):
    return (start + LINF.random(start, EPS, generator)).clamp(0, 1)


def _pgd(metric: PerceptualMetric, schedule: str, steps: int, restarts: int, transferred: bool = False) -> Attack:
    """PGD on a metric; `transferred` on another than the one whose choice is to be turned, so that nothing is ever enough."""

    def attack(reference, start, sign, generator, enough):
        enough = None if transferred else enough
        return push(metric, reference, start, sign, "linf", EPS, steps, restarts, generator, schedule, enough)

    return attack


def _text(schedule: str, steps: int, restarts: int) -> str:
    return f"{'APGD' if schedule == 'apgd' else 'PGD'}, {steps} steps, {restarts} restarts"


def _figures(row: Mapping[str, Any]) -> str:
    return f"2AFC {row['2afc']['value']:.3f} and inflation {row['inflation']['value']:.3f}"
