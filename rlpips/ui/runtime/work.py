"""What is computed for the page, on the thread that computes: the one place where the page meets torch.

Arguments and results are numpy arrays and plain values, so that they can cross to another process.
"""

import tempfile
from collections.abc import Generator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rlpips.attacks.request import AttackRequest, FoolRequest
from rlpips.quiz.questions import Question, Verdict
from rlpips.traces.recorder import Recorder
from rlpips.traces.schema import Step
from rlpips.traces.trace import Trace
from rlpips.ui.runtime import device, flip
from rlpips.ui.runtime.device import computing, on_gpu
from rlpips.ui.runtime.pair_files import MAX_SIDE, Chosen, Measured, PairFiles
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

if TYPE_CHECKING:  # it imports torch
    from rlpips.metrics.lpips import PerceptualMetric

_RULER_SECONDS = 15
_FILE_SECONDS = 30


def _seconds_of_duel(request):
    height, width = request.reference.shape[:2]
    steps = (request.steps + 1) * request.restarts
    return int(min(device.DEADLINE_S, 10 + 0.02 * steps * max(1, height * width / 256**2)))


@on_gpu(_seconds_of_duel)
def duel(request: AttackRequest) -> Generator[Recorder | Step | dict]:
    """Run an attack: yields the `Recorder`, then every `Step`, then the ruler's JSON, as `duel_ruler` yields it first."""
    from rlpips.attacks.metric import start

    steps = start(request)
    yield steps.recorders[0]
    yield from steps
    yield next(_rulers_of_duel(request))


def duel_ruler(request: AttackRequest, recorder: Recorder, known: dict | None = None) -> Generator[dict]:
    """Complete the ruler of a duel: yields its JSON, of ever more distortions, until it is whole.

    `known` is what there is of it, None for nothing. Whoever asks for less closes the generator.
    """
    measured = [each["name"] for each in known["distortions"]] if known else []
    if set(measured) != set(_distortions_of(request.reference, request.metrics, request.backbone)):
        yield from _lent_rulers_of_duel(request)


@on_gpu(lambda *_: _RULER_SECONDS)
def _lent_rulers_of_duel(request):
    yield from _rulers_of_duel(request)


def _rulers_of_duel(request):
    return _rulers(request.reference, tuple(request.metrics), request.backbone, request.precision)


def _seconds_of_fool(request):
    return int(min(device.DEADLINE_S, 20 + 2 * request.steps))


@on_gpu(_seconds_of_fool)
def fool(request: FoolRequest) -> Generator[Recorder | Step | dict]:
    """Run two attacks on a classifier: yields the `Recorder`, then every `Step`, then the ruler's JSON."""
    from rlpips.attacks.side_by_side import start

    steps = start(request)
    (recorder,) = steps.recorders
    yield recorder
    yield from steps
    yield _fool_ruler(recorder)


def fool_ruler(request: FoolRequest, recorder: Recorder, known: dict | None = None) -> Generator[dict]:
    """The same of attacks on a classifier, whole at once. The metrics measure its picture enlarged."""
    if known is None:
        yield _lent_fool_ruler(recorder)


@on_gpu(lambda *_: _RULER_SECONDS)
def _lent_fool_ruler(recorder):
    return _fool_ruler(recorder)


def _fool_ruler(recorder):
    from rlpips.attacks.side_by_side import ruler_of

    return ruler_of(recorder).to_json()


@on_gpu(lambda *_: _RULER_SECONDS)
def pair(reference: np.ndarray, other: np.ndarray, metrics: tuple[str, ...], backbone: str) -> Trace:
    """What every metric says about two pictures, uint8 (H, W, 3) of one size: a `Trace` with its ruler."""
    from rlpips.engine.compare import compare

    *_, ruler = _rulers(reference, metrics, backbone, "float32")
    return replace(compare(reference, other, metrics, backbone), ruler=ruler)


