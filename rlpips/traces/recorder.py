"""Makes a trace of an attack, step by step."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rlpips.traces import writer
from rlpips.traces.schema import Frame, SharedTrunk, Step, curve_keys, joined
from rlpips.traces.trace import Trace


class Recorder:
    """Makes a `Trace` of the steps that are added to it, in order; of several restarts each lane keeps its best.

    A restart counts once it has as many steps as the first, so a stopped run falls back on the restarts that are complete.
    `sign` is 1 where a lane's distance is raised, -1 where it is lowered. `verdict` has the fields `classes`, `label` and `clean`
    of a `Trace`, for attacks on a classifier.
    """

    def __init__(
        self,
        name: str,
        lanes: tuple[str, ...],
        metrics: tuple[str, ...],
        layers: tuple[str, ...],
        reference: np.ndarray,
        start: np.ndarray,
        sign: int,
        receipt: dict[str, Any],
        verdict: dict[str, Any] | None = None,
        trunks: tuple[SharedTrunk, ...] = (),
    ):
        self.classes, self.label, self.clean = ((verdict or {}).get(key) for key in ("classes", "label", "clean"))
        self.name, self.lanes, self.metrics, self.layers = name, lanes, metrics, layers
        self.reference, self.start, self.sign, self.receipt = reference, start, sign, receipt
        self.trunks = trunks
        self._best: list[list[Step]] = []  # for each lane the steps of its best restart; empty during the first restart
        self._current: list[Step] = []  # the steps of the restart under way

    @property
    def has_steps(self) -> bool:
        """Whether a step was added yet."""
        return bool(self._current)

    def add(self, step: Step) -> None:
        """Add the next `Step`."""
        if step.index > 0:
            self._current.append(step)
            return
        if self.has_steps:
            self._best = self._best_of_each_lane()  # steps that no lane keeps are dropped
        self._current = [step]

    def meta_json(self, put: Callable[[str, bytes], Any]) -> dict[str, Any]:
        """What does not change from step to step, for the page, before there is a trace."""
        return writer.meta_json(self, put)

    def trace(self, ruler: dict[str, Any] | None = None) -> Trace:
        """The trace up to the last step that has pictures, so that its last numbers are theirs; ValueError before the first step."""
        if not self.has_steps:
            raise ValueError("There is no trace before the first step.")
        best = self._best_of_each_lane()
        end = max(place for place, step in enumerate(best[0]) if step.frames) + 1
        best = [steps[:end] for steps in best]
        curves: dict[str, Any] = {
            key: np.stack(
                [np.stack([getattr(step, key)[lane] for step in steps]) for lane, steps in enumerate(best)], axis=1
            )
            for key in curve_keys(self._current[0])
        }
        last = self._current[-1]
        complete = (last.restart, last.index) == (self.receipt["restarts"] - 1, self.receipt["steps"])
        return Trace(
            name=self.name,
            lanes=self.lanes,
            metrics=self.metrics,
            layers=self.layers,
            **curves,
            frames=tuple(self._frames(best)),
            reference=self.reference,
            start=self.start,
            receipt={**self.receipt, "restart_kept": [steps[0].restart for steps in best[: len(self.metrics)]]},
            ruler=ruler,
            state="done" if complete else "stopped",
            classes=self.classes,
            label=self.label,
            clean=self.clean,
            trunks=self.trunks,
        )

    def _best_of_each_lane(self) -> list[list[Step]]:
        """For each lane the steps of its best restart; the restart under way counts once it is complete."""
        if not self._best:
            return [self._current] * len(self.lanes)
        if len(self._current) < len(self._best[0]):
            return self._best
        candidates = enumerate((best, self._current) for best in self._best)
        return [max(pair, key=lambda steps: self._score(steps, lane)) for lane, pair in candidates]

    def _score(self, steps: Sequence[Step], lane: int) -> float:
        """How far a lane got in a restart."""
        if lane >= len(self.metrics):
            return -steps[0].restart  # the noise is the same in every restart
        return self.sign * float(steps[-1].distance[lane, lane])

    def _frames(self, best: list[list[Step]]) -> Iterator[Frame]:
        """The frames of the best restarts, assembled anew where lanes come from different ones."""
        for place, step in enumerate(best[0]):
            for index, frame in enumerate(step.frames):
                sources = [best[lane][place].frames[index] for lane in frame.lanes]
                if all(source is sources[0] for source in sources):
                    yield sources[0]
                    continue
                yield joined(frame.step, frame.lanes, [(source, row) for row, source in enumerate(sources)])


class Steps:
    """An attack under way: an iterator over its steps, a `Step` for one picture, a list of N for a batch of N > 1.

    `recorders` holds an empty `Recorder` for each picture; `close()` ends the attack early.
    """

    def __init__(self, recorders: list[Recorder], steps: Iterator[list[Step]]):
        """`steps` yields a list with the step of each picture, and is a generator, so that it can be closed."""
        self.recorders = recorders
        self._steps = steps

    def __iter__(self) -> "Steps":
        return self

    def __next__(self) -> Step | list[Step]:
        steps = next(self._steps)
        return steps if len(steps) > 1 else steps[0]

    def finish(self) -> list[Trace]:
        """Take all remaining steps and return the trace of each picture."""
        for steps in self._steps:
            for recorder, step in zip(self.recorders, steps, strict=True):
                recorder.add(step)
        return [recorder.trace() for recorder in self.recorders]

    def close(self) -> None:
        """End the attack."""
        self._steps.close()  # type: ignore[attr-defined]
