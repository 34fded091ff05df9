"""The run of an attack that the viewer shows while it grows: a duel, or two attacks on a classifier."""

import secrets
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any

from rlpips.traces.recorder import Recorder
from rlpips.traces.schema import Eye, Step
from rlpips.traces.trace import Trace
from rlpips.ui.runtime import cache, device, messages
from rlpips.ui.runtime.queue import QUEUE, duration
from rlpips.ui.runtime.session import NOTHING_YET, Run, Update

_PULSE_S = 0.06  # between messages, so that a fast device does not flood the browser
_FIRST_S = 0.5  # before which step 0, which shows no growth, waits for step 1
_LONG_S = 5  # how much has to be left to be told so
_CROWDED_S = 0.3  # between messages while others wait: a message costs as much as a step


class AttackRun(Run):
    """Shows an attack step by step; its result is the complete trace.

    request  the attack, which together with the picture's name is the key
    attack   runs it: yields a `Recorder`, then every `Step`, then the ruler's JSON, whole or as much as the verdict needs
    verdict  the result of a trace in a sentence
    rulers   completes the ruler for (request, recorder, what there is of it or None): yields its JSON, ever more of it
    look     asks a model of the eye about the trace, as `rlpips.ui.runtime.flip.look` does; None to ask none
    """

    def __init__(
        self,
        request: Any,
        name: str,
        notes: Iterable[str],
        attack: Callable[[Any], Generator[Any]],
        verdict: Callable[[Trace], str],
        rulers: Callable[[Any, Recorder, dict | None], Generator[dict]],
        look: Callable[[Trace], Generator[Eye | str | None]] | None = None,
    ):
        super().__init__(notes)
        self.key = cache.key(request, name)
        self._request, self._name = request, name
        self._attack, self._verdict, self._rulers, self._look = attack, verdict, rulers, look
        self._id = secrets.token_hex(4)
        self.no_result = {"run": self._id, "state": "stopped"}
        self._recorder: Recorder | None = None
        self._stream: messages.Stream | None = None
        self._ruler: dict | None = None
        self._eye: Eye | str | None = None
        self._seconds = 0.0  # until the last step that was shown

    def steps(self) -> Generator[Update]:
        """Yields a message for the viewer every now and then."""
        with closing(self._attack(self._request)) as steps:
            recorder = self._recorder = next(steps)
            recorder.name = self._name
            stream = self._stream = messages.Stream(self._id, recorder)
            count, restarts = recorder.receipt["steps"], recorder.receipt["restarts"]
            last = (count + 1) * restarts - 1  # place of the last step in all restarts
            seconds, until_first = device.stopwatch(), 0.0
            yield Update("Running…", stream.first())
            for place, step in enumerate(steps):
                if isinstance(step, dict):
                    self._ruler = step  # comes last
                    break
                recorder.add(step)
                stream.add(step)
                now = seconds()
                # Before the first step as much is computed as in a step.
                until_first, each = (now, now / 2) if place == 0 else (until_first, (now - until_first) / place)
                pulse = _CROWDED_S if QUEUE.waiting else _PULSE_S if self._seconds or step.index else _FIRST_S
                if place == last or (step.index == 0 and step.restart) or now - self._seconds > pulse:
                    self._seconds = now
                    text = _progress(step, count, restarts, each * (last - place))
                    yield Update(f"Running: {text}", stream.next())

    def result(self) -> Update:
        """The trace, as far as it goes, with as much of the ruler as the verdict needs; `rest` adds what else it has, and its file."""
        recorder, stream = self._recorder, self._stream
        if recorder is None or stream is None or not recorder.has_steps:
            return Update(NOTHING_YET, self.no_result)
        if self._ruler is None:
            with closing(self._rulers(self._request, recorder, None)) as rulers:
                self._ruler = next(rulers)
        trace = recorder.trace(self._ruler)
        count = len(trace.distance) - 1
        text = f"{trace.state.capitalize()}: {count} step{'s' * (count != 1)} in {self._seconds:.1f} s. "
        return Update(text + self._verdict(trace), stream.last(trace), partial=True)

    def rest(self) -> Generator[Update]:
        """The whole ruler, what a model of the eye says, and the file of the trace."""
        recorder, stream = self._recorder, self._stream
        assert recorder is not None and stream is not None
        with closing(self._rulers(self._request, recorder, self._ruler)) as rulers:
            for self._ruler in rulers:
                yield Update("")
        trace = recorder.trace(self._ruler)
        if self._look:
            with closing(self._look(trace)) as looks:
                for self._eye in looks:
                    yield Update("")
        yield Update("", stream.whole(trace, self._eye))


def _progress(step: Step, count: int, restarts: int, left: float) -> str:
    """Where a run is, after a step of `restarts` times `count`; and, where that is long, how many seconds are left."""
    if left == 0:
        return "comparing with natural distortions…"
    if left > _LONG_S and step.index == step.restart == 0:
        return f"about {duration(left)} for {count} steps…"
    restart = f", restart {step.restart + 1} of {restarts}" if restarts > 1 else ""
    rest = f", about {duration(left)} left" if left > _LONG_S else ""
    return f"step {step.index} of {count}{restart}{rest}"
