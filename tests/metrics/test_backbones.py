import pytest
import torch
from truth import random_trunk

from rlpips.metrics.backbones import BACKBONES, Trunk, load_trunk


@pytest.mark.parametrize("name", BACKBONES)
def test_features_have_unit_length_and_the_shapes_of_the_table(name):
    trunk = Trunk(name, random_trunk(name))
    x = torch.rand(2, 3, 64, 45, generator=torch.Generator().manual_seed(0))
    features = trunk(x)
    assert tuple(layer.shape[1] for layer in features) == trunk.spec.channels
    assert len(trunk.spec.layers) == len(features)
    for layer in features:
        length = layer.norm(dim=1)
        torch.testing.assert_close(length[length > 0.5], torch.ones_like(length[length > 0.5]))


def test_the_trunk_is_frozen_and_loaded_strictly():
    trunk = load_trunk("alex")
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
    assert load_trunk("alex") is trunk
    state = random_trunk("alex")
    state.pop("features.3.bias")
    with pytest.raises(RuntimeError, match=r"features\.3\.bias"):
        Trunk("alex", state)
