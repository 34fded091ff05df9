"""Heads: mixed, scaled, silenced, saved and loaded, against the lpips package with the same weights set by hand."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from truth import official

import rlpips
from rlpips import Heads
from rlpips.data import images
from rlpips.metrics.backbones import BACKBONES
from rlpips.metrics.heads import Term

SIZES = BACKBONES["alex"].channels


def pair(seed=0, shape=(2, 3, 64, 80)):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator)
    return x, (x + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1)


blank = cache(official)  # its weights are set anew each time


def package_distance(layers, x, y, backbone="alex"):
    """What the lpips package says with these weights, per layer (N, L)."""
    model = blank(backbone)
    for lin, weights in zip(model.lins, layers, strict=True):
        lin.model[-1].weight.data = torch.tensor(weights)[None, :, None, None]
    return torch.stack([each.flatten() for each in model(2 * x - 1, 2 * y - 1, retPerLayer=True)[1]], 1)


@pytest.mark.parametrize("backbone, count", [("alex", 1152), ("vgg", 1472)])
def test_channels_and_layers_are_those_of_the_package_with_weights_set_by_hand(backbone, count, request):
    if backbone == "vgg":
        request.getfixturevalue("vgg_weights")
    random = np.random.default_rng(1)
    layers = tuple(random.random(size, np.float32) for size in BACKBONES[backbone].channels)
    x, y = pair()
    metric = rlpips.load_metric(Heads(layers, backbone))
    channels = metric.per_channel(x, y)
    assert channels.shape == (2, count) and (channels >= 0).all()
    torch.testing.assert_close(channels.sum(1), metric(x, y))
    per_layer = torch.stack([part.sum(1) for part in channels.split(BACKBONES[backbone].channels, 1)], 1)
    torch.testing.assert_close(per_layer, package_distance(layers, x, y, backbone), rtol=1e-4, atol=1e-6)
    # One channel alone: all other weights 0.
    for chosen in (3, count // 2, count - 1):
        lone = np.zeros(count, np.float32)
        lone[chosen] = metric.heads[0].new_tensor(np.concatenate(layers))[chosen]
        split = np.split(lone, np.cumsum(BACKBONES[backbone].channels)[:-1])
        expected = package_distance(split, x, y, backbone).sum(1)
        torch.testing.assert_close(channels[:, chosen], expected, rtol=1e-3, atol=1e-7)


def test_gradients_flow_through_channels():
    metric, (x, y) = rlpips.load_metric("lpips"), pair()
    y.requires_grad_()
    metric.per_channel(x, y).sum().backward()
    (expected,) = torch.autograd.grad(metric(x, y).sum(), y)
    torch.testing.assert_close(y.grad, expected)


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_a_mixture_has_the_mixed_distances(share):
    x, y = pair()
    mixed = rlpips.load_metric(Heads.mix("lpips", "rlpips-linf", share))
    a, b = (rlpips.load_metric(name)(x, y) for name in ("lpips", "rlpips-linf"))
    torch.testing.assert_close(mixed(x, y), (1 - share) * a + share * b)
    if share in (0, 1):
        assert torch.equal(mixed(x, y), (a, b)[share])


def test_gains_and_silence_change_what_they_name():
    x, y = pair()
    lpips = rlpips.load_metric("lpips")
    gains = [2, 0, 1, 0.5, 3]
    scaled = rlpips.load_metric(Heads.of(lpips).scale_layers(gains))
    torch.testing.assert_close(scaled.per_layer(x, y), lpips.per_layer(x, y) * torch.tensor(gains))
    silenced = rlpips.load_metric(Heads.of("lpips").silence([0, 64 + 192 + 233, 1151]))
    expected = lpips.per_channel(x, y)
    expected[:, [0, 64 + 192 + 233, 1151]] = 0
    torch.testing.assert_close(silenced.per_channel(x, y), expected)
    assert (rlpips.load_metric("lpips").heads[0] == lpips.heads[0]).all()  # the original stays


def test_the_recipe_makes_the_same_heads():
    first = Heads.mix("lpips", "rlpips-linf", 0.25).scale_layers([1, 2, 1, 1, 0]).silence([7])
    heads = Heads.mix(first, "rlpips-l2", 0.5).scale_layers([1, 1, 3, 1, 1]).silence([9, 7])
    assert [term.metric for term in heads.recipe] == ["lpips", "rlpips-linf", "rlpips-l2"]
    total = np.zeros(sum(SIZES))
    for term in heads.recipe:
        vector = Heads.of(term.metric).vector * np.repeat(term.gains or np.ones(5), SIZES)
        vector[list(term.silenced)] = 0
        total += term.share * vector
    np.testing.assert_allclose(heads.vector, total, rtol=1e-5)
    assert sum(term.share for term in heads.recipe) == pytest.approx(1)


def test_heads_are_saved_and_loaded(tmp_path):
    heads = Heads.mix("lpips", "rlpips-linf", 0.25).scale_layers([1, 2, 1, 1, 1]).silence([3, 300])
    heads.save(tmp_path / "half.safetensors")
    loaded = Heads.load(tmp_path / "half.safetensors")
    assert (loaded.backbone, loaded.trunk, loaded.recipe) == ("alex", None, heads.recipe)
    np.testing.assert_array_equal(loaded.vector, heads.vector)
    x, y = pair()
    for path in (tmp_path / "half.safetensors", str(tmp_path / "half.safetensors")):
        metric = rlpips.load_metric(path)
        assert metric.name == "half" and torch.equal(metric(x, y), rlpips.load_metric(heads)(x, y))
    with safetensors.safe_open(tmp_path / "half.safetensors", "np") as file:  # to be read without this library
        card = json.loads(file.metadata()["heads"])
    assert card["mixture"][0] == {"metric": "lpips", "share": 0.75, "gains": [1, 2, 1, 1, 1], "silenced": [3, 300]}
    with pytest.raises(ValueError, match="safetensors"):
        heads.save(tmp_path / "half.pt")


def test_heads_of_a_tuned_trunk_find_it_again(tmp_path):
    x, y = pair()
    for source in ("rlpips-tune", rlpips.load_metric("rlpips-tune")):
        heads = Heads.of(source)
        assert heads.trunk == "rlpips-tune"
        heads.save(tmp_path / "tuned.safetensors")
        torch.testing.assert_close(
            rlpips.load_metric(tmp_path / "tuned.safetensors")(x, y), rlpips.load_metric("rlpips-tune")(x, y)
        )
    with pytest.raises(ValueError, match="trunk is the same"):
        Heads.mix("lpips", "rlpips-tune", 0.5)


def test_files_of_the_training_are_heads_too():
    loaded = Heads.load("assets/weights/rlpips-linf_alex.safetensors")
    np.testing.assert_array_equal(loaded.vector, Heads.of("rlpips-linf").vector)
    assert (loaded.backbone, loaded.trunk, loaded.recipe) == ("alex", None, ())


def with_weight(value, dtype=np.float32):
    layers = [np.ones(size, dtype) for size in SIZES]
    layers[2][5] = value
    return layers


HOSTILE = {
    "negative": (with_weight(-1e-3), "at least 0"),
    "nan": (with_weight(np.nan), "finite"),
    "inf": (with_weight(np.inf), "finite"),
    "huge": (with_weight(1e30), "at most"),
    "huge in float64": (with_weight(1e300, np.float64), "at most|finite"),
    "all zero": ([np.zeros(size, np.float32) for size in SIZES], "above 0"),
    "a layer too few": ([np.ones(size, np.float32) for size in SIZES[:4]], "weights|channels"),
    "a wrong length": ([np.ones(size + 1, np.float32) for size in SIZES], "weights|channels"),
    "two dimensions": ([np.ones((size, 1), np.float32) for size in SIZES], "vector"),
    "whole numbers below 0": ([np.full(size, -1) for size in SIZES], "at least 0"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_weights_are_refused(kind, tmp_path):
    layers, message = HOSTILE[kind]
    with pytest.raises(ValueError, match=message):
        Heads(tuple(layers))
    raw = safetensors.numpy.save({str(index): layer for index, layer in enumerate(layers)})
    (tmp_path / "a.safetensors").write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        rlpips.load_metric(tmp_path / "a.safetensors")


def hostile_file(tensors=None, about=None, raw=None):
    layers = {str(index): np.ones(size, np.float32) for index, size in enumerate(SIZES)}
    metadata = {"heads": about if isinstance(about, str) else json.dumps(about)} if about is not None else None
    return raw if raw is not None else safetensors.numpy.save(tensors or layers, metadata)


@pytest.mark.parametrize(
    "raw, message",
    [
        (hostile_file(raw=b""), "not a readable"),
        (hostile_file(raw=b"\xff" * 100), "not a readable"),
        (hostile_file(raw=hostile_file()[:-9]), "not a readable"),
        (hostile_file(raw=bytes(2**20 + 1)), "too large"),
        (hostile_file(tensors={"a": np.ones(3, np.float32)}), "keys"),
        (hostile_file(about="{"), "not a readable"),
        (hostile_file(about=[1]), "not a readable"),
        (hostile_file(about={"backbone": "../x"}), "backbone"),
        (hostile_file(about={"backbone": "vgg"}), "weights"),
        (hostile_file(about={"trunk": "../x"}), "trunk"),
        (hostile_file(about={"trunk": ["lpips"]}), "trunk"),
        (hostile_file(about={"trunk": "lpips"}), "trunk"),
    ],
)
def test_hostile_files_are_refused(raw, message, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        rlpips.load_metric(tmp_path / "a.safetensors")


def test_a_recipe_that_is_not_understood_is_none(tmp_path):
    for about in ({"mixture": "lpips"}, {"mixture": [{"metric": "lpips"}]}, {"mixture": 3}):
        (tmp_path / "a.safetensors").write_bytes(hostile_file(about=about))
        assert Heads.load(tmp_path / "a.safetensors").recipe == ()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Heads.mix("lpips", "rlpips-linf", 1.01), "share"),
        (lambda: Heads.mix("lpips", "rlpips-linf", float("nan")), "share"),
        (lambda: Heads.mix("lpips", "mse", 0.5), "no network"),
        (lambda: Heads.of("other"), "Unknown metric"),
        (lambda: Heads.of(rlpips.load_metric("mse")), "trunk"),
        (lambda: Heads.of("lpips").scale_layers([1, 1]), "gains"),
        (lambda: Heads.of("lpips").scale_layers([1, 1, 1, 1, -1]), "gain"),
        (lambda: Heads.of("lpips").scale_layers([0] * 5), "above 0"),
        (lambda: Heads.of("lpips").silence([1152]), "channel"),
        (lambda: Heads.of("lpips").silence([-1]), "channel"),
        (lambda: Heads.of("lpips").silence([1.5]), "channel"),
        (lambda: Heads.load(Path("none.safetensors")), "no file"),
        (lambda: Heads((np.ones(3, np.float32),), trunk="mse"), "trunk"),
    ],
)
def test_bad_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_another_trunk_has_no_heads_to_save():
    metric = rlpips.load_metric("lpips")
    metric.trunk.features[0].bias.add_(0.1)
    with pytest.raises(ValueError, match="trunk of the catalogue"):
        Heads.of(metric)


def test_terms_of_a_metric_object_have_its_name():
    assert Heads.of(rlpips.load_metric("rlpips-l2")).recipe == (Term("rlpips-l2"),)


def test_attacks_take_mixtures_and_the_attack_on_one_beats_the_old_attack_on_it():
    mixed = rlpips.load_metric(Heads.mix("lpips", "rlpips-linf", 0.5).silence([64 + 192 + 233]))
    lpips = rlpips.load_metric("lpips")
    lanes = ("lpips", "rlpips-linf", lpips_without_its_heaviest(lpips), mixed)
    picture = images.to_tensor("assets/samples/coffee.png")[..., 60:180, 40:140]
    trace = rlpips.attack(picture, metrics=lanes, steps=8)
    assert trace.lanes == ("lpips", "rlpips-linf", "silenced", "heads", "noise")
    assert trace.metrics == ("lpips", "rlpips-linf", "silenced", "heads")
    own = trace.distance[-1, 3, 3]
    assert own > trace.distance[-1, [0, 1, 4], 3].max()
    # "silenced" is nearly the same metric: LPIPS's weights are the larger ones.
    assert own > 0.97 * trace.distance[-1, 2, 3]


def lpips_without_its_heaviest(lpips):
    metric = rlpips.load_metric(Heads.of(lpips).silence([64 + 192 + 233]))
    metric.name = "silenced"
    return metric
