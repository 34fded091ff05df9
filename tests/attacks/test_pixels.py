"""APGD on a classifier against closed forms."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rlpips.attacks import pixels
from rlpips.attacks.classifier import margins


class Linear(nn.Module):
    """Six classes from the pixels, linear in them."""

    def __init__(self, scale=1.0):
        super().__init__()
        weights = torch.randn(6, 3, 32, 34, generator=torch.Generator().manual_seed(1))
        self.register_buffer("weights", scale * weights.flatten(1))

    def forward(self, x):
        return (x - 0.5).flatten(1) @ self.weights.T


def pictures():
    """Three that the classifier is rather sure of."""
    return (0.3 + 0.4 * torch.rand(4, 3, 32, 34, generator=torch.Generator().manual_seed(0)))[[0, 1, 3]]


def test_the_targeted_ratio_as_published():
    logits = np.random.default_rng(0).normal(size=(5, 7))
    labels, targets = np.array([0, 1, 2, 3, 6]), np.array([3, 0, 1, 6, 2])
    ordered = np.sort(logits, 1)
    rows = np.arange(5)
    expected = -(logits[rows, labels] - logits[rows, targets]) / (
        ordered[:, -1] - (ordered[:, -3] + ordered[:, -4]) / 2
    )
    ratio = pixels.targeted_ratio(*map(torch.from_numpy, (logits, labels, targets)))
    np.testing.assert_allclose(ratio, expected, rtol=1e-9)
    scaled = pixels.targeted_ratio(*map(torch.from_numpy, (50 * logits, labels, targets)))
    np.testing.assert_allclose(scaled, expected, rtol=1e-9)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_finds_the_highest_margin_of_a_linear_classifier(norm):
    """In a ball inside of [0, 1] the most that class k can gain on the label is eps times the dual norm of the difference of their
    weights."""
    eps = 0.0002 if norm == "linf" else 0.01
    classifier, x = Linear().eval(), pictures()
    logits = classifier(x)
    labels = logits.argmax(1)
    dual = {"linf": 1, "l2": 2}[norm]
    differences = classifier.weights[None] - classifier.weights[labels][:, None]  # (N, K, D)
    reached = logits - logits.gather(1, labels[:, None]) + eps * differences.norm(p=dual, dim=2)
    best = reached.scatter(1, labels[:, None], -torch.inf).amax(1)
    *iterates, result = pixels.apgd(classifier, x, labels, norm, eps, steps=10, targets=5)
    assert len(iterates) == 10 * 6 and (best < 0).all()  # too small a ball to fool anybody: every run is made
    change = (result - x).flatten(1).norm(p=torch.inf if norm == "linf" else 2, dim=1)
    assert (change <= eps * 1.001).all()
    found = margins(classifier(result), labels)
    torch.testing.assert_close(found, best, rtol=0.02, atol=0.05)


def test_targets_fool_where_the_cross_entropy_has_no_slope_left():
    """Logits so far apart that float32's cross entropy is exactly zero, and so is its gradient: the targeted ratio still has one."""
    classifier, x = Linear(scale=1000.0).eval(), pictures()
    labels = classifier(x).argmax(1)
    assert (F.cross_entropy(classifier(x), labels, reduction="none") == 0).all()
    blind = list(pixels.apgd(classifier, x, labels, "linf", 0.02, steps=8, targets=0))
    assert len(blind) == 9 and (margins(classifier(blind[-1]), labels) < 0).all()
    *_, seeing = pixels.apgd(classifier, x, labels, "linf", 0.02, steps=8, targets=2)
    assert (margins(classifier(seeing), labels) > 0).all()


def test_fooled_pictures_rest_and_a_batch_gives_what_its_pictures_give_alone():
    classifier, x = Linear().eval(), pictures()
    labels = classifier(x).argmax(1)
    labels[1] = classifier(x)[1].argmin()  # fooled from the start
    together = list(pixels.apgd(classifier, x, labels, "l2", 0.3, steps=4, targets=2, seed=5))
    assert all(torch.equal(each[1], together[4][1]) for each in together[4:-1])
    for n in range(len(x)):
        *_, alone = pixels.apgd(classifier, x[n : n + 1], labels[n : n + 1], "l2", 0.3, steps=4, targets=2, seed=5 + n)
        torch.testing.assert_close(together[-1][n], alone[0], rtol=0, atol=1e-4)


def test_what_cannot_be_is_refused():
    classifier, x = Linear().eval(), pictures()
    labels = classifier(x).argmax(1)
    with pytest.raises(ValueError, match="targets"):
        pixels.apgd(classifier, x, labels, "linf", 0.1, targets=6)
    with pytest.raises(ValueError, match="at least 4 classes"):
        pixels.apgd(lambda x: classifier(x)[:, :3], x, labels.clamp(max=2), "linf", 0.1, targets=2)
    with pytest.raises(ValueError, match="eps"):
        pixels.apgd(classifier, x, labels, "linf", 1.5)
