"""The only door for pictures: whatever people have, in; validated pixels, out; and back to 8 bits.

Inside, a picture is (N, 3, H, W) float32 in [0, 1]; outside, (H, W, 3) uint8. Files are decoded by
`rlpips.data.decoding`. What cannot be used is a ValueError with a sentence for the person who brought it, in which
a file goes by its base name: its folder is nobody's business.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rlpips.data import decoding

SMALLEST_SIDE = decoding.SMALLEST_SIDE
LARGEST_SIDE = 1024


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture as it is shown.

    pixels: uint8 (H, W, 3), sRGB. notes: sentences that tell what was changed on the way in. name: file name
    without folder and ending, or "picture".
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    name: str = "picture"


def read_picture(source, max_side: int = LARGEST_SIDE) -> Picture:
    """One picture from a path, bytes, a binary file object, a PIL image, or an array.

    Files: PNG, JPEG, WebP, GIF, BMP, TIFF, PPM, AVIF of at most 50 megapixels. Arrays: (H, W, 3) or (H, W),
    uint8, uint16, or float in [0, 1]. A longer side above `max_side` pixels is downscaled to it, 16 bits are
    scaled to 8, transparency is laid on white, EXIF rotation is applied; `Picture.notes` tells what was done.
    Raises ValueError with a sentence for the user: unreadable, damaged, too large, a side below 32.
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
        pixels, notes = decoding.decode_image(source, "The picture", max_side)
    else:
        pixels, notes = decoding.decode_file(source, max_side)
    return Picture(pixels, notes, name)


def to_tensor(source, device="cpu"):
    """A batch of pictures: (N, 3, H, W) float32 in [0, 1] on `device`, both sides at least 32.

    source: a float tensor (3, H, W) or (N, 3, H, W) in [0, 1] (kept in the graph; may be returned itself); an
    array (H, W, 3), (H, W) or (N, H, W, 3), uint8, uint16 or float in [0, 1]; or what `read_picture` takes.
    Raises ValueError that says what was expected and what came.
    """
    import torch

    if isinstance(source, torch.Tensor):
        batch = source[None] if source.ndim == 3 else source
        if batch.ndim != 4 or batch.shape[1] != 3 or not batch.numel():
            raise ValueError(f"Expected a tensor (3, H, W) or (N, 3, H, W); got {tuple(source.shape)}.")
        if not batch.is_floating_point():
            raise ValueError(f"Expected a float tensor in [0, 1]; got {source.dtype}. (Divide bytes by 255.)")
        batch = batch.to(device, torch.float32)
        low, high = (float(end) for end in torch.aminmax(batch.detach()))
        _check_range(low, high)
        if low < 0 or high > 1:  # by rounding alone, as _check_range lets no more pass
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


def check_size(x):
    """ValueError for pictures larger than a trace may hold."""
    if max(x.shape[-2:]) > LARGEST_SIDE:
        height, width = x.shape[-2:]
        raise ValueError(f"Pictures have at most {LARGEST_SIDE} pixels a side here; got {height}×{width} (H×W).")


def to_uint8(batch) -> np.ndarray:
    """A tensor (N, 3, H, W) in [0, 1] -> array (N, H, W, 3) uint8, rounded to nearest."""
    import torch

    if batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(f"Expected a tensor (N, 3, H, W); got {tuple(batch.shape)}.")
    levels = (batch.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 of `size` (H, W), by Lanczos, which keeps edges and does not alias."""
    height, width = size
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def png_bytes(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 3) or (H, W) -> a lossless PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=4)  # half the time of the usual 6, and no larger
    return file.getvalue()


def name_of(source) -> str:
    """What to call a picture: its file's name without folder and ending, or "picture"."""
    if isinstance(source, Picture):
        return source.name
    path = (
        source
        if isinstance(source, (str, os.PathLike))
        else getattr(source, "filename", None) or (getattr(source, "name", None))
    )
    if not isinstance(path, (str, os.PathLike)):
        return "picture"
    stem = "".join(letter for letter in Path(path).stem if letter.isprintable())
    return stem[:60].strip() or "picture"


def _channels_last(array: np.ndarray) -> np.ndarray:
    """(H, W), (H, W, 3) or (N, H, W, 3) -> (N, H, W, 3)."""
    if array.ndim == 2 and array.size:
        return np.repeat(array[None, :, :, None], 3, axis=3)
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or not array.size:
        raise ValueError(f"Expected an array (H, W, 3), (H, W) or (N, H, W, 3); got {array.shape}.")
    return array[None] if array.ndim == 3 else array


def _unit_floats(array: np.ndarray) -> np.ndarray:
    """uint8, uint16 or float in [0, 1] -> float32 in [0, 1]."""
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.iinfo(array.dtype).max
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"Expected an array of uint8, uint16, or float in [0, 1]; got {array.dtype}.")
    array = array.astype(np.float32)
    _check_range(float(array.min()), float(array.max()))
    return array.clip(0, 1)


def _check_range(low: float, high: float, rounding: float = 1e-5) -> None:
    if low >= -rounding and high <= 1 + rounding:
        return
    hint = ""
    if low < 0:
        hint = " (From [-1, 1], take (x + 1) / 2.)"
    elif high > 1:
        hint = " (Divide bytes by 255.)"
    raise ValueError(f"Expected pixel values in [0, 1]; got values from {low:.4g} to {high:.4g}.{hint}")
