"""How accurate classifiers stay under attack, and whether the robust metric makes the stronger attacks on them.

Laidlaw, Singla and Feizi (arXiv 2006.12655) bound attacks on classifiers by LPIPS: PPGD and LPA. Ghazanfari et al. (arXiv
2307.15157) bound them by R-LPIPS instead, R-PPGD and R-LPA, and find that these weaken perceptual adversarial training
more. Both papers give every metric one number as bound, though a number means something else to each. So attacks are
compared at the papers' bound and at bounds that are equally far in natural distortions: as far as the papers' bound is in the
distance that it was chosen for, that of AlexNet's features without weights.

All bounds of metrics are ||phi(x) - phi(y)||_2, the root of the distance, of CIFAR-10 pictures enlarged to 64 pixels a
side (see `rlpips.attacks.perceptual`). Every classifier sees the same pictures; those that it gets wrong without an attack count as
wrong. Intervals are 95 % bootstrap intervals over pictures (`rlpips.evaluate.standard.interval`): they say how other pictures
would change the figures, not how another training would.
"""

import hashlib
import time

import numpy as np
import torch

from rlpips.attacks.metric import perceptual
from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.panel import Panel, surroundings
from rlpips.evaluate.__main__ import tables
from rlpips.evaluate.standard import interval, measure
from rlpips.metrics.fidelity import ssim
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.norms import L2, LINF
from rlpips.parallel import share
from rlpips.progress import quiet
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

CLASSIFIERS = ("undefended", "at-linf", "at-l2", "pat-self", "pat-alexnet")  # those of CIFAR-10
METRICS = ("lpips", "rlpips-linf")
UNWEIGHTED = (
    "alexnet"  # the distance that the bound of Laidlaw et al. is of: LPIPS's formula with a weight of one everywhere
)
COLUMNS = (UNWEIGHTED, *METRICS)  # of what is read off natural distortions
PAIRS = (("r-ppgd", "ppgd"), ("r-lpa", "lpa"))  # robust attack, and the one it should outdo
IN_PIXELS = {name: attack.bound for name, attack in ATTACKS.items() if attack.metric is None}
BOUND = 0.5  # of the papers, for every metric
STEPS = 20  # Ghazanfari et al. evaluate with 40; halved for the sake of two CPU cores
NATURAL = 48  # pictures that the metrics are matched on
SEVERITIES = tuple(np.linspace(0, 1, 21).tolist())
_AT_ONCE = 32  # pictures in a piece: the same pieces for any number of processes
_ROUNDING = 2e-3  # how far outside a ball, as a share of its radius, rounding may carry a result


# What runs each attack, besides its steps and seed. PGD is told its norm and radius, the others a ball.
SETTINGS = {
    "pgd-linf": {},
    "pgd-l2": {},
    "ppgd": {"cg_steps": 5, "projection": "newton"},
    "r-ppgd": {"cg_steps": 5, "projection": "newton"},
    "lpa": {"searches": 5, "projection": "newton"},
    "r-lpa": {"searches": 5, "projection": "newton"},
}


def robust_accuracy(names, load, data, metrics, how=None, known=None, progress=quiet, steps=STEPS, bound=BOUND, seed=0):
    """Yield the report, ready for JSON, as it grows: after every attack on every classifier.

    names    of classifiers in the catalogue; `load(name)` gives each, frozen and in eval mode, on the metrics' device
    data     `rlpips.classifiers.cifar10.Pictures`, the pictures to attack
    metrics  {name: PerceptualMetric} for `METRICS`
    how      more to say about the conditions; rows of an earlier report `known` that was made under the same ones, with
             the same classifier, are kept, also those of classifiers that are not named now
    bound    the papers' bound; see `bounds_of` for what is made of it

    The report has "how", "bounds" (see `bounds_of`), "classifiers", whose rows say for each attack and bound what accuracy is
    left and what it cost, and "findings" (see `compare`). ValueError where there are no pictures.
    """
    if not len(data):
        raise ValueError("There are no pictures to attack.")
    began = time.monotonic()
    device = metrics["lpips"].trunk.scale.device
    x, labels = data.x.to(device).float() / 255, data.y.to(device)
    around = surroundings(device)
    how = {
        **(how or {}),
        "pictures": len(x),
        "pictures_sha256": hashlib.sha256(data.x.contiguous().numpy().tobytes()).hexdigest(),
        "seed": seed,
        "attacks": {name: {"steps": steps, **settings} for name, settings in SETTINGS.items()},
        "metrics": {name: catalog.card(name).heads["alex"].sha256 for name in METRICS},
        "device": around["device"],
        "torch": around["torch"],
    }
    progress("natural distortions")
    bounds = bounds_of(x[:NATURAL], [metrics[name] for name in METRICS], bound, seed)
    plan = _plan(bounds["settings"])
    found = _kept(known, how, bounds, plan)
    if known and not found:
        progress("what was measured before was measured under other conditions: beginning anew", keep=True)
    matching = time.monotonic() - began

    def report():
        rows = [row for one in found.values() for row in one["rows"]]
        whole = {name: found[name] for name in catalog.CLASSIFIERS if name in found}
        seconds = round(matching + sum(row["seconds"] for row in rows))
        findings = compare(whole, bounds["settings"])
        return {"how": {**how, "seconds": seconds}, "bounds": bounds, "classifiers": whole, "findings": findings}

    for at, name in enumerate(names):
        found.setdefault(name, {"sha256": catalog.CLASSIFIERS[name].sha256, "right": "", "rows": []})
        trial = None
        for index, (attack, size) in enumerate(plan):
            if index < len(found[name]["rows"]):
                continue
            progress(f"{name}: {tables.attack(attack, size)}", at * len(plan) + index, len(names) * len(plan))
            trial = trial or Trial(load(name), x, labels, metrics, steps, seed)
            found[name]["right"] = _digits(trial.right)
            row = trial.row(attack, size)
            found[name]["rows"].append(row)
            value = row["accuracy"]["value"]
            said = f"{name}: {tables.attack(attack, size)}: accuracy {value:.3f}, {row['seconds']:.0f} seconds"
            progress(said, keep=True)
            yield report()
    yield report()


