import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image

import rlpips
from rlpips import paths
from rlpips.classifiers import models as classifiers
from rlpips.classifiers.cifar10 import Pictures
from rlpips.classifiers.models import imagenet_classifier, load_classifier, small_resnet
from rlpips.training import classifiers as training
from rlpips.zoo import catalog, weights
from rlpips.zoo.catalog import CIFAR10_CLASSES
from rlpips.zoo.weights import WeightsError


def noise(count, size=32, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def pictures(count, seed=0):
    """Uint8 noise whose brightness tells its class."""
    y = torch.arange(count) % 10
    return Pictures(((noise(count, seed=seed) + y[:, None, None, None]) * 23).byte(), y)


@pytest.fixture
def untrained():
    torch.manual_seed(0)
    made = small_resnet("undefended")
    for name, value in made.state_dict().items():  # so that no running statistic is 0 or 1
        if "norm" in name or "stages.0.1" in name:
            value += (0.2 * torch.rand(value.shape)).to(value.dtype)
    return made.eval().requires_grad_(False)


@pytest.fixture
def shipped(untrained, tmp_path, monkeypatch):
    """An untrained classifier, packed as "undefended" among the weights that are shipped."""
    raw = training.pack(untrained)
    (tmp_path / "classifier_undefended.safetensors").write_bytes(raw)
    card = replace(catalog.CLASSIFIERS["undefended"], sha256=hashlib.sha256(raw).hexdigest())
    monkeypatch.setitem(catalog.CLASSIFIERS, "undefended", card)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    monkeypatch.setattr(classifiers, "_LOADED", {})
    return tmp_path / "classifier_undefended.safetensors"


# ---- the network


def test_the_small_resnet_is_the_one_described(untrained):
    assert sum(each.numel() for each in untrained.parameters()) == 308_650
    taps, logits = untrained.features_logits(noise(2))
    assert [tuple(tap.shape[1:]) for tap in taps] == [(32, 32, 32), (32, 32, 32), (64, 16, 16), (128, 8, 8)]
    assert all((tap >= 0).all() for tap in taps) and torch.equal(logits, untrained(noise(2)))
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


def test_float16_and_back_changes_nothing_but_the_rounding(untrained):
    state = training.unpack(training.pack(untrained))
    for name, value in untrained.state_dict().items():
        if value.is_floating_point():
            assert state[name].dtype == torch.float32
            assert np.array_equal(state[name], value.numpy().astype(np.float16).astype(np.float32))
    again = small_resnet("again")
    again.load_state_dict(state)
    torch.testing.assert_close(again.eval()(noise(4)), untrained(noise(4)), atol=2e-3, rtol=2e-3)
    assert training.pack(again) == training.pack(untrained)


def test_one_object_for_each_name_frozen_and_in_eval_mode(shipped):
    random = torch.get_rng_state()
    loaded = rlpips.load_classifier("undefended")
    assert loaded is load_classifier("undefended", "cpu") and loaded.name == "undefended"
    assert not loaded.training and not any(each.requires_grad for each in loaded.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    expected = small_resnet("x")
    expected.load_state_dict(training.unpack(shipped.read_bytes()))
    torch.testing.assert_close(loaded(noise(3)), expected.eval()(noise(3)), atol=1e-5, rtol=1e-5)


def test_what_cannot_be_loaded_is_told(shipped, monkeypatch):
    for bad in ("undefendet", None, ["at-l2"]):
        with pytest.raises(
            ValueError, match="the classifiers are undefended, at-linf, at-l2, pat-self, pat-alexnet, alex"
        ):
            load_classifier(bad)
    with pytest.raises(ValueError, match='device must be None, "cpu" or "cuda"'):
        load_classifier("undefended", "abacus")
    monkeypatch.setitem(catalog.CLASSIFIERS, "at-l2", replace(catalog.CLASSIFIERS["at-l2"], sha256=""))
    with pytest.raises(WeightsError, match="the classifier AT l2, is not made yet"):
        load_classifier("at-l2")
    right = shipped.read_bytes()
    shipped.write_bytes(right[:-1])
    with pytest.raises(WeightsError, match="classifier_undefended.safetensors is damaged"):
        load_classifier("undefended")
    state = training.unpack(right)
    other = safetensors.torch.save({**state, "head.2.bias": torch.zeros(11)})
    shipped.write_bytes(other)
    card = replace(catalog.CLASSIFIERS["undefended"], sha256=hashlib.sha256(other).hexdigest())
    monkeypatch.setitem(catalog.CLASSIFIERS, "undefended", card)
    with pytest.raises(WeightsError, match=r"(?s)does not fit the network of Undefended: .*head.2.bias"):
        load_classifier("undefended")


@pytest.mark.parametrize("name", [name for name, card in catalog.CLASSIFIERS.items() if card.sha256])
def test_what_is_shipped_is_what_its_card_says(name):
    card = catalog.CLASSIFIERS[name]
    written = json.loads((paths.WEIGHTS / card.file).with_suffix(".json").read_text("utf-8"))
    assert written["sha256"] == card.sha256 and written["file"] == card.file and written["name"] == name
    loaded = load_classifier(name)
    assert sum(each.numel() for each in loaded.parameters()) == 308_650
    samples = sorted((paths.CIFAR10_SAMPLES).glob("*.png"))
    x = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in samples])
    y = torch.tensor([CIFAR10_CLASSES.index(file.name.rsplit("-", 1)[0]) for file in samples])
    right = (loaded(x.permute(0, 3, 1, 2) / 255).argmax(1) == y).float().mean().item()
    assert right > written["results"]["clean"]["accuracy"] - 0.25  # of thirty pictures: three standard deviations


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
    whole = torchvision.models.get_model(catalog.CLASSIFIERS[name].model, weights=None).eval()
    made = imagenet_classifier(name, whole.state_dict()).eval().requires_grad_(False)
    x = noise(1, 224)
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    taps, logits = made.features_logits(x)
    with torch.no_grad():
        torch.testing.assert_close(logits, whole((x - mean) / deviation), atol=1e-4, rtol=1e-3)
    assert torch.equal(made(x), logits)
    assert [tap.shape[1] for tap in taps] == channels and [tap.shape[2] for tap in taps] == sides
    assert len(made.classes) == 1000 and made.classes[281] == "tabby" and made.size == 224
    assert all((tap >= 0).all() for tap in taps)  # the ReLUs' values