@on_gpu(lambda *_: int(device.DEADLINE_S))
def pairs(chosen: Chosen, metrics: tuple[str, ...], backbone: str, eye: bool = False) -> Generator[Any]:
    """Measure a visitor's pairs, `eye`: by FLIP, too, where it is installed: yields {"receipt", "ladder": the JPEG qualities of a ruler}, then lists of (place among the pairs, the row
    or a `Problem`, its strip of small pictures or None)."""
    from rlpips.pairs.compare import receipt
    from rlpips.pairs.measure import Measurer, Settings
    from rlpips.pairs.report import ladder

    with PairFiles(chosen) as files, flip.process() as measure_eye:
        measurer = Measurer(Settings(metrics, backbone, MAX_SIDE, eye=eye), flip=measure_eye)
        waiting, place = files.pairs(), 0
        yield {"receipt": receipt(measurer), "ladder": ladder()}
        for rows in measurer.rows(_pieces(waiting)):
            places = range(place, place + len(rows))
            yield [(here, row, waiting[here].take_strip()) for here, row in zip(places, rows, strict=True)]
            place += len(rows)


def _pieces(pairs):
    """One pair first, so that a row is there soon, then ever more, as long as a piece takes less than half a second."""
    from rlpips.pairs.measure import PIECE

    size, start = 1, 0
    while start < len(pairs):
        seconds = device.stopwatch()
        yield pairs[start : start + size]
        start += size
        size = min(PIECE, 2 * size) if seconds() < 0.5 else max(1, size // 2) if seconds() > 1.5 else size


@on_gpu(lambda *_: _FILE_SECONDS)
def pairs_file(kind: str, measured: Measured, threshold: int) -> tuple[str, bytes]:
    """(name, bytes) of a file of measured pairs, with the verdicts of a threshold: one of `pair_files.FILES`."""
    from rlpips.pairs.measure import Measurer, Settings
    from rlpips.pairs.results import Pairs
    from rlpips.pairs.table import Columns

    columns, sources = Columns(), []
    with PairFiles(measured.chosen) as files, tempfile.TemporaryDirectory() as folder:
        for place, row in measured.rows:
            columns.add(row)
            sources.append(files.pair(place, row["clean"], row["attacked"]))
        measurer = Measurer(Settings(measured.metrics, measured.backbone, MAX_SIDE, eye=False))
        problems, notes = tuple(measured.problems), tuple(measured.notes)
        places, label = range(len(columns)), measured.label
        table = Pairs(columns, places, sources, measurer, threshold, problems, notes, measured.receipt, label)
        path = getattr(table, f"to_{kind}")(folder)
        return path.name, path.read_bytes()


@on_gpu(lambda *_: _RULER_SECONDS)
def differences(trace: Trace, step: int, trunk: int) -> bytes:
    """What every channel answers at one step, as the page fetches it; ValueError as from `rlpips.engine.differences`."""
    from rlpips.engine.differences import differences_of

    return differences_of(trace, step, trunk).to_bytes()


def _distortions_of(reference, metrics, backbone):
    """The names of the distortions that a ruler measures."""
    from rlpips.data.distortions import DISTORTIONS

    # A ruler of all distortions takes 63 passes of the network; where a pass is slow, three distortions must do.
    height, width = reference.shape[:2]
    slow = height * width * catalog.cost(metrics, backbone) > 4 * 256**2
    return [name for name in DISTORTIONS if not slow or name in ("noise", "blur", "jpeg")]


def _rulers(reference, metrics, backbone, precision):
    """Yields the ruler's JSON for a picture, uint8 (H, W, 3), until it is whole: on a GPU at once; on a CPU, which takes longer,
    first with JPEG, which the page's sentences are about, then with one distortion more each time."""
    from rlpips.device import pick_device

    where = pick_device()
    rulers = _growing_rulers(reference, metrics, backbone, precision, where)
    if where.type == "cpu":
        yield from rulers
    else:
        *_, whole = rulers
        yield whole


def _growing_rulers(reference, metrics, backbone, precision, where):
    from rlpips.data import images
    from rlpips.engine.bfloat16 import pick_precision
    from rlpips.engine.ruler import Ruler, make_scales
    from rlpips.metrics.lpips import load_metrics

    names = _distortions_of(reference, metrics, backbone)
    known = _known_scales(reference.tobytes(), reference.shape, metrics, backbone, precision)

    def ruler():
        return Ruler(
            tuple(map(catalog.name_of, metrics)), {name: known[name] for name in names if name in known}
        ).to_json()

    missing = sorted(set(names) - set(known), key=lambda name: (name != "jpeg", names.index(name)))
    if "jpeg" in known:
        yield ruler()
    if not missing:
        return
    loaded = load_metrics(metrics, backbone, where)
    precision = pick_precision(precision, where, reference.shape[:2])
    for scale in make_scales(images.to_tensor(reference, where), loaded, distortions=missing, precision=precision):
        known[scale.name] = scale
        yield ruler()


@lru_cache(maxsize=32)  # the same picture is attacked again and again
def _known_scales(data, shape, metrics, backbone, precision):
    """What is measured of the ruler of a picture, {name: `Scale`}, to be added to."""
    return {}


@on_gpu(lambda *_: 30)
def score(metric: "PerceptualMetric", pictures: list[np.ndarray]) -> Generator[tuple[float, dict]]:
    """A quick score of a metric on the CPU, from patches of pictures, as `rlpips.evaluate.sample_score.score` yields it."""
    from rlpips.device import pick_device
    from rlpips.evaluate.sample_score import judged, score
    from rlpips.metrics.lpips import shared_metric

    where = pick_device()
    judges = {catalog.card(name).title: shared_metric(name, metric.trunk.name, where) for name in PAIR}
    yield from score(metric.to(where), judges, pictures, judged=judged())


@computing
def distorted(pixels: np.ndarray, distortion: str, severity: float) -> np.ndarray:
    """A picture, uint8 (H, W, 3), under one of `rlpips.data.distortions`."""
    from rlpips.data import images
    from rlpips.data.distortions import DISTORTIONS

    return images.to_uint8(DISTORTIONS[distortion](images.to_tensor(pixels), severity))[0]


def _seconds_of_sweep(pixels, metrics, norm, patches):
    return int(min(device.DEADLINE_S, 10 + 0.1 * len(metrics) * patches))


@on_gpu(_seconds_of_sweep)
def sweep(pixels: np.ndarray, metrics: tuple[str, ...], norm: str, patches: int) -> Generator[tuple[str, dict]]:
    """An eps sweep on one picture, uint8 (H, W, 3), cut into triplets of patches.

    Yields (metric, {"2afc": without an attack}) for every metric, then (metric, what `rlpips.evaluate.standard.at_eps` returns) for
    one eps after another.
    """
    import torch

    from rlpips.data.triplets import make_triplets
    from rlpips.device import pick_device
    from rlpips.evaluate import standard
    from rlpips.evaluate.scores import distances, interval, score_2afc
    from rlpips.metrics.lpips import shared_metric

    where = pick_device()
    same = make_triplets([pixels], patches, seed=0).to(where)
    same = replace(same, photograph=torch.arange(patches))  # of one photograph: intervals are over its patches
    mixed = make_triplets([pixels], 2 * patches, mixed=True, seed=1).to(where)
    loaded = {name: shared_metric(name, device=where) for name in metrics}
    natural = {name: torch.cat(distances(metric, mixed)).mean().item() for name, metric in loaded.items()}
    for name, metric in loaded.items():
        yield name, {"2afc": interval(score_2afc(*distances(metric, same), same.judge))}
    for eps in standard.LIVE_EPS[norm]:
        for name, metric in loaded.items():
            restarts = standard.RESTARTS_AT_STANDARD if standard.is_standard(norm, eps) else 1
            yield name, standard.at_eps(metric, same, norm, eps, natural[name], standard.LIVE_STEPS, restarts)


@on_gpu(lambda *_: 20)
def question(pixels: np.ndarray, mixed: bool, seed: int) -> Generator[Question | Verdict]:
    """A question for "You be the judge" from one picture, uint8 (H, W, 3): yields a `Question`, then its `Verdict`."""
    from rlpips.device import pick_device
    from rlpips.metrics.lpips import shared_metric
    from rlpips.quiz import draw, verdicts

    where = pick_device()
    triplet = next(draw.draw_triplets([pixels], mixed, seed))
    yield draw.make_questions(triplet)[0]
    metrics = [shared_metric(name, device=where) for name in PAIR]
    yield verdicts.make_verdicts(metrics, triplet.to(where), seed=seed)[0]
