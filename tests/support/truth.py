"""The `lpips` package as the independent truth, holding our trunks: its own way to get them is a download."""

import warnings

import lpips
import torch
import torchvision

from rlpips.metrics.backbones import BACKBONES
from rlpips.zoo import weights


def random_trunk(backbone):
    """Numbers for a trunk whose real ones are not at hand: torchvision's initial ones, seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = getattr(torchvision.models, BACKBONES[backbone].model)(weights=None).features
    return {f"features.{key}": value for key, value in features.state_dict().items()}


def official(backbone, spatial=False, state=None):
    """`lpips.LPIPS` v0.1 on a backbone, holding `state` or our weights. It takes images on [-1, 1]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision in an old-fashioned way
        model = lpips.LPIPS(net=backbone, pnet_rand=True, spatial=spatial, verbose=False)
    state = state or weights.load_trunk(backbone)
    keys = model.net.state_dict()  # "slice2.3.weight" is torchvision's "features.3.weight"
    model.net.load_state_dict({key: state["features." + key.split(".", 1)[1]] for key in keys})
    return model.eval().requires_grad_(False)
