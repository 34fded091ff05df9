import copy
import pickle

import pytest
import torch
from truth import official, random_trunk

import rlpips
from rlpips.metrics import lpips as metrics
from rlpips.metrics.backbones import Trunk
from rlpips.metrics.lpips import shared_metric
from rlpips.zoo import weights

SHAPES = [(2, 3, 64, 80), (3, 3, 33, 47), (2, 3, 128, 96)]


def pair(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator)
    return x, (x + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1)


@pytest.fixture(scope="module", params=["alex", "vgg", "vgg with random weights", "squeeze with random weights"])
def both(request):
    """(our LPIPS, the lpips package's) with the same weights."""
    backbone, _, random = request.param.partition(" ")
    if random:
        state = random_trunk(backbone)
        heads = weights.load_heads("lpips", backbone)
        return metrics.PerceptualMetric(Trunk(backbone, state), heads, "lpips"), official(backbone, state=state)
    if backbone == "vgg":
        request.getfixturevalue("vgg_weights")
    return rlpips.load_metric("lpips", backbone), official(backbone)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_equal_those_of_the_lpips_package(both, shape):
    ours, theirs = both
    x, y = pair(shape)
    y1, y2 = y.clone().requires_grad_(), y.clone().requires_grad_()
    d1, d2 = ours(x, y1), theirs(2 * x - 1, 2 * y2 - 1).flatten()
    torch.testing.assert_close(d1, d2, atol=1e-5, rtol=0)
    d1.sum().backward()
    d2.sum().backward()
    assert (y1.grad - y2.grad).norm() <= 1e-4 * y2.grad.norm()


