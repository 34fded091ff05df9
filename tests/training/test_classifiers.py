import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cifar10_noise import make_classifier, make_pictures_with_classes, noise
from PIL import Image

import rlpips
from rlpips import paths
from rlpips.classifiers.cifar10 import Pictures
from rlpips.norms import NORMS
from rlpips.training import classifier_accuracy, classifier_command, classifiers
from rlpips.training.classifier_accuracy import accuracy, accuracy_under_pgd
from rlpips.training.classifier_recipes import RECIPES, pgd_in_pixels
from rlpips.training.classifiers import crop, train
from rlpips.zoo.classifier_cards import CIFAR10_CLASSES


@pytest.fixture
def tiny(monkeypatch):
    """Batches of 4 pictures and a state after every step."""
    for module in (classifiers, classifier_command):
        monkeypatch.setattr(module, "BATCH", 4)
    monkeypatch.setattr(classifiers, "SAVE_EVERY", 1)


@pytest.mark.parametrize("name", ["at-l2", "pat-self"])
def test_a_resumed_training_equals_an_uninterrupted_one(name, tiny, tmp_path):
    state, texts = tmp_path / "state.safetensors", []

    def run(progress, epochs=2, **options):
        return train(name, make_pictures_with_classes(10), epochs, precision="float32", progress=progress, **options)[0]

    def interrupt(text, *_, **__):
        if text.startswith("step 4/4"):
            raise KeyboardInterrupt

    def note(text, *_, **__):
        texts.append(text)

    whole = run(note)  # two steps an epoch
    with pytest.raises(KeyboardInterrupt):
        run(interrupt, state=state)
    texts.clear()
    resumed = run(note, state=state, resume=True)
    assert texts[0].startswith("continuing after step 3 of 4") and texts[1].startswith("step 4/4")
    expected = whole.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())
    with pytest.raises(ValueError, match="is of another training; start again without --resume"):
        run(note, epochs=3, state=state, resume=True)


