"""What a model of the eye (FLIP, `rlpips.metrics.eye`) says about pairs: a distance, and the JPEG of the original that looks as different."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpips.data.distortions import DISTORTIONS, jpeg_copy
from rlpips.engine.eye import Flip
from rlpips.engine.ruler import SEVERITIES, Ruler, scale_of
from rlpips.engine.ruler_search import read_off
from rlpips.metrics import eye

LARGEST = 512 * 512  # pixels: 0.8 s a pair there, of 256×256 pixels 0.2 s; at 1024×1024 some 15 s
_FIRST = 1  # JPEG quality 71, near to what FLIP finds an attack of 4/255 as far as
TOO_LARGE = "FLIP, the model of the eye, takes too long for pairs of more than 512×512 pixels, and is left out."


@dataclass(frozen=True)
class Look:
    """FLIP's mean error in [0, 1], and a ruler that reads it."""

    distance: float
    ruler: Ruler


def look(x: np.ndarray, y: np.ndarray, flip: Flip = eye.flip) -> Look | None:
    """Compare two pictures, uint8 (H, W, 3), and `x` with its JPEG copies that lie around; None for more than `LARGEST` pixels. ValueError
    as from `rlpips.metrics.eye.flip`."""
    if x.shape[0] * x.shape[1] > LARGEST:
        return None
    distance, _ = flip(x, y)

    def measure(_: Any, levels: Any) -> np.ndarray:
        return np.array([[flip(x, jpeg_copy(x, SEVERITIES[level]))[0]] for level in levels])

    (table,) = read_off([np.array([[distance]])], measure, len(SEVERITIES), _FIRST)
    return Look(distance, Ruler((eye.NAME,), {"jpeg": scale_of(DISTORTIONS["jpeg"], SEVERITIES, table)}))
