"""For receipts: the device, the precision and the versions that computed the numbers, and digests of pictures and weights."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from rlpips.zoo import catalog


def surroundings(device: torch.device, precision: str = "float32") -> dict[str, str]:
    """The device, the precision of the convolutions, and the versions of rlpips and torch."""
    from rlpips import __version__

    title = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    if precision == "float32" and device.type == "cuda" and _convolves_in_tf32():
        precision = "tf32"  # cuDNN's default for float32
    return {"device": title, "precision": precision, "rlpips": __version__, "torch": torch.__version__}


def _convolves_in_tf32() -> bool:
    cudnn = torch.backends.cudnn
    # Newer torches refuse to read the older name once somebody has set the newer one.
    return cudnn.conv.fp32_precision == "tf32" if hasattr(cudnn, "conv") else cudnn.allow_tf32


def picture_digest(picture: Tensor) -> str:
    """The sha256 of a picture's float32 values (3, H, W)."""
    return hashlib.sha256(picture.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def weights_digest(metric: Any, backbone: str) -> str:
    """What identifies a metric's weights. For a name of the catalogue: the sha256 of its heads (and, after a +, of a trunk of its own)
    or of what it has in their place, git's name for an official checkpoint, or nothing where there is no network. For a module: the
    sha256 of its state, or nothing where it has none."""
    if not isinstance(metric, str):
        state = getattr(metric, "state_dict", dict)()
        sha256 = hashlib.sha256()
        for value in state.values():
            sha256.update(value.detach().cpu().contiguous().numpy().tobytes())
        return sha256.hexdigest() if state else ""
    card = catalog.card(metric)
    if card.official:
        return card.official.blob_id
    if card.of:
        return weights_digest(card.of, backbone)
    files = card.heads.get(backbone), card.trunk, card.packaged.get(backbone), card.weights
    return "+".join(file.sha256 for file in files if file)
