"""Which device computes."""

import torch


def pick_device(device=None):
    """A torch device: the one named, or the GPU where there is one, or the CPU. ValueError for one that is not there."""
    try:
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be None, "cpu" or "cuda"; got {device!r}.') from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"There is no GPU for device {str(device)!r} here.")
    return device
