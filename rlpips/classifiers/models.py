"""Classifiers to be fooled: small ones of CIFAR-10, trained here with and without a defence, and two of ImageNet.

    classifier = rlpips.load_classifier("undefended")
    logits = classifier(x)  # x (N, 3, 32, 32) in [0, 1] -> (N, 10)

`python -m rlpips.classifiers NAME` trains one of those of CIFAR-10 (`rlpips.training.classifiers`).
"""

import threading
from collections import defaultdict

import torch
import torch.nn.functional as F
from torch import nn

from rlpips.device import pick_device
from rlpips.zoo import catalog, weights

# Mean and standard deviation of the training pictures, red, green and blue.
CIFAR10_SCALE = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGENET_SCALE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Classifier(nn.Module):
    """A network cut into stages: what each stage hands to the next is a tap, and `head` makes logits of the last.

    `classifier(x)`, x (N, 3, size, size) float in [0, 1], returns logits (N, K), float32 also under autocast; `classes`
    are the K names. ValueError for another shape.
    """

    def __init__(self, name, stages, head, scale, classes, size):
        super().__init__()
        self.name, self.classes, self.size = name, tuple(classes), size
        self.stages, self.head = nn.ModuleList(stages), head
        for part, values in zip(("mean", "deviation"), scale):
            self.register_buffer(part, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, x):
        return self.features_logits(x)[1]

    def features_logits(self, x):
        """(activations at the taps, a list of (N, C_l, h_l, w_l), and the logits (N, K)); under autocast the activations are
        in its precision, as to convert them would take longer than to compute them."""
        if x.ndim != 4 or x.shape[1:] != (3, self.size, self.size):
            raise ValueError(f"{self.name} expects pictures (N, 3, {self.size}, {self.size}); got {tuple(x.shape)}.")
        x = ((x - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        return taps, self.head(x).float()


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al., Deep Residual Learning, arXiv 1512.03385)."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
        self.second, self.second_norm = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
        self.shortcut = nn.Identity()
        if inside != outside or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x))


def small_resnet(name):
    """An untrained ResNet for CIFAR-10, 308,650 parameters: a stem of 32 channels and a block each of 32, 64 and 128
    channels on 32×32, 16×16 and 8×8 positions. torch's global generator draws the weights."""
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    stages = [stem, Block(32, 32, 1), Block(32, 64, 2), Block(64, 128, 2)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, len(catalog.CIFAR10_CLASSES)))
    return Classifier(name, stages, head, CIFAR10_SCALE, catalog.CIFAR10_CLASSES, 32)


def imagenet_classifier(name, state=None):
    """A classifier of ImageNet as torchvision has it; `state` is torchvision's, None leaves it untrained.

    AlexNet's taps are its five ReLUs behind convolutions, ResNet-50's the first ReLU and the ends of its four groups of
    blocks.
    """
    import torchvision

    model = catalog.classifier_card(name).model
    with torch.device("meta" if state else "cpu"):
        whole = torchvision.models.get_model(model, weights=None)
    if state:
        whole.load_state_dict(state, strict=True, assign=True)
    if model == "alexnet":
        parts, ends = whole.features, (2, 5, 8, 10, 12)  # just behind its ReLUs
        stages = [parts[start:end] for start, end in zip((0, *ends), ends)]
        head = [parts[ends[-1] :], whole.avgpool, nn.Flatten(), whole.classifier]
    else:
        stages = [nn.Sequential(whole.conv1, whole.bn1, whole.relu), nn.Sequential(whole.maxpool, whole.layer1)]
        stages += [whole.layer2, whole.layer3, whole.layer4]
        head = [whole.avgpool, nn.Flatten(), whole.fc]
    classes = torchvision.models.get_model_weights(model)["IMAGENET1K_V1"].meta["categories"]
    return Classifier(name, stages, nn.Sequential(*head), IMAGENET_SCALE, classes, catalog.classifier_card(name).size)


_LOADED = {}
_LOADING = defaultdict(threading.Lock)  # one for each classifier, so that a long download holds up nobody else


def load_classifier(name, device="cpu", progress=weights.print_progress):
    """A classifier of the catalogue, frozen and in eval mode: one object for each name and device.

    `device`: "cpu", "cuda", or None for the GPU where there is one. Weights for CIFAR-10 are bundled; those for ImageNet are
    looked for, and downloaded, as `rlpips.zoo.weights.load_classifier` says, which calls `progress(file, bytes, bytes in all or
    None)` meanwhile. ValueError for an unknown name (listing those there are), or weights that are not to be had.
    """
    card = catalog.classifier_card(name)
    device = pick_device(device)
    key = (card.name, str(device))
    with _LOADING[key]:  # else two visitors at once would make two
        if key not in _LOADED:
            _LOADED[key] = (
                _load(card, progress).to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
            )
        return _LOADED[key]


def _load(card, progress):
    state = weights.load_classifier(card.name, progress)
    try:
        if card.model:
            return imagenet_classifier(card.name, state)
        with torch.random.fork_rng(
            devices=[]
        ):  # drawing weights that are replaced at once disturbs nobody's random numbers
            made = small_resnet(card.name)
        made.load_state_dict(state, strict=True)
        return made
    except RuntimeError as error:
        raise weights.WeightsError(f"{card.file} does not fit the network of {card.title}: {error}") from error
