"""A visitor's many pairs, matched and read in a process that is ended when it takes too long."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlpips.data import images
from rlpips.pairs.inputs import Pair, Problem
from rlpips.pairs.sources import Loaded, Source
from rlpips.ui.runtime import settings, uploads
from rlpips.ui.runtime.child import Child
from rlpips.ui.runtime.queue import Client

MAX_PAIRS = settings.number("RLPIPS_MAX_PAIRS", 5000, 1, 100_000)  # of one run
EYE_PAIRS = 100  # of a run that asks a model of the eye, which takes 0.2 s of a pair of 256×256 pixels
MAX_SIDE = images.LARGEST_SIDE  # pixels; a larger pair is reduced, and says so
SMALL = 40  # pixels a side of the pictures in the table
FILES = ("csv", "json", "html", "sheet", "latex")
LIMIT_S = 30.0  # for the match: arrays are looked through for the range of their values


class Chosen(NamedTuple):
    """What a visitor has chosen: paths of the files of two fields (the second may be empty), the range of values in arrays (None to
    recognise it), whether the first field holds the attacked pictures, and whether the pictures of the fields belong together by place."""

    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    values: str | None = None
    swap: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class Match:
    """What belongs together: names (original, attacked), how many more there are than are measured, problems, and sentences about what
    was understood."""

    pairs: list[tuple[str, str]]
    more: int
    problems: list[Problem]
    notes: list[str]
    label: str


@dataclass
class Measured:
    """What is measured so far of a visitor's pairs."""

    chosen: Chosen
    metrics: tuple[str, ...]
    backbone: str
    label: str = "pairs"
    receipt: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # (place among the pairs, row)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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

    def pairs(self) -> "list[ShownPair]":
        """The pairs that are measured, which load their pictures from the process."""
        return [self.pair(place, *names) for place, names in enumerate(self.match().pairs)]

    def pair(self, place: int, clean: str, attacked: str) -> "ShownPair":
        """One of them, by its place among them."""
        return ShownPair(_Picture(clean, self, place, False), _Picture(attacked, self, place, True))

    def load(self, place: int, attacked: bool, side: int) -> Loaded:
        """One picture of a pair, at most `side` pixels a side. ValueError with a sentence."""
        with self._lock:
            if not self._child.is_running:
                self._match()
            request = {"pair": place, "attacked": attacked, "side": side}
            answer, data = self._child.ask(request, "A picture", uploads.LIMIT_S)
        pixels = np.frombuffer(data, answer["dtype"]).reshape(answer["shape"]).copy()  # torch wants to write
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


class ShownPair(Pair):
    """A pair of which small pictures are kept when it is loaded."""

    __slots__ = ("_strips",)

    def __init__(self, clean: Source, attacked: Source):
        Pair.__init__(self, clean, attacked)
        object.__setattr__(self, "_strips", [])

    def load(self, max_side: int = MAX_SIDE) -> tuple[Loaded, Loaded, tuple[str, ...]]:
        x, y, notes = Pair.load(self, max_side)
        self._strips.append(strip(x.pixels, y.pixels))
        return x, y, notes

    def take_strip(self) -> np.ndarray | None:
        """Its small pictures, as `strip` makes them, once; None if it was not loaded."""
        return self._strips.pop() if self._strips else None


def strip(clean: np.ndarray, attacked: np.ndarray) -> np.ndarray:
    """Original, attacked picture and the change around grey, as far enlarged as it fits, beside each other: uint8 (S, 3 S, 3) for
    S = `SMALL`. Pixels (H, W, 3) are uint8, or float32 in [0, 1]; the middle square is shown."""
    x, y = (_square(images.levels(each)) for each in (clean, attacked))
    change = y.astype(np.float32) - x
    change *= 100 / max(1.0, float(np.abs(change).max()))
    # The change is not averaged, as noise would be gone.
    places = np.linspace(0, len(x) - 1, SMALL).round().astype(int)
    grey = np.clip(128 + change[places][:, places], 0, 255).round().astype(np.uint8)
    return np.concatenate([*(images.resize(each, (SMALL, SMALL)) for each in (x, y)), grey], 1)


def _square(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


@contextmanager
def opened(client: Client, chosen: Chosen) -> Iterator[PairFiles]:
    """The pairs in a visitor's files, after those of others who came first."""
    with uploads.turn(client), PairFiles(chosen) as files:
        yield files
