"""A run of the page "Many pairs": it measures a visitor's pairs, and shows the rows as they come."""

import json
import math
import secrets
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from rlpips.data import images
from rlpips.pairs.inputs import Problem, printable
from rlpips.pairs.verdict import THRESHOLD, easy_to_see
from rlpips.ui.pages.duel_controls import metrics_on
from rlpips.ui.runtime import device, pair_files, session, strips, work
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.pair_files import EYE_PAIRS, Chosen, Match, Measured
from rlpips.ui.runtime.queue import Client
from rlpips.ui.runtime.session import Run, Update
from rlpips.zoo import catalog

METRICS = ("lpips", "rlpips-linf", "rlpips-l2")
_NO_EYE = f"FLIP, the model of the eye, is asked about at most {EYE_PAIRS} pairs a run, and not about these."


def names_of(chosen: Chosen) -> str:
    """What the files are called: "clean.zip and adv.zip", "12 files, a.png the first"."""
    sides = []
    for side in filter(None, (chosen.first, chosen.second)):
        name = printable(Path(side[0]).name)
        sides.append(name if len(side) == 1 else f"{len(side)} files, {name} the first")
    return " and ".join(sides)


def updates(
    client: Client, chosen: Chosen, metrics: Sequence[str], backbone: str, eye: bool = True
) -> Generator[Update]:
    """Measure the pairs in the files, from loading to the last row, with those of the metrics that have heads for the backbone; `eye`: ask
    FLIP, too, unless there are many pairs. ValueError for files that cannot be read or paired."""
    trunk, some = catalog.trunk_card(backbone), metrics_on(metrics, backbone)
    if not some:
        raise ValueError(f"Choose at least one metric that has heads for {trunk.title}.")
    without = [catalog.card(name).title for name in metrics if name not in some]
    notes = [f"{title} has no heads for {trunk.title}, and is left out." for title in without]
    yield from measured(client, chosen, some, backbone, eye, notes)


def measured(
    client: Client, chosen: Chosen, metrics: tuple[str, ...], backbone: str, eye: bool = True, notes: Sequence[str] = ()
) -> Generator[Update]:
    """The same with metrics that all have heads for the backbone. The content of an update is (view message, `Measured`)."""

    def prepare() -> BenchRun:
        with pair_files.opened(client, chosen) as opened:
            return BenchRun(chosen, opened.match(), metrics, backbone, eye, notes)

    yield from session.updates(client, Loading(metrics, backbone), prepare)


class BenchRun(Run):
    """Measures matched pairs, and shows the rows as they come. Its content is (view message, `Measured`)."""

    def __init__(
        self, chosen: Chosen, match: Match, metrics: tuple[str, ...], backbone: str, eye: bool, notes: Sequence[str]
    ):
        self._eye = eye and len(match.pairs) <= EYE_PAIRS
        more = [f"{match.more} more pairs were not measured."] if match.more else []
        super().__init__([*notes, *more, *[_NO_EYE] * (eye and not self._eye)])
        self._id, self._total = secrets.token_hex(4), len(match.pairs)
        self._measured = Measured(
            chosen, metrics, backbone, match.label, problems=list(match.problems), notes=list(match.notes)
        )
        self._pieces: list[dict[str, Any]] = []
        self._ladder: list[int] = []
        self._done, self._seconds = 0, device.stopwatch()

    def steps(self) -> Generator[Update]:
        self._seconds = device.stopwatch()
        measured = self._measured
        yield Update("Running: reading the pairs…", progress=(0, self._total))
        with closing(work.pairs(measured.chosen, measured.metrics, measured.backbone, self._eye)) as pieces:
            facts = next(pieces)
            measured.receipt, self._ladder = facts["receipt"], facts["ladder"]
            for piece in pieces:
                self._add(piece)
                yield Update(self._running(), self._content("running"), progress=(self._done, self._total))

    def result(self) -> Update:
        count = len(self._measured.rows)
        if not self._done:
            return Update(session.NOTHING_YET)
        state = "Done" if self._done == self._total else "Stopped"
        unread = f", {self._done - count} could not be read" if self._done > count else ""
        text = f"{state}: {count} of {self._total} pairs measured in {self._seconds():.1f} s{unread}."
        return Update(text, self._content(state.lower()))

    def _running(self) -> str:
        left = self._seconds() / self._done * (self._total - self._done)
        return f"Running: {self._done} of {self._total} pairs, about {left:.0f} s left…"

    def _add(self, piece: Sequence[tuple[int, Any, np.ndarray | None]]) -> None:
        self._done += len(piece)
        rows = [(place, row, strip) for place, row, strip in piece if not isinstance(row, Problem)]
        self._measured.problems += [row for _, row, _ in piece if isinstance(row, Problem)]
        if rows:
            self._measured.rows += [(place, row) for place, row, _ in rows]
            small = [strip for *_, strip in rows if strip is not None]
            self._pieces.append(piece_of(self._measured.rows[-len(rows) :], small, self._measured.metrics))

    def _content(self, state: str) -> tuple[dict[str, Any], Measured]:
        shown = message(self._id, state, self._measured, self._total, self._ladder, self._pieces)
        return shown, self._measured


def piece_of(rows: Sequence[tuple[int, dict]], small: Sequence[np.ndarray], metrics: Sequence[str]) -> dict[str, Any]:
    """Rows as the browser gets them, and their small pictures as one, one below another."""
    shown = [shown_row(place, row, metrics) for place, row in rows]
    return {"rows": json.dumps(shown), "strip": strips.put(images.png_bytes(np.concatenate(small)))}


def message(
    run: str, state: str, measured: Measured, total: int, ladder: Sequence[int], pieces: Sequence[dict]
) -> dict[str, Any]:
    cards = [catalog.card(name) for name in measured.metrics]
    head = {
        "files": names_of(measured.chosen),
        "total": total,
        "threshold": THRESHOLD,
        "ladder": list(ladder),
        "metrics": [{"name": card.name, "title": card.title, "color": card.color} for card in cards],
        "measured": f"{catalog.trunk_card(measured.backbone).title} on {measured.receipt.get('device', 'this server')}",
        "problems": [[each.name, each.reason] for each in measured.problems],
    }
    # A list that only grows: of what was sent before, nothing is sent again.
    return {"run": run, "state": state, "head": json.dumps(head), "pieces": [*pieces]}


def shown_row(place: int, row: dict[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """What the browser needs of a row; `place` is the pair's among the pairs."""
    keys = [
        "pair",
        "clean",
        "attacked",
        "width",
        "height",
        "bits",
        "linf",
        "l2",
        "psnr",
        "ssim",
        "changed",
        "eye",
        "eye_jpeg",
        "notes",
    ]
    for name in metrics:
        keys += [name, *(f"{name}_{key}" for key in ("jpeg", "place", "layer", "layer_share", "half", "equivalent"))]
    shown = {key: row[key] for key in keys if key in row}
    shown = {key: None if value == math.inf else value for key, value in shown.items()}
    return {"place": place, **shown, "easy": easy_to_see(row)}
