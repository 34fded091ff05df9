"""What is measured of pairs: distances, each on its picture's own ruler, fidelity, layers and channels; in batches of one size.

The pairs are cut into pieces of `PIECE`, whatever computes them, so that the rows do not depend on how many processes there are or
where a run was interrupted.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlpips.data.distortions import DISTORTIONS
from rlpips.device import in_neutral_state, pick_device
from rlpips.engine.lanes import Lanes
from rlpips.engine.panel import by_trunk, in_8_bits
from rlpips.engine.ruler import SEVERITIES, Ruler, scale_of
from rlpips.metrics.base import Metric
from rlpips.metrics.fidelity import psnr, ssim
from rlpips.metrics.lpips import load_metrics, stack_heads
from rlpips.norms import L2, LINF
from rlpips.pairs.reading import MAX_SIDE, Pair, Problem, printable
from rlpips.pairs.verdict import FURTHER, NEARER
from rlpips.zoo import catalog

METRICS = ("lpips", "rlpips-linf", "rlpips-l2")
PIECE = 64  # pairs
DISTORTION = "jpeg"  # whose ruler the equivalents are read from
_AT_ONCE = (
    36 * 256 * 256
)  # pixels in one pass of the network, which bounds its memory: 64 pairs of 64 pixels with their rulers
_READERS = 2  # threads that read pictures ahead; decoding releases Python's lock

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What is measured: names of metrics or `Metric` objects, the first two of which the verdicts are about; the network under them;
    the longest side measured at full size; and whether equivalents are measured, which take seven more passes a pair."""

    metrics: tuple[Any, ...] = METRICS
    backbone: str = "alex"
    max_side: int = MAX_SIDE
    equivalents: bool = True

    def __post_init__(self) -> None:
        catalog.check_metrics(self.metrics, self.backbone)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics' names."""
        return tuple(map(catalog.name_of, self.metrics))


