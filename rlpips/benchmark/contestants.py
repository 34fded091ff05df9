"""PGD as it is written on other packages, to be measured beside ours by `rlpips.benchmark`.

`lpips` and `torchmetrics` are not needed by anything else; each is imported when it is asked for. Neither has its
trunks on board, and neither knows R-LPIPS: both get our numbers, the same that our own metrics stand on.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch

from rlpips.zoo import weights


@dataclass(frozen=True)
class Package:
    """A package with a model of its own for each metric. `read(model, x, y)`, pictures (N, 3, H, W) in [0, 1],
    gives the distances (N, 1, 1, 1) and a list of each layer's share of them, of the same shape."""

    name: str
    models: list
    read: Callable

    def loops(self, reference, first, eps, steps, norm):
        """PGD against each metric, one attack after the other, as a user of the package writes it.

        `reference` and `first`, the random start: (N, 3, H, W) in [0, 1]. Returns the distances per layer that were
        read off on the way, (attacks, steps, N, metrics, layers): at every step the metric that is attacked has its
        own from the forward pass, and the others are asked.
        """
        return torch.stack([self._attack(model, reference, first, eps, steps, norm) for model in self.models])

    def _attack(self, attacked, reference, x, eps, steps, norm):
        size, readings = 2.5 * eps / steps, []
        for _ in range(steps):
            x = x.detach().requires_grad_()
            distance, own = self.read(attacked, reference, x)
            (gradient,) = torch.autograd.grad(distance.sum(), x)
            with torch.no_grad():
                shares = [own if model is attacked else self.read(model, reference, x)[1] for model in self.models]
                readings.append(torch.stack([torch.cat(each, 1).flatten(1) for each in shares], 1).detach())
                if norm == "linf":
                    delta = (x + size * gradient.sign() - reference).clamp(-eps, eps)
                else:
                    step = gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
                    delta = x + size * step - reference
                    length = delta.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
                    delta = delta * (eps / length).clamp(max=1)
                x = (reference + delta).clamp(0, 1)
        return torch.stack(readings)


def lpips_package(metrics, backbone="alex", device="cpu"):
    """The `lpips` package as a `Package` with our numbers for each of the metrics named; ImportError without it."""
    import lpips

    def make():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls torchvision in an old-fashioned way
            return lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)

    return Package(
        "lpips",
        [_filled(make(), name, backbone, device) for name in metrics],
        lambda model, x, y: model(x, y, retPerLayer=True, normalize=True),
    )


def torchmetrics_package(metrics, backbone="alex", device="cpu"):
    """torchmetrics as a `Package`, as `lpips_package`. Taken is the network inside its metric, without the metric's own
    keeping of scores, which a loop has no use for and which would cost it memory; ImportError without the package."""
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    return Package(
        "torchmetrics",
        [_filled(_NoTrainLpips(net=backbone, pnet_rand=True), name, backbone, device) for name in metrics],
        lambda model, x, y: model(x, y, retperlayer=True, normalize=True),
    )


PACKAGES = {"lpips": lpips_package, "torchmetrics": torchmetrics_package}


def packages(metrics, backbone="alex", device="cpu"):
    """(the packages that are installed, the names of those that are not)."""
    found, missing = [], []
    for name, make in PACKAGES.items():
        try:
            found.append(make(metrics, backbone, device))
        except ImportError:
            missing.append(name)
    return found, missing


def _filled(model, metric, backbone, device):
    """A model of either package with our trunk and a metric's heads, frozen."""
    state = weights.load_trunk(backbone)
    # "slice2.3.weight", or of torchmetrics' SqueezeNet "slices.1.3.weight", is torchvision's "features.3.weight".
    names = {key: re.sub(r"^slices?\.?\d+\.", "features.", key) for key in model.net.state_dict()}
    model.net.load_state_dict({key: state[name] for key, name in names.items()})
    for layer, head in zip(model.lins, weights.load_heads(metric, backbone), strict=True):
        layer.model[-1].weight.data.copy_(head.view(1, -1, 1, 1))
    return model.to(device).eval().requires_grad_(False)
