"""Messages for the viewer: the JSON of a trace, every picture a file that Gradio serves.

Curves and rulers are text: Gradio's script copies a value several times for each message, and every number of it separately.
"""

import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from rlpips.traces.recorder import Recorder
from rlpips.traces.schema import Eye, Frame, Step, curve_keys
from rlpips.traces.trace import Trace
from rlpips.traces.writer import curve_json, frame_json
from rlpips.ui.runtime import files

Sent = Mapping[Frame, dict[str, Any]]
_REPEAT = 8  # steps: a message may get lost, so each repeats the last few, and the curves have no gap


def whole(
    run: str,
    state: str,
    trace: Trace,
    saved: bytes | None = None,
    sent: Sent | None = None,
    eye: Eye | str | None = None,
) -> dict:
    """The message that shows a complete trace and offers its file for download; `saved` is that file if it exists already, and
    `sent` is the JSON of the frames whose pictures are stored already. `eye` is what a model of the eye says about the trace, or the
    sentence why it says nothing, which is {"missing"} in the message."""
    if isinstance(eye, Eye):
        trace, eye = replace(trace, eye=eye), None
    with ThreadPoolExecutor(1, "saving") as beside:  # to compress pictures takes most of the time, and no Python lock
        saving = beside.submit(_save, trace) if saved is None else None
        message = _shown(run, state, trace, sent)
        saved = saving.result() if saving else saved
    archive = files.put("trace.zip", saved or b"")  # no visitor's file name in an address
    message |= {"eye": {"missing": eye}} if eye else {}
    return {**message, "files": {"trace": {**archive, "orig_name": f"{trace.stem}.trace.zip"}}}


def _shown(run, state, trace, sent):
    value = trace.to_json(files.put, sent)
    texts = {key: json.dumps(value[key]) for key in ("curve", "ruler")}
    return {**value, **texts, "run": run, "state": state}


def _save(trace: Trace) -> bytes:
    archive = io.BytesIO()
    trace.save(archive)
    return archive.getvalue()


class Stream:
    """Makes the small messages of a running attack."""

    def __init__(self, run: str, recorder: Recorder):
        self._run, self._head = run, {"run": run, "state": "running"}
        self._meta = recorder.meta_json(files.put)
        self._start = recorder.start
        self._steps: list[Step] = []
        self._frames: dict = {}
        self._first_steps_sent = False
        self._sent: dict[Frame, dict[str, Any]] = {}  # but those of the first message, which are within it

    def first(self) -> dict:
        """The message that clears the viewer and shows the picture about to be attacked."""
        return {**self._head, "meta": self._meta}

    def add(self, step: Step) -> None:
        """Take a step; it goes out with the next message."""
        if step.index == 0:  # a restart begins
            self._steps, self._frames, self._sent = [], {}, {}
        self._steps.append(step)
        self._frames |= {frame.lanes: frame for frame in step.frames}

    def next(self) -> dict:
        """The steps since the last message, with a few before them.

        Of several frames of the same lanes only the latest goes out: the complete trace has the others.
        """
        # The first message holds only the pictures of the lanes that the viewer opens with; the others follow with the next.
        steps, later = self._steps, {}
        if not self._first_steps_sent:
            self._first_steps_sent = True
            later = {lanes: self._frames.pop(lanes) for lanes in list(self._frames) if 0 not in lanes}
            shown = {lanes: frame_json(frame, self._start, files.inline) for lanes, frame in self._frames.items()}
        else:
            self._sent |= {frame: frame_json(frame, self._start, files.put) for frame in self._frames.values()}
            shown = {lanes: self._sent[frame] for lanes, frame in self._frames.items()}
        # A dict by first lane and not a list: when a list gets shorter by more than one, Gradio sends changes that its client
        # cannot apply.
        frames = {str(lanes[0]): frame for lanes, frame in shown.items()}
        self._steps, self._frames = steps[-_REPEAT:], later
        curves = {key: [getattr(step, key) for step in steps] for key in curve_keys(steps[0])}
        head = self.first() if steps[0].index == 0 else self._head
        return {**head, "curve": json.dumps(curve_json(steps[0].index, curves)), "frames": frames}

    def last(self, trace: Trace) -> dict:
        """The message that shows the trace of the steps, before its file is made."""
        return _shown(self._run, trace.state, trace, self._sent)

    def whole(self, trace: Trace, eye: Eye | str | None = None) -> dict:
        """The same with the file, and with what a model of the eye says (see `whole`)."""
        return whole(self._run, trace.state, trace, sent=self._sent, eye=eye)
