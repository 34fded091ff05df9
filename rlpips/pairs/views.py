"""Pictures of pairs for reports and sheets: the two, the change, and where each metric sees it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rlpips.data import images
from rlpips.device import in_neutral_state
from rlpips.metrics.base import merge_maps
from rlpips.pairs.table import Table

_MAP_SIDE = 96  # of a map, at most: AlexNet's finest layer has 63 positions at 256 pixels


@dataclass(frozen=True)
class View:
    """What is shown of one pair. Pictures are uint8 (H, W, 3)."""

    row: int  # in the table
    clean: np.ndarray
    attacked: np.ndarray
    change: np.ndarray  # times `times`, around grey
    times: int
    maps: tuple[np.ndarray, ...]  # one for each metric, (h, w)
    reduced: bool  # whether the pictures are smaller than what was measured


def choose(pairs: Table, count: int) -> list[int]:
    """Up to `count` rows worth a look: half of them fool the first metric alone, the others are of every verdict; those that differ most
    and are hard to see come first."""
    first, second = pairs.judges
    rows: dict[str, list[tuple[bool, float, int]]] = {each: [] for each in (*pairs.verdicts, "")}
    for place, row in enumerate(pairs):
        one = row[f"{first}_place"]
        gap = row[first] if one is None else one - row[f"{second}_place"] if second else one
        rows[row["verdict"]].append((bool(row["easy_to_see"]), -abs(gap), place))
    ordered = [[place for *_, place in sorted(some)] for some in rows.values()]
    chosen = ordered[0][: (count + 1) // 2]
    rest = [some[turn] for turn in range(count) for some in ordered if turn < len(some) and some[turn] not in chosen]
    return sorted([*chosen, *rest[: count - len(chosen)]])


@in_neutral_state
def views(pairs: Table, places: Sequence[int], side: int = 256) -> Iterator[View]:
    """The `View` of some rows, one after another, at most `side` pixels a side. A pair whose files are gone is passed over."""
    measurer = pairs.measurer
    for place in places:
        try:
            x, y, _ = pairs.source(place).load(measurer.settings.max_side)
        except (OSError, ValueError):
            continue
        clean, attacked = (images.to_tensor(each.pixels, measurer.device) for each in (x, y))
        size = _fitting(clean.shape[2:], _MAP_SIDE)
        with torch.no_grad():
            maps = tuple(
                merge_maps([layer[:, None] for layer in metric.layer_maps(clean, attacked)], size)[0, 0].cpu().numpy()
                for metric in measurer.metrics
            )
            change = 255 * (attacked - clean)
            times = max(1, round(100 / max(1.0, change.abs().max().item())))
            grey = (128 + times * change).clamp(0, 255) / 255
        first, second, third = (_at_most(images.to_uint8(each)[0], side) for each in (clean, attacked, grey))
        yield View(place, first, second, third, times, maps, max(x.pixels.shape) > side)


def _at_most(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 (H, W, 3), reduced to that many pixels a side."""
    return pixels if max(pixels.shape[:2]) <= side else images.resize(pixels, _fitting(pixels.shape[:2], side))


def _fitting(size: Sequence[int], side: int) -> tuple[int, int]:
    """(height, width) of the same shape, at most `side` pixels a side."""
    scale = min(1.0, side / max(size))
    height, width = (max(1, round(scale * each)) for each in size)
    return height, width


def coloured(values: np.ndarray) -> np.ndarray:
    """A map (h, w) as uint8 (h, w, 3), dark to bright from 0 to its maximum."""
    from matplotlib import colormaps

    scaled = np.clip(values / max(float(values.max()), 1e-12), 0, 1)
    return np.rint(255 * colormaps["inferno"](scaled)[..., :3]).astype(np.uint8)
