"""Natural distortions with a severity in [0, 1], and the ruler that reads a distance as one of them.

Severity 0 is no visible change and 1 is very strong; in between every distortion grows visibly. All
randomness (the noise, the direction of the shift) comes from the generator, so the same seed at two
severities is the same pattern, weaker or stronger.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


@dataclass(frozen=True)
class Distortion:
    """One family of distortions.

    `distortion(x, severity, generator=None)`: x (N, 3, H, W) in [0, 1]; severity a number or a tensor (N,) in
    [0, 1]; returns the same shape, in [0, 1], on x's device. Without a generator the one seeded 0 is taken.
    `words(severity)` says how strong that is, in the unit people know: "JPEG quality 7".
    """

    name: str
    title: str
    words: Callable
    distort: Callable

    def __call__(self, x, severity, generator=None):
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"A distortion expects pictures of shape (N, 3, H, W); got {tuple(x.shape)}.")
        severity = torch.as_tensor(severity, dtype=torch.float64).cpu()
        if severity.ndim > 1 or (severity.ndim == 1 and len(severity) != len(x)):
            raise ValueError(
                f"Give one severity, or one for each of {len(x)} pictures; got shape {tuple(severity.shape)}."
            )
        if not ((severity >= 0) & (severity <= 1)).all():
            raise ValueError(f"Severities lie in [0, 1]; got {severity.tolist()}.")
        generator = generator or torch.Generator().manual_seed(0)
        return self.distort(x, severity.expand(len(x)).tolist(), generator).clamp(0, 1)

    apply = __call__


def _column(values, like):  # one number per picture, ready to multiply (N, 3, H, W)
    return torch.tensor(values).to(like).view(-1, 1, 1, 1)


# Each family: a law from severity to its own unit, and what it does. Squares give the mild end more room,
# where both the eye and the metrics tell small changes apart.


def _noise_sigma(severity):
    return 80 / 255 * severity**2


def _noise(x, severity, generator):
    pattern = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x)
    return x + _column([_noise_sigma(s) for s in severity], x) * pattern


def _blur_sigma(severity):
    return 0.25 * 32**severity  # a quarter of a pixel changes nothing, 8 pixels leave the composition


def _blur(x, severity, generator):
    n, c, h, w = x.shape
    sigma = torch.tensor([_blur_sigma(s) for s in severity])[:, None]
    radius = math.ceil(3 * sigma.max().item())
    offsets = torch.arange(-radius, radius + 1)
    exponent = -(offsets**2) / (2 * sigma**2)
    # Cut off at 3 sigma of its own, so that a picture is blurred the same whoever shares its batch.
    exponent = exponent.masked_fill(offsets.abs() > (3 * sigma).ceil(), -torch.inf)
    kernel = exponent.softmax(1).to(x)  # (N, K), a normalised Gaussian each
    kernel = kernel.repeat_interleave(c, 0)[:, None, :, None]  # (N·3, 1, K, 1): every picture has its own
    x = x.reshape(1, n * c, h, w)
    x = F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), kernel, groups=n * c)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), kernel.transpose(2, 3), groups=n * c)
    return x.view(n, c, h, w)


def _jpeg_quality(severity):
    return round(1 + 97 * (1 - severity) ** 2)


def _jpeg(x, severity, generator):
    pictures = (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    decoded = []
    for picture, s in zip(pictures, severity):
        with io.BytesIO() as file:
            # Full chroma resolution, so that the quality alone says how strong it is.
            Image.fromarray(picture).save(file, "JPEG", quality=_jpeg_quality(s), subsampling=0)
            decoded.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).to(x) / 255


def _downscale_factor(severity):
    return 12**severity


def _downscale(x, severity, generator):
    h, w = x.shape[2:]
    result = x.clone()
    for i, s in enumerate(severity):
        small = [max(1, round(side / _downscale_factor(s))) for side in (h, w)]
        if small != [h, w]:
            shrunk = F.interpolate(x[i : i + 1], small, mode="bilinear", antialias=True)
            result[i : i + 1] = F.interpolate(shrunk, (h, w), mode="bicubic")
    return result


def _kept(severity):  # the share of contrast, saturation or brightness that is left
    return 1 - 0.9 * severity


def _contrast(x, severity, generator):
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + _column([_kept(s) for s in severity], x) * (x - mean)


def _saturation(x, severity, generator):
    luma = (x * torch.tensor([0.299, 0.587, 0.114]).to(x).view(1, 3, 1, 1)).sum(1, keepdim=True)  # ITU-R BT.601
    return luma + _column([1 - s for s in severity], x) * (x - luma)


def _brightness(x, severity, generator):
    return x * _column([_kept(s) for s in severity], x)


def _shift_pixels(severity):
    return 16 * severity**2


def _shift(x, severity, generator):
    n, _, h, w = x.shape
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    pixels = torch.tensor([_shift_pixels(s) for s in severity])
    affine = torch.eye(2, 3).repeat(n, 1, 1)
    affine[:, 0, 2], affine[:, 1, 2] = pixels * angle.cos() * 2 / w, pixels * angle.sin() * 2 / h
    grid = F.affine_grid(affine.to(x), x.shape, align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _levels(severity):
    return 2 ** (8 - 7 * severity)


def _quantise(x, severity, generator):
    steps = _column([round(_levels(s)) - 1 for s in severity], x)
    return (x * steps).round() / steps


DISTORTIONS = {
    d.name: d
    for d in (
        Distortion("noise", "noise", lambda s: f"noise σ {255 * _noise_sigma(s):.3g}/255", _noise),
        Distortion("blur", "blur", lambda s: f"blur σ {_blur_sigma(s):.2g} px", _blur),
        Distortion("jpeg", "JPEG", lambda s: f"JPEG quality {_jpeg_quality(s)}", _jpeg),
        Distortion("downscale", "downscaling", lambda s: f"downscaling {_downscale_factor(s):.2g}×", _downscale),
        Distortion("contrast", "contrast loss", lambda s: f"contrast {100 * _kept(s):.0f} %", _contrast),
        Distortion("saturation", "colour loss", lambda s: f"saturation {100 * (1 - s):.0f} %", _saturation),
        Distortion("brightness", "darkening", lambda s: f"brightness {100 * _kept(s):.0f} %", _brightness),
        Distortion("shift", "shift", lambda s: f"a shift of {_shift_pixels(s):.2g} px", _shift),
        Distortion("quantise", "fewer colours", lambda s: f"{round(_levels(s))} levels a colour", _quantise),
    )
}
