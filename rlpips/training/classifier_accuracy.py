"""How often a classifier of CIFAR-10 is correct, on test pictures and under a short PGD attack, for its card."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rlpips.classifiers.cifar10 import Pictures
from rlpips.classifiers.models import Classifier
from rlpips.training.classifier_recipes import pgd_in_pixels

BATCH = 128
PGD_STEPS, PGD_PICTURES = 10, 500
BUDGETS = {"linf": 8 / 255, "l2": 1.0}


def measure(classifier: Classifier, test: Pictures) -> dict[str, Any]:
    """Accuracy on all test pictures, and under PGD on the first of a random order, ready for JSON."""
    some = test.subset(min(PGD_PICTURES, len(test)))
    results: dict[str, Any] = {"clean": {"accuracy": round(accuracy(classifier, test), 4), "pictures": len(test)}}
    for norm, eps in BUDGETS.items():
        robust = round(accuracy_under_pgd(classifier, some, norm, eps), 4)
        results[f"pgd-{norm}"] = {"accuracy": robust, "pictures": len(some), "eps": eps, "steps": PGD_STEPS}
    return results


def accuracy(classifier: Classifier, pictures: Pictures) -> float:
    """The fraction of the pictures that is classified correctly, in float32."""
    return _accuracy(classifier, pictures, lambda x, y, batch: x)


def accuracy_under_pgd(
    classifier: Classifier, pictures: Pictures, norm: str, eps: float, steps: int = PGD_STEPS, seed: int = 0
) -> float:
    """The fraction that is still classified correctly after PGD from a random start with steps of 2.5 eps / steps, in float32.
    eps is in [0, 1] pixel units."""

    def attack(x: Tensor, y: Tensor, batch: int) -> Tensor:
        return pgd_in_pixels(classifier, x, y, norm, eps, steps, 2.5 * eps / steps, seed + batch)

    return _accuracy(classifier, pictures, attack)


def _accuracy(classifier: Classifier, pictures: Pictures, change: Callable[[Tensor, Tensor, int], Tensor]) -> float:
    device, correct = classifier.mean.device, 0
    for batch, (x, y) in enumerate(zip(pictures.x.split(BATCH), pictures.y.split(BATCH), strict=True)):
        y = y.to(device)
        x = change(x.to(device) / 255, y, batch)
        with torch.no_grad():
            correct += int((classifier(x).argmax(1) == y).sum())
    return correct / len(pictures)
