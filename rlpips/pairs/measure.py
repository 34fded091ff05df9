"""What is measured of pairs: distances, each on its picture's own ruler, fidelity, layers and channels; in batches of one size.

The pairs are cut into pieces of `PIECE`, whatever computes them, so that the rows do not depend on how many processes there are or
where a run was interrupted.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.data import images
from rlpips.device import in_neutral_state, pick_device
from rlpips.engine.eye import Flip
from rlpips.engine.ruler import Ruler
from rlpips.metrics.eye import MISSING, flip, is_installed
from rlpips.metrics.fidelity import psnr, ssim
from rlpips.metrics.lpips import load_metrics
from rlpips.norms import L2, LINF
from rlpips.pairs import eye
from rlpips.pairs.distances import Distances, Reading, batch
from rlpips.pairs.inputs import MAX_SIDE, Pair, Problem, printable
from rlpips.pairs.row import Row, notes_of, of_eye, of_metric, short
from rlpips.zoo import catalog

METRICS = ("lpips", "rlpips-linf", "rlpips-l2")
PIECE = 64  # pairs
_AT_ONCE = 16 * 256 * 256  # pixels of originals in a batch, whose features are kept meanwhile: 64 pairs of 128 pixels
_READERS = 2  # threads that read pictures ahead and make JPEG copies; coding releases Python's lock


@dataclass(frozen=True)
class Settings:
    """What is measured: names of metrics or `Metric` objects, the first two of which the verdicts are about; the network under them;
    the longest side measured at full size; whether equivalents are measured, which take some three passes more a pair; and whether a
    model of the eye is asked, where it is installed."""

    metrics: tuple[Any, ...] = METRICS
    backbone: str = "alex"
    max_side: int = MAX_SIDE
    equivalents: bool = True
    eye: bool = True

    def __post_init__(self) -> None:
        catalog.check_metrics(self.metrics, self.backbone)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics' names."""
        return tuple(map(catalog.name_of, self.metrics))


