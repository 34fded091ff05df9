"""The `lpips` package as an independent reference. It gets our trunks, as it would download its own."""

import warnings

import lpips
import torch
import torchvision

from rlpips.metrics.backbones import BACKBONES
from rlpips.zoo import weights


def random_trunk(backbone):
    """Weights for a trunk whose trained ones may be missing here: torchvision's initial weights, with seed 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = getattr(torchvision.models, BACKBONES[backbone].model)(weights=None).features
    return {f"features.{key}": value for key, value in features.state_dict().items()}


def official(backbone, spatial=False, state=None):
    """`lpips.LPIPS` v0.1 on a backbone, with the trunk `state` or our weights. It takes images in [-1, 1]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses deprecated arguments of torchvision
        model = lpips.LPIPS(net=backbone, pnet_rand=True, spatial=spatial, verbose=False)
    state = state or weights.load_trunk(backbone)
    keys = model.net.state_dict()  # "slice2.3.weight" is torchvision's "features.3.weight"
    model.net.load_state_dict({key: state["features." + key.split(".", 1)[1]] for key in keys})
    return model.eval().requires_grad_(False)
