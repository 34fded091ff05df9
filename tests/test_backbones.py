import pytest
import torch
from truth import random_trunk

from rlpips.backbones import BACKBONES, Trunk, load_trunk, unit_length


@pytest.mark.parametrize("name", BACKBONES)
def test_features_have_unit_length_and_the_shapes_of_the_table(name):
    trunk = Trunk(name, random_trunk(name))
    x = torch.rand(2, 3, 64, 45, generator=torch.Generator().manual_seed(0))
    readings = trunk(x)
    assert tuple(reading.shape[1] for reading in readings) == trunk.spec.channels
    assert len(trunk.spec.layers) == len(readings)
    for reading in readings:
        length = reading.norm(dim=1)
        torch.testing.assert_close(length[length > 0.5], torch.ones_like(length[length > 0.5]))


@pytest.mark.parametrize("size", [(33, 47), (64, 45), (96, 130)])
@pytest.mark.parametrize("name", BACKBONES)
def test_the_fast_way_gives_the_same_features_and_gradients(name, size):
    trunk = Trunk(name, random_trunk(name)) if name != "alex" else load_trunk("alex")
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    gradients = []
    for way in (trunk, trunk.raw):
        y = x.clone().requires_grad_()
        readings = [unit_length(layer) for layer in way(y)]
        gradients.append(
            torch.autograd.grad(sum((reading * reading.detach().flip(1)).sum() for reading in readings), y)[0]
        )
    for exact, fast in zip(trunk(x), trunk.raw(x), strict=True):
        torch.testing.assert_close(unit_length(fast), exact, atol=2e-5, rtol=0)
    assert (gradients[0] - gradients[1]).norm() < 1e-2 * gradients[0].norm()  # a max pool may turn on a last bit


def test_the_trunk_is_frozen_and_loaded_strictly():
    trunk = load_trunk("alex")
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
    assert load_trunk("alex") is trunk
    state = random_trunk("alex")
    state.pop("features.3.bias")
    with pytest.raises(RuntimeError, match="features.3.bias"):
        Trunk("alex", state)
