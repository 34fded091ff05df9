"""How far a long job is, on one line of the terminal that is written over."""

import sys
import time

from rlpips.parallel import is_first

_BAR = 24  # characters


class Progress:
    """`progress(words)` writes the time gone by and the words over the line before; with `done` of `total` (any unit)
    also a bar. `keep` ends the line, so that it stays. Only the first of several processes writes, and to a file,
    where nothing can be written over, only lines to keep. `start` is when it began, by `time.monotonic`."""

    def __init__(self):
        self.start = time.monotonic()

    def __call__(self, words, done=0, total=0, keep=False):
        if not is_first() or not (keep or sys.stderr.isatty()):
            return
        gone = int(time.monotonic() - self.start)
        line = f"{gone // 60}:{gone % 60:02} "
        if total:
            full = round(_BAR * done / total)
            line += f"[{'#' * full}{'.' * (_BAR - full)}] "
        over = "\r\033[K" if sys.stderr.isatty() else ""
        sys.stderr.write(over + line + words + ("\n" if keep else ""))
        sys.stderr.flush()


def quiet(words, done=0, total=0, keep=False):
    """In the place of a `Progress`, says nothing."""
