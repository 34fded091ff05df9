import pytest
import torch
from truth import random_trunk

import rlpips
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.engine.panel import Panel
from rlpips.metrics.backbones import BACKBONES, Trunk, load_trunk, unit_length


@pytest.mark.parametrize("size", [(33, 47), (64, 45), (96, 130)])
@pytest.mark.parametrize("name", BACKBONES)
def test_a_fast_trunk_gives_the_same_features_and_gradients(name, size):
    trunk = Trunk(name, random_trunk(name)) if name != "alex" else load_trunk("alex")
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    fast, gradients = FastTrunk(trunk), []
    for forward in (trunk, fast.features):
        y = x.clone().requires_grad_()
        readings = [unit_length(layer) for layer in forward(y)]
        gradients.append(
            torch.autograd.grad(sum((reading * reading.detach().flip(1)).sum() for reading in readings), y)[0]
        )
    for exact, layer in zip(trunk(x), fast.features(x), strict=True):
        torch.testing.assert_close(unit_length(layer), exact, atol=2e-5, rtol=0)
    assert (gradients[0] - gradients[1]).norm() < 1e-2 * gradients[0].norm()  # a max pool may turn on a last bit


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@torch.no_grad()
def test_attacks_and_the_metric_have_the_same_weights_whatever_happens_to_them(precision):
    """Weights that change after a first attack: by load_state_dict, in place, and behind autograd's back."""
    trunk = Trunk("alex", random_trunk("alex"))
    metric = rlpips.PerceptualMetric(trunk, [torch.rand(c) for c in trunk.spec.channels], "changing")
    x, y = torch.rand(2, 2, 3, 33, 47, generator=torch.Generator().manual_seed(1))
    before = metric(x, y)
    state = {key: value.flip(0) for key, value in trunk.state_dict().items() if key.startswith("features")}
    changes = (
        lambda: trunk.load_state_dict({**trunk.state_dict(), **state}),
        lambda: trunk.features[3].weight.mul_(-1),
        lambda: trunk.features[0].weight.data.neg_(),
        lambda: metric.head2.mul_(3),
    )
    for change in changes:
        change()
        now = metric(x, y)
        assert not torch.allclose(now, before)
        shares = Panel([metric], x, precision).per_layer(y)
        torch.testing.assert_close(shares.sum((1, 2)), now, rtol=2e-2 if precision == "bfloat16" else 1e-4, atol=1e-6)
        before = now
