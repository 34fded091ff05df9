"""Two attacks on a classifier side by side, on one picture: what each does to it, to the verdict, and to LPIPS and R-LPIPS.

    trace = fooling.fool("cat.png", classifier="undefended", attacks=("ppgd", "r-ppgd"))
    trace.fooled  # (2,) bool: does the classifier take what each attack made for something else?

The attacks are those of `rlpips.attacks`, chosen by their names in `rlpips.zoo.attack_cards`. Each is a lane of a `Trace`; they
take their steps in turn, and one with fewer iterates holds its last. Every iterate is read by the classifier and, whatever
bounds the attack, by LPIPS and R-LPIPS with AlexNet.
"""

import hashlib
import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from rlpips import validation
from rlpips.attacks import pixels
from rlpips.attacks.balls import MetricBall, enlarged
from rlpips.attacks.lpa import lpa
from rlpips.attacks.ppgd import ppgd
from rlpips.classifiers.models import load_classifier
from rlpips.data import images
from rlpips.device import pick_device
from rlpips.engine.panel import Panel
from rlpips.engine.provenance import picture_digest, surroundings, weights_digest
from rlpips.engine.ruler import make_ruler
from rlpips.metrics.lpips import load_metric
from rlpips.traces.recorder import Recorder, Steps
from rlpips.traces.schema import Step, keyframes
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS, WIDEST
from rlpips.zoo.catalog import PAIR

BACKBONE = "alex"
MAX_STEPS = 200  # what is left of an attack must stay small enough to be saved, with a thousand classes, too
SEARCHES = 5  # of LPA, as published


def fool(picture, label=None, classifier="undefended", attacks=("ppgd", "r-ppgd"), bounds=None, steps=10, seed=0,
         device=None):  # fmt: skip
    """Attack a classifier in two ways and return the `Trace`, whose lanes are the attacks.

    picture     one picture: a path, a PIL image, an array, or a tensor (3, H, W) or (1, 3, H, W) in [0, 1]; at least 32
                pixels a side. Its middle square is scaled to the classifier's size, and taken in 8 bits.
    label       index of its class; None takes the classifier's own verdict on the picture
    classifier  a name of `rlpips.zoo.catalog.CLASSIFIERS`, or a `Classifier` in eval mode, which is moved to `device`
    attacks     two different names of `rlpips.zoo.attack_cards.ATTACKS`
    bounds      a bound for each, in its own unit; None takes those of `rlpips.zoo.attack_cards`
    steps       of each attack; LPA makes five searches of so many steps each
    seed        of both attacks: the same seed gives the same trace
    device      "cpu", "cuda", or None for the GPU where there is one
    Anything out of range is a ValueError that says so.
    """
    made = fool_steps(picture, label, classifier, attacks, bounds, steps, seed, device)
    (recorder,) = made.recorders
    for step in made:
        recorder.add(step)
    return recorder.trace()


def fool_steps(picture, label=None, classifier="undefended", attacks=("ppgd", "r-ppgd"), bounds=None, steps=10, seed=0,
               device=None):  # fmt: skip
    """The same, step by step: an iterator over `Step`.

    Arguments are checked at once. Its attribute `recorders` holds one empty `Recorder`, which makes the `Trace` of the steps
    it is given, complete or not.
    """
    plan = _plan(picture, label, classifier, attacks, bounds, steps, seed, device)
    return Steps([plan.recorder()], _run(plan))


def ruler_of(trace, device=None):
    """The `Ruler` that reads the distances of a trace: natural distortions of its picture, shown to the metrics in the same
    size."""
    device = pick_device(device)
    metrics = [load_metric(name, BACKBONE, device) for name in trace.metrics]
    return make_ruler(images.to_tensor(trace.reference, device), metrics, panel=EnlargedPanel)


