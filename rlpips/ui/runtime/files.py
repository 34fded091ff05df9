"""From a trace to what the viewer is sent: the same JSON, every picture a file that Gradio serves.

Curves and rulers go as text: Gradio's script copies a value several times a message, and every number of it by itself.
"""

import base64
import hashlib
import io
import json
import os
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from rlpips.traces.schema import curve_keys
from rlpips.traces.writer import curve_json, frame_json

# How much the pictures of runs, saved traces and uploads may take together: the pictures of 250 runs of 256×256 pixels.
CACHE_BYTES = float(os.environ.get("RLPIPS_CACHE_MB", 1000)) * 1e6
_TRIM_EVERY_S = 10

# A message may be lost on its way; each repeats the last few steps so that the curves have no gap.
_REPEAT = 8

_INLINE_BYTES = 400_000  # of a picture that may go within a message


def put(name: str, data: bytes) -> dict:
    """Store bytes where Gradio serves them; returns the FileData dict that stands for them in a message."""
    folder = Path(get_upload_folder()).resolve() / hashlib.sha256(data).hexdigest()
    path = folder / name
    try:
        os.utime(path)  # its age counts from its last use
    except FileNotFoundError:  # in one move: a file that a browser reads must not change, nor may one be served in half
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / secrets.token_hex(8)
        unfinished.write_bytes(data)
        unfinished.replace(path)
    return FileData(path=str(path), orig_name=name).model_dump()


def inline(name: str, data: bytes) -> dict:
    """The same for a picture that is wanted at once: it goes within the message, unless it is large. To ask for a file
    takes the browser as long as half a step of the attack."""
    if len(data) > _INLINE_BYTES:
        return put(name, data)
    return {"url": f"data:image/{name.rsplit('.')[-1]};base64,{base64.b64encode(data).decode()}"}


def keep_bounded(app) -> None:
    """From now on keep Gradio's cache folder within `CACHE_BYTES`, but for what the page itself shows."""

    def work():
        shown = {path for block in app.blocks.values() for path in block.keep_in_cache}
        while True:
            time.sleep(_TRIM_EVERY_S)
            with suppress(OSError):  # a folder went while it was looked through: next time
                trim(Path(get_upload_folder()), CACHE_BYTES, shown)

    threading.Thread(target=work, daemon=True).start()


def trim(folder: Path, most: float, lasting=frozenset()) -> list[str]:
    """Delete files, those not used for longest first, until the others take at most `most` bytes; `lasting` ones stay.

    Returns the paths of the files deleted. The folders they leave empty go too. Files may come and go meanwhile.
    """
    found = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                found.append((path.stat(), path))
    bytes_left, gone = sum(about.st_size for about, _ in found), []
    for about, path in sorted(found, key=lambda each: each[0].st_mtime):
        if bytes_left <= most:
            break
        with suppress(OSError):  # the file is gone, or its folder is not empty
            if str(path) in lasting or path.stat().st_mtime > about.st_mtime:  # used just now
                continue
            path.unlink()
            bytes_left -= about.st_size
            gone.append(str(path))
            path.parent.rmdir()
    return gone


def whole(run: str, state: str, trace, saved: bytes | None = None) -> dict:
    """The message that shows a complete trace and offers its saved file, `saved` if there is one already."""
    with ThreadPoolExecutor(1, "saving") as beside:  # packing pictures is most of it, and leaves Python's lock alone
        saving = beside.submit(_saved, trace) if saved is None else None
        shown = trace.to_json(put)
    saved = put("trace.zip", saving.result() if saving else saved)  # no stranger's name in an address
    files = {"trace": {**saved, "orig_name": f"{trace.name}.trace.zip"}}
    texts = {key: json.dumps(shown[key]) for key in ("curve", "ruler")}
    return {**shown, **texts, "run": run, "state": state, "files": files}


def _saved(trace):
    archive = io.BytesIO()
    trace.save(archive)
    return archive.getvalue()


class Stream:
    """Makes the small messages of a running attack."""

    def __init__(self, run: str, recorder):
        self._head = {"run": run, "state": "running"}
        self._meta = recorder.meta_json(put)
        self._start = recorder.start
        self._steps, self._frames = [], {}
        self._begun = False  # whether there was a message with steps

    def first(self) -> dict:
        """The message that clears the viewer and shows the picture about to be attacked."""
        return {**self._head, "meta": self._meta}

    def add(self, step) -> None:
        """Take a `rlpips.traces.schema.Step`; it goes out with the next message."""
        if step.index == 0:  # a restart begins anew
            self._steps, self._frames = [], {}
        self._steps.append(step)
        self._frames |= {frame.lanes: frame for frame in step.frames}

    def next(self) -> dict:
        """What is new since the last message, with a few steps before it.

        Of several frames of the same lanes the latest must do: nobody has seen the others, and the complete trace has them.
        """
        # The first pictures that are shown, of the lanes with which the viewer begins, are wanted at once, others are not.
        steps, later, store = self._steps, {}, put
        if not self._begun:
            self._begun, store = True, inline
            later = {lanes: self._frames.pop(lanes) for lanes in list(self._frames) if 0 not in lanes}
        # By their first lanes: of a list that becomes shorter by more than one Gradio sends changes that cannot be applied.
        frames = {str(lanes[0]): frame_json(frame, self._start, store) for lanes, frame in self._frames.items()}
        self._steps, self._frames = steps[-_REPEAT:], later
        curves = {key: [getattr(step, key) for step in steps] for key in curve_keys(steps[0])}
        head = self.first() if steps[0].index == 0 else self._head
        return {**head, "curve": json.dumps(curve_json(steps[0].index, curves)), "frames": frames}
