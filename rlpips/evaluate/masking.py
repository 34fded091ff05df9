"""Is a metric's robustness real, or do its gradients only mislead the attacker (Athalye et al., arXiv 1802.00420)?

Masked gradients show in two ways: an attack that does not use the metric's own gradients gets farther than one that
does, or many more steps and restarts get much farther than a few. So one metric is attacked in all these ways, on the
same triplets and within the standard l_inf budget; what all attacks together reach is given, too.
"""

import time

import torch

from rlpips.attacks.square import square
from rlpips.attacks.triplets import push, toss
from rlpips.evaluate import tables
from rlpips.evaluate.scores import distances, interval, measure, score_2afc
from rlpips.evaluate.standard import STANDARD
from rlpips.norms import LINF
from rlpips.progress import quiet
from rlpips.zoo import catalog

EPS = STANDARD["linf"]
PGD = ((20, 1), (20, 2), (100, 5))  # steps, restarts; the second is what the standard evaluation reports


def masking(metric, other, same, mixed, large, large_mixed, progress=quiet, queries=1000, seed=0):
    """Attack one metric in every way; a dictionary ready for JSON with "rows" and "verdict", a sentence made of them.

    other               the metric of the catalogue that the transfer attack is pushed against
    same, mixed         `Triplets` with judges, attacked; and others, whose mean distance is the unit of inflation
    large, large_mixed  the same with larger pictures, attacked by PGD alone

    A row has "attack", "2afc" with one candidate of each triplet attacked, "inflation" over a quarter as many
    references (null where nothing is attacked), and "seconds". `queries` is how often Square asks about each picture.
    """
    pgd = {schedule: _pgd(metric, *schedule) for schedule in PGD}
    without = {
        "a random point of the ball": _random,
        f"transfer, PGD against {catalog.card(other.name).title}": _pgd(other, *PGD[1]),
        f"Square, {queries} queries": lambda *at: square(metric, *at[:3], EPS, queries, at[3]),
    }
    attacks = {**{_words(*schedule): attack for schedule, attack in pgd.items()}, **without}
    trial, rows, reached = _Trial(metric, same, mixed, seed), {}, {}
    rows["no attack"] = {**trial.row(trial.attack(_nothing)), "inflation": None}
    for done, (name, attack) in enumerate(attacks.items()):
        progress(f"{metric.name}: {name}", done, len(attacks) + 1)
        began = time.monotonic()
        reached[name] = trial.attack(attack)
        rows[name] = trial.row(reached[name], began)
    rows[tables.TOGETHER] = trial.row([torch.stack(values).amax(0) for values in zip(*reached.values())])

    name = f"{_words(*PGD[1])}, {large.reference.shape[-1]}-pixel pictures ({len(large)} triplets)"
    progress(f"{metric.name}: {name}", len(attacks), len(attacks) + 1)
    began, trial = time.monotonic(), _Trial(metric, large, large_mixed, seed)
    rows[name] = trial.row(trial.attack(pgd[PGD[1]]), began)
    return {"verdict": verdict(rows, list(without)), "rows": [{"attack": name, **row} for name, row in rows.items()]}


def verdict(rows, without):
    """Whether the attacks named in `without`, which do not use the metric's own gradients, did better than PGD, and
    what more steps and restarts gain, in plain words. `rows` is {attack: row}."""
    usual, long = (rows[_words(*schedule)] for schedule in PGD[1:])
    lowest = min(rows[name]["2afc"]["value"] for name in without)
    highest = max(rows[name]["inflation"]["value"] for name in without)
    found = {"2afc": {"value": lowest}, "inflation": {"value": highest}}
    better = lowest < usual["2afc"]["value"] or highest > usual["inflation"]["value"]
    said = "An attack without the metric's own gradients did" if better else (
        "No attack without the metric's own gradients did"
    )  # fmt: skip
    return (
        f"{said} better than PGD: the best of them leave {_figures(found)}, "
        f"{_words(*PGD[1])} leaves {_figures(usual)}. "
        f"{_words(*PGD[2])} leaves {_figures(long)}, all attacks together {_figures(rows[tables.TOGETHER])}."
    )


class _Trial:
    """One metric on one set of triplets: which candidate of each is attacked, what the metric says of the others."""

    def __init__(self, metric, same, mixed, seed):
        self.metric, self.same, self.seed = metric, same, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.first, self.sign = toss(same.judge, self.generator)
        self.after_toss = self.generator.get_state()
        self.candidate = torch.where(self.first.view(-1, 1, 1, 1), same.p0, same.p1)
        self.natural = distances(metric, same)
        self.natural_mean = torch.cat(distances(metric, mixed)).mean()

    def attack(self, attack):
        """How far an attack gets: sign·d of the attacked candidate (N,), and d of references attacked themselves."""
        x, references = self.same.reference, self.same.reference[: (len(self.same) + 3) // 4]
        self.generator.set_state(self.after_toss)
        candidate = attack(x, self.candidate, self.sign, self.generator)
        self.generator.manual_seed(self.seed)
        moved = attack(references, references, 1.0, self.generator)
        return self.sign * measure(self.metric, x, candidate), measure(self.metric, references, moved)

    def row(self, reached, began=None):
        signed, opt = reached
        d0 = torch.where(self.first, self.sign * signed, self.natural[0])
        d1 = torch.where(self.first, self.natural[1], self.sign * signed)
        return {
            "2afc": interval(score_2afc(d0, d1, self.same.judge)),
            "inflation": interval(opt / self.natural_mean),
            "seconds": round(time.monotonic() - began, 1) if began else 0.0,
        }


# Attacks: (reference, start, sign, generator) -> the points reached, (N, 3, H, W).


def _nothing(reference, start, sign, generator):
    return start


def _random(reference, start, sign, generator):
    return (start + LINF.random(start, EPS, generator)).clamp(0, 1)


def _pgd(metric, steps, restarts):
    return lambda reference, start, sign, generator: push(
        metric, reference, start, sign, "linf", EPS, steps, restarts, generator
    )


def _words(steps, restarts):
    return f"PGD, {steps} steps" + (f", {restarts} restarts" if restarts > 1 else "")


def _figures(row):
    return f"2AFC {row['2afc']['value']:.3f} and inflation {row['inflation']['value']:.3f}"
