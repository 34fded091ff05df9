"""Read pictures from files, images, arrays and tensors; convert them to tensors, to 8 bits and to PNG.

Inside the library a picture is (N, 3, H, W) float32 in [0, 1]; outside it is (H, W, 3) uint8. `rlpips.data.decoding` decodes
files. A picture that cannot be used is a ValueError with a sentence for the user. The sentence gives a file's base name only,
because its folder is private.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from rlpips.data import decoding

if TYPE_CHECKING:
    import torch  # the page uses this module before torch is loaded

SMALLEST_SIDE = decoding.SMALLEST_SIDE
LARGEST_SIDE = 1024


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture as it is shown."""

    pixels: np.ndarray  # uint8 (H, W, 3), sRGB
    notes: tuple[str, ...] = ()  # sentences about what was changed when it was read
    name: str = "picture"  # the file name without folder and ending, if there is one
    size: tuple[int, int] = (0, 0)  # (height, width) before it was downscaled; by default that of the pixels

    def __post_init__(self) -> None:
        if self.size == (0, 0):
            object.__setattr__(self, "size", self.pixels.shape[:2])


PictureSource: TypeAlias = decoding.FileSource | Image.Image | np.ndarray | Picture


def read_picture(source: PictureSource, max_side: int = LARGEST_SIDE) -> Picture:
    """Read one picture from a path, bytes, a binary file object, a PIL image, or an array.

    Files: PNG, JPEG, WebP, GIF, BMP, TIFF, PPM, AVIF of at most 50 megapixels, or fewer for formats that take more memory
    (`rlpips.data.limits`). Arrays: (H, W, 3) or (H, W), uint8, uint16, or float in [0, 1]. A picture with a side above `max_side`
    pixels is downscaled, 16 bits become 8, colours become sRGB by the picture's profile, transparent pixels get a white
    background, and EXIF rotation is applied; `Picture.notes` says so. Raises ValueError with a sentence for the user if the
    picture is unreadable, damaged, too large, or below 32 pixels a side.
    """
    name = name_of(source)
    if isinstance(source, Picture):
        source = source.pixels
    if isinstance(source, np.ndarray):
        values = _channels_last(source)
        if len(values) != 1:
            raise ValueError(f"Expected one picture, (H, W, 3) or (H, W); got an array {source.shape}.")
        if values.dtype != np.uint8:
            values = np.rint(255 * _unit_floats(values)).astype(np.uint8)
        source = Image.fromarray(np.ascontiguousarray(values[0]))
    if isinstance(source, Image.Image):
        decoded = decoding.decode_image(source, "The picture", max_side)
    else:
        decoded = decoding.decode_file(source, max_side)
    return Picture(decoded.pixels, decoded.notes, name, decoded.size)


def to_tensor(source: "PictureSource | torch.Tensor", device: "str | torch.device" = "cpu") -> "torch.Tensor":
    """Convert pictures to a batch (N, 3, H, W), float32 in [0, 1] on `device`, at least 32 pixels a side.

    `source` is a float tensor (3, H, W) or (N, 3, H, W) in [0, 1], through which gradients flow and which may be returned
    itself; an array (H, W, 3), (H, W) or (N, H, W, 3), uint8, uint16 or float in [0, 1]; or any source of `read_picture`.
    Raises ValueError that says what was expected and what came.
    """
    import torch

    if isinstance(source, torch.Tensor):
        batch = source[None] if source.ndim == 3 else source
        if batch.ndim != 4 or batch.shape[1] != 3 or not batch.numel():
            raise ValueError(f"Expected a tensor (3, H, W) or (N, 3, H, W); got {tuple(source.shape)}.")
        if not batch.is_floating_point():
            hint = " (Divide bytes by 255.)" if source.dtype == torch.uint8 else ""
            raise ValueError(f"Expected a float tensor in [0, 1]; got {source.dtype}.{hint}")
        batch = batch.to(device, torch.float32)
        low, high = (float(end) for end in torch.aminmax(batch.detach()))
        _check_range(low, high)
        if low < 0 or high > 1:  # by rounding only, after _check_range
            batch = batch.clamp(0, 1)
    else:
        values = source if isinstance(source, np.ndarray) else read_picture(source).pixels
        values = _channels_last(values)
        if values.dtype == np.uint8:
            batch = torch.tensor(np.ascontiguousarray(values), device=device).float() / 255
        else:
            batch = torch.tensor(_unit_floats(values), device=device)
        batch = batch.permute(0, 3, 1, 2).contiguous()  # (N, H, W, 3) -> (N, 3, H, W)
    height, width = batch.shape[2:]
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f"The picture has {width}×{height} pixels; a picture needs at least {SMALLEST_SIDE} a side.")
    return batch


