"""What every metric says about a pair of given pictures."""

import torch

from rlpips.data import images
from rlpips.data.images import check_size
from rlpips.device import pick_device
from rlpips.engine.panel import Panel, in_8_bits
from rlpips.engine.provenance import surroundings
from rlpips.metrics.lpips import load_metric
from rlpips.traces.trace import Trace
from rlpips.zoo.catalog import PAIR, check_metrics


def compare(reference, other, metrics=PAIR, backbone="alex", device=None):
    """What every metric says about two given pictures: a `Trace` with the one lane "pair" and the one step 0.

    `reference` and `other`: a tensor, an array, a PIL image or a path each, of the same size (ValueError otherwise).
    """
    device, metrics = pick_device(device), check_metrics(metrics, backbone)
    x, y = images.to_tensor(reference, device), images.to_tensor(other, device)
    if len(x) != 1 or x.shape != y.shape:
        sizes = " and ".join("×".join(map(str, each.shape)) for each in (x, y))
        raise ValueError(f"A pair is two single pictures of one size; got {sizes} (N×3×H×W).")
    check_size(x)
    panel = Panel([load_metric(name, backbone, device) for name in metrics], x)
    with torch.no_grad():
        seen = in_8_bits(x)
        shown = panel if torch.equal(seen, x) else Panel(panel.metrics, seen)
        shares, linf, l2 = (part[None].cpu().numpy() for part in panel.read(y, x))
        frames = shown.frame(0, (0,), y, seen)
    return Trace(
        name=images.name_of(reference), lanes=("pair",), metrics=metrics, layers=panel.metrics[0].layers,
        distance=shares.sum(-1), per_layer=shares, linf=linf, l2=l2, frames=tuple(frames), reference=images.to_uint8(x)[0], start=images.to_uint8(x)[0],
        receipt={"objective": "pair", "steps": 0, "backbone": backbone, **surroundings(device)},
    )  # fmt: skip
