"""ST-LPIPS, against its authors' package and, with random weights, against the formulas."""

import hashlib
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import make_waves
from torch.nn import functional as F

import rlpips
from rlpips.attacks.metric import attack
from rlpips.metrics.backbones import BACKBONES
from rlpips.metrics.st_lpips import ShiftTolerantLPIPS
from rlpips.zoo import catalog, weights
from rlpips.zoo.weights import WeightsError

# The authors' networks, as (place, kernel, padding) of convolutions; "pool" and "blur" between them.
ALEX = [(0, 11, 2), "blur", "tap", "pool3", "blur", (5, 5, 2), "tap", "pool3", "blur", (9, 3, 1), "tap", (11, 3, 1), "tap", (13, 3, 1), "tap"]  # fmt: skip
VGG = [(0, 3, 1), (2, 3, 1), "tap", "pool2", "blur", (6, 3, 1), (8, 3, 1), "tap", "pool2", "blur", (12, 3, 1), (14, 3, 1), (16, 3, 1), "tap",
       "pool2", "blur", (20, 3, 1), (22, 3, 1), (24, 3, 1), "tap", "pool2", "blur", (28, 3, 1), (30, 3, 1), (32, 3, 1), "tap"]  # fmt: skip
NETWORKS = {"alex": ALEX, "vgg": VGG}
WIDTHS = {"alex": [64, 192, 384, 256, 256], "vgg": [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]}


def random_state(backbone):
    """Random weights in the layout of the authors' file, and the same for `ShiftTolerantLPIPS`."""
    generator = torch.Generator().manual_seed(0)
    convolutions = [layer for layer in NETWORKS[backbone] if isinstance(layer, tuple)]
    state, before = {}, 3
    for (place, kernel, _), after in zip(convolutions, WIDTHS[backbone], strict=True):
        scale = (2 / (before * kernel**2)) ** 0.5
        state[f"{place}.weight"] = scale * torch.randn(after, before, kernel, kernel, generator=generator)
        state[f"{place}.bias"] = 0.1 * torch.randn(after, generator=generator)
        before = after
    heads = [torch.rand(channels, generator=generator) for channels in BACKBONES[backbone].channels]
    return state, heads


def as_the_authors_save_it(state, heads):
    file = {f"net.slice{1 + index % 5}.{key}": value for index, (key, value) in enumerate(state.items())}
    file["net.slice1.1.filt"] = torch.ones(64, 1, 3, 3) / 9
    file["scaling_layer.shift"] = torch.zeros(1, 3, 1, 1)
    return file | {f"lin{layer}.model.1.weight": head.view(1, -1, 1, 1) for layer, head in enumerate(heads)}


def blurred(x):
    """Reflected borders of two, the window [1, 2, 1] twice, every second position; by numpy."""
    x = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    x = (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4
    x = (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4
    return torch.from_numpy(np.ascontiguousarray(x[:, :, ::2, ::2]))


def expected_shares(backbone, state, heads, x, y):
    """(N, L), in float64."""

    def features(x):
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]], dtype=torch.float64).view(
            2, 3, 1, 1
        )
        x, found, rectified = (2 * x.double() - 1 - shift) / scale, [], True
        for layer in NETWORKS[backbone]:
            if isinstance(layer, tuple):
                place, _, padding = layer
                x = F.conv2d(
                    x if rectified else x.relu(),
                    state[f"{place}.weight"].double(),
                    state[f"{place}.bias"].double(),
                    padding=padding,
                )
                rectified = False
            elif layer == "blur":
                x = blurred(x)
            elif layer == "tap":
                x, rectified = x.relu(), True
                found.append(x / x.norm(dim=1, keepdim=True).clamp_min(1e-10))
            else:
                x = F.max_pool2d(x, int(layer[-1]), 1)
        return found

    shares = [
        torch.einsum("nchw,c->nhw", (a - b) ** 2, head.double()).mean((1, 2))
        for a, b, head in zip(features(x), features(y), heads, strict=True)
    ]
    return torch.stack(shares, 1)