def check_size(x: "torch.Tensor") -> None:
    """ValueError for pictures (N, 3, H, W) with a side above 1024 pixels, the most that a trace may hold."""
    if max(x.shape[-2:]) > LARGEST_SIDE:
        height, width = x.shape[-2:]
        raise ValueError(f"Pictures have at most {LARGEST_SIDE} pixels a side here; got {height}×{width} (H×W).")


def to_uint8(batch: "torch.Tensor") -> np.ndarray:
    """Convert a tensor (N, 3, H, W) in [0, 1] to an array (N, H, W, 3) uint8, rounded to nearest."""
    import torch

    if batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(f"Expected a tensor (N, 3, H, W); got {tuple(batch.shape)}.")
    levels = (batch.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def levels(pixels: np.ndarray) -> np.ndarray:
    """Pixels, uint8 or float in [0, 1], as uint8."""
    return pixels if pixels.dtype == np.uint8 else np.rint(255 * pixels).astype(np.uint8)


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8 (H, W, 3) to `size` (height, width) with a Lanczos filter, which keeps edges and does not alias."""
    height, width = size
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def png_bytes(pixels: np.ndarray) -> bytes:
    """Encode uint8 (H, W, 3) or (H, W) as PNG, without loss."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=4)  # half the time of the default, 6, and no larger
    return file.getvalue()


def name_of(source: Any) -> str:
    """The name of a picture: its file's name without folder and ending, at most 60 printable letters, or "picture"."""
    if isinstance(source, Picture):
        return source.name
    path = source
    if not isinstance(source, (str, os.PathLike)):
        path = getattr(source, "filename", None) or getattr(source, "name", None)  # of a PIL image or a file object
    if not isinstance(path, (str, os.PathLike)):
        return "picture"
    stem = "".join(letter for letter in Path(path).stem if letter.isprintable())
    return stem[:60].strip() or "picture"


def _channels_last(array: np.ndarray) -> np.ndarray:
    """Bring an array (H, W), (H, W, 3) or (N, H, W, 3) to (N, H, W, 3), in this machine's byte order."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim == 2 and array.size:
        return np.repeat(array[None, :, :, None], 3, axis=3)
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or not array.size:
        raise ValueError(f"Expected an array (H, W, 3), (H, W) or (N, H, W, 3); got {array.shape}.")
    return array[None] if array.ndim == 3 else array


def _unit_floats(array: np.ndarray) -> np.ndarray:
    """Convert uint8, uint16 or float in [0, 1] to float32 in [0, 1]."""
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.iinfo(array.dtype).max
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"Expected an array of uint8, uint16, or float in [0, 1]; got {array.dtype}.{_kind_hint(array)}"
        )
    _check_range(float(array.min()), float(array.max()))
    return array.astype(np.float32).clip(0, 1)


def _kind_hint(array: np.ndarray) -> str:
    if array.dtype == bool:
        return " (Take x.astype(float).)"
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 255:
        return " (Take x.astype(np.uint8).)"
    return ""


def _check_range(low: float, high: float, rounding: float = 1e-5) -> None:
    if low >= -rounding and high <= 1 + rounding:
        return
    raise ValueError(
        f"Expected pixel values in [0, 1]; got values from {low:.4g} to {high:.4g}.{_range_hint(low, high, rounding)}"
    )


def _range_hint(low: float, high: float, rounding: float) -> str:
    """How values of a usual range become [0, 1]; "" for other ranges."""
    if low < -rounding:
        if low >= -0.5 - rounding and high <= 0.5 + rounding:
            return " (From [-0.5, 0.5], take x + 0.5.)"
        if low >= -1 - rounding and high <= 1 + rounding:
            return " (From [-1, 1], take (x + 1) / 2.)"
        if low >= -2.2 and high <= 2.7:
            return (
                " (ImageNet-normalised? Take x * std + mean; the means of red, green and blue are 0.485, 0.456, 0.406, "
                "their std 0.229, 0.224, 0.225.)"
            )
    elif 1 + rounding < high <= 255:
        return " (Divide bytes by 255.)"
    elif 255 < high <= 65535:
        return " (Divide values of 16 bits by 65535.)"
    return ""