def test_imagenet_weights_are_found_where_the_user_put_them(tmp_path, monkeypatch):
    state = torchvision.models.alexnet(weights=None).state_dict()
    state = {name: value.flatten()[:1].expand(value.shape).half() for name, value in state.items()}  # a small file
    torch.save(
        {name: value[(slice(0, 1),) * value.ndim].clone() for name, value in state.items()}, tmp_path / "small.pth"
    )
    raw = (tmp_path / "small.pth").read_bytes()
    file = f"alexnet-owt-{hashlib.sha256(raw).hexdigest()[:8]}.pth"
    (tmp_path / file).write_bytes(raw)
    monkeypatch.setenv("RLPIPS_WEIGHTS_DIR", str(tmp_path))
    card = replace(catalog.CLASSIFIERS["alexnet-imagenet"], file=file)
    monkeypatch.setitem(catalog.CLASSIFIERS, "alexnet-imagenet", card)
    assert weights.load_classifier("alexnet-imagenet").keys() == state.keys()
    with pytest.raises(WeightsError, match="does not fit the network of AlexNet"):  # its tensors were cut
        load_classifier("alexnet-imagenet")
    (tmp_path / file).write_bytes(raw + b"0")
    with pytest.raises(WeightsError, match="is damaged"):
        load_classifier("alexnet-imagenet")


# ---- training


@pytest.fixture
def tiny(monkeypatch):
    """Batches of 4 pictures and a state after every step."""
    monkeypatch.setattr(training, "BATCH", 4)
    monkeypatch.setattr(training, "KEEP_EVERY", 1)


class Stop(Exception):
    """Stands for an interruption."""


@pytest.mark.parametrize("name", ["at-l2", "pat-self"])
def test_a_resumed_training_equals_an_uninterrupted_one(name, tiny, tmp_path, monkeypatch):
    options = {"epochs": 2, "precision": "float32"}
    whole, _ = training.train(name, pictures(10), **options)  # two steps an epoch
    state, saved = tmp_path / "state.safetensors", training.Course.save

    def save_and_stop(course, path, about):
        saved(course, path, about)
        if course.step == 3:
            raise Stop

    monkeypatch.setattr(training.Course, "save", save_and_stop)
    with pytest.raises(Stop):
        training.train(name, pictures(10), state=state, **options)
    monkeypatch.setattr(training.Course, "save", saved)
    said = []
    resumed, _ = training.train(
        name, pictures(10), state=state, resume=True, progress=lambda words, *a, **k: said.append(words), **options
    )
    assert said[0].startswith("going on from step 3 of 4")
    assert training.pack(resumed) == training.pack(whole)
    with pytest.raises(ValueError, match="is of another training; begin anew without --resume"):
        training.train(name, pictures(10), epochs=3, precision="float32", state=state, resume=True)


