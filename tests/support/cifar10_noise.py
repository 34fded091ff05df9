"""Pictures and a classifier in the format of CIFAR-10, without any real picture or training."""

import torch

from rlpips.classifiers.cifar10 import Pictures
from rlpips.classifiers.models import small_resnet


def noise(count, size=32, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def make_pictures_with_classes(count):
    """uint8 noise; the brighter a picture is, the higher its class."""
    y = torch.arange(count) % 10
    return Pictures(((noise(count) + y[:, None, None, None]) * 23).byte(), y)


def make_classifier():
    """An untrained classifier, whose running statistics are not 0 or 1."""
    torch.manual_seed(0)
    classifier = small_resnet("undefended")
    for name, value in classifier.state_dict().items():
        if "norm" in name or "stages.0.1" in name:
            value += (0.2 * torch.rand(value.shape)).to(value.dtype)
    return classifier.eval().requires_grad_(False)
