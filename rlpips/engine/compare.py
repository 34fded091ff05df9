"""What every metric says about a pair of pictures."""

from typing import Any

import torch

from rlpips.data import images
from rlpips.device import in_neutral_state, pick_device
from rlpips.engine.panel import Panel, in_8_bits, trunks_of
from rlpips.engine.provenance import surroundings
from rlpips.metrics.lpips import load_metrics
from rlpips.traces.trace import Trace
from rlpips.zoo.catalog import PAIR, check_metrics, name_of


@in_neutral_state
def compare(reference: Any, other: Any, metrics: Any = PAIR, backbone: str = "alex", device: Any = None) -> Trace:
    """What every metric says about two pictures: a `Trace` with the single lane "pair" and the single step 0.

    `reference` and `other`: a tensor, an array, a PIL image or a path each. ValueError unless they have the same size.
    """
    device, metrics = pick_device(device), check_metrics(metrics, backbone)
    x, y = images.to_tensor(reference, device), images.to_tensor(other, device)
    if len(x) != 1 or x.shape != y.shape:
        sizes = " and ".join("×".join(map(str, each.shape)) for each in (x, y))
        raise ValueError(f"A pair is two single pictures of one size; got {sizes} (N×3×H×W).")
    images.check_size(x)
    panel = Panel(load_metrics(metrics, backbone, device), x)
    with torch.no_grad():
        x_8bit = in_8_bits(x)
        panel_8bit = panel if torch.equal(x_8bit, x) else Panel(panel.metrics, x_8bit)
        per_layer, linf, l2 = (part[None].cpu().numpy() for part in panel.read(y, x))
        frames = panel_8bit.frame(0, (0,), y, x_8bit)
    picture = images.to_uint8(x)[0]
    return Trace(
        name=images.name_of(reference),
        lanes=("pair",),
        metrics=tuple(map(name_of, metrics)),
        layers=panel.layers,
        distance=per_layer.sum(-1),
        per_layer=per_layer,
        linf=linf,
        l2=l2,
        frames=tuple(frames),
        reference=picture,
        start=picture,
        trunks=trunks_of(panel.metrics),
        receipt={"objective": "pair", "steps": 0, "backbone": backbone, **surroundings(device)},
    )
