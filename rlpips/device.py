"""Which device computes."""

import torch


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """`device` as a torch device; None picks the GPU where there is one, else the CPU. ValueError for one that does not
    exist."""
    try:
        picked = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be None, "cpu" or "cuda"; got {device!r}.') from error
    if picked.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"There is no GPU for device {str(picked)!r} here.")
    return picked
