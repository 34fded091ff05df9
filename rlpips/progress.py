"""The progress of a long job, on one line of the terminal that is written over."""

import sys
import time
from collections.abc import Callable
from typing import TypeAlias

from rlpips.parallel import is_first

_BAR = 24  # characters

ProgressCallback: TypeAlias = Callable[..., None]  # a `Progress`, or a function with the same arguments


class Progress:
    """`progress(text)` replaces the line before by the time since the start and `text`.

    With `done` of `total` (in any unit) the line has a bar too. `keep` ends the line, so that it stays. Only the first of
    several processes writes. Where stderr is a file, in which no line can be written over, only lines to keep are written.
    """

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, text: str, done: float = 0, total: float = 0, keep: bool = False) -> None:
        terminal = sys.stderr.isatty()
        if not is_first() or not (keep or terminal):
            return
        seconds = int(time.monotonic() - self._start)
        line = f"{seconds // 60}:{seconds % 60:02} "
        if total:
            full = round(_BAR * done / total)
            line += f"[{'#' * full}{'.' * (_BAR - full)}] "
        clear = "\r\033[K" if terminal else ""
        sys.stderr.write(clear + line + text + ("\n" if keep else ""))
        sys.stderr.flush()


def quiet(text: str, done: float = 0, total: float = 0, keep: bool = False) -> None:
    """A progress callback that writes nothing."""