def test_layers_sum_to_the_distance_and_equal_those_of_the_lpips_package(both):
    ours, theirs = both
    x, y = pair(SHAPES[0])
    layers = ours.per_layer(x, y)
    expected = theirs(2 * x - 1, 2 * y - 1, retPerLayer=True)[1]
    torch.testing.assert_close(layers, torch.stack([each.flatten() for each in expected], 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(layers.sum(1), ours(x, y))
    assert layers.shape == (2, len(ours.layers))


def test_the_map_equals_the_spatial_output_of_the_lpips_package():
    x, y = pair(SHAPES[0])
    ours = rlpips.load_metric("lpips").distance_map(x, y)
    theirs = official("alex", spatial=True)(2 * x - 1, 2 * y - 1)[:, 0]
    assert ours.shape == (2, 64, 80)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["lpips", "rlpips-linf", "rlpips-l2"])
def test_a_metric_is_zero_for_equal_pictures_symmetric_and_positive(name):
    metric = rlpips.load_metric(name)
    x, y = pair(SHAPES[1])
    assert torch.equal(metric(x, x), torch.zeros(3))
    torch.testing.assert_close(metric(x, y), metric(y, x))
    assert (metric(x, y) > 0).all()
    assert all((head >= 0).all() for head in metric.heads)


def test_a_batch_has_the_distances_of_its_pictures_alone():
    metric = rlpips.load_metric("rlpips-linf")
    x, y = pair(SHAPES[1])
    alone = torch.cat([metric(a[None], b[None]) for a, b in zip(x, y)])
    torch.testing.assert_close(metric(x, y), alone, atol=1e-6, rtol=1e-5)


def test_a_zero_feature_gives_a_finite_gradient():
    metric = rlpips.load_metric("lpips")
    trunk = metric.trunk
    trunk_bias = trunk.features[0].bias.clone()
    try:
        trunk.features[0].bias.fill_(-1e4)  # all features of the first layer, and some of later ones, are zero
        x, y = pair((2, 3, 64, 48))
        y.requires_grad_()
        metric(x, y).sum().backward()
        assert torch.isfinite(y.grad).all()
    finally:
        trunk.features[0].bias.copy_(trunk_bias)


def test_a_metric_is_its_owners():
    x, y = pair((2, 3, 64, 48))
    others = rlpips.load_metric("rlpips-linf"), shared_metric("rlpips-linf")
    before = [each(x, y) for each in others]
    network = torch.nn.ModuleDict({"generator": torch.nn.Conv2d(3, 3, 1), "loss": rlpips.load_metric("lpips")})
    network.requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    start = network["loss"](x, y).detach()
    network["loss"](network["generator"](x).sigmoid(), y).sum().backward()
    optimizer.step()
    assert (network["loss"](x, y) != start).all()  # it was trained, and nobody else
    rlpips.load_metric("rlpips-linf").half()
    for each, value in zip((*others, rlpips.load_metric("rlpips-linf")), (*before, before[0]), strict=True):
        assert torch.equal(each(x, y), value)


def test_a_metric_is_copied_pickled_and_changed_to_other_dtypes():
    x, y = pair((2, 3, 64, 48))
    metric = rlpips.load_metric("rlpips-linf")
    expected = metric(x, y)
    for other in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert torch.equal(other(x, y), expected) and other.name == metric.name
    for dtype, tolerance in ((torch.float64, 1e-4), (torch.float16, 0.05), (torch.bfloat16, 0.2)):
        other = copy.deepcopy(metric).to(dtype)
        torch.testing.assert_close(other(x, y).float(), expected, rtol=tolerance, atol=1e-3)
        torch.testing.assert_close(metric(x.to(dtype), y.to(dtype)), expected, rtol=tolerance, atol=1e-3)


def test_shared_metrics_have_one_trunk():
    assert shared_metric("lpips").trunk is shared_metric("rlpips-linf").trunk


@pytest.mark.parametrize(
    "x, message",
    [
        (torch.rand(2, 3, 64, 48) * 2 - 1, "on the \\[-1, 1\\] scale"),
        (torch.rand(2, 3, 64, 48) * 255, "x / 255"),
        (torch.full((2, 3, 64, 48), float("nan")), "must lie in \\[0, 1\\]"),
        (torch.rand(2, 1, 64, 48), "\\(N, 3, H, W\\)"),
        (torch.rand(3, 64, 48), "\\(N, 3, H, W\\)"),
        (torch.zeros(2, 3, 64, 48, dtype=torch.uint8), "float tensor"),
        (torch.rand(2, 3, 64, 31), "32 pixels"),
        (torch.rand(1, 3, 64, 48), "same shape"),
        ("cat.png", "got str"),
    ],
)
def test_bad_images_are_refused_with_a_sentence(x, message):
    with pytest.raises(ValueError, match=message):
        rlpips.load_metric("lpips")(x, torch.rand(2, 3, 64, 48))


def test_unknown_names_are_refused_with_a_list_of_names():
    with pytest.raises(ValueError, match="rlpips-linf"):
        rlpips.load_metric("rlpips")
    with pytest.raises(ValueError, match="squeeze"):
        rlpips.load_metric("lpips", "resnet")


def test_converting_one_metric_does_not_change_the_others():
    x, y = pair((2, 3, 64, 48))
    before = rlpips.load_metric("lpips")
    expected = before(x, y)
    double = rlpips.load_metric("lpips").double()
    torch.testing.assert_close(double(x, y), expected.double(), atol=1e-5, rtol=0)
    assert torch.equal(before(x, y), expected)
    assert rlpips.load_metric("rlpips-linf")(x.double(), y).dtype == torch.float32


@pytest.mark.parametrize("device", ["gpu", "cuda:99", 3.5])
def test_a_device_that_does_not_exist_is_refused(device):
    if device == "cuda:99" and torch.cuda.is_available():
        pytest.skip("with a GPU, its driver refuses the device")
    with pytest.raises(ValueError, match=r"device|GPU"):
        rlpips.load_metric("lpips", device=device)


def test_an_exported_graph_has_the_same_distances():
    metric, (x, y) = rlpips.load_metric("rlpips-linf"), pair((2, 3, 40, 52))
    exported = torch.export.export(metric, (x, y)).module()
    torch.testing.assert_close(exported(y, x), metric(y, x))
