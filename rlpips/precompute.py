"""Makes what the page shows without computing, into precomputed/: the recorded duels of the gallery, the questions of
"You be the judge" with the answers of the metrics, and the recorded attacks on classifiers.

    python -m rlpips.precompute             # all three
    python -m rlpips.precompute questions   # those alone, in two minutes on one core
    python -m rlpips.precompute classifier
"""

import argparse
import time
from collections import Counter
from itertools import islice

import rlpips
from rlpips import paths
from rlpips.attacks import side_by_side
from rlpips.data import images
from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import Triplets
from rlpips.device import pick_device
from rlpips.engine.ruler import make_ruler
from rlpips.quiz import archive, draw, verdicts
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS, matched_bounds
from rlpips.zoo.catalog import PAIR

# (sample, objective, what is pushed, norm, eps): eps as n/255 for l_inf, in [0, 1] units for l2.
DUELS = (
    ("astronaut", "away", None, "linf", 4),
    ("chelsea", "away", None, "linf", 4),
    ("coffee", "away", None, "l2", 3),
    ("grace_hopper", "away", None, "linf", 2),
    ("hubble", "away", None, "linf", 4),
    ("rocket", "away", None, "l2", 5),
    ("china", "away", None, "linf", 4),
    ("flower", "toward", "blur", "linf", 6),
    ("coffee", "toward", "jpeg", "linf", 8),
    ("astronaut", "toward", "noise", "l2", 5),
)
# (sample, classifier, attacks, whether the two balls are matched or have the papers' bound of 0.5, steps).
FOOLED = (
    ("airplane-03", "at-l2", ("ppgd", "r-ppgd"), True, 20),
    ("automobile-01", "pat-self", ("ppgd", "r-ppgd"), True, 20),
    ("cat-02", "undefended", ("ppgd", "r-ppgd"), True, 20),
    ("ship-03", "at-l2", ("lpa", "r-lpa"), True, 8),
    ("truck-01", "at-linf", ("pgd-linf", "ppgd"), False, 20),
    ("truck-03", "pat-alexnet", ("ppgd", "r-ppgd"), True, 20),
)
QUESTIONS_EACH, QUESTIONS_MIXED = 4, 9  # of each family of distortions, and of two families
SEED = 0  # of the questions: the first that `draw.draw` draws, whatever the metrics say about them


def make_duels():
    device = pick_device()
    for sample, objective, copy, norm, eps in DUELS:
        picture = paths.SAMPLES / f"{sample}.png"
        reference = images.to_tensor(picture, device)
        candidate = DISTORTIONS[copy](reference, 0.6) if copy else None
        eps_01 = eps / 255 if norm == "linf" else eps
        trace = rlpips.attack(  # in float32, so that it is the same on every machine up to the last bits
            picture, candidate, PAIR, norm=norm, eps=eps_01, objective=objective, precision="float32"
        )
        ruler = make_ruler(reference, [rlpips.load_metric(name, device=device) for name in PAIR])
        path = paths.PRECOMPUTED / f"{sample}-{objective}-{norm}-{eps}.zip"
        trace.with_ruler(ruler).save(path)
        lanes = ", ".join(f"{name} {value:.3f}" for name, value in zip(PAIR, trace.distance[-1].diagonal()))
        print(f"{path.name}: {lanes}; {path.stat().st_size / 1e6:.2f} MB")


def make_questions():
    begun = time.monotonic()
    photographs = [images.read_picture(path).pixels for path in sorted(paths.SAMPLES.glob("*.png"))]
    missing, drawn = Counter(dict.fromkeys(DISTORTIONS, QUESTIONS_EACH)), []
    for triplet in draw.draw(photographs, seed=SEED):
        if missing[triplet.family[0]]:
            missing[triplet.family[0]] -= 1
            drawn.append(triplet)
        if not missing.total():
            break
    drawn += islice(draw.draw(photographs, mixed=True, seed=SEED + 1), QUESTIONS_MIXED)
    triplets = Triplets.cat(drawn).to(pick_device())
    metrics = [rlpips.load_metric(name, device=pick_device()) for name in PAIR]
    answered = list(zip(draw.questions(triplets), verdicts.verdicts(metrics, triplets, seed=SEED)))

    path = paths.QUESTIONS
    path.parent.mkdir(exist_ok=True)
    archive.write(path, answered, {name: catalog.card(name).heads["alex"].sha256 for name in PAIR})
    turned = sum(verdict.choices(False) != verdict.choices(True) for _, verdict in answered)
    said = ", ".join(f"{name} turned in {count}" for name, count in zip(PAIR, turned))
    megabytes, seconds = path.stat().st_size / 1e6, time.monotonic() - begun
    print(f"{path.name}: {len(answered)} questions; {said}; {megabytes:.2f} MB, {seconds:.0f} s")


def make_fooled():
    for example in FOOLED:
        _make_fooled(*example)


def _make_fooled(sample, classifier, attacks, equal, steps):
    label, bounds = catalog.CIFAR10_CLASSES.index(sample.partition("-")[0]), None
    if equal:
        matched = matched_bounds()
        bounds = [matched[ATTACKS[name].metric] for name in attacks]
    trace = side_by_side.fool(paths.CIFAR10_SAMPLES / f"{sample}.png", label, classifier, attacks, bounds, steps)
    path = paths.PRECOMPUTED_CLASSIFIER / f"{sample}-{classifier}-{'-'.join(attacks)}.zip"
    path.parent.mkdir(exist_ok=True)
    trace.with_ruler(side_by_side.ruler_of(trace)).save(path)
    print(f"{path.name}: clean {_said(trace, trace.clean)}; {_verdicts(trace)}; {path.stat().st_size / 1e3:.0f} kB")


def _verdicts(trace):
    """What the classifier makes of every lane as it is shown: "PPGD 0.5: dog 98 %"."""
    lanes = zip(trace.receipt["attacks"], trace.probabilities_8bit)
    return ", ".join(f"{lane['title']} {lane['bound']:.3g}: {_said(trace, shares)}" for lane, shares in lanes)


def _said(trace, shares):
    return f"{trace.classes[shares.argmax()]} {100 * shares.max():.0f} %"


def main():
    parser = argparse.ArgumentParser(description="Make what the page shows without computing.")
    parser.add_argument("what", nargs="?", choices=tuple(MAKERS), help="one of them; all if not given")
    what = parser.parse_args().what
    for maker in MAKERS.values() if what is None else (MAKERS[what],):
        maker()


MAKERS = {"duels": make_duels, "questions": make_questions, "classifier": make_fooled}


if __name__ == "__main__":
    main()
