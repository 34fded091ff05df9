"""Two attacks on a classifier side by side, on one picture: what each does to it, to the verdict, and to LPIPS and R-LPIPS.

    trace = side_by_side.fool("cat.png", classifier="undefended", attacks=("ppgd", "r-ppgd"))
    trace.fooled  # (2,) bool: does the classifier give the attacked picture another class than the label?

The attacks are those of this room, chosen by their names in `rlpips.zoo.attack_cards`. Each is a lane of a `Trace`. They take
their steps in turn, and one with fewer iterates repeats its last. Whatever bounds the attack, every iterate is judged by the
classifier and measured by LPIPS and R-LPIPS with AlexNet.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlpips import validation
from rlpips.attacks import by_card
from rlpips.attacks.balls import enlarged
from rlpips.attacks.recolour import MAX_CHANGE
from rlpips.attacks.request import MAX_FLOW, FoolRequest, from_fields
from rlpips.classifiers.models import load_classifier
from rlpips.data import images
from rlpips.device import in_neutral_state, pick_device
from rlpips.engine.panel import Panel, Seen, trunks_of
from rlpips.engine.provenance import picture_digest, surroundings, weights_digest
from rlpips.engine.ruler import Ruler, make_ruler
from rlpips.metrics.lpips import PerceptualMetric, shared_metric
from rlpips.traces.recorder import Recorder, Steps
from rlpips.traces.schema import Frame, Step, keyframes
from rlpips.traces.trace import Trace
from rlpips.zoo import classifier_cards
from rlpips.zoo.attack_cards import ATTACKS, MAX_PERCEPTUAL_BOUND
from rlpips.zoo.catalog import PAIR

BACKBONE = "alex"


@from_fields(FoolRequest)
def fool(request: FoolRequest) -> Trace:
    """Attack a classifier in two ways and return the `Trace`, whose lanes are the attacks.

    The arguments are the fields of `rlpips.attacks.request.FoolRequest`, which says what they mean. ValueError for arguments out
    of range.
    """
    (trace,) = start(request).finish()
    return trace


@from_fields(FoolRequest)
def fool_steps(request: FoolRequest) -> Steps:
    """The same attacks, step by step: an iterator over `Step`.

    Arguments are checked at once. The attribute `recorders` holds one empty `Recorder`, which makes the `Trace` of the steps that
    are added to it, complete or not.
    """
    return start(request)


@in_neutral_state
def start(request: FoolRequest) -> Steps:
    """The attacks of a request: picture and networks are loaded at once; steps are computed one by one."""
    loaded = _load(request)
    return Steps([loaded.recorder()], _run(loaded))


@in_neutral_state
def ruler_of(trace: Trace, device: Any = None) -> Ruler:
    """The `Ruler` for the distances of a trace: natural distortions of its picture, enlarged for the metrics as the attacks
    enlarge it."""
    device = pick_device(device)
    metrics = [shared_metric(name, BACKBONE, device) for name in trace.metrics]
    return make_ruler(images.to_tensor(trace.reference, device), metrics, panel=EnlargedPanel)


class EnlargedPanel(Panel):
    """A `Panel` whose metrics measure small pictures as the attacks do: enlarged (see `rlpips.attacks.balls.enlarged`).
    Norms, PSNR and SSIM are those of the pictures themselves; maps are of the enlarged ones."""

    def __init__(self, metrics: list[PerceptualMetric], reference: Tensor, precision: str = "float32"):
        super().__init__(metrics, enlarged(reference), precision)

    def per_layer(self, x: Tensor) -> Tensor:
        return super().per_layer(enlarged(x))

    def see(self, x: Tensor) -> list[Seen]:
        return super().see(enlarged(x))


@dataclass(frozen=True)
class _Loaded:
    """A request with its picture read and its networks loaded."""

    request: FoolRequest
    picture: Tensor  # (1, 3, size, size)
    classifier: nn.Module
    metrics: list[PerceptualMetric]
    lanes: list[dict[str, Any]]  # what the receipt says of each attack
    verdict: dict[str, Any]  # the fields `classes`, `label` and `clean` of a trace
    receipt: dict[str, Any]
    name: str

    def recorder(self) -> Recorder:
        picture = images.to_uint8(self.picture)[0]
        return Recorder(
            name=self.name,
            lanes=tuple(lane["name"] for lane in self.lanes),
            metrics=PAIR,
            layers=self.metrics[0].layers,
            reference=picture,
            start=picture,
            sign=1,
            receipt=self.receipt,
            verdict=self.verdict,
            trunks=trunks_of(self.metrics),
        )

    def iterates(self, lane: dict[str, Any]) -> Iterator[Tensor]:
        """The iterates of one attack, each (1, 3, size, size)."""
        label = torch.tensor([self.verdict["label"]], device=self.picture.device)
        return by_card.iterates(
            ATTACKS[lane["name"]], self.classifier, self.picture, label, lane["bound"],
            dict(zip(PAIR, self.metrics, strict=True)), int(self.request.steps), int(self.request.seed),
        )  # fmt: skip


def _load(request: FoolRequest) -> _Loaded:
    device = pick_device(request.device)
    classifier, about = _load_classifier(request.classifier, device)
    picture, name, notes = _read(request.picture, classifier.size, device)
    lanes = _lanes(request, picture[0].numel())
    clean = _probabilities(classifier, picture)[0]
    label, verdict = request.label, int(clean.argmax())
    if label is None:
        label = verdict
        notes.append(f"No label was given; the classifier's own verdict is taken, “{classifier.classes[verdict]}”.")
    else:
        validation.check_whole("label", label, 0, len(classifier.classes) - 1)
        if label != verdict:
            wrong = classifier.classes[verdict]
            notes.append(f"The classifier is wrong before any attack: it takes the picture for “{wrong}”.")
    receipt = {
        "objective": "fool",
        "classifier": about,
        "label_from": "classifier" if request.label is None else "given",
        "attacks": lanes,
        "steps": max(lane["steps"] for lane in lanes),
        "restarts": 1,
        "seed": int(request.seed),
        "backbone": BACKBONE,
        "notes": notes,
        **surroundings(device),
        "reference_sha256": picture_digest(picture[0]),
        "start_sha256": picture_digest(picture[0]),
        "weights": {metric: weights_digest(metric, BACKBONE) for metric in PAIR},
    }
    metrics = [shared_metric(metric, BACKBONE, device) for metric in PAIR]
    fields = {"classes": classifier.classes, "label": int(label), "clean": clean}
    return _Loaded(request, picture, classifier, metrics, lanes, fields, receipt, name)


def _load_classifier(classifier: Any, device: torch.device) -> tuple[Any, dict[str, str]]:
    """(the classifier, what the receipt says of it). The digest is that of its file (for torchvision's, its name, which holds the
    digest's first eight digits), or of its weights."""
    if not isinstance(classifier, nn.Module):
        loaded = load_classifier(classifier, device)
        card = classifier_cards.card(classifier)
        return loaded, {"name": card.name, "title": card.title, "sha256": card.sha256 or card.file}
    if classifier.training:
        raise ValueError("classifier must be in eval mode; it is in training mode.")
    digest = hashlib.sha256()
    for value in classifier.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    name = str(classifier.name)
    return classifier.to(device), {"name": name, "title": name, "sha256": digest.hexdigest()}


def _read(source: Any, size: int, device: torch.device) -> tuple[Tensor, str, list[str]]:
    """(picture (1, 3, size, size) in whole 255ths, its name, notes that tell how it was made to fit)."""
    notes: list[str] = []
    if isinstance(source, Tensor):
        pictures, name = images.to_uint8(images.to_tensor(source)), "picture"
        if len(pictures) != 1:
            raise ValueError(f"One picture is attacked at a time; got {len(pictures)}.")
        levels = pictures[0]
    else:
        picture = images.read_picture(source)
        levels, name, notes = picture.pixels, picture.name, list(picture.notes)
    height, width = levels.shape[:2]
    side = min(height, width)
    if height != width:
        notes.append(f"It was cropped to its middle square, {side}×{side} of {width}×{height} pixels.")
        top, left = (height - side) // 2, (width - side) // 2
        levels = levels[top : top + side, left : left + side]
    if side != size:
        notes.append(f"It was scaled to {size}×{size} pixels, which is what the classifier takes.")
        levels = images.resize(levels, (size, size))
    return images.to_tensor(levels, device), name, notes


def _lanes(request: FoolRequest, values: int) -> list[dict[str, Any]]:
    """What the receipt says of each attack on a picture of so many values (3·H·W)."""
    lanes = []
    for index, attack in enumerate(ATTACKS[name] for name in request.attacks):
        # A ball of pixels holds at most all pictures.
        widest = {"linf": 1.0, "l2": math.sqrt(values), "flow": MAX_FLOW, "colour": MAX_CHANGE}.get(
            attack.norm, MAX_PERCEPTUAL_BOUND
        )
        bound = attack.bound if request.bounds is None else request.bounds[index]
        validation.check_real(f"the bound of {attack.title}", bound, widest, f"in its unit, {attack.unit}")
        lanes.append(
            {
                "name": attack.name,
                "title": attack.title,
                "metric": attack.metric,
                "bound": float(bound),
                "unit": attack.unit,
                "steps": by_card.total_steps(attack, int(request.steps)),
            }
        )
    return lanes


@in_neutral_state
def _run(loaded: _Loaded) -> Iterator[list[Step]]:
    """Yield the `Step` of every iterate of the longer attack, in a list of one."""
    total, count = loaded.receipt["steps"], len(loaded.lanes)
    panel, start = EnlargedPanel(loaded.metrics, loaded.picture), loaded.picture.expand(count, -1, -1, -1)
    frame_steps = set(keyframes(total, *loaded.picture.shape[-2:]))
    attacks = [loaded.iterates(lane) for lane in loaded.lanes]
    iterates = [loaded.picture] * count
    try:
        for index in range(total + 1):
            iterates = [next(attack, last) for attack, last in zip(attacks, iterates, strict=True)]
            yield [_step(loaded.classifier, panel, index, torch.cat(iterates), start, index in frame_steps)]
    finally:
        for attack in attacks:
            attack.close()  # type: ignore[attr-defined]  # all of them are generators


@torch.no_grad()
def _step(classifier: nn.Module, panel: Panel, index: int, x: Tensor, start: Tensor, is_keyframe: bool) -> Step:
    """What is measured of one iterate of every lane, `x` (lanes, 3, size, size)."""
    per_layer, linf, l2 = (part.cpu().numpy() for part in panel.read(x, start))
    frames: tuple[Frame, ...] = ()
    if is_keyframe:
        (frame,) = panel.frame(index, range(len(x)), x, start)
        shown = images.to_tensor(frame.attacked, x.device)
        frames = (replace(frame, probabilities_8bit=_probabilities(classifier, shown)),)
    return Step(index, 0, per_layer.sum(-1), per_layer, linf, l2, frames, _probabilities(classifier, x))


@torch.no_grad()
def _probabilities(classifier: nn.Module, x: Tensor) -> np.ndarray:
    """The classifier's softmax, (N, K)."""
    return classifier(x).softmax(-1).cpu().numpy()