def test_crops_are_windows_of_the_picture_some_mirrored():
    padded = torch.randint(256, (24, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seen = training.crop(padded, torch.Generator().manual_seed(1))
    places = set()
    for picture, whole in zip(seen.numpy(), padded.numpy() / np.float32(255)):
        found = [
            (top, left, mirrored)
            for top in range(9)
            for left in range(9)
            for mirrored in (False, True)
            if np.array_equal(picture[..., ::-1] if mirrored else picture, whole[:, top : top + 32, left : left + 32])
        ]
        assert len(found) == 1
        places.update(found)
    assert {mirrored for *_, mirrored in places} == {False, True} and len(places) > 15


@pytest.mark.parametrize("norm, eps", [("linf", 8 / 255), ("l2", 1.0)])
def test_ascend_stays_in_the_ball_and_raises_the_loss(untrained, norm, eps):
    x, y = noise(6), torch.arange(6)
    before = x.clone()
    moved = training.pgd_in_pixels(untrained, x, y, norm, eps, 4, eps / 2, seed=1)
    delta = (moved - x).flatten(1)
    size = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert torch.equal(x, before) and moved.min() >= 0 and moved.max() <= 1
    assert (size <= eps * (1 + 1e-5)).all() and (size > eps / 2).all()
    random = training.pgd_in_pixels(untrained, x, y, norm, eps, 0, eps / 2, seed=1)
    loss = [F.cross_entropy(untrained(each), y, reduction="none") for each in (random, moved)]
    assert (loss[1] > loss[0]).all()


def test_accuracies_are_counted(untrained, monkeypatch):
    monkeypatch.setattr(training, "BATCH", 7)
    some = pictures(20)
    verdict = untrained(some.x / 255).argmax(1)
    some = Pictures(some.x, torch.where(torch.arange(20) < 15, verdict, (verdict + 1) % 10))
    assert training.accuracy(untrained, some) == 0.75
    assert training.accuracy_under_pgd(untrained, some, "linf", 1.0, steps=3) < 0.75
    assert training.accuracy_under_pgd(untrained, some, "linf", 1e-9, steps=3) == 0.75


def test_the_command_writes_weights_and_a_card(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "PGD_PICTURES", 3)
    for split, count in (("train", 2), ("test", 1)):
        made = pictures(10 * count)
        for n, (x, y) in enumerate(zip(made.x, made.y)):
            folder = tmp_path / "cifar" / split / CIFAR10_CLASSES[y]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x.permute(1, 2, 0).numpy()).save(folder / f"{n:03}.png")
    out = tmp_path / "out"
    out.mkdir()
    options = [
        "at-linf",
        "--images",
        f"{tmp_path}/cifar",
        "--out",
        str(out),
        "--epochs",
        "1",
        "--subset",
        "11",
        "--seed",
        "5",
    ]
    training.main(options)
    raw = (out / "classifier_at-linf.safetensors").read_bytes()
    card = json.loads((out / "classifier_at-linf.json").read_text("utf-8"))
    assert {file.name for file in out.iterdir()} == {card["file"], "classifier_at-linf.json"}
    assert card["sha256"] == hashlib.sha256(raw).hexdigest()
    assert (card["pictures"], card["epochs"], card["steps"], card["seed"]) == (11, 1, 2, 5)
    assert card["results"]["clean"]["pictures"] == 10 and card["results"]["pgd-l2"]["pictures"] == 3
    assert card["command"].endswith("at-linf --out FOLDER --images FOLDER --epochs 1 --subset 11 --seed 5")
    assert str(tmp_path) not in json.dumps(card)


def test_the_command_refuses_what_makes_no_sense(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        training.main(["undefended", "--out", str(tmp_path / "nowhere")])
    assert error.value.code == 2 and "--out must be a folder that is there" in capsys.readouterr().err
    with pytest.raises(ValueError, match="at least 128 pictures and one epoch; got 10 and 1"):
        training.train("undefended", pictures(10), epochs=1)