class Measurer:
    """Measures pieces of pairs on one device, "cpu", "cuda" or None for the GPU where there is one. `flip` is the model of the eye, here
    or in another process."""

    def __init__(self, settings: Settings, device: Any = None, flip: Flip = flip):
        self.settings, self.device = settings, pick_device(device)
        self.metrics = load_metrics(list(settings.metrics), settings.backbone, self.device)
        self._flip = flip if settings.eye and is_installed() else None
        self._distances = Distances(self.metrics)

    @property
    def has_eye(self) -> bool:
        """Whether a model of the eye is asked."""
        return self._flip is not None

    @property
    def notes(self) -> list[str]:
        """What there is to say of all rows."""
        return [] if self.has_eye or not self.settings.eye else [MISSING]

    @in_neutral_state
    def rows(self, pieces: Iterable[Sequence[Pair]]) -> Iterator[list[Row | Problem]]:
        """For each piece its rows, in order, with a `Problem` in place of a pair that cannot be measured."""
        self._distances = Distances(self.metrics)  # with the weights that they have now
        with ThreadPoolExecutor(_READERS) as readers:
            for piece in pieces:
                yield self._measure_piece(piece, readers)

    def _measure_piece(self, piece: Sequence[Pair], readers: ThreadPoolExecutor) -> list[Row | Problem]:
        results: list[Row | Problem] = [{}] * len(piece)
        waiting: dict[tuple[int, ...], list[tuple[int, _Loaded]]] = defaultdict(list)  # by size, for a full batch

        def measure(some: list[tuple[int, _Loaded]]) -> None:
            places, loaded = zip(*some)
            rows = self._measure([piece[place] for place in places], loaded, readers.map)
            for place, row in zip(places, rows, strict=True):
                results[place] = row
            some.clear()

        for place, each in enumerate(self._read_ahead(piece, readers)):
            if isinstance(each, Problem):
                results[place] = each
                continue
            alike = waiting[each.x.shape]
            alike.append((place, each))
            if (len(alike) + 1) * each.pixels > _AT_ONCE:
                measure(alike)
        for alike in filter(None, waiting.values()):
            measure(alike)
        return results

    def _read_ahead(self, piece: Sequence[Pair], readers: ThreadPoolExecutor) -> "Iterator[_Loaded | Problem]":
        """The pictures of a piece in order, read a little ahead: many small ones, few large ones, as they take memory."""
        queue: deque[Future[_Loaded | Problem]] = deque()
        coming, window = iter(piece), _READERS
        for _ in piece:
            queue.extend(readers.submit(self._load, pair) for pair in islice(coming, max(0, window - len(queue))))
            each = queue.popleft().result()
            if isinstance(each, _Loaded):
                window = min(PIECE, max(_READERS, _AT_ONCE // each.pixels))
            yield each

    def _load(self, pair: Pair) -> "_Loaded | Problem":
        try:
            x, y, notes = pair.load(self.settings.max_side)
        except ValueError as error:
            return Problem(pair.name, str(error))
        except OSError as error:
            return Problem(pair.name, f"It cannot be read ({error.strerror}).")
        return _Loaded(x.pixels, y.pixels, notes)

    @torch.no_grad()
    def _measure(self, pairs: Sequence[Pair], loaded: "Sequence[_Loaded]", each: Callable[..., Any]) -> list[Row]:
        """The rows of pairs of one size, loaded. `each` is the map of an executor."""
        x, y = (batch([getattr(one, side) for one in loaded], self.device) for side in ("x", "y"))
        levels = [(images.levels(one.x), images.levels(one.y)) for one in loaded]
        exact = [self._is_exact(one, saved) for one, saved in zip(loaded, levels, strict=True)]
        columns = self._fidelity(x, y, levels)
        places: dict[str, list[int]] = {}  # references of equal pixels share a ruler
        digests = [(_digest(one.x), _digest(one.y)) for one in loaded]
        for place, (digest, _) in enumerate(digests):
            places.setdefault(digest, []).append(place)
        saved = None
        if not all(exact):  # what is left of a change once it is saved
            x8, y8 = (batch(list(side), self.device) for side in zip(*levels))
            self._distances.open(x8)
            saved = self._distances.read(y8, (x8 != y8).flatten(1).any(1))
        self._distances.open(x)
        readings = self._distances.read(y, (x != y).flatten(1).any(1))
        rounded = saved or readings
        rulers = self._rulers(levels, list(places.values()), readings, rounded, each)
        rows = []
        for place, pair in enumerate(pairs):
            row: Row = {
                "pair": printable(pair.name),
                "clean": printable(pair.clean.name),
                "attacked": printable(pair.attacked.name),
                "width": x.shape[3],
                "height": x.shape[2],
                "bits": "8-bit" if exact[place] else "float",
                **{name: short(column[place]) for name, column in columns.items()},
                **of_eye(eye.look(*levels[place], self._flip) if self._flip else None),
            }
            for index, name in enumerate(self.settings.names):
                row |= of_metric(name, readings[index], rounded[index], place, rulers.get(place), exact[place])
            notes = (
                loaded[place].notes
                if row["eye"] is not None or not self._flip
                else (*loaded[place].notes, eye.TOO_LARGE)
            )
            row["notes"] = " ".join(notes_of(notes, row, self.settings.names[0]))
            row["clean_sha256"], row["attacked_sha256"] = digests[place]
            rows.append(row)
        return rows

    @staticmethod
    def _is_exact(pair: "_Loaded", levels: tuple[np.ndarray, np.ndarray]) -> bool:
        """Whether both pictures have 8 bits."""
        return all(
            pixels is saved or np.array_equal(pixels, saved / np.float32(255))
            for pixels, saved in zip((pair.x, pair.y), levels, strict=True)
        )

    @staticmethod
    def _fidelity(x: Tensor, y: Tensor, levels: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, list[float]]:
        columns = {"linf": LINF.measure(y - x), "l2": L2.measure(y - x), "psnr": psnr(y, x), "ssim": ssim(y, x)}
        numbers = {name: column.double().cpu().tolist() for name, column in columns.items()}
        # the share of pixels that differ in 8 bits
        return numbers | {"changed": [float((one != other).any(2).mean()) for one, other in levels]}

    def _rulers(
        self,
        levels: Sequence[tuple[np.ndarray, np.ndarray]],
        places: Sequence[list[int]],
        readings: Sequence[Reading],
        rounded: Sequence[Reading],
        each: Callable[..., Any],
    ) -> dict[int, Ruler]:
        """The rulers of a batch by the places of its pairs, of which some have the same original."""
        if not self.settings.equivalents:
            return {}
        firsts = [some[0] for some in places]
        wanted = [
            np.array([[one.distance[place] for one in side] for place in some for side in (readings, rounded)])
            for some in places
        ]
        rulers = self._distances.rulers(
            [levels[place][0] for place in firsts], firsts, wanted, self.settings.names, each
        )
        return {place: ruler for some, ruler in zip(places, rulers, strict=True) for place in some}


@dataclass(frozen=True)
class _Loaded:
    x: np.ndarray
    y: np.ndarray
    notes: tuple[str, ...]

    @property
    def pixels(self) -> int:
        """Of one of the two."""
        return self.x.shape[0] * self.x.shape[1]


def pieces_of(pairs: Sequence[Pair]) -> list[Sequence[Pair]]:
    """The pairs, `PIECE` at a time."""
    return [pairs[start : start + PIECE] for start in range(0, len(pairs), PIECE)]


def _digest(pixels: np.ndarray) -> str:
    """The sha256 of a picture's values as they are measured, uint8 or float32 (H, W, 3)."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
