"""Files that the page shows: Gradio serves them, and the folder that holds them stays within a bound."""

import base64
import hashlib
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips.ui.runtime import settings

# How many bytes the pictures of runs, saved traces and uploads may take together: the pictures of 250 runs of 256×256 pixels.
CACHE_BYTES = settings.number("RLPIPS_CACHE_MB", 1000.0, 10, 10_000_000) * 1e6
_TRIM_EVERY_S = 10
_INLINE_BYTES = 400_000  # how large a picture within a message may be


def folder() -> Path:
    """Where Gradio puts uploads and serves files from."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").resolve()


def put(name: str, data: bytes) -> dict:
    """Store bytes where Gradio serves them; returns the dict of a `gr.FileData`, which stands for them in a message."""
    place = folder() / hashlib.sha256(data).hexdigest()
    path = place / name
    try:
        os.utime(path)  # the files unused for longest are deleted first
    except FileNotFoundError:
        place.mkdir(parents=True, exist_ok=True)
        # One move at the end: a file that a browser reads must not change, and no half of one may be served.
        unfinished = place / secrets.token_hex(8)
        unfinished.write_bytes(data)
        unfinished.replace(path)
    return gr.FileData(path=str(path), orig_name=name).model_dump()


def inline(name: str, data: bytes) -> dict:
    """The same for a picture that must appear at once: unless it is large, the message itself holds it.

    To fetch a file takes the browser as long as half a step of the attack.
    """
    if len(data) > _INLINE_BYTES:
        return put(name, data)
    return {"url": f"data:image/{name.rsplit('.')[-1]};base64,{base64.b64encode(data).decode()}"}


def paths(value: Any) -> Iterator[str]:
    """The paths of all files in a message or another JSON value."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from paths(item)


def is_upload(value: Any) -> bool:
    """Whether a value from a visitor is a file that a visitor uploaded, and no other file of the server."""
    path = value.get("path") if isinstance(value, dict) else None
    return isinstance(path, str) and Path(path).resolve().is_relative_to(folder())


def keep_bounded(app: gr.Blocks) -> None:
    """From now on keep Gradio's folder within `CACHE_BYTES`; the files that the page opens with stay."""
    permanent = frozenset(paths(app.config))

    def work() -> None:
        while True:
            time.sleep(_TRIM_EVERY_S)
            with suppress(OSError):  # somebody deleted a folder meanwhile: try again next time
                trim(folder(), CACHE_BYTES, permanent)

    threading.Thread(target=work, daemon=True).start()


def trim(folder: Path, limit: float, permanent: frozenset[str] = frozenset()) -> list[str]:
    """Delete the files unused for longest until the others take at most `limit` bytes; `permanent` ones stay.

    Returns the paths of the deleted files. Folders that become empty go too. Files may come and go meanwhile.
    """
    files = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                files.append((path.stat(), path))
    total, deleted = sum(stat.st_size for stat, _ in files), []
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total <= limit:
            break
        with suppress(OSError):  # the file is gone, or its folder is not empty
            if str(path) in permanent or path.stat().st_mtime > stat.st_mtime:  # used just now
                continue
            path.unlink()
            total -= stat.st_size
            deleted.append(str(path))
            path.parent.rmdir()
    return deleted
