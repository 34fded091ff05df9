"""The run of an attack that the viewer shows while it grows: a duel, or two attacks on a classifier."""

import secrets
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any

from rlpips.traces.recorder import Recorder
from rlpips.traces.trace import Trace
from rlpips.ui.runtime import cache, device, messages
from rlpips.ui.runtime.queue import QUEUE
from rlpips.ui.runtime.session import NOTHING_YET, Run, Update

_PULSE_S = 0.06  # between messages, so that a fast device does not flood the browser
_FIRST_S = 0.3  # how long the start, at which there is nothing to see, waits for the first step
_CROWDED_S = 0.3  # between messages while others wait: a message costs as much as a step


class AttackRun(Run):
    """Shows an attack step by step; its result is the complete trace.

    request  the attack, which together with the picture's name is the key
    attack   runs it: yields a `Recorder`, then every `Step`, then the ruler's JSON
    verdict  the result of a trace in a sentence
    ruler    the ruler's JSON for (request, recorder), of an attack that was cut off before it yielded its own
    """

    def __init__(
        self,
        request: Any,
        name: str,
        notes: Iterable[str],
        attack: Callable[[Any], Generator[Any]],
        verdict: Callable[[Trace], str],
        ruler: Callable[[Any, Recorder], dict],
    ):
        super().__init__(notes)
        self.key = cache.key(request, name)
        self._request, self._name = request, name
        self._attack, self._verdict, self._make_ruler = attack, verdict, ruler
        self._id = secrets.token_hex(4)
        self.no_result = {"run": self._id, "state": "stopped"}
        self._recorder: Recorder | None = None
        self._ruler: dict | None = None
        self._seconds = 0.0  # until the last step that was shown

    def steps(self) -> Generator[Update]:
        """Yields a message for the viewer every now and then."""
        with closing(self._attack(self._request)) as steps:
            recorder = self._recorder = next(steps)
            recorder.name = self._name
            stream = messages.Stream(self._id, recorder)
            count, restarts = recorder.receipt["steps"], recorder.receipt["restarts"]
            seconds = device.stopwatch()
            yield Update("Running…", stream.first())
            for step in steps:
                if isinstance(step, dict):
                    self._ruler = step  # comes last
                    break
                recorder.add(step)
                stream.add(step)
                is_last = step.index == count and step.restart == restarts - 1
                pulse = _CROWDED_S if QUEUE.waiting else _PULSE_S if self._seconds or step.index else _FIRST_S
                if is_last or (step.index == 0 and step.restart) or seconds() - self._seconds > pulse:
                    self._seconds = seconds()
                    restart = f", restart {step.restart + 1} of {restarts}" if restarts > 1 else ""
                    text = (
                        "comparing with natural distortions…" if is_last else f"step {step.index} of {count}{restart}"
                    )
                    yield Update(f"Running: {text}", stream.next())

    def result(self) -> Update:
        """The complete trace, as far as it goes."""
        recorder = self._recorder
        if recorder is None or not recorder.has_steps:
            return Update(NOTHING_YET, self.no_result)
        trace = recorder.trace(self._ruler or self._make_ruler(self._request, recorder))
        count = len(trace.distance) - 1
        text = f"{trace.state.capitalize()}: {count} step{'s' * (count != 1)} in {self._seconds:.1f} s. "
        return Update(text + self._verdict(trace), messages.whole(self._id, trace.state, trace))
