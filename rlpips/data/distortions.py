"""Natural distortions with a severity in [0, 1].

Severity 0 changes nothing that can be seen and 1 is very strong; in between every distortion grows visibly. The noise and the
direction of the shift come from the generator, so the same seed at two severities gives the same pattern, weaker or stronger.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Distortion:
    """One family of distortions.

    name      in requests, traces and results
    title     on the page
    describe  severity -> how strong it is, in a unit that people know: "JPEG quality 7"
    distort   (x, severities of the N pictures, generator) -> distorted x, not yet clipped to [0, 1]
    """

    name: str
    title: str
    describe: Callable[[float], str]
    distort: Callable[[Tensor, list[float], torch.Generator], Tensor]

    def __call__(self, x: Tensor, severity: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Distort pictures x (N, 3, H, W) in [0, 1].

        `severity` is one number, or a tensor (N,), in [0, 1]; None as the generator means one with seed 0. Returns (N, 3, H, W)
        in [0, 1] on x's device. Raises ValueError for another shape or severity.
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"A distortion expects pictures of shape (N, 3, H, W); got {tuple(x.shape)}.")
        severity = torch.as_tensor(severity, dtype=torch.float64).cpu()
        if severity.ndim > 1 or (severity.ndim == 1 and len(severity) != len(x)):
            raise ValueError(
                f"Expected one severity, or one for each of {len(x)} pictures; got shape {tuple(severity.shape)}."
            )
        if not ((severity >= 0) & (severity <= 1)).all():
            raise ValueError(f"Severities lie in [0, 1]; got {severity.tolist()}.")
        generator = generator or torch.Generator().manual_seed(0)
        return self.distort(x, severity.expand(len(x)).tolist(), generator).clamp(0, 1)


def _column(values: list[float], like: Tensor) -> Tensor:
    """One number per picture as (N, 1, 1, 1), to multiply with (N, 3, H, W)."""
    return torch.tensor(values).to(like).view(-1, 1, 1, 1)


# For each family: a function from severity to the family's unit, and the distortion. Squares spread the mild end, where both
# people and metrics notice small changes.


def _noise_sigma(severity: float) -> float:
    return 80 / 255 * severity**2


def _noise(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    pattern = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x)
    return x + _column([_noise_sigma(s) for s in severity], x) * pattern


def _blur_sigma(severity: float) -> float:
    return 0.25 * 32**severity  # pixels: 0.25 changes nothing, 8 leave only the composition


def _blur(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    n, c, h, w = x.shape
    sigma = torch.tensor([_blur_sigma(s) for s in severity])[:, None]
    radius = math.ceil(3 * sigma.max().item())
    offsets = torch.arange(-radius, radius + 1)
    exponent = -(offsets**2) / (2 * sigma**2)
    # Each kernel ends at its own 3 sigma, so that a picture is blurred the same in every batch.
    exponent = exponent.masked_fill(offsets.abs() > (3 * sigma).ceil(), -torch.inf)
    kernel = exponent.softmax(1).to(x)  # (N, K), normalised Gaussians
    kernel = kernel.repeat_interleave(c, 0)[:, None, :, None]  # (N·3, 1, K, 1), one for each picture
    x = x.reshape(1, n * c, h, w)
    x = F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), kernel, groups=n * c)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), kernel.transpose(2, 3), groups=n * c)
    return x.view(n, c, h, w)


def _jpeg_quality(severity: float) -> int:
    return round(1 + 97 * (1 - severity) ** 2)


def jpeg_copy(picture: np.ndarray, severity: float) -> np.ndarray:
    """A picture, uint8 (H, W, 3), saved as JPEG and read again: what the family "jpeg" makes of it."""
    with io.BytesIO() as file:
        # With full chroma resolution, so that the strength depends on the quality only.
        Image.fromarray(picture).save(file, "JPEG", quality=_jpeg_quality(severity), subsampling=0)
        return np.asarray(Image.open(file, formats=("JPEG",)))


def _jpeg(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    pictures = (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    decoded = [jpeg_copy(picture, s) for picture, s in zip(pictures, severity)]
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).to(x) / 255


def _downscale_factor(severity: float) -> float:
    return 12**severity


def _downscale(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    h, w = x.shape[2:]
    result = x.clone()
    for i, s in enumerate(severity):
        small = [max(1, round(side / _downscale_factor(s))) for side in (h, w)]
        if small != [h, w]:
            shrunk = F.interpolate(x[i : i + 1], small, mode="bilinear", antialias=True)
            result[i : i + 1] = F.interpolate(shrunk, (h, w), mode="bicubic")
    return result


def _remaining(severity: float) -> float:  # share of the contrast or brightness
    return 1 - 0.9 * severity


def _contrast(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + _column([_remaining(s) for s in severity], x) * (x - mean)


def _saturation(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    luma = (x * torch.tensor([0.299, 0.587, 0.114]).to(x).view(1, 3, 1, 1)).sum(1, keepdim=True)  # ITU-R BT.601
    return luma + _column([1 - s for s in severity], x) * (x - luma)


def _brightness(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    return x * _column([_remaining(s) for s in severity], x)


def _shift_pixels(severity: float) -> float:
    return 16 * severity**2


def _shift(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    n, _, h, w = x.shape
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    pixels = torch.tensor([_shift_pixels(s) for s in severity])
    affine = torch.eye(2, 3).repeat(n, 1, 1)
    affine[:, 0, 2], affine[:, 1, 2] = pixels * angle.cos() * 2 / w, pixels * angle.sin() * 2 / h
    grid = F.affine_grid(affine.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _levels(severity: float) -> float:
    return 2 ** (8 - 7 * severity)


def _quantise(x: Tensor, severity: list[float], generator: torch.Generator) -> Tensor:
    steps = _column([round(_levels(s)) - 1 for s in severity], x)
    return (x * steps).round() / steps


DISTORTIONS = {
    d.name: d
    for d in (
        Distortion("noise", "noise", lambda s: f"noise σ {255 * _noise_sigma(s):.3g}/255", _noise),
        Distortion("blur", "blur", lambda s: f"blur σ {_blur_sigma(s):.2g} px", _blur),
        Distortion("jpeg", "JPEG", lambda s: f"JPEG quality {_jpeg_quality(s)}", _jpeg),
        Distortion("downscale", "downscaling", lambda s: f"downscaling {_downscale_factor(s):.2g}×", _downscale),
        Distortion("contrast", "contrast loss", lambda s: f"contrast {100 * _remaining(s):.0f} %", _contrast),
        Distortion("saturation", "colour loss", lambda s: f"saturation {100 * (1 - s):.0f} %", _saturation),
        Distortion("brightness", "darkening", lambda s: f"brightness {100 * _remaining(s):.0f} %", _brightness),
        Distortion("shift", "shift", lambda s: f"a shift of {_shift_pixels(s):.2g} px", _shift),
        Distortion("quantise", "fewer colours", lambda s: f"{round(_levels(s))} levels a colour", _quantise),
    )
}
