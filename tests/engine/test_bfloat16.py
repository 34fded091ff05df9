import numpy as np
import pytest
import torch
from truth import official, random_trunk

import rlpips
from rlpips.engine import bfloat16
from rlpips.engine.bfloat16 import pick_precision
from rlpips.engine.convolutions import multiplies_bfloat16
from rlpips.engine.panel import Panel
from rlpips.metrics.backbones import Trunk

NAMES = ("lpips", "rlpips-linf")


def photographs(count, height=72, width=90):
    """Smooth random pictures (count, 3, height, width) in [0, 1]."""
    coarse = torch.rand(count, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def noisy(x, lanes, eps):
    noise = torch.rand(lanes * len(x), *x.shape[1:], generator=torch.Generator().manual_seed(1))
    return (x.repeat_interleave(lanes, 0) + eps * (2 * noise - 1)).clamp(0, 1)


@pytest.mark.parametrize("eps", [0.1 / 255, 4 / 255, 64 / 255])
def test_distances_are_those_of_the_lpips_package_however_small(eps):
    x = photographs(2)
    y = noisy(x, 3, eps)
    shares = Panel([rlpips.load_metric(name) for name in NAMES], x, "bfloat16").per_layer(y)
    expected = official("alex").double()(2 * x.repeat_interleave(3, 0).double() - 1, 2 * y.double() - 1).flatten()
    np.testing.assert_allclose(shares[:, 0].sum(-1), expected, rtol=1e-2)


def test_bfloat16_alone_would_lose_them():
    """What the differences are for: the same convolutions rounded as everybody rounds them."""
    x = photographs(2)
    y = noisy(x, 1, 0.5 / 255)
    theirs = official("alex")
    exact = theirs(2 * x - 1, 2 * y - 1)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = theirs(2 * x - 1, 2 * y - 1)
    assert ((rounded / exact).log().abs() > 0.1).all()


def test_a_picture_is_at_distance_zero_of_itself():
    x = photographs(2)
    assert Panel([rlpips.load_metric("lpips")], x, "bfloat16").per_layer(x.repeat_interleave(2, 0)).max() < 1e-12


@pytest.mark.parametrize("backbone", ["alex", "vgg", "squeeze"])
def test_every_trunk_is_read_with_its_gradient(backbone):
    state = random_trunk(backbone)
    trunk = Trunk(backbone, state)
    heads = [torch.full((channels,), 1 / channels) for channels in trunk.spec.channels]
    metric = rlpips.PerceptualMetric(trunk, heads, "lpips")
    x = photographs(2, 45, 64)
    y = noisy(x, 2, 4 / 255)
    results = []
    for precision in ("float32", "bfloat16"):
        z = y.clone().requires_grad_()
        shares = Panel([metric], x, precision).per_layer(z)
        results.append((shares.detach(), *torch.autograd.grad(shares.sum(), z)))
    (exact, gradient), (rounded, near) = results
    torch.testing.assert_close(rounded, exact, rtol=1e-2, atol=1e-9)
    assert (torch.nn.functional.cosine_similarity(gradient.flatten(1), near.flatten(1)) > 0.99).all()


@pytest.mark.parametrize("norm, eps", [("linf", 0.5 / 255), ("linf", 8 / 255), ("l2", 1.0)])
def test_an_attack_in_bfloat16_gets_as_far_and_says_so(norm, eps):
    x = photographs(2)
    traces = {
        precision: rlpips.attack(x, norm=norm, eps=eps, steps=12, precision=precision)
        for precision in ("float32", "bfloat16")
    }
    for exact, near in zip(*traces.values()):
        assert (exact.receipt["precision"], near.receipt["precision"]) == ("float32", "bfloat16")
        for lane, metric in enumerate(NAMES):
            assert near.distance_8bit[lane, lane] > 0.95 * exact.distance_8bit[lane, lane], metric
        shown = torch.from_numpy(near.adversarial).permute(0, 3, 1, 2) / 255
        reference = torch.from_numpy(near.reference).permute(2, 0, 1)[None] / 255
        expected = official("alex")(2 * reference.expand_as(shown) - 1, 2 * shown - 1).flatten()
        np.testing.assert_allclose(near.distance_8bit[:, 0], expected, rtol=1e-4, atol=1e-6)  # float32 as ever


def test_a_very_different_candidate_is_pulled_as_exactly():
    x = photographs(2)
    trace, other = (
        rlpips.attack(x[:1], x[1:], objective="toward", steps=4, precision=p) for p in ("bfloat16", "float32")
    )
    np.testing.assert_allclose(trace.distance[0], other.distance[0], rtol=1e-2)
    assert trace.distance[-1, 0, 0] < 1.02 * other.distance[-1, 0, 0]


@pytest.fixture
def willing(monkeypatch):
    """A oneDNN that is allowed to use whatever the processor is said to have."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)


def test_the_precision_is_picked_by_the_hardware_or_named(monkeypatch, willing):
    for tiles, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda tiles=tiles: {"amx_bf16": tiles}, raising=False)
        assert pick_precision(None, "cpu") == pick_precision(None, "cpu", (256, 256)) == expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # older releases of torch
    assert pick_precision(None) == "float32" and pick_precision("bfloat16") == "bfloat16"
    with pytest.raises(ValueError, match="None or one of float32, bfloat16; got 'fp16'"):
        rlpips.attack_steps(photographs(1), precision="fp16")


def test_what_oneDNN_is_forbidden_to_use_is_not_picked(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    for capability in ("amx_bf16", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=capability: {name: True}, raising=False)
        assert pick_precision(None, "cpu", (256, 256)) == "float32" and not multiplies_bfloat16()


def test_where_dot_products_alone_multiply_bfloat16_a_measurement_decides(monkeypatch, willing):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    for large, small in ((0.5, 0.9), (1.4, 1.4)):
        monkeypatch.setattr(bfloat16, "share_of_float32", {False: large, True: small}.get)
        assert pick_precision(None, "cpu", (256, 256)) == ("bfloat16" if large < 0.8 else "float32")
        assert pick_precision(None, "cpu", (64, 90)) == pick_precision(None, "cpu") == "float32"


def test_the_measurement_is_made_once():
    share = bfloat16.share_of_float32(True)
    assert 0 < share < 1000 and bfloat16.share_of_float32(True) == share
