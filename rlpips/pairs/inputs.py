"""Pairs of pictures, and what could not be paired, each with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rlpips.pairs.sources import Loaded, Source

MAX_SIDE = 2048  # up to which pairs are measured at full size, because reducing a pair removes what is measured


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures to measure; `name` is the attacked one's."""

    clean: Source
    attacked: Source

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.attacked.name

    @property
    def stamp(self) -> str:
        """What tells, without reading them, that these are still the same pictures."""
        return f"{self.clean.name}\n{self.clean.stamp}\n{self.attacked.name}\n{self.attacked.stamp}"

    def load(self, max_side: int = MAX_SIDE) -> tuple[Loaded, Loaded, tuple[str, ...]]:
        """Both pictures, of one size, and sentences about what was changed. ValueError with a sentence for pictures that cannot be read
        or differ in size, before anything is reduced."""
        x, y = self.clean.load(max_side), self.attacked.load(max_side)
        if x.size != y.size or x.pixels.shape != y.pixels.shape:
            raise ValueError(
                f"The pictures differ in size, {_by(x.size)} and {_by(y.size)}; they are compared position by position."
            )
        notes = [f"Original: {note}" for note in x.notes] + [f"Attacked: {note}" for note in y.notes]
        if x.size != x.pixels.shape[:2]:
            notes.insert(
                0,
                f"Both were reduced from {_by(x.size)} to {_by(x.pixels.shape)} pixels before they were measured: "
                "that removes much of a perturbation, and the distances are those of the reduced pair.",
            )
        return x, y, tuple(notes)


@dataclass(frozen=True)
class Problem:
    """A name, and a sentence about why it is not measured."""

    name: str
    reason: str


@dataclass
class Inputs:
    """Matched pairs in the order of the originals, what could not be matched, and sentences about what was understood."""

    pairs: list[Pair] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    label: str = "pairs"  # what they are called in titles and the names of files

    def swapped(self) -> "Inputs":
        """With originals and attacked pictures exchanged."""
        return replace(self, pairs=[Pair(pair.attacked, pair.clean) for pair in self.pairs])

    def without(self, *names: str) -> "Inputs":
        """Without the pairs of these names."""
        return replace(self, pairs=[pair for pair in self.pairs if pair.name not in names])


def _by(size: Sequence[int]) -> str:
    return f"{size[1]}×{size[0]}"


def printable(name: str) -> str:
    """A name as it is shown: without control characters and what no text may hold, as files come from strangers."""
    return "".join(letter if letter.isprintable() else "�" for letter in name)