@pytest.mark.parametrize("backbone, expected", [("alex", [0.2292919, 0.0072971]), ("vgg", [0.1539561, 0.0453661])])
def test_the_distance_is_that_of_the_authors_package(backbone, expected):
    """stlpips-pytorch 0.0.2, `LPIPS(net=…, variant="shift_tolerant")`."""
    if not weights.find_packaged(catalog.card("st-lpips").packaged[backbone]):
        pytest.skip("needs `pip install stlpips-pytorch --no-deps`, or its weights in RLPIPS_WEIGHTS_DIR")
    x, y = map(torch.from_numpy, make_waves())
    distance = rlpips.load_metric("st-lpips", backbone)(x, y)
    torch.testing.assert_close(distance, torch.tensor(expected), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("backbone", NETWORKS)
def test_shares_and_maps_are_those_of_the_formulas(backbone):
    state, heads = random_state(backbone)
    metric = ShiftTolerantLPIPS(backbone, state, heads)
    x, y = torch.rand(2, 2, 3, 35, 52, generator=torch.Generator().manual_seed(1))
    shares = metric.per_layer(x, y)
    torch.testing.assert_close(shares, expected_shares(backbone, state, heads, x, y).float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(shares.sum(1), metric(x, y))
    assert metric.layers == BACKBONES[backbone].layers and metric.distance_map(x, y).shape == (2, 35, 52)
    assert metric(x, x).abs().max() < 1e-6


@pytest.fixture
def authors_file(tmp_path, monkeypatch):
    """A package with random weights in place of the authors', which is found and must not be imported; no other file is."""
    file = tmp_path / "stlpips_pytorch" / "weights" / "vST0.0" / "alex_shift_tolerant.pth"
    file.parent.mkdir(parents=True)
    (tmp_path / "stlpips_pytorch" / "__init__.py").write_text("raise RuntimeError('imported')")
    state, heads = random_state("alex")
    torch.save(as_the_authors_save_it(state, heads), file)
    monkeypatch.setattr(weights, "find", lambda name: None)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    card = catalog.card("st-lpips")
    packaged = replace(card.packaged["alex"], sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setitem(catalog.CATALOG, "st-lpips", replace(card, packaged={"alex": packaged}))
    return file, state, heads


def test_the_weights_are_read_from_the_package_which_is_not_imported(authors_file):
    _, state, heads = authors_file
    read, read_heads = weights.load_shift_tolerant("alex")
    assert read.keys() == state.keys() and all(torch.equal(read[key], state[key]) for key in state)
    assert all(map(torch.equal, read_heads, heads)) and "stlpips_pytorch" not in sys.modules
    metric = rlpips.load_metric("st-lpips")
    assert metric.name == "st-lpips"
    x = torch.rand(1, 3, 40, 33, generator=torch.Generator().manual_seed(0))
    trace = attack(x, metrics=("st-lpips", "mse"), steps=3)
    assert trace.distance[-1, 0, 0] > trace.distance[0, 0, 0] and trace.layers[-1] == "pixels"
    assert trace.receipt["weights"]["st-lpips"] == catalog.card("st-lpips").packaged["alex"].sha256


def test_weights_that_are_missing_or_damaged_are_a_sentence(authors_file):
    file, *_ = authors_file
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(WeightsError, match=r"alex_shift_tolerant.pth is damaged or not the one expected"):
        rlpips.load_metric("st-lpips")
    file.unlink()
    with pytest.raises(WeightsError, match=r"pip install stlpips-pytorch --no-deps.* RLPIPS_WEIGHTS_DIR"):
        rlpips.load_metric("st-lpips")
    with pytest.raises(ValueError, match="there are heads for alex"):
        rlpips.load_metric("st-lpips", "squeeze")
