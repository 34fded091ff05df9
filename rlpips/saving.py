"""Files that appear whole or not at all: each is written beside its target and then moved onto it.

A process that is killed meanwhile leaves the target as it was, and a file named `.rlpips-….part`, which the next write
into the folder deletes. The data is not forced onto the disk: a kill loses nothing that way, only a power cut may.
"""

import csv
import io
import os
import platform
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# With the machine's name, because the id of a process says nothing about those on other machines that share the folder.
_PREFIX = f".rlpips-{platform.node()}-"
_PART = re.compile(re.escape(_PREFIX) + r"(\d{1,9})-[0-9a-f]{8}\.part")
_writing: set[str] = set()  # this process's parts; a part with its id may also be from an earlier process


@contextmanager
def beside(path: str | os.PathLike) -> Iterator[Path]:
    """A path in the same folder to write a file to. At the end it moves to `path`; after an exception it is deleted.

    Of several writers at the same time, the last to end wins. OSError if the folder is missing or cannot be written to.
    """
    path = Path(path).resolve()  # a symbolic link stays one
    _sweep(path.parent)
    part = path.with_name(f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}.part")
    _writing.add(part.name)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
        _writing.discard(part.name)


def write(path: str | os.PathLike, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, to `path`. OSError as from `beside`."""
    with beside(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def _sweep(folder: Path) -> None:
    """Delete what processes that were killed have left in the folder."""
    for part in folder.iterdir():
        match = _PART.fullmatch(part.name)
        if match and part.name not in _writing and not _is_another(int(match[1])):
            with suppress(OSError):  # another process was faster, or, on Windows, it is in use
                part.unlink()


def _is_another(pid: int) -> bool:
    """Whether another process with this id runs. Always False on Windows, where `os.kill` would end it."""
    if os.name == "nt" or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs for another user
        pass
    return True


def csv_text(rows: Iterable[dict[str, Any]]) -> str:
    """Rows of equal keys as CSV with a heading: None is an empty cell, and a text that a spreadsheet would compute is made one that it
    does not."""
    file, writer = io.StringIO(), None
    for row in rows:
        writer = writer or csv.DictWriter(file, list(row), lineterminator="\n")
        if not file.tell():
            writer.writeheader()
        writer.writerow({key: cell(value) for key, value in row.items()})
    return file.getvalue()


def cell(value: Any) -> str:
    """A value of a table as text: numbers to seven digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return f"{value:.7g}"
