"""For receipts: the device, the precision and the versions that computed the numbers, and digests of pictures and weights."""

import hashlib

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


def weights_digest(name: str, backbone: str) -> str:
    """What identifies a metric's weights: the sha256 of its heads (and, after a +, of a trunk of its own), or git's name for an official
    checkpoint."""
    card = catalog.card(name)
    if card.official:
        return card.official.blob_id
    return "+".join([card.heads[backbone].sha256, *([card.trunk.sha256] if card.trunk else [])])
