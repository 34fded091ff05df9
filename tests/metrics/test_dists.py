"""DISTS, against its authors' package and against the paper's formulas."""

import numpy as np
import pytest
import torch
import torchvision
from pictures import make_waves
from torch.nn import functional as F
from truth import random_trunk

import rlpips
from rlpips.metrics.backbones import Trunk
from rlpips.metrics.dists import DISTS
from rlpips.zoo import weights

CHANNELS = (3, 64, 128, 256, 512, 512)


@pytest.fixture(scope="module")
def state():
    return random_trunk("vgg")


@pytest.fixture(scope="module")
def metric(state):
    """DISTS on a VGG16 with random weights."""
    return DISTS(Trunk("vgg", state), *weights.load_dists())


@pytest.fixture
def pair():
    x, y = torch.rand(2, 2, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    return x, (x + 0.2 * (y - 0.5)).clamp(0, 1)


def test_the_distance_is_that_of_the_authors_package(vgg_weights):
    x, y = map(torch.from_numpy, make_waves())
    distance = rlpips.load_metric("dists", "alex")(x, y)  # on VGG16 whichever backbone is chosen
    # by DISTS_pytorch 0.1 in float64, with torchvision's VGG16
    torch.testing.assert_close(distance, torch.tensor([0.18494482, 0.13166076]), atol=1e-6, rtol=0)


def test_the_distance_is_that_of_the_papers_formulas(metric, state, pair):
    """In float64, with torchvision's network and the Hanning window of numpy."""
    window = np.hanning(5)[1:-1]
    window = torch.from_numpy(np.outer(window, window) / np.outer(window, window).sum())

    def features(picture):
        found = [picture]
        picture = (picture - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]
        ).view(3, 1, 1)
        for index, layer in enumerate(network[:30]):
            if isinstance(layer, torch.nn.MaxPool2d):
                squares = (picture**2)[:, None]
                picture = F.conv2d(squares, window[None, None], stride=2, padding=1)[:, 0].add(1e-12).sqrt()
            else:
                picture = layer(picture)
            if index in (3, 8, 15, 22, 29):
                found.append(picture.clone())
        return [each.flatten(1) for each in found]

    with torch.device("meta"):
        network = torchvision.models.vgg16(weights=None).features
    doubles = {key.removeprefix("features."): value.double() for key, value in state.items()}
    network.load_state_dict(doubles, assign=True)
    alpha, beta = (each.double() for each in weights.load_dists())
    assert len(alpha) == len(beta) == sum(CHANNELS)
    for x, y, distance in zip(*pair, metric(*pair), strict=True):
        with torch.no_grad():
            both = zip(features(x.double()), features(y.double()), strict=True)
            similarities = [_similarities(of_x.numpy(), of_y.numpy()) for of_x, of_y in both]
        texture, structure = map(torch.from_numpy, np.concatenate(similarities, 1))
        expected = 1 - (alpha @ texture + beta @ structure) / (alpha.sum() + beta.sum())
        assert distance.item() == pytest.approx(expected.item(), rel=1e-4)


def _similarities(x, y):
    """Of features (C, h·w): l (textures) and s (structures) of the paper's equations 3 and 4, (2, C)."""
    covariance = (x * y).mean(1) - x.mean(1) * y.mean(1)
    texture = (2 * x.mean(1) * y.mean(1) + 1e-6) / (x.mean(1) ** 2 + y.mean(1) ** 2 + 1e-6)
    return texture, (2 * covariance + 1e-6) / (x.var(1) + y.var(1) + 1e-6)


def test_layers_have_structures_with_maps_and_textures_have_no_place(metric, pair):
    x, y = pair
    shares, maps = metric.per_layer(x, y), metric.layer_maps(x, y)
    assert metric.layers == ("pixels", "conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "texture")
    assert shares.shape == (2, 7) and (shares >= 0).all()
    torch.testing.assert_close(shares.sum(1), metric(x, y))
    assert [tuple(each.shape[1:]) for each in maps] == [(37, 50), (37, 50), (19, 25), (10, 13), (5, 7), (3, 4), (1, 1)]
    assert metric.distance_map(x, y).shape == (2, 37, 50)
    y = x.clone()
    y[:, :, :, 25:] = 1 - y[:, :, :, 25:]  # only the right half differs
    where = metric.layer_maps(x, y)[0]
    assert where[:, :, 26:].mean() > 3 * where[:, :, :24].mean()


def test_identical_pictures_have_distance_zero_and_a_finite_gradient(metric, pair):
    x = pair[0].clone().requires_grad_()
    distance = metric(x, pair[0])
    (gradient,) = torch.autograd.grad(distance.sum(), x)
    assert distance.abs().max() < 1e-6 and gradient.isfinite().all()
    black = torch.zeros(2, 3, 32, 40, requires_grad=True)
    assert torch.autograd.grad(metric(black, black.detach()).sum(), black)[0].isfinite().all()


def test_a_gradient_leads_up(metric, pair):
    x, y = pair[0], pair[1].clone().requires_grad_()
    distance = metric(x, y)
    (gradient,) = torch.autograd.grad(distance.sum(), y)
    assert (metric(x, (y + 1e-3 * gradient.sign()).clamp(0, 1)) > distance).all()


def test_another_backbone_and_other_weights_are_refused(state):
    alpha, beta = weights.load_dists()
    with pytest.raises(ValueError, match=r"features of VGG16 \(vgg\); got 'alex'"):
        DISTS(Trunk("alex", weights.load_trunk("alex")), alpha, beta)
    with pytest.raises(ValueError, match="must be 1475 numbers"):
        DISTS(Trunk("vgg", state), alpha, beta[:-1])