class Measurer:
    """Measures pieces of pairs on one device, "cpu", "cuda" or None for the GPU where there is one."""

    def __init__(self, settings: Settings, device: Any = None):
        self.settings, self.device = settings, pick_device(device)
        self.metrics = load_metrics(list(settings.metrics), settings.backbone, self.device)

    @in_neutral_state
    def rows(self, pieces: Iterable[Sequence[Pair]]) -> Iterator[list[Row | Problem]]:
        """For each piece its rows, in order, with a `Problem` in place of a pair that cannot be measured."""
        with ThreadPoolExecutor(_READERS) as readers:
            for piece in pieces:
                yield self._measure_piece(piece, readers)

    def _measure_piece(self, piece: Sequence[Pair], readers: ThreadPoolExecutor) -> list[Row | Problem]:
        results: list[Row | Problem] = [{}] * len(piece)
        waiting: dict[tuple[int, ...], list[tuple[int, _Loaded]]] = defaultdict(list)  # by size, for a full batch

        def measure(batch: list[tuple[int, _Loaded]]) -> None:
            places, loaded = zip(*batch)
            for place, row in zip(places, self.measure([piece[place] for place in places], loaded), strict=True):
                results[place] = row
            batch.clear()

        for place, each in enumerate(self._read_ahead(piece, readers)):
            if isinstance(each, Problem):
                results[place] = each
                continue
            batch = waiting[each.x.shape]
            batch.append((place, each))
            passes = 2 + len(SEVERITIES) * self.settings.equivalents
            if (len(batch) + 1) * passes * each.pixels > _AT_ONCE:
                measure(batch)
        for batch in filter(None, waiting.values()):
            measure(batch)
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
    def measure(self, pairs: Sequence[Pair], loaded: "Sequence[Any]") -> list[Row]:
        """The rows of pairs of one size, loaded."""
        x, y = (self._batch([getattr(each, side) for each in loaded]) for side in ("x", "y"))
        x8, y8 = in_8_bits(x), in_8_bits(y)
        exact = [torch.equal(*each) for each in zip(torch.cat([x, y], 1), torch.cat([x8, y8], 1))]
        columns = self._fidelity(x, y, (x8 != y8).any(1).flatten(1).double().mean(1))
        places: dict[str, list[int]] = {}  # references of equal pixels share a ruler
        digests = [(_digest(each.x), _digest(each.y)) for each in loaded]
        for place, (digest, _) in enumerate(digests):
            places.setdefault(digest, []).append(place)
        firsts = [some[0] for some in places.values()]
        readings, table = self._distances(x, y, firsts)
        # What is left of a change once it is saved.
        rounded = readings if all(exact) else self._distances(x8, y8, [])[0]
        of_ruler = {place: index for index, some in enumerate(places.values()) for place in some}
        rows = []
        for place, pair in enumerate(pairs):
            row: Row = {
                "pair": printable(pair.name),
                "clean": printable(pair.clean.name),
                "attacked": printable(pair.attacked.name),
                "width": x.shape[3],
                "height": x.shape[2],
                "bits": "8-bit" if exact[place] else "float",
                **{name: _short(column[place]) for name, column in columns.items()},
            }
            measured = None if table is None else table[of_ruler[place]]
            ruler = self._ruler(measured)
            for index, name in enumerate(self.settings.names):
                row |= _of_metric(name, readings[index], rounded[index], place, ruler, exact[place])
            row["notes"] = " ".join(_notes(loaded[place].notes, row, self.settings.names[0]))
            row["clean_sha256"], row["attacked_sha256"] = digests[place]
            rows.append(row)
        return rows

    def _batch(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """Pictures (H, W, 3), uint8 or float32, as (N, 3, H, W) in [0, 1]."""
        tensors = [torch.from_numpy(np.ascontiguousarray(picture)).to(self.device) for picture in pictures]
        floats = [each.float() / 255 if each.dtype == torch.uint8 else each for each in tensors]
        return torch.stack(floats).permute(0, 3, 1, 2).contiguous()

    @staticmethod
    def _fidelity(x: Tensor, y: Tensor, changed: Tensor) -> dict[str, list[float]]:
        columns = {
            "linf": LINF.measure(y - x),
            "l2": L2.measure(y - x),
            "psnr": psnr(y, x),
            "ssim": ssim(y, x),
            "changed": changed,  # the share of pixels that differ in 8 bits
        }
        return {name: column.double().cpu().tolist() for name, column in columns.items()}

    def _distances(self, x: Tensor, y: Tensor, firsts: Sequence[int]) -> "tuple[list[_Reading], np.ndarray | None]":
        """What each metric reads of pairs (N, 3, H, W); and, for the references at `firsts`, the distances of their JPEGs
        (len(firsts), S, M), or None."""
        ruled = bool(firsts) and self.settings.equivalents
        if ruled:
            some = x[list(firsts)]
            jpegs = torch.stack([DISTORTIONS[DISTORTION](some, severity) for severity in SEVERITIES], 1).flatten(0, 1)
        differ = (x != y).flatten(1).any(1)
        readings: dict[int, _Reading] = {}
        table = np.zeros((len(firsts), len(SEVERITIES), len(self.metrics)))
        for trunk, members in by_trunk(self.metrics):
            metrics, measured = [self.metrics[index] for index in members], None
            if trunk is None:
                (index,), (metric,) = members, metrics
                readings[index] = _Reading.of(metric, metric.per_layer(x, y), None, differ)
                measured = metric(some.repeat_interleave(len(SEVERITIES), 0), jpegs)[:, None] if ruled else None
            else:
                heads = [head[:, :, 0, 0] for head in stack_heads(metrics)]  # type: ignore[arg-type]
                lanes = Lanes(trunk, heads, x, "float32")
                squares = [channels for _, channels in lanes.see(y)]
                for place, index in enumerate(members):
                    weighted = [square * head[place] for square, head in zip(squares, heads, strict=True)]
                    per_layer = torch.stack([each.sum(1) for each in weighted], 1)
                    readings[index] = _Reading.of(metrics[place], per_layer, weighted, differ)
                if ruled and len(firsts) < len(x):
                    lanes = Lanes(trunk, heads, some, "float32")
                if ruled:  # of one large picture not all at once
                    most = len(jpegs) if len(firsts) > 1 else max(1, _AT_ONCE // x[0, 0].numel())
                    measured = torch.cat([lanes.per_layer(part).sum(-1) for part in jpegs.split(most)])
            if measured is not None:
                table[:, :, members] = measured.double().cpu().numpy().reshape(*table.shape[:2], len(members))
        return [readings[index] for index in range(len(self.metrics))], table if ruled else None

    def _ruler(self, measured: np.ndarray | None) -> Ruler | None:
        if measured is None:
            return None
        return Ruler(self.settings.names, {DISTORTION: scale_of(DISTORTIONS[DISTORTION], SEVERITIES, measured)})


@dataclass(frozen=True)
class _Loaded:
    x: np.ndarray
    y: np.ndarray
    notes: tuple[str, ...]

    @property
    def pixels(self) -> int:
        """Of one of the two."""
        return self.x.shape[0] * self.x.shape[1]


@dataclass(frozen=True)
class _Reading:
    """What a metric reads of N pairs: lists of N entries."""

    distance: list[float]
    layer: list[str]  # the heaviest
    layer_share: list[float]
    half: list[int] | None  # how few channels make half of the distance; None for a metric without a network
    channel: list[str] | None  # the heaviest
    channel_share: list[float] | None

    @classmethod
    def of(cls, metric: Metric, per_layer: Tensor, weighted: list[Tensor] | None, differ: Tensor) -> "_Reading":
        """From the shares of layers (N, L), per layer those of channels (N, C_l), and whether the pictures differ (N,), as rounding
        leaves something of the distance of equal ones."""
        per_layer = per_layer * differ[:, None]
        distance = per_layer.sum(1)
        share, layer = (per_layer / distance.clamp_min(1e-30)[:, None]).max(1)
        common = distance.double().tolist(), [metric.layers[each] for each in layer.tolist()], share.tolist()
        if weighted is None:
            return cls(*common, None, None, None)
        channels = (torch.cat(weighted, 1) * differ[:, None]).double()
        names = [f"{name}·{c}" for name, part in zip(metric.layers, weighted) for c in range(part.shape[1])]
        falling, order = channels.sort(1, descending=True)
        total = falling.sum(1, keepdim=True)
        half = (falling.cumsum(1) < total / 2).sum(1) + 1
        heaviest = falling[:, 0] / total[:, 0].clamp_min(1e-30)
        return cls(*common, half.tolist(), [names[each] for each in order[:, 0].tolist()], heaviest.tolist())


def _of_metric(name: str, reading: _Reading, rounded: _Reading, place: int, ruler: Ruler | None, exact: bool) -> Row:
    distance, saved = reading.distance[place], rounded.distance[place]
    row: Row = {name: _short(distance), f"{name}_8bit": _short(saved)}
    row |= {f"{name}_jpeg": None, f"{name}_jpeg_8bit": None, f"{name}_place": None, f"{name}_equivalent": ""}
    if ruler:
        row[f"{name}_jpeg"], row[f"{name}_place"] = _on_ruler(ruler, name, distance)
        row[f"{name}_jpeg_8bit"] = row[f"{name}_jpeg"]
        if not exact:
            row[f"{name}_jpeg_8bit"], _ = _on_ruler(ruler, name, saved)
        row[f"{name}_equivalent"] = ruler.read(name, distance)
    said = distance > 0
    row[f"{name}_layer"] = reading.layer[place] if said else ""
    row[f"{name}_layer_share"] = _short(reading.layer_share[place], 4)
    if reading.half and reading.channel and reading.channel_share:
        row[f"{name}_half"] = reading.half[place] if said else 0
        row[f"{name}_channel"] = reading.channel[place] if said else ""
        row[f"{name}_channel_share"] = _short(reading.channel_share[place], 4)
    return row


def _on_ruler(ruler: Ruler, name: str, distance: float) -> tuple[int, float]:
    """The JPEG quality of a distance's equivalent, and its place among the ruler's S entries: whole numbers are the entries, -1 to 0
    is nearer than the mildest, S - 1 to S further than the strongest."""
    scale = ruler.scales[DISTORTION]
    index, count = ruler.metrics.index(name), len(scale.words)
    distances = scale.distance[:, index]
    entry = -1 if distance == 0 else scale.nearest(index, distance)
    if entry < 0:
        return NEARER, _short(-1 + 0.5 * min(1, distance / max(distances[0], 1e-12)), 4)
    if entry == count:
        beyond = np.log(distance / max(distances[-1], 1e-12)) / np.log(10)  # ten times as far is the edge of a chart
        return FURTHER, _short(count - 0.5 + 0.5 * float(min(1, beyond)), 4)
    logs = np.log(distances + 1e-12)
    near = float(np.interp(np.log(distance + 1e-12), logs, np.arange(count)))
    return quality_of(scale.words[entry]), _short(min(max(near, entry - 0.49), entry + 0.49), 4)


def quality_of(words: str) -> int:
    """7 for "JPEG quality 7"."""
    return int(words.rpartition(" ")[2])


def _notes(notes: Sequence[str], row: Row, first: str) -> Iterator[str]:
    yield from notes
    if row["linf"] == 0:
        yield "The two pictures are identical."
    elif row["bits"] == "float" and row["changed"] == 0:
        yield "Saved in 8 bits, the two pictures are identical."
    elif row["bits"] == "float" and row[f"{first}_jpeg"] != row[f"{first}_jpeg_8bit"]:
        quality = row[f"{first}_jpeg_8bit"]
        words = {FURTHER: "beyond the ruler", NEARER: "nearer than the mildest JPEG"}.get(
            quality, f"JPEG quality {quality}"
        )
        yield f"Saved in 8 bits, {first} finds it {words}."


def pieces_of(pairs: Sequence[Pair]) -> list[Sequence[Pair]]:
    """The pairs, `PIECE` at a time."""
    return [pairs[start : start + PIECE] for start in range(0, len(pairs), PIECE)]


def _digest(pixels: np.ndarray) -> str:
    """The sha256 of a picture's values as they are measured, uint8 or float32 (H, W, 3)."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _short(value: float, digits: int = 7) -> float:
    """A number without the digits that mean nothing, for files."""
    return float(f"{value:.{digits}g}")
