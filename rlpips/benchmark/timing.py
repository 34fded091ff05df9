"""Times that can be compared, and tables of them. The contestants take turns in every round, so that whatever else the machine
does slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

Name = TypeVar("Name")
Call = Callable[[], Any]


def in_turns(
    calls: Mapping[Name, Call],
    rounds: int,
    device: str | torch.device = "cpu",
    warm_up: Mapping[Name, Call] | None = None,
) -> dict[Name, list[float]]:
    """The times of {name: call}, {name: [ms in each round]}.

    In every round each call runs once, and each round begins with another one. `warm_up` is what runs before, once each and
    without a measurement; by default the calls themselves.
    """
    for call in (calls if warm_up is None else warm_up).values():
        call()
    names = list(calls)
    times: dict[Name, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            _synchronise(device)
            start = time.perf_counter()
            calls[name]()
            _synchronise(device)
            times[name].append(1000 * (time.perf_counter() - start))
    return times


def _synchronise(device: str | torch.device) -> None:
    """Wait until a GPU has finished; calls on a CPU return only then."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def median_text(values: Sequence[float], digits: int = 1) -> str:
    """The median, for a cell of a table."""
    return f"{statistics.median(values):.{digits}f}"


def ratio_text(numerators: Sequence[float], denominators: Sequence[float]) -> str:
    """The median of the ratios of each round, with the smallest and the largest: "4.12 (3.90–4.35)"."""
    ratios = [a / b for a, b in zip(numerators, denominators, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


@dataclass(frozen=True)
class Table:
    """A heading, a description of what is compared and how to read it, and rows of cells; `str` gives Markdown."""

    heading: str
    description: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        return f"## {self.heading}\n\n{self.description}\n\n{table}\n"
