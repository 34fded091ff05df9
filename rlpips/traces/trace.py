"""What an attack leaves behind: curves, layers, maps, pictures and a receipt. No torch in here: a page can open on one.

How a trace is written to a file, and read from one that may come from a stranger, is in `rlpips.traces.schema`.
"""

import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rlpips.traces import schema
from rlpips.traces.schema import curve_keys, measure_keys


@dataclass(frozen=True, eq=False)
class Frame:
    """The n lanes of one step as they are shown: rounded to 8 bits, and measured as such, against M metrics."""

    step: int
    lanes: tuple[int, ...]  # which lanes, (n,)
    attacked: np.ndarray  # (n, H, W, 3) uint8
    maps: np.ndarray  # (n, M, h, w) float32, where each metric sees the difference to the reference
    distance_8bit: np.ndarray  # (n, M)
    linf_8bit: np.ndarray  # (n,), of attacked - start, in [0, 1] pixel units
    l2_8bit: np.ndarray  # (n,)
    psnr: np.ndarray  # (n,) dB, against start
    ssim: np.ndarray  # (n,), against start
    probabilities_8bit: np.ndarray | None = None  # (n, K), of an attack on a classifier: its softmax


@dataclass(frozen=True, eq=False)
class Step:
    """One iterate of an attack: every lane under every metric, of the float picture."""

    index: int
    restart: int
    distance: np.ndarray  # (lanes, metrics)
    per_layer: np.ndarray  # (lanes, metrics, layers)
    linf: np.ndarray  # (lanes,), norm of the perturbation reached, in [0, 1] pixel units
    l2: np.ndarray  # (lanes,)
    frames: tuple[Frame, ...]  # at keyframes: the pushed lanes, and at step 0 the noise; else none
    probabilities: np.ndarray | None = None  # (lanes, K), of an attack on a classifier: its softmax


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole attack. The lane "noise", if any, is last. Norms and pixels are in [0, 1] units unless they are uint8.

    Of attacks on a classifier, each lane is one of them and there is no noise; the four last fields are theirs alone.
    """

    name: str
    lanes: tuple[str, ...]
    metrics: tuple[str, ...]
    layers: tuple[str, ...]
    distance: np.ndarray  # (steps + 1, lanes, metrics), of the float pictures
    per_layer: np.ndarray  # (steps + 1, lanes, metrics, layers)
    linf: np.ndarray  # (steps + 1, lanes)
    l2: np.ndarray  # (steps + 1, lanes)
    frames: tuple[Frame, ...]  # the noise lane has one frame alone, at step 0
    reference: np.ndarray  # (H, W, 3) uint8
    start: np.ndarray  # (H, W, 3) uint8, the picture that was pushed: the candidate, or the reference
    receipt: dict = field(default_factory=dict)  # settings, versions, digests
    ruler: dict | None = None  # `rlpips.data.distortions.Ruler.to_json`
    state: str = "done"  # or "stopped", when fewer steps were made than planned
    classes: tuple[str, ...] | None = None  # the K names that the classifier can give
    label: int | None = None  # which of them the attacks lead away from
    clean: np.ndarray | None = None  # (K,), softmax of the classifier before any attack
    probabilities: np.ndarray | None = None  # (steps + 1, lanes, K), softmax of the float pictures

    @property
    def adversarial(self):
        """(lanes, H, W, 3) uint8: every lane's last picture, what is shown and saved."""
        return np.stack([self._last(lane, "attacked") for lane in range(len(self.lanes))])

    @property
    def distance_8bit(self):
        """(lanes, metrics): the distances of `adversarial`."""
        return np.stack([self._last(lane, "distance_8bit") for lane in range(len(self.lanes))])

    @property
    def maps(self):
        """(lanes, metrics, h, w): where each metric sees the difference between `adversarial` and the reference."""
        return np.stack([self._last(lane, "maps") for lane in range(len(self.lanes))])

    @property
    def probabilities_8bit(self):
        """(lanes, K): what the classifier makes of `adversarial`."""
        return np.stack([self._last(lane, "probabilities_8bit") for lane in range(len(self.lanes))])

    @property
    def fooled(self):
        """(lanes,) bool: whether the classifier takes `adversarial` for another class than the label."""
        return self.probabilities_8bit.argmax(-1) != self.label

    def _last(self, lane, what):
        frame = max((frame for frame in self.frames if lane in frame.lanes), key=lambda frame: frame.step)
        return getattr(frame, what)[frame.lanes.index(lane)]

    def with_ruler(self, ruler):
        """This trace with a `rlpips.data.distortions.Ruler` laid beside it."""
        return replace(self, ruler=ruler.to_json())

    def to_json(self, put):
        """Everything as plain JSON; `put(file_name, image_bytes)` stores a picture and returns what stands for it."""
        return schema.to_json(self, put)

    def save(self, path):
        """Write a zip archive to a path, where it appears whole or not at all, or to a binary file."""
        if hasattr(path, "write"):
            schema.write(self, path)
            return
        unfinished = Path(path).with_name(f".{secrets.token_hex(8)}.part")  # on the same disk a move is one act
        try:
            schema.write(self, unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    @staticmethod
    def load(path):
        """Read what `save` wrote. Curves and pictures come back exactly, maps to 8 bits.

        A file that is damaged, or is no trace, is a ValueError that begins "This is not a readable trace".
        """
        fields = schema.read(path)
        frames = tuple(Frame(**frame) for frame in fields.pop("frames"))
        return Trace(**fields, frames=frames)


class Recorder:
    """Makes a `Trace` of the steps it is given, in order; of several restarts each lane keeps its best.

    A restart counts once it has as many steps as the first, so a stopped run falls back on what is complete. `verdict`
    has the fields `classes`, `label` and `clean` of a `Trace`, for attacks on a classifier.
    """

    def __init__(self, name, lanes, metrics, layers, reference, start, sign, receipt, verdict=None):
        self.classes, self.label, self.clean = ((verdict or {}).get(key) for key in ("classes", "label", "clean"))
        self.name, self.lanes, self.metrics, self.layers = name, lanes, metrics, layers
        self.reference, self.start, self.sign, self.receipt = reference, start, sign, receipt
        self._best = []  # per lane the steps of its best restart so far; empty during the first
        self._running = []  # the steps of the restart under way

    @property
    def begun(self):
        """Whether there is a step yet."""
        return bool(self._running)

    def add(self, step):
        """Take the next `Step`."""
        if step.index > 0:
            self._running.append(step)
            return
        if self.begun:
            self._best = self._chosen()  # what no lane has chosen is forgotten
        self._running = [step]

    def meta_json(self, put):
        """What does not change from step to step, for the page, before there is a trace."""
        return schema.meta_json(self, put)

    def trace(self, ruler=None):
        """The trace of what was added; ValueError before the first step."""
        if not self.begun:
            raise ValueError("There is no trace before the first step.")
        chosen = self._chosen()
        curves = {
            key: np.stack(
                [np.stack([getattr(step, key)[lane] for step in steps]) for lane, steps in enumerate(chosen)], axis=1
            )
            for key in curve_keys(self._running[0])
        }
        last = self._running[-1]
        complete = (last.restart, last.index) == (self.receipt["restarts"] - 1, self.receipt["steps"])
        return Trace(
            name=self.name, lanes=self.lanes, metrics=self.metrics, layers=self.layers, **curves,
            frames=tuple(self._frames(chosen)), reference=self.reference, start=self.start,
            receipt={**self.receipt, "restart_kept": [steps[0].restart for steps in chosen[: len(self.metrics)]]},
            ruler=ruler, state="done" if complete else "stopped",
            classes=self.classes, label=self.label, clean=self.clean,
        )  # fmt: skip

    def _chosen(self):
        """Per lane the steps of its best restart; the one under way has a say once it is complete."""
        if not self._best:
            return [self._running] * len(self.lanes)
        if len(self._running) < len(self._best[0]):
            return self._best
        pairs = enumerate((best, self._running) for best in self._best)
        return [max(pair, key=lambda steps: self._reached(steps, lane)) for lane, pair in pairs]

    def _reached(self, steps, lane):
        if lane >= len(self.metrics):
            return -steps[0].restart  # the noise is the same in every restart
        return self.sign * steps[-1].distance[lane, lane]

    def _frames(self, chosen):
        """The frames of the restarts chosen, put together anew where lanes come from different ones."""
        for place, step in enumerate(chosen[0]):
            for index, frame in enumerate(step.frames):
                sources = [chosen[lane][place].frames[index] for lane in frame.lanes]
                rows = {
                    key: np.stack([getattr(source, key)[row] for row, source in enumerate(sources)])
                    for key in ("attacked", "maps", *measure_keys(frame))
                }
                yield replace(frame, **rows)


class Steps:
    """An attack under way: an iterator over its steps. `recorders` holds an empty `Recorder` for each picture; `close()` ends it
    early."""

    def __init__(self, recorders, steps):
        self.recorders = recorders
        self._steps = steps

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._steps)

    def close(self):
        self._steps.close()
