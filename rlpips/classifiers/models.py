"""Classifiers to attack: small ones of CIFAR-10, trained here with and without a defence, and two of ImageNet.

    classifier = rlpips.load_classifier("undefended")
    logits = classifier(x)  # x (N, 3, 32, 32) in [0, 1] -> (N, 10)

`python -m rlpips.classifiers NAME` trains a classifier of CIFAR-10 (`rlpips.training.classifiers`).
"""

import copy
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.device import in_neutral_state, pick_device
from rlpips.zoo import classifier_cards, weights

# Mean and standard deviation of the training pictures: red, green and blue.
Scale = tuple[tuple[float, float, float], tuple[float, float, float]]
CIFAR10_SCALE: Scale = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGENET_SCALE: Scale = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Classifier(nn.Module):
    """A network in stages. The output of each stage is a tap; `head` turns the last one into logits.

    `classifier(x)`, x (N, 3, size, size) float in [0, 1], returns logits (N, K), float32 even under autocast; `classes` are the
    K names. ValueError for another shape.
    """

    mean: Tensor  # (1, 3, 1, 1)
    deviation: Tensor

    def __init__(
        self,
        name: str,
        stages: Iterable[nn.Module],
        head: nn.Module,
        scale: Scale,
        classes: Sequence[str],
        size: int,
    ):
        super().__init__()
        self.name, self.classes, self.size = name, tuple(classes), size
        self.stages, self.head = nn.ModuleList(stages), head
        for part, values in zip(("mean", "deviation"), scale, strict=True):
            self.register_buffer(part, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.features_logits(x)[1]

    def features_logits(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """(the activations at the taps, a list of (N, C_l, h_l, w_l), and the logits (N, K)). Under autocast the activations keep
        its precision, because their conversion would take longer than their computation."""
        if x.ndim != 4 or x.shape[1:] != (3, self.size, self.size):
            raise ValueError(f"{self.name} expects pictures (N, 3, {self.size}, {self.size}); got {tuple(x.shape)}.")
        x = ((x - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        return taps, self.head(x).float()


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut around them (He et al., Deep Residual Learning, arXiv 1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.second, self.second_norm = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


def small_resnet(name: str) -> Classifier:
    """An untrained ResNet for CIFAR-10 with 308,650 parameters: a stem of 32 channels, then blocks of 32, 64 and 128 channels on
    32×32, 16×16 and 8×8 positions. The weights are drawn from torch's global generator."""
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    stages = [stem, Block(32, 32, 1), Block(32, 64, 2), Block(64, 128, 2)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, len(classifier_cards.CIFAR10_CLASSES)))
    return Classifier(name, stages, head, CIFAR10_SCALE, classifier_cards.CIFAR10_CLASSES, 32)


def imagenet_classifier(name: str, state: Mapping[str, Tensor] | None = None) -> Classifier:
    """A classifier of ImageNet with torchvision's network; `state` is torchvision's state dict, None leaves it untrained.

    AlexNet's taps are its five ReLUs after convolutions. ResNet-50's are the first ReLU and the ends of its four groups of
    blocks.
    """
    import torchvision

    card = classifier_cards.card(name)
    with torch.device("meta" if state else "cpu"):
        network = torchvision.models.get_model(card.model, weights=None)
    if state:
        network.load_state_dict(state, strict=True, assign=True)
    if card.model == "alexnet":
        layers, ends = network.features, (2, 5, 8, 10, 12)  # each end just after a ReLU
        stages = [layers[start:end] for start, end in zip((0, *ends), ends)]
        head = [layers[ends[-1] :], network.avgpool, nn.Flatten(), network.classifier]
    else:
        stages = [nn.Sequential(network.conv1, network.bn1, network.relu)]
        stages += [nn.Sequential(network.maxpool, network.layer1), network.layer2, network.layer3, network.layer4]
        head = [network.avgpool, nn.Flatten(), network.fc]
    classes = torchvision.models.get_model_weights(card.model)["IMAGENET1K_V1"].meta["categories"]
    return Classifier(name, stages, nn.Sequential(*head), IMAGENET_SCALE, classes, card.size)


_LOADED: dict[tuple[str, str], Classifier] = {}  # by name and device
_LOCKS: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)  # a long download delays nobody else


@in_neutral_state
def load_classifier(
    name: str,
    device: str | torch.device | None = "cpu",
    progress: weights.DownloadProgress = weights.print_progress,
) -> Classifier:
    """A classifier of the catalogue, frozen and in eval mode. It is the caller's: to train or move it touches no other.

    `device`: "cpu", "cuda", or None for the GPU where there is one. Weights for CIFAR-10 are bundled; `rlpips.zoo.weights.
    load_classifier` says where those for ImageNet come from, and calls `progress(file, bytes, total bytes or None)` during a
    download. ValueError for an unknown name, which lists the known ones, or if the weights are not available.
    """
    card = classifier_cards.card(name)
    device = pick_device(device)
    key = (card.name, str(device))
    with _LOCKS[key]:  # two visitors at once wait for one download
        if key not in _LOADED:
            classifier = _load(card, progress).to(device).to(memory_format=torch.channels_last)
            _LOADED[key] = classifier.eval().requires_grad_(False)
        return copy.deepcopy(_LOADED[key])


def _load(card: classifier_cards.ClassifierCard, progress: weights.DownloadProgress) -> Classifier:
    state = weights.load_classifier(card.name, progress)
    try:
        if card.model:
            return imagenet_classifier(card.name, state)
        # The drawn weights are replaced at once, so they should not change the caller's random numbers.
        with torch.random.fork_rng(devices=[]):
            classifier = small_resnet(card.name)
        classifier.load_state_dict(state, strict=True)
        return classifier
    except RuntimeError as error:
        raise weights.WeightsError(f"{card.file} does not fit the network of {card.title}: {error}") from error