class EnlargedPanel(Panel):
    """A `Panel` that shows its metrics small pictures as the attacks do: enlarged (see `rlpips.attacks.balls.enlarged`).
    Norms, PSNR and SSIM are those of the pictures themselves; maps are of the enlarged ones."""

    def __init__(self, metrics, reference, precision="float32"):
        super().__init__(metrics, enlarged(reference), precision)

    def shares(self, x):
        return super().shares(enlarged(x))

    def maps(self, x):
        return super().maps(enlarged(x))


@dataclass(frozen=True)
class _Plan:
    """A checked request."""

    picture: torch.Tensor  # (1, 3, size, size)
    classifier: nn.Module
    metrics: list
    lanes: list  # a dictionary for each attack, as it stands in the receipt
    steps: int  # as asked for
    seed: int
    verdict: dict
    receipt: dict
    name: str

    def recorder(self):
        shown = images.to_uint8(self.picture)[0]
        return Recorder(
            name=self.name, lanes=tuple(lane["name"] for lane in self.lanes), metrics=PAIR,
            layers=self.metrics[0].layers, reference=shown, start=shown, sign=1, receipt=self.receipt, verdict=self.verdict,
        )  # fmt: skip

    def iterates(self, lane):
        """The iterates of one attack, each (1, 3, size, size)."""
        attack, bound = ATTACKS[lane["name"]], lane["bound"]
        label = torch.tensor([self.verdict["label"]], device=self.picture.device)
        asked = (self.classifier, self.picture, label)
        if attack.metric is None:
            return pixels.pgd(*asked, attack.norm, bound, steps=self.steps, seed=self.seed)
        ball = MetricBall(self.metrics[PAIR.index(attack.metric)], bound)
        if _searches(attack) == 1:
            return ppgd(*asked, ball, steps=self.steps, seed=self.seed)
        return lpa(*asked, ball, steps=self.steps, searches=SEARCHES, seed=self.seed)


def _run(plan):
    """Yield a `Step` for every iterate of the longer attack."""
    total, count = plan.receipt["steps"], len(plan.lanes)
    panel, start = EnlargedPanel(plan.metrics, plan.picture), plan.picture.expand(count, -1, -1, -1)
    kept = set(keyframes(total, *plan.picture.shape[-2:]))
    running = [plan.iterates(lane) for lane in plan.lanes]
    held = [plan.picture] * count
    try:
        for index in range(total + 1):
            held = [next(iterates, last) for iterates, last in zip(running, held)]
            yield _step(plan, panel, index, torch.cat(held), start, index in kept)
    finally:
        for iterates in running:
            iterates.close()


@torch.no_grad()
def _step(plan, panel, index, x, start, shown):
    """What is to be read off one iterate of every lane, `x` (lanes, 3, size, size)."""
    shares, linf, l2 = (part.cpu().numpy() for part in panel.read(x, start))
    frames = []
    if shown:
        (frame,) = panel.frame(index, range(len(x)), x, start)
        pixels = images.to_tensor(frame.attacked, x.device)
        frames = [replace(frame, probabilities_8bit=_probabilities(plan.classifier, pixels))]
    said = _probabilities(plan.classifier, x)
    return Step(index, 0, shares.sum(-1), shares, linf, l2, tuple(frames), said)


@torch.no_grad()
def _probabilities(classifier, x):
    """The classifier's softmax, (N, K)."""
    return classifier(x).softmax(-1).cpu().numpy()


