"""Times that can be compared: whoever is compared takes turns, round by round, so that whatever else the machine
does falls on all alike; and tables of them."""

import statistics
import time
from dataclasses import dataclass

import torch


def synchronise(device):
    """Wait for a GPU to finish; a CPU has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(calls, rounds, device="cpu", warm=None):
    """How long each of {name: call} takes, {name: [ms in each round]}. In every round each is called once, and
    every round begins with another. `warm`: what is called before, once each, unmeasured; the calls themselves if
    not given."""
    for call in (calls if warm is None else warm).values():
        call()
    times, names = {name: [] for name in calls}, list(calls)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            synchronise(device)
            begun = time.perf_counter()
            calls[name]()
            synchronise(device)
            times[name].append(1000 * (time.perf_counter() - begun))
    return times


def median(values, digits=1):
    """The median in words."""
    return f"{statistics.median(values):.{digits}f}"


def ratio(above, below):
    """The median of the ratios of each round, with the smallest and the largest: "4.12 (3.90–4.35)"."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


@dataclass(frozen=True)
class Table:
    """A heading, a sentence that says what is compared and how to read it, and rows of cells in words."""

    heading: str
    sentence: str
    columns: list
    rows: list

    def __str__(self):
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        return f"## {self.heading}\n\n{self.sentence}\n\n{table}\n"
