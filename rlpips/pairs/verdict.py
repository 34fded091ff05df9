"""Which metric a pair fools, from what each metric finds it as far as.

A metric is fooled where it finds a pair as far from its original as a JPEG of the threshold's quality, or further, although the
change is hard to see. Distances have no unit in common; the qualities are those of each picture's own ruler.
"""

from collections.abc import Mapping
from typing import Any

THRESHOLD = 10  # of JPEG's quality, at which blocks and false colours are plain to see
FURTHER, NEARER = 0, 100  # the quality of a pair further than the strongest JPEG of its ruler, nearer than the mildest

# A change is called easy to see where a model of the eye finds it as far as a JPEG of this quality, or further: noise of ±8/255 it finds as
# far as quality 30 to 50, of ±12/255 as far as 16 to 30. Where none was asked, below either bound on fidelity: noise of 8/255 has a PSNR of
# about 30 dB; JPEG of quality 10 an SSIM of about 0.8.
LEAST_EYE = 26
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
    """Why the change of a measured pair is easy to see, as a clause, or "". It goes by a model of the eye where one was asked, else by
    bounds on fidelity."""
    quality = row.get("eye_jpeg")
    if quality is not None:
        as_far = "beyond JPEG quality 1" if quality == FURTHER else f"as far as JPEG quality {quality:.0f}"
        return f"FLIP, a model of the eye, finds it {as_far}" if quality <= LEAST_EYE else ""
    if row["psnr"] < LEAST_PSNR:
        return f"PSNR {row['psnr']:.1f} dB, below {LEAST_PSNR:g}"
    if row["ssim"] < LEAST_SSIM:
        return f"SSIM {row['ssim']:.2f}, below {LEAST_SSIM:g}"
    return ""
