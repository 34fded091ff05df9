"""From a trace to what the viewer is sent: the same JSON, every picture a file that Gradio serves."""

import hashlib
import io
import os
import secrets
from pathlib import Path

from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from rlpips.trace_format import curve_json, frame_json

# A message may be lost on its way; each repeats the last few steps so that the curves have no gap.
_REPEAT = 8


def put(name: str, data: bytes) -> dict:
    """Store bytes where Gradio serves them; returns the FileData dict that stands for them in a message."""
    folder = Path(get_upload_folder()).resolve() / hashlib.sha256(data).hexdigest()
    path = folder / name
    if path.exists():
        os.utime(path)  # its age counts from its last use
    else:  # in one move: a file that a browser is reading must not change, and none may be served in half
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / secrets.token_hex(8)
        unfinished.write_bytes(data)
        unfinished.replace(path)
    return FileData(path=str(path), orig_name=name).model_dump()


def whole(run: str, state: str, trace) -> dict:
    """The message that shows a complete trace and offers its saved file."""
    archive = io.BytesIO()
    trace.save(archive)
    saved = put("trace.zip", archive.getvalue())  # no stranger's name in an address
    files = {"trace": {**saved, "orig_name": f"{trace.name}.trace.zip"}}
    return {**trace.to_json(put), "run": run, "state": state, "files": files}


class Stream:
    """Makes the small messages of a running attack."""

    def __init__(self, run: str, recorder):
        self._head = {"run": run, "state": "running"}
        self._meta = recorder.meta_json(put)
        self._start = recorder.start
        self._steps, self._frames = [], []

    def first(self) -> dict:
        """The message that clears the viewer and shows the picture about to be attacked."""
        return {**self._head, "meta": self._meta}

    def add(self, step) -> None:
        """Take a `rlpips.trace.Step`; it goes out with the next message."""
        if step.index == 0:  # a restart begins anew
            self._steps = []
        self._steps.append(step)
        self._frames += [frame_json(frame, self._start, put) for frame in step.frames]

    def next(self) -> dict:
        """What is new since the last message, with a few steps before it."""
        steps, frames = self._steps, self._frames
        self._steps, self._frames = steps[-_REPEAT:], []
        curves = {key: [getattr(step, key) for step in steps] for key in ("distance", "per_layer", "linf", "l2")}
        head = self.first() if steps[0].index == 0 else self._head
        return {**head, "curve": curve_json(steps[0].index, curves), "frames": frames}
