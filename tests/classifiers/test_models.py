import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import torchvision
from cifar10_noise import make_classifier, noise
from PIL import Image

import rlpips
from rlpips import paths
from rlpips.classifiers import models
from rlpips.classifiers.models import imagenet_classifier, load_classifier, small_resnet
from rlpips.training.classifiers import pack, unpack
from rlpips.zoo import classifier_cards, weights
from rlpips.zoo.classifier_cards import CIFAR10_CLASSES
from rlpips.zoo.weights import WeightsError


@pytest.fixture
def untrained():
    return make_classifier()


@pytest.fixture
def shipped(untrained, tmp_path, monkeypatch):
    """An untrained classifier in place of the shipped weights of "undefended"."""
    raw = pack(untrained)
    (tmp_path / "classifier_undefended.safetensors").write_bytes(raw)
    card = replace(classifier_cards.CLASSIFIERS["undefended"], sha256=hashlib.sha256(raw).hexdigest())
    monkeypatch.setitem(classifier_cards.CLASSIFIERS, "undefended", card)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    monkeypatch.setattr(models, "_LOADED", {})
    return tmp_path / "classifier_undefended.safetensors"


# ---- the network


def test_the_small_resnet_is_the_one_described(untrained):
    assert sum(parameter.numel() for parameter in untrained.parameters()) == 308_650
    taps, logits = untrained.features_logits(noise(2))
    assert [tuple(tap.shape[1:]) for tap in taps] == [(32, 32, 32), (32, 32, 32), (64, 16, 16), (128, 8, 8)]
    assert all((tap >= 0).all() for tap in taps)
    torch.testing.assert_close(logits, untrained(noise(2)))
    assert logits.shape == (2, 10) and untrained.classes == CIFAR10_CLASSES and untrained.size == 32


def test_pictures_are_normalised_inside(untrained):
    x = noise(2)
    mean, deviation = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    seen = ((x.permute(0, 2, 3, 1) - mean) / deviation).permute(0, 3, 1, 2)
    state, eps = untrained.state_dict(), 1e-5
    y = F.conv2d(seen, state["stages.0.0.weight"], padding=1).permute(0, 2, 3, 1)
    y = (y - state["stages.0.1.running_mean"]) / (state["stages.0.1.running_var"] + eps).sqrt()
    y = (y * state["stages.0.1.weight"] + state["stages.0.1.bias"]).relu().permute(0, 3, 1, 2)
    torch.testing.assert_close(untrained.features_logits(x)[0][0], y, atol=1e-5, rtol=1e-4)


def test_logits_are_float32_under_autocast_and_other_sizes_are_refused(untrained):
    with torch.autocast("cpu", torch.bfloat16):
        assert untrained(noise(1)).dtype == torch.float32
    for bad in (noise(1, 33), noise(1)[0], noise(1)[:, :1]):
        with pytest.raises(ValueError, match=r"expects pictures \(N, 3, 32, 32\); got"):
            untrained(bad)


# ---- weights


def test_packed_weights_differ_only_by_rounding_to_float16(untrained):
    state = unpack(pack(untrained))
    for name, value in untrained.state_dict().items():
        if value.is_floating_point():
            assert state[name].dtype == torch.float32
            assert np.array_equal(state[name], value.numpy().astype(np.float16).astype(np.float32))
    again = small_resnet("again")
    again.load_state_dict(state)
    torch.testing.assert_close(again.eval()(noise(4)), untrained(noise(4)), atol=2e-3, rtol=2e-3)
    assert pack(again) == pack(untrained)


def test_a_classifier_is_its_owners_frozen_and_in_eval_mode(shipped):
    random = torch.get_rng_state()
    loaded = rlpips.load_classifier("undefended")
    load_classifier("undefended", "cpu").requires_grad_(True).half()
    assert loaded.name == "undefended"
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    expected = small_resnet("x")
    expected.load_state_dict(unpack(shipped.read_bytes()))
    torch.testing.assert_close(loaded(noise(3)), expected.eval()(noise(3)), atol=1e-5, rtol=1e-5)


