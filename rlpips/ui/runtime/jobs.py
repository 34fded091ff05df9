"""The one place where the page meets torch: loading behind the page, running on the GPU or the CPU, and time limits.

torch is imported on a thread of its own after the page is served; until then everything recorded can be looked at.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, wraps
from importlib.util import find_spec
from inspect import isgeneratorfunction

from rlpips.ui.runtime.queue import Line
from rlpips.zoo import catalog

DEADLINE_S = float(os.environ.get("RLPIPS_DEADLINE_S", 120))  # one run may hold the device for so long
MAX_STEPS = int(os.environ.get("RLPIPS_MAX_STEPS", 200))
MAX_RESTARTS = 5
# Hugging Face's ZeroGPU lends a GPU to functions that are marked; its package is there only on Spaces.
ON_SPACES = find_spec("spaces") is not None

# Whatever needs the device waits here, and not in Gradio's queue, which therefore lets all of it through.
LINE = Line(longest=100)
UNLIMITED = {"concurrency_limit": None}
THREADS = 160  # events that Gradio lets run at a time: all who wait, and room for what needs no device


# All that computes runs on one thread. If each step ran on the next of Gradio's threads, torch would keep helpers for each
# of those, and where there are more helpers than cores they wait for each other asleep: a step then took 1.5 times as long.
_THREAD = ThreadPoolExecutor(1, "compute")
_END = object()


def computing(function):
    """Decorator: the function, or each step of the generator, runs on the thread that computes, whoever calls it."""

    def call(*arguments):
        return _THREAD.submit(function, *arguments).result()

    def iterate(*arguments):
        steps = function(*arguments)
        try:
            while (step := _THREAD.submit(next, steps, _END).result()) is not _END:
                yield step
        finally:
            _THREAD.submit(steps.close)

    return wraps(function)(iterate if isgeneratorfunction(function) else call)


def on_gpu(seconds):
    """Decorator: on Spaces the function runs where ZeroGPU lends a device, for `seconds(*arguments)`; else `computing`."""
    if not ON_SPACES:
        return computing
    import spaces

    return spaces.GPU(duration=seconds)


def _seconds_of_duel(request):
    height, width = request["reference"].shape[:2]
    steps = (request["steps"] + 1) * request["restarts"]
    return int(min(DEADLINE_S, 10 + 0.02 * steps * max(1, height * width / 256**2)))


@on_gpu(_seconds_of_duel)
def duel(request: dict):
    """Run `rlpips.attack_steps(**request)`: yields the `Recorder`, then every `Step`, then the ruler's JSON.

    All of it is plain numpy, so that it can cross to another process.
    """
    from rlpips.attacks.metric import attack_steps

    steps = attack_steps(**request)
    yield steps.recorders[0]
    yield from steps
    yield ruler(request["reference"], tuple(request["metrics"]), request["backbone"], request["precision"])


def _seconds_of_fooling(request):
    return int(min(DEADLINE_S, 20 + 2 * request["steps"]))


@on_gpu(_seconds_of_fooling)
def fool(request: dict):
    """Run `rlpips.attacks.side_by_side.fool_steps(**request)`: yields the `Recorder`, then every `Step`, then the ruler's JSON."""
    from rlpips.attacks.side_by_side import fool_steps

    steps = fool_steps(**request)
    (recorder,) = steps.recorders
    yield recorder
    yield from steps
    yield fool_ruler(recorder)


def fool_ruler(recorder) -> dict:
    """The ruler of an attack on a classifier, whose picture the metrics are shown enlarged."""
    from rlpips.attacks.side_by_side import ruler_of

    return ruler_of(recorder).to_json()


fool_ruler_alone = on_gpu(lambda *_: 15)(fool_ruler)


@on_gpu(lambda *_: 15)
def pair(reference, other, metrics: tuple[str, ...], backbone: str):
    """What every metric says about two pictures, uint8 (H, W, 3) of one size: a `Trace` with its ruler."""
    from rlpips.engine.compare import compare

    return replace(compare(reference, other, metrics, backbone), ruler=ruler(reference, metrics, backbone, "float32"))


def ruler(reference, metrics: tuple[str, ...], backbone: str, precision: str | None) -> dict:
    """The ruler of a picture, remembered for the last few, as one picture is attacked again and again."""
    return _ruler(reference.tobytes(), reference.shape, metrics, backbone, precision)


# For an attack that was cut off: outside of `duel` it has to ask for a device itself.
ruler_alone = on_gpu(lambda *_: 15)(ruler)


@lru_cache(maxsize=32)
def _ruler(data, shape, metrics, backbone, precision):
    import numpy as np

    from rlpips.data import images
    from rlpips.device import pick_device
    from rlpips.engine.bfloat16 import pick_precision
    from rlpips.engine.ruler import make_ruler
    from rlpips.metrics import lpips as measuring

    device = pick_device()
    reference = images.to_tensor(np.frombuffer(data, np.uint8).reshape(shape), device)
    # A ruler of all distortions takes 63 passes of the network; where a pass is slow, three distortions must do.
    slow = shape[0] * shape[1] * (1 if backbone != "vgg" else 18) > 4 * 256**2
    which = {"distortions": ("jpeg", "noise", "blur")} if slow else {}
    loaded = [measuring.load_metric(name, backbone, device) for name in metrics]
    return make_ruler(reference, loaded, **which, precision=pick_precision(precision, device)).to_json()


