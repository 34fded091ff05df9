"""Files that the page shows: Gradio serves them, and the folder that holds them stays within a bound."""

import base64
import hashlib
import math
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips import saving
from rlpips.ui.runtime import settings

# How many bytes the pictures of runs, saved traces and uploads may take together: the pictures of 250 runs of 256×256 pixels.
CACHE_BYTES = settings.number("RLPIPS_CACHE_MB", 1000.0, 10, 10_000_000) * 1e6
UPLOADS = 0.8  # how much of it uploads may take: the rest is left for runs
_COUNT_EVERY_S = 10
_YOUNG_S = 10  # a file is not deleted before: it is being written, or fetched
_ABANDONED_S = 60  # an upload that has not grown for so long never will
_BLOCK = 4096  # bytes that a small file takes on a disk
_INLINE_BYTES = 400_000  # how large a picture within a message may be
GONE = "This run is no longer on the server. Run it again."
FULL = "The server has no room for more files at the moment. Your pictures are not the reason; try again in a while."


def folder() -> Path:
    """Where Gradio puts uploads and serves files from."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").resolve()


def stored(digest: str, name: str) -> Path | None:
    """The file that `put` has stored under this name, by its digest, which comes from an address; None for one that is not there, or no
    digest."""
    path = folder() / digest / name
    return path if re.fullmatch("[0-9a-f]{64}", digest) and path.is_file() else None


def digest_of(file: dict) -> str:
    """The digest of what `put` returns."""
    return Path(file["path"]).parent.name


def put(name: str, data: bytes) -> dict:
    """Store bytes where Gradio serves them; returns the dict of a `gr.FileData`, which stands for them in a message.

    ValueError if there is no room.
    """
    place = folder() / hashlib.sha256(data).hexdigest()
    path = place / name
    try:
        os.utime(path)  # the files unused for longest are deleted first
    except FileNotFoundError:
        with ROOM.hold(len(data)):
            place.mkdir(parents=True, exist_ok=True)
            saving.write(path, data)  # a file that a browser reads must not change, and no half of one may be served
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


class Room:
    """What the files in Gradio's folder may take together: at most `limit` bytes, at any moment.

    permanent  paths of files that stay
    """

    def __init__(self, limit: float):
        self._limit = limit
        self._used: int | None = None  # bytes on the disk; not counted yet
        self._coming = 0  # bytes that are being written
        self._lock = threading.Lock()
        self.permanent: frozenset[str] = frozenset()

    @contextmanager
    def hold(self, size: int, share: float = 1.0) -> Iterator[None]:
        """Room for `size` bytes that are written within; files unused for longest are deleted where it has to be.

        ValueError if they would make more than `share` of the limit even so.
        """
        size = max(size, _BLOCK)
        with self._lock:
            room = share * self._limit - self._coming - size
            if self._used is None:
                self._used = trim(folder(), math.inf)
            if self._used > room:
                self._used = trim(
                    folder(), room - 0.05 * self._limit, self.permanent
                )  # some more, for those who follow
            if self._used > room:
                raise ValueError(FULL)
            self._coming += size
        try:
            yield
        finally:
            with self._lock:
                self._coming -= size
                self._used += size

    def count(self) -> None:
        """Count anew: Gradio writes files, too, and deletes old ones."""
        with self._lock:
            self._used = trim(folder(), self._limit - self._coming, self.permanent)


ROOM = Room(CACHE_BYTES)


def keep_bounded(app: gr.Blocks) -> None:
    """From now on keep Gradio's folder within `CACHE_BYTES`; the files that the page opens with stay."""
    ROOM.permanent = frozenset(paths(app.config))

    def work() -> None:
        while True:
            with suppress(OSError):  # somebody deleted a folder meanwhile: try again next time
                sweep(folder())
                ROOM.count()
            time.sleep(_COUNT_EVERY_S)

    threading.Thread(target=work, daemon=True).start()


def sweep(folder: Path) -> None:
    """Delete what uploads that broke off have left: files beside the folders of complete ones."""
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < time.time() - _ABANDONED_S:
                path.unlink()


def trim(folder: Path, limit: float, permanent: frozenset[str] = frozenset()) -> int:
    """Delete the files unused for longest until all take at most `limit` bytes; `permanent` and new ones stay.

    Returns how many bytes all take then. Folders that become empty go too. Files may come and go meanwhile.
    """
    files = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                files.append((path.stat(), path))
    total, young = sum(max(stat.st_size, _BLOCK) for stat, _ in files), time.time() - _YOUNG_S
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total <= limit or stat.st_mtime > young:
            break
        with suppress(OSError):  # the file is gone, or its folder is not empty
            if str(path) in permanent or path.stat().st_mtime > stat.st_mtime:  # used just now
                continue
            path.unlink()
            total -= max(stat.st_size, _BLOCK)
            path.parent.rmdir()
    return total