def test_unknown_and_damaged_classifiers_are_refused(shipped, monkeypatch):
    for bad in ("undefendet", None, ["at-l2"]):
        with pytest.raises(
            ValueError, match="the classifiers are undefended, at-linf, at-l2, pat-self, pat-alexnet, pat-rlpips, alex"
        ):
            load_classifier(bad)
    with pytest.raises(ValueError, match='device must be None, "cpu" or "cuda"'):
        load_classifier("undefended", "abacus")
    monkeypatch.setitem(
        classifier_cards.CLASSIFIERS, "at-l2", replace(classifier_cards.CLASSIFIERS["at-l2"], sha256="")
    )
    with pytest.raises(WeightsError, match="the classifier AT l2, is not trained yet"):
        load_classifier("at-l2")
    raw = shipped.read_bytes()
    shipped.write_bytes(raw[:-1])
    with pytest.raises(WeightsError, match=r"classifier_undefended\.safetensors is damaged"):
        load_classifier("undefended")
    state = unpack(raw)
    other = safetensors.torch.save({**state, "head.2.bias": torch.zeros(11)})
    shipped.write_bytes(other)
    card = replace(classifier_cards.CLASSIFIERS["undefended"], sha256=hashlib.sha256(other).hexdigest())
    monkeypatch.setitem(classifier_cards.CLASSIFIERS, "undefended", card)
    with pytest.raises(WeightsError, match=r"(?s)does not fit the network of Undefended: .*head.2.bias"):
        load_classifier("undefended")


@pytest.mark.parametrize("name", [name for name, card in classifier_cards.CLASSIFIERS.items() if card.sha256])
def test_a_shipped_classifier_is_what_its_card_says(name):
    card = classifier_cards.CLASSIFIERS[name]
    stored = json.loads((paths.WEIGHTS / card.file).with_suffix(".json").read_text("utf-8"))
    assert stored["sha256"] == card.sha256 and stored["file"] == card.file and stored["name"] == name
    loaded = load_classifier(name)
    assert sum(parameter.numel() for parameter in loaded.parameters()) == 308_650
    samples = sorted(paths.CIFAR10_SAMPLES.glob("*.png"))
    x = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in samples])
    y = torch.tensor([CIFAR10_CLASSES.index(file.name.rsplit("-", 1)[0]) for file in samples])
    correct = (loaded(x.permute(0, 3, 1, 2) / 255).argmax(1) == y).float().mean().item()
    assert correct > stored["results"]["clean"]["accuracy"] - 0.25  # of thirty pictures: three standard deviations


# ---- ImageNet


@pytest.mark.parametrize(
    "name, channels, sides",
    [
        ("alexnet-imagenet", [64, 192, 384, 256, 256], [55, 27, 13, 13, 13]),
        ("resnet50-imagenet", [64, 256, 512, 1024, 2048], [112, 56, 28, 14, 7]),
    ],
)
def test_imagenet_classifiers_are_torchvisions(name, channels, sides):
    torch.manual_seed(0)
    whole = torchvision.models.get_model(classifier_cards.CLASSIFIERS[name].model, weights=None).eval()
    classifier = imagenet_classifier(name, whole.state_dict()).eval().requires_grad_(False)
    x = noise(1, 224)
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    taps, logits = classifier.features_logits(x)
    with torch.no_grad():
        torch.testing.assert_close(logits, whole((x - mean) / deviation), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(classifier(x), logits)
    assert [tap.shape[1] for tap in taps] == channels and [tap.shape[2] for tap in taps] == sides
    assert len(classifier.classes) == 1000 and classifier.classes[281] == "tabby" and classifier.size == 224
    assert all((tap >= 0).all() for tap in taps)  # the ReLUs' values


def test_imagenet_weights_are_found_where_the_user_put_them(tmp_path, monkeypatch):
    network = torchvision.models.alexnet(weights=None)
    state = {name: torch.zeros((1,) * value.ndim) for name, value in network.state_dict().items()}  # a small file
    torch.save(state, tmp_path / "small.pth")
    raw = (tmp_path / "small.pth").read_bytes()
    file = f"alexnet-owt-{hashlib.sha256(raw).hexdigest()[:8]}.pth"
    (tmp_path / file).write_bytes(raw)
    monkeypatch.setenv("RLPIPS_WEIGHTS_DIR", str(tmp_path))
    card = replace(classifier_cards.CLASSIFIERS["alexnet-imagenet"], file=file)
    monkeypatch.setitem(classifier_cards.CLASSIFIERS, "alexnet-imagenet", card)
    assert weights.load_classifier("alexnet-imagenet").keys() == state.keys()
    with pytest.raises(WeightsError, match="does not fit the network of AlexNet"):  # its tensors are too small
        load_classifier("alexnet-imagenet")
    (tmp_path / file).write_bytes(raw + b"0")
    with pytest.raises(WeightsError, match="is damaged"):
        load_classifier("alexnet-imagenet")
