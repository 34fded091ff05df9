"""Makes what the page shows without computing, into precomputed/: the recorded duels of the gallery, the questions of
"You be the judge" with the metrics' verdicts, and the recorded attacks on classifiers.

    python -m rlpips.precompute             # all
    python -m rlpips.precompute differences # only what every channel answers at the end of the duel that the page opens with, which stays
    python -m rlpips.precompute eye         # only what a model of the eye says about the recorded duels and the pair, which stay as they are
    python -m rlpips.precompute story       # only the duel that the lesson shows beside those of the gallery
    python -m rlpips.precompute pair        # only what is measured of one pair, with which "Inspect a pair" opens
    python -m rlpips.precompute judged      # only what ColorVideoVDP chooses, with which scores are compared
    python -m rlpips.precompute scores      # only the scores of the known metrics on the samples
    python -m rlpips.precompute pairs       # only what is measured of the recorded duels as many pairs
    python -m rlpips.precompute questions   # only these, in four minutes on one core
    python -m rlpips.precompute classifier
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

import rlpips
from rlpips import paths, saving
from rlpips.attacks import side_by_side
from rlpips.data import images
from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import Triplets
from rlpips.device import pick_device
from rlpips.engine.compare import compare
from rlpips.engine.differences import differences_of
from rlpips.engine.eye import look
from rlpips.engine.ruler import Ruler, make_ruler
from rlpips.evaluate.judge import load_judge
from rlpips.evaluate.sample_score import judged, judgements, score
from rlpips.metrics import eye
from rlpips.pairs import example
from rlpips.pairs.measure import METRICS
from rlpips.quiz import archive, draw, verdicts
from rlpips.traces import writer
from rlpips.traces.schema import Eye
from rlpips.traces.trace import Trace
from rlpips.zoo import attack_cards, catalog, classifier_cards
from rlpips.zoo.catalog import PAIR

_Duel = tuple[str, str, str | None, str, float]
# (sample, objective, distortion of the candidate, norm, eps): eps as n/255 for l_inf, in [0, 1] units for l2, in pixels for a flow.
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
    ("china", "away", None, "flow", 0.5),
)
STORY = (("astronaut", "away", None, "linf", 8),)  # what the lesson shows beside them
# (sample, classifier, attacks, whether the bounds are comparable or those of the cards, steps).
CLASSIFIER_EXAMPLES = (
    ("airplane-03", "at-l2", ("ppgd", "r-ppgd"), True, 20),
    ("automobile-01", "pat-self", ("ppgd", "r-ppgd"), True, 20),
    ("cat-02", "undefended", ("ppgd", "r-ppgd"), True, 20),
    ("ship-03", "at-l2", ("lpa", "r-lpa"), True, 8),
    ("ship-01", "pat-alexnet", ("r-lpa", "r-lpa-authors"), True, 8),
    ("truck-01", "at-linf", ("pgd-linf", "ppgd"), False, 20),
    ("truck-03", "pat-alexnet", ("ppgd", "r-ppgd"), True, 20),
)
QUESTIONS_OF_FAMILY, QUESTIONS_MIXED = 4, 9  # of each family of distortions, and of two families
SCORED = ("lpips", "rlpips-linf", "rlpips-l2", "rlpips-tune", "mse")
STEPS = 20  # of the duels; the page opens with as many
QUESTION_STEPS = 40  # of the attacks on questions
SEED = 0  # of the questions, which are the first that are drawn, whatever the metrics say about them


def main() -> None:
    """Make what the terminal's argument names, or everything."""
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.precompute", description="Make what the page shows without computing."
    )
    parser.add_argument("what", nargs="?", choices=tuple(MAKERS), help="one of these; by default all")
    what = parser.parse_args().what
    for make in MAKERS.values() if what is None else (MAKERS[what],):
        make()


def make_duels() -> None:
    """Record the duels of the gallery."""
    _record(DUELS, paths.PRECOMPUTED)
    make_differences()


def make_differences() -> None:
    """Store what every channel answers at the last step of the recorded duel with which the page opens."""
    path = paths.PRECOMPUTED / paths.OPENING
    data = differences_of(Trace.load(path)).to_bytes()
    saving.write(path.with_suffix(".differences"), data)
    print(f"{path.stem}.differences: {len(data) / 1e6:.2f} MB")