def clock():
    """A stopwatch: call it for the seconds since it was made."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun


class Loading:
    """Loads metrics on a thread; while `busy()`, `text` says how far it is. `result()` raises what went wrong."""

    def __init__(self, metrics, backbone):
        for name in metrics:
            catalog.check(name, backbone)  # all of them before the first download
        self.text = f"Loading {catalog.trunk_card(backbone).title}…"
        self._clock, self._error = clock(), None
        self._thread = threading.Thread(target=self._load, args=(metrics, backbone), daemon=True)
        self._thread.start()

    def busy(self, wait=0.15) -> bool:
        """Whether it is still loading after `wait` seconds more. Past the deadline it is a ValueError: the thread goes on,
        but a visitor who waits for a long download does not keep the others from the device."""
        self._thread.join(wait)
        if self._thread.is_alive() and self._clock() > DEADLINE_S:
            raise ValueError(f"{self.text}. That goes on; press Run again in a while.")
        return self._thread.is_alive()

    def result(self) -> None:
        """Return once it is loaded."""
        self._thread.join()
        if self._error:
            raise self._error

    def _load(self, metrics, backbone):
        try:
            from rlpips.device import pick_device
            from rlpips.metrics.lpips import load_metric

            for name in metrics:
                load_metric(name, backbone, pick_device(), progress=self._progress)
        except Exception as error:  # handed to the thread that waits
            self._error = error

    def _progress(self, file, done, total):
        self.text = f"Loading {file}: {done / 1e6:.0f}" + (f" of {total / 1e6:.0f} MB" if total else " MB")


@lru_cache(maxsize=1)
def warm_up() -> Loading:
    """Begin to load what the first run will need, once."""
    return Loading(("lpips", "rlpips-linf", "rlpips-l2"), "alex")


def describe_device() -> str:
    """ "CPU bfloat16" or "CPU float32", or the GPU's name; after `warm_up` is done."""
    from rlpips.device import pick_device
    from rlpips.engine.bfloat16 import pick_precision
    from rlpips.engine.provenance import surroundings

    device = pick_device()
    here = surroundings(device, pick_precision(None, device))
    return f"{here['device']} {here['precision']}"


@computing
def damaged(pixels, distortion: str, severity: float):
    """A picture, uint8 (H, W, 3), damaged by one of `rlpips.data.distortions`."""
    from rlpips.data import images
    from rlpips.data.distortions import DISTORTIONS

    return images.to_uint8(DISTORTIONS[distortion](images.to_tensor(pixels), severity))[0]


def _seconds_of_sweep(pixels, metrics, norm, patches):
    return int(min(DEADLINE_S, 10 + 0.1 * len(metrics) * patches))


@on_gpu(_seconds_of_sweep)
def sweep(pixels, metrics: tuple[str, ...], norm: str, patches: int):
    """An eps sweep on one picture, uint8 (H, W, 3), cut into triplets of patches.

    Yields (metric, {"2afc": without an attack}) for every metric, then (metric, what `standard.at_eps` found), one eps
    after the other: plain numbers, so that they can cross to another process.
    """
    import torch

    from rlpips.data.triplets import make_triplets
    from rlpips.device import pick_device
    from rlpips.evaluate import standard
    from rlpips.evaluate.scores import distances, score_2afc
    from rlpips.metrics.lpips import load_metric

    device = pick_device()
    same = make_triplets([pixels], patches, seed=0).to(device)
    mixed = make_triplets([pixels], 2 * patches, mixed=True, seed=1).to(device)
    loaded = {name: load_metric(name, device=device) for name in metrics}
    natural = {name: torch.cat(distances(metric, mixed)).mean().item() for name, metric in loaded.items()}
    for name, metric in loaded.items():
        yield name, {"2afc": standard.interval(score_2afc(*distances(metric, same), same.judge))}
    for eps in standard.EPS[norm]:
        for name, metric in loaded.items():
            restarts = standard.RESTARTS_AT_STANDARD if standard.is_standard(norm, eps) else 1
            yield name, standard.at_eps(metric, same, norm, eps, natural[name], restarts=restarts)


@on_gpu(lambda *_: 20)
def judged(pixels, mixed: bool, seed: int):
    """A question for "You be the judge" from one picture, uint8 (H, W, 3): yields a `Question`, then its `Verdict`."""
    from rlpips.device import pick_device
    from rlpips.metrics.lpips import load_metric
    from rlpips.quiz import draw, verdicts
    from rlpips.zoo.catalog import PAIR

    device = pick_device()
    triplet = next(draw.draw([pixels], mixed, seed))
    yield draw.questions(triplet)[0]
    metrics = [load_metric(name, device=device) for name in PAIR]
    yield verdicts.verdicts(metrics, triplet.to(device), seed=seed)[0]
