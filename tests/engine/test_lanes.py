import pytest
import torch
from truth import random_trunk

import rlpips
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.engine.lanes import Lanes, Layer
from rlpips.metrics.backbones import Trunk, load_trunk, unit_length
from rlpips.metrics.base import layer_shares
from rlpips.metrics.lpips import weighted_maps


def features(count, seed):
    """(count, 6, 4, 5) in double precision, a few of them zero as after a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, 4, 5, generator=generator, dtype=torch.float64).clamp_min(-0.5) + 0.5


def less(references, softness=0.0):
    """As a `Layer` takes them: (N, C, h, w) -> (N, 1, h, w, C), of unit length, times -1."""
    return -unit_length(references, softness).permute(0, 2, 3, 1)[:, None]


def itself(gradient):
    return gradient


@pytest.mark.parametrize("softness", [0.0, 0.7])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_layer_is_the_plain_formula_with_its_gradient(layout, softness):
    references, heads = features(2, 0), torch.rand(3, 6, dtype=torch.float64)
    # two lanes for each of two references
    lanes = features(4, 1).contiguous(memory_format=layout).requires_grad_()
    pair = (unit_length(each, softness) for each in (lanes, references.repeat_interleave(2, 0)))
    maps = weighted_maps(*([each] for each in pair), [heads[:, :, None, None]])
    plain = layer_shares(maps)[:, :, 0]
    weights = torch.rand(plain.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    carried = torch.rand(lanes.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (expected,) = torch.autograd.grad((plain * weights).sum(), lanes)
    for carried_in in (None, carried.clone()):
        with torch.no_grad():
            layer = Layer(lanes, itself, less(references, softness), heads, softness)
            gradient = layer.backward(weights, carried_in)
        torch.testing.assert_close(layer.distance, plain)
        torch.testing.assert_close(gradient, expected if carried_in is None else expected + carried)


def test_a_zero_feature_gives_a_finite_gradient():
    layer = Layer(torch.zeros(2, 6, 4, 5), itself, less(features(1, 0).float()), torch.rand(2, 6))
    assert torch.isfinite(layer.backward(torch.ones(2, 2), None)).all()


@pytest.mark.parametrize("size", [(45, 64), (33, 96)])
@pytest.mark.parametrize("backbone", ["alex", "vgg", "squeeze"])
def test_shares_and_their_gradient_are_those_of_autograd(backbone, size):
    trunk = load_trunk("alex") if backbone == "alex" else Trunk(backbone, random_trunk(backbone))
    generator = torch.Generator().manual_seed(0)
    heads = [torch.rand(2, channels, generator=generator) for channels in trunk.spec.channels]
    x, y = (torch.rand(count, 3, *size, generator=generator) for count in (2, 6))
    y.requires_grad_()
    weights = torch.rand(6, 2, len(heads), generator=generator)
    maps = weighted_maps(
        [unit_length(each) for each in FastTrunk(trunk).features(y)],
        [unit_length(each).repeat_interleave(3, 0) for each in FastTrunk(trunk).features(x)],
        [head[:, :, None, None] for head in heads],
    )
    (expected,) = torch.autograd.grad((layer_shares(maps) * weights).sum(), y)
    with torch.no_grad():
        lanes = Lanes(trunk, heads, x, "float32")
    shares = lanes.per_layer(y)
    torch.testing.assert_close(shares, layer_shares(maps), atol=1e-6, rtol=1e-4)
    (gradient,) = torch.autograd.grad((shares * weights).sum(), y)
    assert (gradient - expected).norm() < 1e-3 * expected.norm()  # a max pool may turn on a last bit
    with torch.no_grad():
        torch.testing.assert_close(
            layer_shares([maps for maps, _ in lanes.see(y)]), shares.detach(), atol=1e-6, rtol=1e-4
        )


def test_shares_give_their_gradient_once_and_say_so():
    x = torch.rand(2, 3, 33, 45, generator=torch.Generator().manual_seed(0))
    y = (0.9 * x).requires_grad_()
    with torch.no_grad():
        lanes = Lanes(load_trunk("alex"), [head[None] for head in rlpips.load_metric("lpips").heads], x, "bfloat16")
    total = lanes.per_layer(y).sum()
    torch.autograd.grad(total, y, retain_graph=True)
    with pytest.raises(RuntimeError, match="can be computed once"):
        torch.autograd.grad(total, y)