def make_story() -> None:
    """Record what the lesson shows beside the duels of the gallery."""
    paths.PRECOMPUTED_STORY.mkdir(exist_ok=True)
    _record(STORY, paths.PRECOMPUTED_STORY)


def _record(duels: Sequence[_Duel], folder: Path) -> None:
    device = pick_device()
    metrics = [rlpips.load_metric(name, device=device) for name in PAIR]
    for sample, objective, distortion, norm, n in duels:
        picture = paths.SAMPLES / f"{sample}.png"
        reference = images.to_tensor(picture, device)
        candidate = DISTORTIONS[distortion](reference, 0.6) if distortion else None
        eps = n / 255 if norm == "linf" else n
        trace = rlpips.attack(  # in float32, so that every machine gives the same up to the last bits
            picture, candidate, PAIR, norm=norm, eps=eps, steps=STEPS, objective=objective, precision="float32"
        )
        assert isinstance(trace, Trace)  # of one picture
        path = folder / f"{sample}-{objective}-{norm}-{n}.zip"
        trace.with_ruler(make_ruler(reference, metrics)).save(path)
        distances = ", ".join(f"{name} {value:.3f}" for name, value in zip(PAIR, trace.distance[-1].diagonal()))
        print(f"{path.name}: {distances}; {path.stat().st_size / 1e6:.2f} MB")


def make_pair() -> None:
    """Measure the pair that the page "Inspect a pair" opens with: the opening duel's picture, and what the attack on LPIPS made of it."""
    duel, device = Trace.load(paths.PRECOMPUTED / paths.OPENING), pick_device()
    metrics = [rlpips.load_metric(name, device=device) for name in METRICS]
    ruler = make_ruler(images.to_tensor(duel.reference, device), metrics)
    trace = replace(
        compare(duel.reference, duel.adversarial[0], METRICS, device=device), name=duel.name, ruler=ruler.to_json()
    )
    paths.PAIR.parent.mkdir(exist_ok=True)
    trace.save(paths.PAIR)
    print(f"{paths.PAIR.name}: {trace.distance[0, 0]}; {paths.PAIR.stat().st_size / 1e6:.2f} MB")


def make_eye() -> None:
    """Add to the recorded duels and the pair what a model of the eye says about them, where its package is installed."""
    if not eye.is_installed():
        print(eye.MISSING)
        return
    for path in sorted(path for kind in ("", "story/", "pair/") for path in paths.PRECOMPUTED.glob(f"{kind}*.zip")):
        trace = Trace.load(path)
        *_, said = look(trace.reference, trace.adversarial)
        assert isinstance(said, Eye)  # the last one
        with saving.beside(path) as part:
            writer.add_eye(path, said, part)
        ruler = Ruler.from_json(said.ruler)
        lanes = [f"{lane} {d:.3f} {ruler.read(eye.NAME, d)}" for lane, d in zip(trace.lanes, said.distance)]
        print(f"{path.name}: {', '.join(lanes)}; {path.stat().st_size / 1e6:.2f} MB")


def make_judged() -> None:
    """Ask ColorVideoVDP, where its package is installed, about the triplets by which metrics are scored."""
    try:
        judge = load_judge()
    except ValueError as error:
        print(error)
        return
    pictures = [images.read_picture(path).pixels for path in sorted(paths.SAMPLES.glob("*.png"))]
    saving.write(paths.JUDGED, json.dumps(judgements(judge, pictures), indent=1).encode() + b"\n")


def make_scores() -> None:
    """Score the known metrics on the samples, as the page scores a visitor's own."""
    pictures = [images.read_picture(path).pixels for path in sorted(paths.SAMPLES.glob("*.png"))]
    judges = {catalog.card(name).title: rlpips.load_metric(name) for name in PAIR}
    scores = {}
    for name in SCORED:
        *_, (_, scores[name]) = score(rlpips.load_metric(name), judges, pictures, judged=judged())
        print(f"{name}: {scores[name]}")
    saving.write(paths.SCORES, json.dumps(scores, indent=1).encode() + b"\n")