def _plan(picture, label, classifier, attacks, bounds, steps, seed, device):
    for name in attacks if _two(attacks) else ():
        validation.one_of("each attack", name, ATTACKS)
    if not _two(attacks) or attacks[0] == attacks[1]:
        raise ValueError(f"attacks must be two different names of {', '.join(ATTACKS)}; got {attacks!r}.")
    validation.whole("steps", steps, 1, MAX_STEPS)
    validation.whole("seed", seed, 0, 2**53)  # what JSON and a browser keep exactly

    device = pick_device(device)
    classifier, about = _classifier(classifier, device)
    picture, name, notes = _picture(picture, classifier.size, device)
    lanes = _lanes(attacks, bounds, picture[0].numel(), steps)
    clean = _probabilities(classifier, picture)[0]
    verdict = classifier.classes[clean.argmax()]
    if label is None:
        notes.append(f"Nobody said what the picture shows; the classifier's own verdict is taken, “{verdict}”.")
    else:
        validation.whole("label", label, 0, len(classifier.classes) - 1)
        if label != clean.argmax():
            notes.append(f"The classifier is wrong before any attack: it takes the picture for “{verdict}”.")
    receipt = {
        "objective": "fool", "classifier": about, "label_from": "classifier" if label is None else "given",
        "attacks": lanes, "steps": max(lane["steps"] for lane in lanes), "restarts": 1, "seed": int(seed),
        "backbone": BACKBONE, "notes": notes, **surroundings(device),
        "reference_sha256": picture_digest(picture[0]), "start_sha256": picture_digest(picture[0]),
        "weights": {metric: weights_digest(metric, BACKBONE) for metric in PAIR},
    }  # fmt: skip
    asked = {"classes": classifier.classes, "label": int(clean.argmax() if label is None else label), "clean": clean}
    metrics = [load_metric(metric, BACKBONE, device) for metric in PAIR]
    return _Plan(picture, classifier, metrics, lanes, int(steps), int(seed), asked, receipt, name)


def _two(values):
    return isinstance(values, (tuple, list)) and len(values) == 2


def _classifier(classifier, device):
    """(the classifier, what the receipt says of it): the digest is that of its file (of torchvision's, its name, in which the
    digest's first eight digits stand), or of its own numbers."""
    if not isinstance(classifier, nn.Module):
        loaded = load_classifier(classifier, device)
        card = catalog.classifier_card(classifier)
        return loaded, {"name": card.name, "title": card.title, "sha256": card.sha256 or card.file}
    if classifier.training:
        raise ValueError("classifier must be in eval mode; it is in training mode.")
    digest = hashlib.sha256()
    for value in classifier.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    about = {"name": classifier.name, "title": classifier.name, "sha256": digest.hexdigest()}
    return classifier.to(device), about


def _picture(source, size, device):
    """(picture (1, 3, size, size) of whole 255ths, its name, notes): what is done to fit it is told in the receipt."""
    if isinstance(source, torch.Tensor):
        pixels, name, notes = images.to_uint8(images.to_tensor(source)), "picture", []
        if len(pixels) != 1:
            raise ValueError(f"One picture is attacked at a time; got {len(pixels)}.")
        pixels = pixels[0]
    else:
        picture = images.read_picture(source)
        pixels, name, notes = picture.pixels, picture.name, list(picture.notes)
    height, width = pixels.shape[:2]
    side = min(height, width)
    if height != width:
        notes.append(f"It was cropped to its middle square, {side}×{side} of {width}×{height} pixels.")
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    if side != size:
        notes.append(f"It was scaled to {size}×{size} pixels, which is what the classifier takes.")
        pixels = images.resize(pixels, (size, size))
    return images.to_tensor(pixels, device), name, notes


def _searches(attack):
    return SEARCHES if attack.name in ("lpa", "r-lpa") else 1


def _lanes(attacks, bounds, values, steps):
    """What is asked of each attack on a picture of so many values, as it stands in the receipt."""
    if bounds is not None and not _two(bounds):
        raise ValueError(f"bounds must be None, or a bound for each of the two attacks; got {bounds!r}.")
    lanes = []
    for index, attack in enumerate(ATTACKS[name] for name in attacks):
        widest = {"linf": 1.0, "l2": math.sqrt(values), "features": WIDEST}[attack.norm]  # of pixels: all pictures
        bound = attack.bound if bounds is None else bounds[index]
        validation.real(f"the bound of {attack.title}", bound, widest, f"in its unit, {attack.unit}")
        lanes.append({
            "name": attack.name, "title": attack.title, "metric": attack.metric, "bound": float(bound),
            "unit": attack.unit, "steps": int(steps) * _searches(attack),
        })  # fmt: skip
    return lanes
