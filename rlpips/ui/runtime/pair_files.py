"""A visitor's many pairs, matched and read in a process that is ended when it takes too long."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlpips.data import images
from rlpips.pairs.reading import Pair, Problem
from rlpips.pairs.sources import Loaded
from rlpips.ui.runtime import settings, uploads
from rlpips.ui.runtime.child import Child
from rlpips.ui.runtime.queue import Client

MAX_PAIRS = settings.number("RLPIPS_MAX_PAIRS", 500, 1, 100_000)  # of one run
MAX_SIDE = images.LARGEST_SIDE  # pixels; a larger pair is reduced, and says so
LIMIT_S = 30.0  # for the match: arrays are looked through for the range of their values


class Chosen(NamedTuple):
    """What a visitor has chosen: paths of the files of two fields (the second may be empty), the range of values in arrays (None to
    recognise it), and whether the first field holds the attacked pictures."""

    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    values: str | None = None
    swap: bool = False


@dataclass(frozen=True)
class Match:
    """What belongs together: names (original, attacked), how many more there are than are measured, problems, and sentences about what
    was understood."""

    pairs: list[tuple[str, str]]
    more: int
    problems: list[Problem]
    notes: list[str]
    label: str


class PairFiles:
    """The pairs in a visitor's files. A context: at its end the process is ended."""

    def __init__(self, chosen: Chosen):
        self._chosen, self._child, self._lock = chosen, Child("rlpips.ui.runtime.pairs_process"), threading.Lock()

    def __enter__(self) -> "PairFiles":
        return self

    def __exit__(self, *_: Any) -> None:
        self._child.end()

    def match(self) -> Match:
        """What belongs together. ValueError with a sentence for files that cannot be read or paired."""
        with self._lock:
            return self._match()

    def pairs(self) -> list[Pair]:
        """The pairs that are measured, which load their pictures from the process."""
        return [
            Pair(_Picture(clean, self, place, False), _Picture(attacked, self, place, True))
            for place, (clean, attacked) in enumerate(self.match().pairs)
        ]

    def load(self, place: int, attacked: bool, side: int) -> Loaded:
        """One picture of a pair, at most `side` pixels a side. ValueError with a sentence."""
        with self._lock:
            if not self._child.is_running:
                self._match()
            request = {"pair": place, "attacked": attacked, "side": side}
            answer, data = self._child.ask(request, "A picture", uploads.LIMIT_S)
        pixels = np.frombuffer(data, answer["dtype"]).reshape(answer["shape"])
        return Loaded(pixels, tuple(answer["size"]), tuple(answer["notes"]))

    def _match(self) -> Match:
        request = {**self._chosen._asdict(), "most": MAX_PAIRS}
        name = Path(next(iter((*self._chosen.first, *self._chosen.second)), "The upload")).name
        answer, _ = self._child.ask(request, name, LIMIT_S)
        problems = [Problem(*each) for each in answer["problems"]]
        pairs = [(clean, attacked) for clean, attacked in answer["pairs"]]
        return Match(pairs, answer["more"], problems, answer["notes"], answer["label"])


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture of a pair, as `rlpips.pairs.sources.Source`."""

    name: str
    files: PairFiles
    place: int
    is_attacked: bool
    stamp: str = ""

    def load(self, max_side: int) -> Loaded:
        return self.files.load(self.place, self.is_attacked, max_side)


@contextmanager
def opened(client: Client, chosen: Chosen) -> Iterator[PairFiles]:
    """The pairs in a visitor's files, after those of others who came first."""
    with uploads.turn(client), PairFiles(chosen) as files:
        yield files


def names_of(paths: Sequence[str]) -> list[str]:
    """What the files are called."""
    return [Path(path).name for path in paths]
