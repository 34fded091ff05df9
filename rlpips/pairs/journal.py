"""What is already measured, on the disk, so that a run that was killed goes on where it was, and several processes work on one job.

Each process appends to a file of its own beside the results, one line a piece; the name of the files says what they belong to. Their
folder must be one that all processes see.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlpips.pairs.inputs import Pair, Problem
from rlpips.pairs.measure import PIECE
from rlpips.pairs.row import Row


class Journal:
    """The pieces that are measured of one job, by any process. `what` is all that the numbers depend on beside the pictures."""

    def __init__(self, folder: Path, pairs: Sequence[Pair], what: Any, process: int = 0):
        digest = hashlib.sha256(f"{PIECE} {what}".encode())
        for pair in pairs:
            digest.update(pair.stamp.encode(errors="surrogateescape"))
        self._folder, self._name = folder, f".pairs-{digest.hexdigest()[:16]}"
        self._path = folder / f"{self._name}-{process}.part"
        self._count = -(-len(pairs) // PIECE)

    def done(self) -> list[int]:
        """The numbers of the pieces that are measured, rising."""
        return sorted(place for place, _ in self._lines())

    def add(self, piece: int, results: Sequence[Row | Problem]) -> None:
        """Add the results of a piece."""
        entries = [{"problem": asdict(each)} if isinstance(each, Problem) else each for each in results]
        with self._path.open("a", encoding="utf-8") as file:  # begins a line, as a kill may have left half of one
            file.write("\n" + json.dumps([piece, entries]))

    def results(self) -> Iterator[list[Row | Problem]]:
        """The results of all pieces, in order, one piece in memory at a time. ValueError if a piece is missing."""
        places = {}
        for path in self._paths():
            with path.open("rb") as file:
                for place, offset in _offsets(file):
                    places[place] = path, offset
        if len(places) < self._count:
            raise ValueError(f"{self._count - len(places)} of {self._count} pieces are not measured.")
        for place in range(self._count):
            path, offset = places[place]
            with path.open("rb") as file:
                file.seek(offset)
                _, entries = json.loads(file.readline())
            yield [Problem(**each["problem"]) if "problem" in each else each for each in entries]

    def clear(self) -> None:
        """Delete the files of all processes."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._name}-*.part"))

    def _lines(self) -> Iterator[tuple[int, int]]:
        for path in self._paths():
            with path.open("rb") as file:
                yield from _offsets(file)


def _offsets(file: Any) -> Iterator[tuple[int, int]]:
    """(piece, where its line begins) of every whole line."""
    offset = 0
    for line in file:
        try:
            piece, _ = json.loads(line)
            yield piece, offset
        except ValueError:  # an empty line, or one that a kill cut short
            pass
        offset += len(line)
