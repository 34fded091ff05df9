"""What a model of the eye says about an attack: the last picture of every lane, on the same ruler as the metrics."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image

from rlpips.data.distortions import DISTORTIONS, jpeg_copy
from rlpips.engine.ruler import SEVERITIES, Ruler, scale_of
from rlpips.metrics import eye
from rlpips.traces.schema import Eye

_MAP_SIDE = 96  # the longer side of a stored map, as of the metrics' maps

# What measures: (x, y) of uint8 (H, W, 3) -> (distance, map (H, W)); `rlpips.metrics.eye.flip`, here or in another process
Flip: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def look(
    reference: np.ndarray,
    pictures: Sequence[np.ndarray],
    flip: Flip = eye.flip,
    known: dict[float, float] | None = None,
) -> Iterator[Eye | None]:
    """Compare pictures with a reference, all uint8 (H, W, 3), and with it the JPEG copies of the reference that a
    `rlpips.engine.ruler.Ruler` is made of.

    `known` is what is measured of these copies, {severity: distance}, and is added to. Yields None after each comparison, so that the
    caller can stop, and last the `Eye`. ValueError as from `flip`.
    """
    known = {} if known is None else known
    distances, maps = [], []
    for picture in pictures:
        distance, errors = flip(reference, picture)
        distances.append(distance)
        maps.append(_small(errors))
        yield None
    for severity in SEVERITIES:
        if severity not in known:
            known[severity], _ = flip(reference, jpeg_copy(reference, severity))
            yield None
    copies = np.array([[known[severity]] for severity in SEVERITIES])
    scale = scale_of(DISTORTIONS["jpeg"], SEVERITIES, copies)
    yield Eye(np.float32(distances), np.stack(maps), Ruler((eye.NAME,), {scale.name: scale}).to_json())


def _small(errors: np.ndarray) -> np.ndarray:
    """A map (H, W) reduced to at most `_MAP_SIDE` a side; every entry is a mean over its pixels."""
    height, width = errors.shape
    share = min(1, _MAP_SIDE / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.array(Image.fromarray(np.ascontiguousarray(errors, np.float32)).resize(size, Image.Resampling.BOX))
