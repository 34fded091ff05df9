"""A table of measured pairs, and what follows from it."""

import statistics
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from rlpips.pairs.inputs import Pair, Problem
from rlpips.pairs.measure import Measurer
from rlpips.pairs.verdict import FURTHER, NEARER, THRESHOLD, choices, easy_to_see, verdict
from rlpips.validation import check_whole
from rlpips.zoo import catalog


class Columns:
    """Rows of equal keys, held by column, so that a number takes eight bytes."""

    def __init__(self) -> None:
        self._columns: dict[str, Any] = {}
        self._texts: dict[str, str] = {}  # equal texts are held once
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, row: dict[str, Any]) -> None:
        """Add a row."""
        if not self._columns:
            numbers = (int, float)
            self._columns = {
                key: array("d") if isinstance(value, numbers) and key not in _OPTIONAL else []
                for key, value in row.items()
            }
        for key, column in self._columns.items():
            value = row[key]
            column.append(self._texts.setdefault(value, value) if isinstance(value, str) and len(value) < 60 else value)
        self._length += 1

    def row(self, index: int) -> dict[str, Any]:
        """The row of that index."""
        return {key: column[index] for key, column in self._columns.items()}


@dataclass(frozen=True)
class Table(Sequence):  # type: ignore[type-arg]
    """Measured pairs: a sequence of rows, each a dict of plain values, the verdict among them.

    columns    what is measured
    chosen     the places in `columns` of the rows of this table
    sources    where the pictures of every row in `columns` come from
    measurer   what measured them; the verdicts are about the first two of its metrics
    threshold  the JPEG quality at which a metric counts as fooled, or below
    problems   what could not be paired or read, each with its reason
    notes      what was understood of the input
    receipt    versions, weights, settings
    """

    columns: Columns = field(repr=False)
    chosen: Sequence[int] = field(repr=False)
    sources: Sequence[Pair] = field(repr=False)
    measurer: Measurer = field(repr=False)
    threshold: int = THRESHOLD
    problems: tuple[Problem, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    receipt: dict[str, Any] = field(default_factory=dict, repr=False)
    label: str = "pairs"

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return replace(self, chosen=self.chosen[index])
        row = self.columns.row(self.chosen[index])
        head = {key: row.pop(key) for key in ("pair", "clean", "attacked")}
        row |= {key: int(row[key]) for key in row if key.endswith(_WHOLE) and row[key] is not None}
        return head | {"verdict": verdict(row, *self.judges, self.threshold), "easy_to_see": easy_to_see(row)} | row

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics."""
        return self.measurer.settings.names

    def source(self, index: int) -> Pair:
        """Where the pictures of a row come from."""
        return self.sources[self.chosen[index]]

    @property
    def judges(self) -> tuple[str, str | None]:
        """The two metrics that the verdicts are about; None in place of a second one where there is none."""
        return self.metrics[0], self.metrics[1] if len(self.metrics) > 1 else None

    @property
    def verdicts(self) -> tuple[str, ...]:
        """All verdicts that there may be: "lpips only", "both", "neither", "rlpips-linf only"."""
        return choices(*self.judges)

    def at(self, threshold: int) -> Self:
        """With the verdicts of another threshold, a JPEG quality from 1 to 99."""
        check_whole("The threshold", threshold, 1, 99)
        return replace(self, threshold=threshold)

    def flagged(self, *verdicts: str, easy_to_see: bool = False) -> Self:
        """The rows with one of these verdicts, by default those that fool the first metric and not the second; those whose change is easy
        to see only if asked for. ValueError for another verdict."""
        for each in verdicts:
            if each not in self.verdicts:
                raise ValueError(f"A verdict is one of {', '.join(self.verdicts)}; got {each!r}.")
        wanted = verdicts or self.verdicts[:1]
        return self._where(row["verdict"] in wanted and (easy_to_see or not row["easy_to_see"]) for row in self)

    def counts(self) -> dict[str, int]:
        """How many rows have each verdict; none where no equivalents were measured."""
        counted = Counter(row["verdict"] for row in self)
        return {} if "" in counted else {each: counted[each] for each in self.verdicts}

    def summary(self) -> list[dict[str, Any]]:
        """For each metric: its medians, and how many pairs fool it."""
        return [self._summary_of(name) for name in self.metrics]

    def headline(self) -> str:
        """The result in one sentence or two."""
        first, second = self.judges
        counts = self.counts()
        if not counts:
            return f"{len(self)} pairs."
        easy = sum(bool(row["easy_to_see"]) for row in self.flagged(easy_to_see=True))
        rest = f" and not {title(second)}" if second else ""
        text = f"Of {len(self)} pairs, {counts[self.verdicts[0]]} fool {title(first)}{rest}"
        return text + (f"; {easy} of these are easy to see." if easy else ".")

    def _where(self, conditions: Iterable[bool]) -> Self:
        return replace(self, chosen=[place for place, holds in zip(self.chosen, conditions, strict=True) if holds])

    def _summary_of(self, name: str) -> dict[str, Any]:
        rows = [(row[name], row[f"{name}_jpeg"], row.get(f"{name}_half")) for row in self]
        distances, qualities, halves = zip(*rows) if rows else ((), (), ())
        ruled = None not in qualities
        return {
            "metric": name,
            "median_distance": statistics.median(distances) if rows else 0.0,
            "fooled": sum(each <= self.threshold for each in qualities) if ruled else None,
            "median_equivalent": words_of(statistics.median_low(qualities)) if rows and ruled else "",
            "median_half": statistics.median(halves) if rows and None not in halves else None,
        }


_OPTIONAL = ("eye", "eye_jpeg")  # of large pairs there are none
_WHOLE = ("width", "height", "_jpeg", "_jpeg_8bit", "_half")


def title(name: str | None) -> str:
    """A metric's title, or its name where it is not in the catalogue."""
    return catalog.CATALOG[name].title if name in catalog.CATALOG else str(name)


def words_of(quality: int) -> str:
    """What a quality of a row stands for, in two words."""
    return {FURTHER: "beyond quality 1", NEARER: "above quality 88"}.get(quality, f"quality {quality}")
