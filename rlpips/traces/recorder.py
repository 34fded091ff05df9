"""Makes a trace of an attack, step by step."""

from dataclasses import replace

import numpy as np

from rlpips.traces import writer
from rlpips.traces.schema import curve_keys, measure_keys
from rlpips.traces.trace import Trace


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
        return writer.meta_json(self, put)

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
