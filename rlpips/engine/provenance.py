"""What the numbers of a receipt were computed with: device, precision and versions; and digests of pictures and weights."""

import hashlib

import torch

from rlpips.zoo import catalog


def surroundings(device, precision="float32"):
    """What the numbers were computed with: device, precision of the convolutions and versions, for a receipt."""
    from rlpips import __version__

    title = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    if precision == "float32" and device.type == "cuda" and torch.backends.cudnn.allow_tf32:
        precision = "tf32"  # which is what cuDNN makes of it unless told otherwise
    return {"device": title, "precision": precision, "rlpips": __version__, "torch": torch.__version__}


def picture_digest(picture):
    """The sha256 of a picture's float32 numbers (3, H, W), for a receipt."""
    return hashlib.sha256(picture.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def weights_digest(name, backbone):
    """What identifies a metric's weights, for a receipt: its heads' sha256, or git's name for an official checkpoint."""
    card = catalog.card(name)
    return card.official.blob_id if card.official else card.heads[backbone].sha256
