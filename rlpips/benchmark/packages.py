"""PGD as users of other packages write it, to compare our engine with.

Nothing else needs `lpips` and `torchmetrics`; each is imported only when it is measured. Both would download their weights, and
neither has R-LPIPS, so both get the weights of our metrics.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rlpips.zoo import weights


@dataclass(frozen=True)
class Package:
    """A package, with one model for each metric. `measure(model, x, y)`, pictures (N, 3, H, W) in [0, 1], returns the distances
    (N, 1, 1, 1) and a list of their parts per layer, of the same shape."""

    name: str
    models: Sequence[nn.Module]
    measure: Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Sequence[Tensor]]]

    def attack(self, reference: Tensor, start: Tensor, norm: str, eps: float, steps: int) -> Tensor:
        """PGD against each metric, one attack after the other, with both metrics measured at every step.

        `reference` and `start`, a random point of its ball, are (N, 3, H, W) in [0, 1]. Returns the distances per layer of every
        iterate but the last, (attacks, steps, N, metrics, layers).
        """
        return torch.stack([self._attack(model, reference, start, norm, eps, steps) for model in self.models])

    def _attack(self, attacked: nn.Module, reference: Tensor, x: Tensor, norm: str, eps: float, steps: int) -> Tensor:
        readings = []
        for iterate, _, layers in self.iterates(attacked, reference, x, norm, eps, steps):
            with torch.no_grad():
                # The attacked metric has its distances from the forward pass already.
                parts = [
                    layers if model is attacked else self.measure(model, reference, iterate)[1] for model in self.models
                ]
                readings.append(torch.stack([torch.cat(list(part), 1).flatten(1) for part in parts], 1).detach())
        return torch.stack(readings)

    def iterates(
        self, attacked: nn.Module, reference: Tensor, x: Tensor, norm: str, eps: float, steps: int
    ) -> Iterator[tuple[Tensor, Tensor, Sequence[Tensor]]]:
        """PGD with fixed steps against one model, in the simplest way: yields (iterate, its distances (N, 1, 1, 1), their parts per
        layer) `steps` times."""
        step_size = 2.5 * eps / steps
        for _ in range(steps):
            x = x.detach().requires_grad_()
            distance, layers = self.measure(attacked, reference, x)
            (gradient,) = torch.autograd.grad(distance.sum(), x)
            yield x.detach(), distance.detach(), layers
            with torch.no_grad():
                if norm == "linf":
                    delta = (x + step_size * gradient.sign() - reference).clamp(-eps, eps)
                else:
                    direction = gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
                    delta = x + step_size * direction - reference
                    length = delta.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
                    delta = delta * (eps / length).clamp(max=1)
                x = (reference + delta).clamp(0, 1)


def lpips_package(metrics: Sequence[str], backbone: str = "alex", device: str | torch.device = "cpu") -> Package:
    """The `lpips` package with our weights for each of the metrics; ImportError if it is not installed."""
    import lpips

    def make_model() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it passes torchvision an old argument
            return lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)

    return Package(
        "lpips",
        [_fill(make_model(), name, backbone, device) for name in metrics],
        lambda model, x, y: model(x, y, retPerLayer=True, normalize=True),
    )


def torchmetrics_package(metrics: Sequence[str], backbone: Any = "alex", device: str | torch.device = "cpu") -> Package:
    """torchmetrics with our weights for each of the metrics; ImportError if it is not installed.

    It is the network within its metric, which is private; its public classes always download weights.
    """
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    return Package(
        "torchmetrics",
        [_fill(_NoTrainLpips(net=backbone, pnet_rand=True), name, backbone, device) for name in metrics],
        lambda model, x, y: model(x, y, retperlayer=True, normalize=True),
    )


PACKAGES = {"lpips": lpips_package, "torchmetrics": torchmetrics_package}


def load_packages(
    metrics: Sequence[str], backbone: str = "alex", device: str | torch.device = "cpu"
) -> tuple[list[Package], list[str]]:
    """(the packages that are installed, the names of those that are not)."""
    packages, missing = [], []
    for name, load in PACKAGES.items():
        try:
            packages.append(load(metrics, backbone, device))
        except ImportError:
            missing.append(name)
    return packages, missing


def _fill(model: nn.Module, metric: str, backbone: str, device: str | torch.device) -> nn.Module:
    """A model of either package, frozen, with our trunk and the heads of a metric."""
    network: nn.Module = model.get_submodule("net")
    state = weights.load_trunk(backbone)
    # "slice2.3.weight" (torchmetrics' SqueezeNet: "slices.1.3.weight") is "features.3.weight" in torchvision.
    names = {key: re.sub(r"^slices?\.?\d+\.", "features.", key) for key in network.state_dict()}
    network.load_state_dict({key: state[name] for key, name in names.items()})
    for layer, head in enumerate(weights.load_heads(metric, backbone)):
        convolution = model.get_submodule(f"lin{layer}.model.1")
        convolution.load_state_dict({"weight": head.view(1, -1, 1, 1)})
    return model.to(device).eval().requires_grad_(False)
