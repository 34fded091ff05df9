"""FLIP, a model of the eye: how different two pictures look when one flips between them on a screen.

FLIP (Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström and Fairchild, "FLIP: A Difference Evaluator for Alternating Images",
HPG 2020) filters pictures as the eye's contrast sensitivity does, and compares colours and edges. It has no network and no weights, and
nothing in common with LPIPS: a second opinion, but no person either.

It is NVIDIA's package `flip-evaluator`, which has no build for some machines (Arm Linux, Intel Macs); everything else works without.
"""

from importlib.util import find_spec

import numpy as np

NAME, TITLE = "flip", "FLIP"
MISSING = (
    "FLIP, the model of the eye, is not installed here: its package flip-evaluator has no build for some machines."
)


def is_installed() -> bool:
    """Whether `flip` can be called."""
    return find_spec("flip_evaluator") is not None


def flip(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """How different `x` and `y`, uint8 (H, W, 3), look to FLIP: the mean error, and the error of every pixel, float32 (H, W).

    Errors lie in [0, 1], 0 for identical pictures. The eye is taken to see 67 pixels a degree, FLIP's default: a screen of
    3840 pixels and 0.7 m across, 0.7 m away. Takes 60 ms at 256×256 and some seconds at 1024×1024, and holds Python's lock meanwhile.
    ValueError for other pictures, and where the package is missing.
    """
    for name, pixels in (("x", x), ("y", y)):
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            kind = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise ValueError(f"{name} must be a picture, uint8 (H, W, 3); got {kind}.")
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape; got {x.shape} and {y.shape}.")
    try:
        from flip_evaluator import evaluate
    except ImportError as error:
        raise ValueError(MISSING) from error
    errors, mean, _ = evaluate(*(pixels.astype(np.float32) / 255 for pixels in (x, y)), "LDR", applyMagma=False)
    return float(mean), errors[..., 0]
