"""A run that its visitor watches, of whatever kind: loading, a turn at the device, step after step, Stop, and the end.

A page hands `run` a generator that loads and checks what the visitor asked for, and gets messages for its viewer. `Live`
is what Stop and a closed tab leave behind; `stopped` completes it.
"""

import html
import secrets
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import gradio as gr

from rlpips.ui.runtime import cache, files
from rlpips.ui.runtime import jobs as engine

WAITING = "Running: waiting for a turn…"
PULSE_S = 0.06  # messages further apart than this, so that a fast device does not flood the browser,
FIRST_S = 0.3  # so long the start, which nothing is to be seen in, waits for the first step to be shown with it
CROWDED_S = 0.3  # and than this where others wait: a message costs as much as a step

ENDED = "ended"  # in place of a live attack: there is nothing that Stop could have cut off
FAILED = "Refused: the server could not do this. A smaller picture or fewer steps may help."

FINISHED = cache.Remembered(64 * 1024**2)  # bytes, of fifteen duels and more


@dataclass(frozen=True)
class Job:
    """What a visitor asked for, checked."""

    asked: dict  # the arguments of `begin`, which stand for its result, too
    name: str  # of the picture
    notes: list  # sentences for the visitor
    begin: Callable  # asked -> yields a `Recorder`, then every `Step`, then the ruler's JSON
    verdict: Callable  # trace -> what came of it, in words
    ruler: Callable  # (asked, recorder) -> the ruler's JSON, of a run that was cut off before it came to that


class Live:
    """A run under way."""

    def __init__(self, recorder, job):
        self.run = secrets.token_hex(4)
        self.recorder = recorder
        self.job = job
        self.notes = list(job.notes)
        self.clock = engine.clock()
        self.took = 0.0  # seconds until the last step that was shown

    def shown(self, ruler):
        """(the complete message of what there is, the words to go with it)."""
        trace = self.recorder.trace(ruler)
        count = len(trace.distance) - 1
        words = f"{trace.state.capitalize()}: {count} step{'s' * (count != 1)} in {self.took:.1f} s. "
        return files.whole(self.run, trace.state, trace), words + self.job.verdict(trace)

    def ruler(self):
        """The ruler of a run that was cut off before it came to that. If others have the device by then, this takes place
        between two of their steps, and delays them no more than the run itself would have done."""
        return self.job.ruler(self.job.asked, self.recorder)


def line(text):
    """A text for the status line, which takes HTML."""
    return html.escape(str(text))


def run(ready):
    """Run's work: yields (viewer message, status, `Live`) from loading to the last step.

    `ready` is a generator of sentences while something loads, which returns the `Job`; its ValueError is a refusal.
    """
    try:
        with closing(answer(ready)) as told:
            for message, words, live in told:
                yield message or gr.skip(), line(words), live
    except ValueError as error:
        gr.Warning(line(error))
        yield gr.skip(), line(f"Refused: {error}"), ENDED
    except Exception:  # a full GPU, say: the visitor is told, the host finds the reason in the log
        traceback.print_exc()
        yield gr.skip(), FAILED, ENDED


def answer(ready):
    """Everything from loading to the complete trace, in turn: yields (viewer message or None, words, `Live`).

    The last message is complete. To close this leaves the line, or gives way to the next one. ValueError if the request is
    amiss.
    """
    job = yield from _said(ready)
    key = cache.key(job.asked, job.name)
    finished = FINISHED.get(key)
    if not finished:
        with engine.LINE.join() as place:
            for words in place.turn():
                if finished := FINISHED.get(key):  # somebody further ahead asked for the same
                    break
                yield None, words, None
            finished = finished or FINISHED.get(key)
            if not finished:
                last = yield from _steps(job, key)
        if not finished:
            yield last  # when the next one has the device already
            return
    message, words = finished
    again = "This was computed before, for the same request."
    yield {**message, "run": secrets.token_hex(4)}, " ".join([words, again, *job.notes]), ENDED


def stopped(live):
    """After a run, however it ended: complete what Stop has cut off."""
    if live == ENDED:
        return gr.skip(), gr.skip(), None
    if live is None:
        return gr.skip(), "Stopped: before the first step.", None
    if not live.recorder.has_steps:
        return {"run": live.run, "state": "stopped"}, "Stopped: before the first step.", None
    try:
        message, words = live.shown(live.ruler())
        return message, line(" ".join([words, *live.notes])), None
    except Exception:
        traceback.print_exc()
        return {"run": live.run, "state": "stopped"}, FAILED, None


def _said(ready):
    """Pass on the sentences of a generator; returns what it returns."""
    while True:
        try:
            words = next(ready)
        except StopIteration as end:
            return end.value
        yield None, words, None


def _steps(job, key):
    """The run itself, while it has the device; returns the last of what `answer` yields."""
    clock = engine.clock()
    steps = job.begin(job.asked)
    recorder = next(steps)
    recorder.name = job.name
    planned, restarts = (recorder.receipt[key] for key in ("steps", "restarts"))
    live = Live(recorder, job)
    stream = files.Stream(live.run, recorder)
    yield stream.first(), "Running…", live
    told, ruler = 0, None
    for step in steps:
        if isinstance(step, dict):
            ruler = step  # last of all
            break
        recorder.add(step)
        stream.add(step)
        if clock() > engine.DEADLINE_S:
            live.notes.append(f"It was ended after {engine.DEADLINE_S:.0f} s, so that others get their turn.")
            break
        last = step.index == planned and step.restart == restarts - 1
        pulse = CROWDED_S if engine.LINE.waiting else PULSE_S if told or step.index else FIRST_S
        if last or (step.index == 0 and step.restart) or live.clock() - told > pulse:
            told = live.clock()
            restart = f", restart {step.restart + 1} of {restarts}" if restarts > 1 else ""
            doing = "comparing with natural distortions…" if last else f"step {step.index} of {planned}{restart}"
            live.took = told
            yield stream.next(), f"Running: {doing}", live
    steps.close()
    message, words = live.shown(ruler or live.ruler())
    if message["state"] == "done":
        FINISHED.put(key, message, words)
    return message, " ".join([words, *live.notes]), ENDED