class Trial:
    """One classifier on pictures x (N, 3, 32, 32) in [0, 1] with labels (N,); `right` (N,) says which it gets right."""

    def __init__(self, classifier, x, labels, metrics, steps=STEPS, seed=0):
        self.classifier, self.x, self.labels, self.metrics = classifier, x, labels, metrics
        self.steps, self.seed = steps, seed
        self.right = self._says(x) == labels

    def row(self, attack, bound):
        """What is left of the accuracy under an attack of `ATTACKS`, or "none", within a bound, and what it cost."""
        began = time.monotonic()
        robust, outside, cost = self.right.clone(), 0, None
        count = int(self.right.sum()) if attack != "none" else 0
        if count:
            x, labels = self.x[self.right], self.labels[self.right]
            pushed = self._pushed(attack, bound, x, labels)
            reached = cost_of(self.metrics, x, pushed)
            # Whether a result keeps to its bound is measured, not taken from the attack: one outside fools nobody.
            inside = reached[_measured_by(attack)] <= (bound * (1 + _ROUNDING)) ** (2 if ATTACKS[attack].metric else 1)
            robust[self.right] = ~(inside & (self._says(pushed) != labels))
            outside = int((~inside).sum())
            cost = {name: round(values.mean().item(), 6) for name, values in reached.items()}
        return {
            "attack": attack,
            "bound": bound,
            "accuracy": interval(robust.float()),
            "robust": _digits(robust),
            "attacked": count,
            "outside": outside,
            "cost": cost,
            "seconds": round(time.monotonic() - began, 1),
        }

    def _pushed(self, attack, bound, x, labels):
        about, settings = ATTACKS[attack], {"steps": self.steps, **SETTINGS[attack]}
        if about.metric is None:
            push, within = perceptual.pgd, (about.norm, bound)
        else:
            push = perceptual.ppgd if attack.endswith("ppgd") else perceptual.lpa
            within = (perceptual.MetricBall(self.metrics[about.metric], bound),)

        def work(at):
            for last in push(self.classifier, x[at], labels[at], *within, **settings, seed=self.seed + int(at[0])):
                pass
            return last

        return torch.cat(share(work, torch.arange(len(x), device=x.device).split(_AT_ONCE)))

    @torch.no_grad()
    def _says(self, x):
        # Shared out like the attacks, so that several processes agree to the last digit.
        return torch.cat(share(self.classifier, x.split(_AT_ONCE))).argmax(1)


@torch.no_grad()
def cost_of(metrics, x, pushed):
    """What a change costs, {name: (N,)}: the distance under each metric with the pictures enlarged, the l_inf and l2 norm in
    [0, 1] pixel units, and the SSIM."""
    large, pushed_large = perceptual.enlarged(x), perceptual.enlarged(pushed)
    change = pushed - x
    return {
        **{name: measure(metric, large, pushed_large) for name, metric in metrics.items()},
        "linf": LINF.measure(change),
        "l2": L2.measure(change),
        "ssim": ssim(x, pushed),
    }


def bounds_of(x, metrics, bound=BOUND, seed=0):
    """The bounds to compare attacks at, from natural distortions of pictures x (N, 3, 32, 32).

    "settings" has for each setting the bound of each metric: "paper", the same number for all; "matched", what a metric says
    of natural distortions that AlexNet's features without weights have as far as the paper's bound; "milder", the same for half
    of it. "matches" has what they were read off (see `match`).
    """
    panel = Panel([unweighted(metrics[0]), *metrics], perceptual.enlarged(x))
    roots = natural_roots(x, lambda pictures: panel.shares(perceptual.enlarged(pictures)).sum(-1), seed)
    settings, matches = {"paper": dict.fromkeys(METRICS, bound)}, []
    for setting, size in (("matched", bound), ("milder", bound / 2)):
        found = [match(roots, UNWEIGHTED, name, size) for name in METRICS]
        settings[setting] = {one["other"]: one["matched"] for one in found}
        matches += found
    return {"settings": settings, "matches": matches, "pictures": len(x), "severities": len(SEVERITIES)}


