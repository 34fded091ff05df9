"""Which metric a pair fools, from what each metric finds it as far as.

A metric is fooled where it finds a pair as far from its original as a JPEG of the threshold's quality, or further, although the
change is hard to see. Distances have no unit in common; the qualities are those of each picture's own ruler.
"""

from collections.abc import Mapping
from typing import Any

THRESHOLD = 10  # of JPEG's quality, at which blocks and false colours are plain to see
FURTHER, NEARER = 0, 100  # the quality of a pair further than the strongest JPEG of its ruler, nearer than the mildest

# Below either, a change is called easy to see. Noise of 8/255 has a PSNR of about 30 dB; JPEG of quality 10 an SSIM of about 0.8.
LEAST_PSNR, LEAST_SSIM = 28.0, 0.75


def choices(first: str, second: str | None) -> tuple[str, ...]:
    """The verdicts between two metrics, or about one."""
    return (f"{first} only", "both", "neither", f"{second} only") if second else (first, "neither")


def verdict(row: Mapping[str, Any], first: str, second: str | None, threshold: int = THRESHOLD) -> str:
    """Which of the metrics `first` and `second` a measured pair fools: one of their `choices`, or "" where no equivalents were
    measured. `second` may be None."""
    if row.get(f"{first}_jpeg") is None:
        return ""
    one = row[f"{first}_jpeg"] <= threshold
    if second is None:
        return first if one else "neither"
    other = row[f"{second}_jpeg"] <= threshold
    return "both" if one and other else f"{first} only" if one else f"{second} only" if other else "neither"


def easy_to_see(row: Mapping[str, Any]) -> str:
    """Why the change of a measured pair is easy to see, as a clause, or "". A bound on fidelity, not a model of the eye."""
    # A model of the eye (FLIP) is asked here first, once rows have a column "flip".
    if row["psnr"] < LEAST_PSNR:
        return f"PSNR {row['psnr']:.1f} dB, below {LEAST_PSNR:g}"
    if row["ssim"] < LEAST_SSIM:
        return f"SSIM {row['ssim']:.2f}, below {LEAST_SSIM:g}"
    return ""