def test_crops_are_windows_of_the_picture_some_mirrored():
    padded = torch.randint(256, (24, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    crops = crop(padded, torch.Generator().manual_seed(1))
    places = set()
    for picture, whole in zip(crops.numpy(), padded.numpy() / np.float32(255), strict=True):
        matches = [
            (top, left, mirrored)
            for top in range(9)
            for left in range(9)
            for mirrored in (False, True)
            if np.array_equal(picture[..., ::-1] if mirrored else picture, whole[:, top : top + 32, left : left + 32])
        ]
        assert len(matches) == 1
        places.update(matches)
    assert {mirrored for *_, mirrored in places} == {False, True} and len(places) > 15


@pytest.mark.parametrize("norm, eps", [("linf", 8 / 255), ("l2", 1.0)])
def test_pgd_in_pixels_stays_in_the_ball_and_raises_the_loss(norm, eps):
    classifier, x, y = make_classifier(), noise(6), torch.arange(6)
    before = x.clone()
    random, attacked = (pgd_in_pixels(classifier, x, y, norm, eps, steps, eps / 2, seed=1) for steps in (0, 4))
    size = NORMS[norm].measure(attacked - x)
    assert torch.equal(x, before) and attacked.min() >= 0 and attacked.max() <= 1
    assert (size <= eps * (1 + 1e-5)).all() and (size > eps / 2).all()
    loss, higher = (F.cross_entropy(classifier(pictures), y, reduction="none") for pictures in (random, attacked))
    assert (higher > loss).all()


@pytest.mark.parametrize("norm, eps", [("linf", 8 / 255), ("l2", 1.0)])
def test_a_step_in_pixels_is_that_of_the_formula(norm, eps):
    classifier, x, y = make_classifier(), noise(6), torch.arange(6)
    start = pgd_in_pixels(classifier, x, y, norm, eps, 0, eps / 2, seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(classifier(start), y, reduction="sum"), start)
    if norm == "linf":
        expected = (start + eps / 2 * gradient.sign() - x).clamp(-eps, eps)
    else:
        delta = (start + eps / 2 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1) - x).flatten(1)
        expected = (delta * (eps / delta.norm(dim=1, keepdim=True)).clamp(max=1)).view_as(x)
    step = pgd_in_pixels(classifier, x, y, norm, eps, 1, eps / 2, seed=1)
    wrong = (step - (x + expected).clamp(0, 1)).abs() > 1e-6  # a sign may differ where the gradient is nearly zero
    assert wrong.float().mean() < 1e-3


@pytest.mark.parametrize("name, metric", [("pat-alexnet", "lpips"), ("pat-rlpips", "rlpips-linf")])
def test_perceptual_training_is_bounded_by_its_own_metric(name, metric):
    """A bound is soft in this attack: results end near it, in the metric that is named and not in the other."""
    classifier, x = make_classifier(), noise(4)
    labels = classifier(x).argmax(1)
    attacked = RECIPES[name].make_attack(classifier)(x, labels, 5)
    ball = rlpips.MetricBall(rlpips.load_metric(metric), 0.3)
    *_, expected = rlpips.fast_lpa(classifier, x, labels, ball, steps=3, seed=5)
    torch.testing.assert_close(attacked, expected, rtol=0, atol=1e-4)
    assert (ball.distance(x, attacked) < 0.45).all()


def test_accuracies_are_counted(monkeypatch):
    monkeypatch.setattr(classifier_accuracy, "BATCH", 7)
    classifier, x = make_classifier(), make_pictures_with_classes(20).x
    verdict = classifier(x / 255).argmax(1)
    pictures = Pictures(x, torch.where(torch.arange(20) < 15, verdict, (verdict + 1) % 10))
    assert accuracy(classifier, pictures) == 0.75
    assert accuracy_under_pgd(classifier, pictures, "linf", 1.0, steps=3) < 0.75
    assert accuracy_under_pgd(classifier, pictures, "linf", 1e-9, steps=3) == 0.75


def test_the_command_writes_weights_and_a_card(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_accuracy, "PGD_PICTURES", 3)
    for split, count in (("train", 20), ("test", 10)):
        pictures = make_pictures_with_classes(count)
        for n, (x, y) in enumerate(zip(pictures.x, pictures.y, strict=True)):
            folder = tmp_path / "cifar" / split / CIFAR10_CLASSES[y]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x.permute(1, 2, 0).numpy()).save(folder / f"{n:03}.png")
    out = tmp_path / "out"
    out.mkdir()
    options = f"--images {tmp_path}/cifar --out {out} --epochs 1 --subset 11 --seed 5".split()
    classifier_command.main(["at-linf", *options])
    raw = (out / "classifier_at-linf.safetensors").read_bytes()
    card = json.loads((out / "classifier_at-linf.json").read_text("utf-8"))
    assert {file.name for file in out.iterdir()} == {card["file"], "classifier_at-linf.json"}
    assert card["sha256"] == hashlib.sha256(raw).hexdigest()
    assert (card["pictures"], card["epochs"], card["steps"], card["seed"]) == (11, 1, 2, 5)
    assert card["results"]["clean"]["pictures"] == 10 and card["results"]["pgd-l2"]["pictures"] == 3
    assert card["command"].endswith("at-linf --out FOLDER --images FOLDER --epochs 1 --subset 11 --seed 5")
    assert str(tmp_path) not in json.dumps(card)


def test_the_command_refuses_wrong_options(tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        classifier_command.main(["undefended", "--out", str(tmp_path / "nowhere")])
    assert refused.value.code == 2 and "--out must be a folder that exists" in capsys.readouterr().err
    with pytest.raises(ValueError, match="at least 128 pictures and one epoch; got 10 and 1"):
        train("undefended", make_pictures_with_classes(10), epochs=1)


def test_the_command_runs_from_the_room_below():
    command = [sys.executable, "-m", "rlpips.classifiers", "undefended", "--out", "nowhere"]
    refused = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert refused.returncode == 2 and refused.stderr.strip() == "--out must be a folder that exists; got nowhere."