def unweighted(metric):
    """The distance of the metric's features as they are: all weights are one."""
    return PerceptualMetric(metric.trunk, [torch.ones_like(head) for head in metric.heads], UNWEIGHTED)


@torch.no_grad()
def natural_roots(x, read, seed=0):
    """{family: (S, M)}, the mean root of the distances that `read(pictures) -> (N, M)` gives to distortions of x, at
    `SEVERITIES`. The pictures are distorted as they are, before anything enlarges them."""

    def work(family):
        rows = []
        for severity in SEVERITIES:
            distances = read(family(x, severity, torch.Generator().manual_seed(seed)))
            rows.append(distances.clamp_min(0).sqrt().mean(0))
        return torch.stack(rows).float()

    made = share(work, list(DISTORTIONS.values()))
    return {name: values.double().cpu().numpy() for name, values in zip(DISTORTIONS, made)}


def match(roots, metric, other, bound):
    """The bound of the metric `other` that means as much as this `bound` of `metric`, ready for JSON.

    `roots` is {family: (S, 3)}, columns as in `COLUMNS`. For each family of distortions the severity is sought at which
    `metric` reaches the bound on average, linearly between two that were measured, and what `other` says there. "matched"
    is the geometric mean over the families that reach it, "low" and "high" are the smallest and largest. ValueError if none
    does.
    """
    own, theirs = COLUMNS.index(metric), COLUMNS.index(other)
    families = {}
    for name, values in roots.items():
        over = np.flatnonzero(values[:, own] >= bound)
        families[name] = None
        if len(over) and over[0] > 0:
            two = slice(over[0] - 1, over[0] + 1)
            severity = float(np.interp(bound, values[two, own], SEVERITIES[two]))
            read = float(np.interp(severity, SEVERITIES[two], values[two, theirs]))
            words = DISTORTIONS[name].words(severity)
            families[name] = {"severity": round(severity, 4), "words": words, "matched": round(read, 4)}
    reached = [one["matched"] for one in families.values() if one]
    if not reached:
        raise ValueError(
            f"No natural distortion reaches the bound {bound:g} of {metric}; smaller bounds can be matched."
        )
    return {
        "metric": metric,
        "bound": bound,
        "other": other,
        "matched": round(float(np.exp(np.mean(np.log(reached)))), 3),
        "low": min(reached),
        "high": max(reached),
        "reached": len(reached),
        "of": len(families),
        "families": families,
    }


def compare(classifiers, settings):
    """Whether attacks bounded by R-LPIPS leave less accuracy than those bounded by LPIPS, for each classifier, setting and
    pair of attacks of which both are there.

    "difference" is the accuracy under the robust attack minus that under the other, picture by picture. The verdict is "held"
    where its interval lies below 0, "did not hold" where it lies above, else "undecided".
    """
    found = []
    for name, one in classifiers.items():
        robust = {(row["attack"], row["bound"]): _numbers(row["robust"]) for row in one["rows"]}
        for setting, bounds in settings.items():
            for pair in PAIRS:
                first, second = (robust.get((attack, bounds[ATTACKS[attack].metric])) for attack in pair)
                if first is None or second is None:
                    continue
                difference = interval(first - second)
                held = difference["high"] < 0, difference["low"] > 0
                verdict = "held" if held[0] else "did not hold" if held[1] else "undecided"
                names = {"classifier": name, "setting": setting, "attack": pair[0], "than": pair[1]}
                found.append({**names, "difference": difference, "verdict": verdict})
    return found


def _plan(settings):
    """(attack, bound) of every row, each once though settings share it."""
    perceptual_rows = [
        (attack, bounds[ATTACKS[attack].metric])
        for bounds in settings.values()
        for pair in PAIRS
        for attack in reversed(pair)
    ]
    return list(dict.fromkeys([("none", None), *IN_PIXELS.items(), *perceptual_rows]))


def _kept(known, how, bounds, plan):
    """The classifiers of an earlier report that was made under the same conditions, if they are what they were."""
    if not known or known["bounds"]["settings"] != bounds["settings"]:
        return {}
    was = {key: value for key, value in known["how"].items() if key not in ("seconds", "command")}
    is_now = {key: value for key, value in how.items() if key != "command"}

    def holds(name, one):
        made = [(row["attack"], row["bound"]) for row in one["rows"]]
        return one["sha256"] == catalog.CLASSIFIERS[name].sha256 and made == plan[: len(made)]

    return {name: one for name, one in known["classifiers"].items() if was == is_now and holds(name, one)}


def _measured_by(attack):
    """Which of `cost_of`'s figures the attack's bound is about; the root of it for a metric."""
    return ATTACKS[attack].metric or ATTACKS[attack].norm


def _digits(flags):
    """(N,) of bool as a string of N digits, "1" for true."""
    return "".join("1" if flag else "0" for flag in flags.tolist())


def _numbers(digits):
    return torch.tensor([float(digit) for digit in digits])