def make_pairs() -> None:
    """Measure the recorded duels as many pairs, with which the page "Many pairs" opens."""
    content = example.measure()
    head = json.dumps({key: content[key] for key in ("receipt", "ladder")}, ensure_ascii=False)
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in content["rows"])  # a line each
    saving.write(paths.PAIRS_EXAMPLE, f'{head[:-1]}, "rows": [\n{rows}\n]}}\n'.encode())
    print(f"{paths.PAIRS_EXAMPLE.name}: {len(content['rows'])} pairs")


def make_questions() -> None:
    """Draw the questions of "You be the judge" and store them with the metrics' verdicts."""
    began = time.monotonic()
    triplets = _draw_triplets().to(pick_device())
    metrics = [rlpips.load_metric(name, device=pick_device()) for name in PAIR]
    answered = list(
        zip(draw.make_questions(triplets), verdicts.make_verdicts(metrics, triplets, steps=QUESTION_STEPS, seed=SEED))
    )

    path = paths.QUESTIONS
    path.parent.mkdir(exist_ok=True)
    archive.write(path, answered, {name: catalog.card(name).heads["alex"].sha256 for name in PAIR})
    counts = sum(verdict.choices(False) != verdict.choices(True) for _, verdict in answered)
    turned = ", ".join(f"{name} turned in {count}" for name, count in zip(PAIR, counts))
    megabytes, seconds = path.stat().st_size / 1e6, time.monotonic() - began
    print(f"{path.name}: {len(answered)} questions; {turned}; {megabytes:.2f} MB, {seconds:.0f} s")


def _draw_triplets() -> Triplets:
    """The first triplets of each family of distortions that are drawn from the samples, and the first of two families."""
    photographs = [images.read_picture(path).pixels for path in sorted(paths.SAMPLES.glob("*.png"))]
    missing, triplets = Counter(dict.fromkeys(DISTORTIONS, QUESTIONS_OF_FAMILY)), []
    for triplet in draw.draw_triplets(photographs, seed=SEED):
        if missing[triplet.family[0]]:
            missing[triplet.family[0]] -= 1
            triplets.append(triplet)
        if not missing.total():
            break
    triplets += islice(draw.draw_triplets(photographs, mixed=True, seed=SEED + 1), QUESTIONS_MIXED)
    return Triplets.cat(triplets)


def make_classifier_examples() -> None:
    """Record the attacks on classifiers. ValueError if comparable bounds are not measured yet."""
    for sample, classifier, attacks, comparable, steps in CLASSIFIER_EXAMPLES:
        label = classifier_cards.CIFAR10_CLASSES.index(sample.partition("-")[0])
        bounds = (_comparable_bound(attacks[0]), _comparable_bound(attacks[1])) if comparable else None
        picture = paths.CIFAR10_SAMPLES / f"{sample}.png"
        trace = side_by_side.fool(picture, label, classifier, attacks, bounds, steps)
        path = paths.PRECOMPUTED_CLASSIFIER / f"{sample}-{classifier}-{'-'.join(attacks)}.zip"
        path.parent.mkdir(exist_ok=True)
        trace.with_ruler(side_by_side.ruler_of(trace)).save(path)
        assert trace.classes and trace.clean is not None  # every trace of an attack on a classifier has them
        answers = [f"clean {_answer(trace.classes, trace.clean)}"]
        for lane, probabilities in zip(trace.receipt["attacks"], trace.probabilities_8bit):
            answers.append(f"{lane['title']} {lane['bound']:.3g}: {_answer(trace.classes, probabilities)}")
        print(f"{path.name}: {', '.join(answers)}; {path.stat().st_size / 1e3:.0f} kB")


def _comparable_bound(name: str) -> float:
    """The comparable bound of an attack that a metric bounds; the card's own of any other."""
    card = attack_cards.card(name)
    return attack_cards.matched_bounds()[card.metric] if card.metric else card.bound


def _answer(classes: tuple[str, ...], probabilities: np.ndarray) -> str:
    """The classifier's answer, such as "dog 98 %"."""
    return f"{classes[probabilities.argmax()]} {100 * probabilities.max():.0f} %"


MAKERS = {
    "duels": make_duels,
    "story": make_story,
    "pair": make_pair,
    "differences": make_differences,
    "eye": make_eye,
    "judged": make_judged,
    "scores": make_scores,
    "pairs": make_pairs,
    "questions": make_questions,
    "classifier": make_classifier_examples,
}


if __name__ == "__main__":
    main()
