import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import rlpips
from rlpips import Trace
from rlpips.attacks import by_card, pixels, side_by_side, unseen
from rlpips.attacks.balls import MetricBall, SumBall
from rlpips.attacks.lpa import lpa
from rlpips.attacks.ppgd import ppgd
from rlpips.classifiers.models import Classifier
from rlpips.data.distortions import DISTORTIONS
from rlpips.zoo.attack_cards import ATTACKS

SAMPLE = "assets/samples/cifar10/cat-01.png"
CLASSES = ("bird", "cat", "deer", "dog")
BOTH = ("ppgd", "r-ppgd")


def tiny(size=32):
    """A classifier of random weights, seeded, that is easily fooled."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stages = [nn.Conv2d(3, 8, 3, 2), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, 2))]
        head = nn.Sequential(nn.Flatten(), nn.LazyLinear(len(CLASSES)))
        network = Classifier("tiny", stages, head, ((0.5,) * 3, (0.25,) * 3), CLASSES, size).eval()
        network(torch.zeros(1, 3, size, size))
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def classifier():
    return tiny()


@pytest.fixture(scope="module")
def picture():
    return np.asarray(Image.open(SAMPLE).convert("RGB"))


@pytest.fixture(scope="module")
def trace(classifier, picture):
    return side_by_side.fool(picture, 1, classifier, steps=3, seed=5)


def tensor(pixels):
    return torch.tensor(np.asarray(pixels)).float().div(255).movedim(-1, -3)


def softmax(classifier, pixels):
    """By numpy, of logits of uint8 pictures (n, H, W, 3)."""
    logits = classifier(tensor(pixels)).double().numpy()
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_a_trace_has_the_promised_shapes(trace):
    assert trace.lanes == BOTH and trace.metrics == ("lpips", "rlpips-linf") and trace.state == "done"
    assert trace.classes == CLASSES and trace.label == 1
    assert trace.distance.shape == (4, 2, 2) and trace.per_layer.shape == (4, 2, 2, 5) and trace.l2.shape == (4, 2)
    assert trace.probabilities.shape == (4, 2, 4) and trace.clean.shape == (4,)
    assert trace.adversarial.shape == (2, 32, 32, 3) and trace.maps.shape[:2] == (2, 2)
    np.testing.assert_allclose(trace.per_layer.sum(-1), trace.distance, rtol=1e-5)
    np.testing.assert_allclose(trace.probabilities.sum(-1), 1, atol=1e-6)


def test_what_is_shown_is_measured_as_it_is_shown(trace, classifier, picture):
    """Verdicts by numpy, distances by the metrics on pictures enlarged here, norms by numpy."""
    np.testing.assert_allclose(trace.clean, softmax(classifier, picture[None])[0], atol=1e-6)
    np.testing.assert_allclose(trace.probabilities_8bit, softmax(classifier, trace.adversarial), atol=1e-6)
    np.testing.assert_array_equal(trace.fooled, softmax(classifier, trace.adversarial).argmax(-1) != 1)
    clean, shown = (
        nn.functional.interpolate(tensor(each), size=(64, 64), mode="bilinear", align_corners=False)
        for each in (np.stack([picture] * 2), trace.adversarial)
    )
    expected = torch.stack([rlpips.load_metric(name)(clean, shown) for name in trace.metrics], 1)
    np.testing.assert_allclose(trace.distance_8bit, expected, rtol=1e-4, atol=1e-7)
    last = trace.frames[-1]
    delta = (trace.adversarial.astype(float) - picture) / 255
    np.testing.assert_allclose(last.linf_8bit, np.abs(delta).max((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(last.l2_8bit, np.sqrt((delta**2).sum((1, 2, 3))), rtol=1e-5)
    np.testing.assert_allclose(last.psnr, -10 * np.log10((delta**2).mean((1, 2, 3))), rtol=1e-4)
    assert ((last.ssim > 0) & (last.ssim < 1)).all()


@pytest.mark.parametrize(
    "attacks",
    [BOTH, ("pgd-linf", "apgd-l2"), ("lpa", "r-lpa-authors"), ("stadv", "recolour"), ("r-ppgd-sums", "r-ppgd")],
)
def test_each_lane_is_its_attack_run_alone_and_stays_in_its_bound(attacks, classifier, picture):
    bounds = {"pgd-linf": 0.02, "apgd-l2": 0.6, "recolour": 0.1}
    bounds = [bounds.get(name, 0.3) for name in attacks]
    steps = list(side_by_side.fool_steps(picture, 1, classifier, attacks, bounds, steps=2, seed=3))
    x, label = tensor(picture)[None], torch.tensor([1])
    lpips, rlpips_linf = rlpips.load_metric("lpips"), rlpips.load_metric("rlpips-linf")
    balls = {
        "ppgd": MetricBall(lpips, 0.3), "lpa": MetricBall(lpips, 0.3), "r-lpa": MetricBall(rlpips_linf, 0.3),
        "r-ppgd": MetricBall(rlpips_linf, 0.3), "r-ppgd-sums": SumBall(rlpips_linf, 0.3, is_scaled=False),
        "r-lpa-authors": SumBall(rlpips_linf, 0.3),
    }  # fmt: skip
    longest = 0
    for lane, (name, bound) in enumerate(zip(attacks, bounds)):
        more = {"steps": 2, "seed": 3}
        if name in balls:
            alone = list((ppgd if "ppgd" in name else lpa)(classifier, x, label, balls[name], **more))
            assert balls[name].distance(x, alone[-1]) <= bound * 1.001
        elif name in ("stadv", "recolour"):
            run = unseen.stadv if name == "stadv" else unseen.recoloradv
            alone = list(run(classifier, x, label, bound, **more))
        else:
            kind, norm = name.split("-")
            alone = list(getattr(pixels, kind)(classifier, x, label, norm, bound, **more))
            assert (steps[-1].linf if norm == "linf" else steps[-1].l2)[lane] <= bound * 1.001
        assert len(alone) == 2 * {"lpa": 5, "apgd": 4}.get(ATTACKS[name].kind, 1) + 1
        longest = max(longest, len(alone))
        for step, iterate in zip(steps, alone):
            np.testing.assert_allclose(step.linf[lane], (iterate - x).abs().max(), rtol=1e-6)
            np.testing.assert_allclose(step.probabilities[lane], classifier(iterate)[0].softmax(0), atol=1e-5)
    assert len(steps) == longest


def test_a_shorter_attack_holds_its_last_iterate(classifier, picture, monkeypatch):
    def walk(classifier, x, labels, norm, eps, steps, seed):
        for step in range(2 if norm == "linf" else steps + 1):
            yield (x + 0.01 * (step + 1)).clamp(0, 1)

    monkeypatch.setattr(pixels, "pgd", walk)
    trace = side_by_side.fool(picture, 1, classifier, ("pgd-linf", "pgd-l2"), steps=4)
    np.testing.assert_allclose(trace.linf[:, 0], [0.01, 0.02, 0.02, 0.02, 0.02], rtol=1e-4)
    np.testing.assert_allclose(trace.linf[:, 1], [0.01, 0.02, 0.03, 0.04, 0.05], rtol=1e-4)
    assert trace.state == "done"


def test_the_same_seed_repeats_a_trace_and_another_does_not(trace, classifier, picture):
    again, other = (side_by_side.fool(picture, 1, classifier, steps=3, seed=seed) for seed in (5, 6))
    for key in ("distance", "probabilities", "adversarial", "l2"):
        np.testing.assert_array_equal(getattr(again, key), getattr(trace, key))
    assert again.receipt == trace.receipt and not np.array_equal(other.distance, trace.distance)


def test_it_can_be_stopped_and_keeps_what_there_is(trace, classifier, picture, monkeypatch):
    ended = []
    honest = ppgd

    def spying(*args, **more):
        try:
            yield from honest(*args, **more)
        finally:
            ended.append(True)

    monkeypatch.setattr(by_card.ppgd, "ppgd", spying)
    steps = side_by_side.fool_steps(picture, 1, classifier, steps=3, seed=5)
    (recorder,) = steps.recorders
    with pytest.raises(ValueError, match="first step"):
        recorder.trace()
    for _ in range(2):
        recorder.add(next(steps))
    steps.close()
    assert ended == [True, True] and next(steps, None) is None
    early = recorder.trace()
    assert early.state == "stopped"
    np.testing.assert_array_equal(early.probabilities, trace.probabilities[:2])
    file = io.BytesIO()
    early.save(file)
    file.seek(0)
    np.testing.assert_array_equal(Trace.load(file).fooled, early.fooled)


def test_the_ruler_measures_distortions_of_the_enlarged_picture(trace, picture):
    ruler = side_by_side.ruler_of(trace).to_json()
    scale = next(scale for scale in ruler["distortions"] if scale["name"] == "noise")
    clean = tensor(picture)[None]
    noisy = DISTORTIONS["noise"](clean, 1.0)
    clean, noisy = (
        nn.functional.interpolate(each, scale_factor=2, mode="bilinear", align_corners=False) for each in (clean, noisy)
    )
    expected = [rlpips.load_metric(name)(clean, noisy).item() for name in ruler["metrics"]]
    np.testing.assert_allclose(scale["distance"][-1], expected, rtol=1e-4)


def test_without_a_label_the_classifiers_own_verdict_is_taken(classifier, picture):
    verdict = int(softmax(classifier, picture[None]).argmax())
    alone = side_by_side.fool_steps(picture, classifier=classifier, steps=1).recorders[0]
    assert alone.label == verdict and alone.receipt["label_from"] == "classifier"
    assert CLASSES[verdict] in " ".join(alone.receipt["notes"])
    labelled = side_by_side.fool_steps(picture, (verdict + 1) % 4, classifier, steps=1).recorders[0]
    assert labelled.label == (verdict + 1) % 4 and labelled.receipt["label_from"] == "given"
    assert "wrong before any attack" in " ".join(labelled.receipt["notes"])


@pytest.mark.parametrize("size", [32, 48])
def test_a_visitors_picture_is_cropped_to_its_middle_and_scaled(size):
    wide = np.zeros((90, 150, 3), np.uint8)
    wide[:, 30:120, 0] = 200  # the middle square is red
    recorder = side_by_side.fool_steps(wide, 0, tiny(size), steps=1).recorders[0]
    assert recorder.start.shape == (size, size, 3)
    assert (recorder.start == [200, 0, 0]).all() and recorder.reference is recorder.start
    notes = " ".join(recorder.receipt["notes"])
    assert "90×90 of 150×90" in notes and f"{size}×{size}" in notes
    whole = side_by_side.fool_steps(np.full((size, size, 3), 7, np.uint8), 0, tiny(size), steps=1).recorders[0]
    assert not any("square" in note or "scaled" in note for note in whole.receipt["notes"])


def test_pictures_come_as_paths_and_tensors_too(classifier, picture):
    named = side_by_side.fool_steps(SAMPLE, 1, classifier, steps=1).recorders[0]
    assert named.name == "cat-01"
    other = side_by_side.fool_steps(tensor(picture), 1, classifier, steps=1).recorders[0]
    np.testing.assert_array_equal(named.start, other.start)
    assert named.receipt["reference_sha256"] == other.receipt["reference_sha256"]


def test_the_receipt_says_what_is_needed_to_repeat(trace):
    receipt = trace.receipt
    for key in ("seed", "steps", "device", "precision", "torch", "rlpips", "reference_sha256", "weights"):
        assert receipt[key] is not None, key
    assert receipt["classifier"]["name"] == "tiny" and len(receipt["classifier"]["sha256"]) == 64
    assert [(each["name"], each["metric"], each["bound"]) for each in receipt["attacks"]] == [
        ("ppgd", "lpips", 0.5),
        ("r-ppgd", "rlpips-linf", 0.5),
    ]
    assert set(receipt["weights"]) == {"lpips", "rlpips-linf"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"label": 4}, "label must be a whole number from 0 to 3"),
        ({"label": True}, "label must be"),
        ({"label": "cat"}, "label must be"),
        ({"attacks": ("ppgd", "square")}, "ppgd"),
        ({"attacks": ("ppgd", "ppgd")}, "two different names"),
        ({"attacks": ("ppgd",)}, "two different names"),
        ({"attacks": "ppgd"}, "two different names"),
        ({"attacks": (["ppgd"], "lpa")}, "must be one of"),
        ({"bounds": (0.5,)}, "a bound for each"),
        ({"bounds": 0.5}, "a bound for each"),
        ({"bounds": (0.5, 0)}, "the bound of R-PPGD must be a number above 0 and at most 10"),
        ({"bounds": (float("nan"), 1)}, "the bound of PPGD"),
        ({"attacks": ("pgd-linf", "pgd-l2"), "bounds": (1.1, 1)}, "the bound of PGD l∞ .* at most 1"),
        ({"attacks": ("pgd-linf", "pgd-l2"), "bounds": (0.1, 60)}, "the bound of PGD l2 .* at most 55.4"),
        ({"steps": 0}, "steps must be a whole number from 1 to 200"),
        ({"steps": 2.0}, "steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"classifier": "resnet"}, "undefended"),
        ({"picture": torch.rand(2, 3, 32, 32)}, "One picture"),
        ({"picture": np.zeros((20, 20, 3), np.uint8)}, "at least 32"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_what_is_out_of_range_is_refused_before_anything_runs(change, message, classifier, picture):
    with pytest.raises(ValueError, match=message):
        side_by_side.fool_steps(**{"picture": picture, "label": 1, "classifier": classifier, **change})


def test_a_classifier_in_training_is_refused(picture):
    with pytest.raises(ValueError, match="eval mode"):
        side_by_side.fool(picture, 1, tiny().train())
