import math

import numpy as np
import pytest
import torch
from truth import official

import rlpips
from rlpips.attacks import metric as attacks
from rlpips.attacks.flow import FLOW, no_flow, warp
from rlpips.data import images
from rlpips.norms import NORMS
from rlpips.traces.schema import NOISE

BUDGETS = [("linf", 4 / 255), ("l2", 1.5)]
SAMPLE_FOLDER = "assets/samples"


def photograph(n=1, height=72, width=56, seed=0):
    """Smooth random pictures: (n, 3, height, width) in [0, 1], some of them touching both ends."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 6, 5, generator=generator) * 1.6 - 0.3
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("norm, eps", BUDGETS)
@pytest.mark.parametrize("objective", ["away", "toward"])
def test_every_iterate_stays_in_the_ball_and_in_the_range_of_images(norm, eps, objective, monkeypatch):
    seen = []
    honest = attacks.scheduled

    def spying(schedule, start, *rest):
        for x, *readings in honest(schedule, start, *rest):
            seen.append((x.clone(), start))
            yield x, *readings

    monkeypatch.setattr(attacks, "scheduled", spying)
    reference = photograph(2)
    rlpips.attack(reference, photograph(2, seed=1), norm=norm, eps=eps, objective=objective, steps=6, restarts=2)
    assert len(seen) == 2 * 7
    for x, start in seen:
        assert x.min() >= 0 and x.max() <= 1
        delta = (x - start).double().flatten(1).numpy()
        lengths = np.linalg.norm(delta, ord=np.inf if norm == "linf" else 2, axis=1)
        assert lengths.max() <= eps + 1e-6


@pytest.mark.parametrize("norm, eps", BUDGETS)
def test_the_trace_has_the_promised_shapes_and_the_same_seed_repeats_it(norm, eps):
    reference = photograph()
    trace = rlpips.attack(reference, norm=norm, eps=eps, steps=5, seed=3)
    assert trace.lanes == ("lpips", "rlpips-linf", NOISE) and trace.metrics == ("lpips", "rlpips-linf")
    assert trace.distance.shape == (6, 3, 2) and trace.per_layer.shape == (6, 3, 2, 5)
    assert trace.linf.shape == trace.l2.shape == (6, 3)
    assert trace.adversarial.shape == (3, 72, 56, 3) and trace.adversarial.dtype == np.uint8
    np.testing.assert_allclose(trace.per_layer.sum(-1), trace.distance, rtol=1e-5)
    again = rlpips.attack(reference, norm=norm, eps=eps, steps=5, seed=3)
    np.testing.assert_array_equal(trace.distance, again.distance)
    np.testing.assert_array_equal(trace.adversarial, again.adversarial)
    other = rlpips.attack(reference, norm=norm, eps=eps, steps=5, seed=4)
    assert not np.array_equal(trace.distance, other.distance)


def test_readings_are_those_of_the_lpips_package_on_the_saved_pictures():
    reference = torch.from_numpy(images.to_uint8(photograph())).permute(0, 3, 1, 2) / 255
    trace = rlpips.attack(reference, steps=8)
    shown = torch.from_numpy(trace.adversarial).permute(0, 3, 1, 2) / 255
    expected = official("alex")(2 * reference.expand_as(shown) - 1, 2 * shown - 1).flatten()
    np.testing.assert_allclose(trace.distance_8bit[:, 0], expected, atol=1e-5)
    last = [max((f for f in trace.frames if lane in f.lanes), key=lambda f: f.step) for lane in range(3)]
    for lane, frame in enumerate(last):
        delta = (shown[lane] - reference[0]).double().numpy()
        row = frame.lanes.index(lane)
        np.testing.assert_allclose(frame.linf_8bit[row], np.abs(delta).max(), rtol=1e-5)
        np.testing.assert_allclose(frame.l2_8bit[row], np.linalg.norm(delta), rtol=1e-5)
        np.testing.assert_allclose(frame.psnr[row], -10 * np.log10((delta**2).mean()), rtol=1e-4)


@pytest.mark.parametrize("schedule", ["fixed", "cosine"])
@pytest.mark.parametrize("height, width", [(72, 56), (136, 128)])  # the larger one starts at coarse noise
@pytest.mark.parametrize("norm, eps", BUDGETS)
def test_the_attack_is_textbook_pgd_on_the_lpips_package(norm, eps, height, width, schedule):
    """Lane 0 against a loop written out here, gradients from the package."""
    reference, theirs = photograph(height=height, width=width), official("alex")
    trace = rlpips.attack(reference, norm=norm, eps=eps, steps=4, seed=5, schedule=schedule)
    generator = torch.Generator().manual_seed(5)
    NORMS[norm].random(reference, eps, generator)  # the noise lane is drawn first
    if height < 128:
        noise = NORMS[norm].random(reference, eps, generator)
    else:
        few = NORMS[norm].random(reference[..., :17, :16], eps, generator)
        noise = few.repeat_interleave(8, 2).repeat_interleave(8, 3)
        if norm == "l2":
            noise *= min(1, eps / noise.norm())
        else:
            noise = (noise + NORMS[norm].random(reference, eps, generator)) / 2
    x = (reference + noise).clamp(0, 1)
    distances = []
    for k in range(5):
        step_size = 2.5 * eps / 4 if schedule == "fixed" else eps * (1 + math.cos(math.pi * k / 4))
        x.requires_grad_()
        distance = theirs(2 * reference - 1, 2 * x - 1)
        distances.append(distance.item())
        (gradient,) = torch.autograd.grad(distance.sum(), x)
        with torch.no_grad():
            step = gradient.sign() if norm == "linf" else gradient / gradient.norm()
            delta = x + step_size * step - reference
            delta = delta.clamp(-eps, eps) if norm == "linf" else delta * min(1, eps / delta.norm())
            x = (reference + delta).clamp(0, 1)
    distances[-1] = max(distances)  # the best is kept
    np.testing.assert_allclose(trace.distance[:, 0, 0], distances, rtol=2e-2)


def arrows(flow):
    """The longest arrow of each lane, by numpy."""
    return np.hypot(flow[:, 0], flow[:, 1]).max((1, 2))


@pytest.mark.parametrize("schedule", ["cosine", "fixed", "apgd"])
def test_moving_pixels_fools_within_its_budget_and_leaves_random_moves_behind(schedule):
    reference = photograph()
    trace = rlpips.attack(reference, norm="flow", eps=0.6, steps=10, seed=4, schedule=schedule)
    assert trace.receipt["norm"] == "flow" and trace.receipt["eps"] == 0.6 and trace.receipt["schedule"] == schedule
    assert trace.flow.shape == (3, 2, *no_flow(reference).shape[2:])
    for frame in trace.frames:
        assert (arrows(frame.flow) <= 0.6 * (1 + 1e-5)).all()
    assert trace.distance[-1, 0, 0] > 2 * trace.distance[-1, 2, 0]
    assert trace.distance[-1, 1, 1] > 1.5 * trace.distance[-1, 2, 1]
    # The pictures are those that the flows make, and the norms are those of what they change.
    moved = warp(reference.expand(3, -1, -1, -1), torch.from_numpy(trace.flow))
    np.testing.assert_array_equal(trace.adversarial, images.to_uint8(moved))
    change = (moved - reference).double().numpy()
    np.testing.assert_allclose(trace.linf[-1], np.abs(change).max((1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(trace.l2[-1], np.sqrt((change**2).sum((1, 2, 3))), rtol=1e-4)
    again = rlpips.attack(reference, norm="flow", eps=0.6, steps=10, seed=4, schedule=schedule)
    np.testing.assert_array_equal(trace.flow, again.flow)


def test_moving_pixels_of_a_batch_with_restarts_and_toward_a_candidate():
    references, candidates = photograph(2), photograph(2, seed=5)
    settings = {"norm": "flow", "eps": 1.0, "steps": 4, "restarts": 2, "objective": "toward", "precision": "float32"}
    traces = rlpips.attack(references, candidates, seed=1, **settings)
    for n, trace in enumerate(traces):
        alone = rlpips.attack(references[n : n + 1], candidates[n : n + 1], seed=1 + n, **settings)
        np.testing.assert_allclose(trace.distance, alone.distance, rtol=1e-3)
        np.testing.assert_allclose(trace.flow, alone.flow, atol=0.02)
        assert trace.distance[-1, 0, 0] < trace.distance[0, 0, 0]
        shown = warp(candidates[n : n + 1].expand(3, -1, -1, -1), torch.from_numpy(trace.flow))
        assert np.abs(trace.adversarial.astype(int) - images.to_uint8(shown)).max() <= 1


def test_the_moves_are_textbook_ascent_on_the_lpips_package():
    """Lane 0 against a loop written out here, gradients from the package."""
    reference, theirs = photograph(), official("alex")
    trace = rlpips.attack(reference, norm="flow", eps=0.5, steps=4, seed=5, precision="float32")
    generator = torch.Generator().manual_seed(5)
    FLOW.random(no_flow(reference), 0.5, generator)  # the noise lane is drawn first
    flow, distances = FLOW.random(no_flow(reference), 0.5, generator), []
    for k in range(5):
        flow.requires_grad_()
        distance = theirs(2 * reference - 1, 2 * warp(reference, flow) - 1)
        distances.append(distance.item())
        (gradient,) = torch.autograd.grad(distance.sum(), flow)
        with torch.no_grad():
            step = gradient / gradient.norm(dim=1, keepdim=True)
            flow = flow + 0.5 * (1 + math.cos(math.pi * k / 4)) * step
            flow = flow * (0.5 / flow.norm(dim=1, keepdim=True)).clamp(max=1)
    distances[-1] = max(distances)  # the best is kept
    np.testing.assert_allclose(trace.distance[:, 0, 0], distances, rtol=2e-2)


@pytest.mark.parametrize("settings", [{"eps": 2.5}, {"eps": 0}, {"eps": 0.5, "step_size": 4.5}])
def test_moves_that_are_too_long_are_refused_in_pixels(settings):
    with pytest.raises(ValueError, match=r"must be a number above 0 and at most [24], in pixels; got"):
        rlpips.attack(photograph(), norm="flow", steps=1, **settings)


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-2), ("bfloat16", 5e-2)])
def test_a_batch_gives_what_its_pictures_give_alone(precision, tolerance):
    references = photograph(3)
    traces = rlpips.attack(references, steps=4, seed=7, precision=precision)
    assert len(traces) == 3
    for n, trace in enumerate(traces):
        alone = rlpips.attack(references[n : n + 1], steps=4, seed=7 + n, precision=precision)
        np.testing.assert_allclose(trace.distance[0], alone.distance[0], rtol=tolerance / 10, atol=1e-6)
        # From there on signs of gradients near zero differ by rounding.
        np.testing.assert_allclose(trace.distance, alone.distance, rtol=tolerance, atol=1e-6)
        assert trace.receipt["seed"] == 7 + n


def test_steps_come_one_by_one_and_make_the_same_trace():
    reference = photograph()
    steps = rlpips.attack_steps(reference, steps=6)
    recorder = steps.recorders[0]
    for index, step in enumerate(steps):
        assert step.index == index and step.distance.shape == (3, 2)
        recorder.add(step)
        if index == 4:  # a keyframe
            early = recorder.trace()
    whole = rlpips.attack(reference, steps=6)
    assert early.state == "stopped" and len(early.distance) == 5
    np.testing.assert_array_equal(early.distance, whole.distance[:5])
    np.testing.assert_array_equal(recorder.trace().distance, whole.distance)
    assert whole.state == "done"


@pytest.mark.parametrize("norm, eps", BUDGETS)
def test_restarts_begin_in_turn_at_coarse_and_at_fine_noise(norm, eps, monkeypatch):
    starts = []
    honest = attacks.scheduled

    def spying(schedule, centres, first, *rest):
        starts.append(first - centres)
        return honest(schedule, centres, first, *rest)

    monkeypatch.setattr(attacks, "scheduled", spying)
    rlpips.attack(photograph(height=136, width=128), norm=norm, eps=eps, steps=1, restarts=3)
    # How much of the variance lies between blocks of 8×8 pixels; of noise of single values a 64th does.
    between = [torch.nn.functional.avg_pool2d(start, 8).var() / start.var() for start in starts]
    assert between[0] > 0.4 and between[1] < 0.03 and between[2] > 0.4
    assert not torch.equal(starts[0], starts[2])


def test_restarts_keep_the_best_of_each_lane():
    reference = photograph()
    runs = [step for step in rlpips.attack_steps(reference, steps=3, restarts=4) if step.index == 3]
    trace = rlpips.attack(reference, steps=3, restarts=4)
    for lane in (0, 1):
        finals = [step.distance[lane, lane] for step in runs]
        assert trace.distance[-1, lane, lane] == max(finals)
        assert trace.receipt["restart_kept"][lane] == int(np.argmax(finals))
    assert len({step.distance[0, 0] for step in runs}) == 4
    np.testing.assert_array_equal(trace.distance[:, 2], np.repeat(runs[0].distance[None, 2], 4, axis=0))


def test_toward_brings_a_different_picture_near_and_needs_one():
    reference, candidate = photograph(), photograph(seed=9)
    trace = rlpips.attack(reference, candidate, objective="toward", eps=8 / 255, steps=10)
    assert trace.distance[-1, 0, 0] < 0.8 * trace.distance[0, 0, 0]
    assert np.abs(trace.adversarial.astype(int) - trace.start).max() <= 8
    np.testing.assert_array_equal(trace.start, images.to_uint8(candidate)[0])
    with pytest.raises(ValueError, match="candidate"):
        rlpips.attack(reference, objective="toward")


@pytest.mark.parametrize("name", ["astronaut", "hubble", "rocket"])
def test_on_sample_pictures_the_attack_leaves_noise_far_behind(name):
    trace = rlpips.attack(f"{SAMPLE_FOLDER}/{name}.png", steps=40)
    assert trace.distance[-1, 0, 0] >= 10 * trace.distance[-1, 2, 0]
    assert trace.name == name
    # and R-LPIPS, whose heads are scaled to LPIPS's mean on natural distortions, is pushed less far
    assert trace.distance[-1, 1, 1] < 0.5 * trace.distance[-1, 0, 0]


@pytest.mark.parametrize("height, width", [(32, 45), (300, 64)])
def test_odd_sizes(height, width):
    trace = rlpips.attack(photograph(1, height, width), steps=2)
    assert trace.adversarial.shape == (3, height, width, 3)


def test_one_metric_and_three():
    reference = photograph()
    assert rlpips.attack(reference, metrics="lpips", steps=1).distance.shape == (2, 2, 1)
    three = rlpips.attack(reference, metrics=("rlpips-l2", "lpips", "rlpips-linf"), steps=1)
    assert three.distance.shape == (2, 4, 3)


def test_metrics_with_trunks_of_their_own_are_read_and_pushed_as_alone(monkeypatch):
    """An official checkpoint may hold a tuned trunk: a second group beside the shared one."""
    from rlpips.engine.panel import Panel
    from rlpips.metrics.backbones import Trunk

    lpips = rlpips.load_metric("lpips")
    state = {key: value * 1.01 for key, value in lpips.trunk.state_dict().items() if key.startswith("features")}
    tuned = rlpips.PerceptualMetric(Trunk("alex", state), lpips.heads, "tuned")
    robust = rlpips.load_metric("rlpips-linf")
    x, y = photograph(2), photograph(2, seed=1)
    shares = Panel([lpips, tuned, robust], x).per_layer(y)
    for column, metric in enumerate((lpips, tuned, robust)):
        torch.testing.assert_close(shares[:, column], metric.per_layer(y, x))


def test_keyframes_are_denser_early_and_fewer_for_large_pictures():
    assert attacks.keyframes(40, 256, 256) == [0, 1, 4, 10, 16, 24, 31, 40]
    assert len(attacks.keyframes(40, 1024, 1024)) == len(attacks.keyframes(40, 256, 256, "vgg")) == 6
    assert len(attacks.keyframes(40, 256, 256, "alex", ("lpips", "dists"))) == 6
    for steps in (20, 40, 100):  # the first growth that a visitor of the page sees has its pictures
        kept = attacks.keyframes(steps, 256, 256)
        assert kept[:2] == [0, 1] and kept[-1] == steps and len(kept) == 8
    assert attacks.keyframes(1, 64, 64) == [0, 1]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"eps": float("nan")}, "eps must be a number above 0"),
        ({"eps": 0}, "eps"),
        ({"eps": -1 / 255}, "eps"),
        ({"eps": 4}, "at most 1,"),
        ({"eps": "4/255"}, "eps"),
        ({"eps": True}, "eps"),
        ({"eps": 1e9, "norm": "l2"}, "eps"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"steps": 2.5}, "steps"),
        ({"steps": 10**9}, "steps"),
        ({"steps": None}, "steps"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_size": float("inf")}, "step_size"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**70}, "seed"),
        ({"restarts": 0}, "restarts"),
        ({"norm": "l1"}, "linf, l2"),
        ({"norm": None}, "norm"),
        ({"objective": "flip"}, "away, toward"),
        ({"metrics": ()}, "at least one metric"),
        ({"metrics": ("lpips", "lpips")}, "each once; got lpips twice"),
        ({"metrics": ("psnr",)}, "lpips"),
        ({"metrics": None}, "at least one metric"),
        ({"metrics": ([],)}, "Unknown metric"),
        ({"backbone": "squeeze"}, "no heads for SqueezeNet"),
        ({"device": "gpu"}, "device"),
        ({"backbone": "resnet"}, "alex"),
        ({"candidate": torch.rand(1, 3, 72, 57)}, "same size"),
        ({"reference": torch.rand(1, 3, 1025, 40)}, "1024"),
        ({"reference": torch.rand(1, 3, 31, 40)}, "32"),
        ({"reference": torch.rand(1, 3, 64, 48) * 2 - 1}, "\\[0, 1\\]"),
        ({"reference": np.zeros((64, 48, 4), np.uint8)}, "array"),
    ],
)
def test_bad_requests_are_refused_with_a_sentence_before_anything_runs(wrong, message):
    with pytest.raises(ValueError, match=message):
        rlpips.attack_steps(**{"reference": photograph(), **wrong})


def test_the_callers_tensor_is_left_alone():
    reference = photograph()
    before = reference.clone()
    rlpips.attack(reference, steps=2)
    assert torch.equal(reference, before) and not reference.requires_grad


def test_iterating_leaves_the_callers_gradient_mode_alone():
    metric, reference = rlpips.load_metric("lpips"), photograph()
    z = photograph(seed=3).requires_grad_()
    for _ in zip(rlpips.attack_steps(reference, steps=2), rlpips.attack_steps(reference, steps=2)):
        assert torch.is_grad_enabled()
        metric(reference, z).sum().backward()
    assert torch.is_grad_enabled()


def test_a_run_can_be_closed_early():
    steps = rlpips.attack_steps(photograph(), steps=5)
    next(steps)
    steps.close()
    assert list(steps) == []


def test_the_receipt_tells_what_reading_a_file_changed(tmp_path):
    from PIL import Image

    Image.fromarray(images.to_uint8(photograph(1, 60, 1400))[0]).save(tmp_path / "wide.png")
    trace = rlpips.attack(tmp_path / "wide.png", steps=1)
    assert trace.reference.shape == (44, 1024, 3)
    assert "1400" in trace.receipt["notes"][0]


def test_what_is_shown_is_measured_against_the_reference_as_it_is_shown():
    trace = rlpips.attack(photograph() * 0.98765, steps=2)  # not on the grid of 8 bits
    x, y = (images.to_tensor(pixels) for pixels in (trace.reference, trace.adversarial))
    expected = rlpips.load_metric("lpips")(x.expand_as(y), y)
    np.testing.assert_allclose(trace.distance_8bit[:, 0], expected, atol=2e-6)


def test_metrics_of_other_kinds_and_of_ones_own_are_attacked(tmp_path):
    def mean_colour(x, y):
        return (x.mean((2, 3)) - y.mean((2, 3))).square().sum(1)

    x = torch.rand(3, 48, 60, generator=torch.Generator().manual_seed(0))
    trace = rlpips.attack(x, metrics=["lpips", mean_colour, "ssim"], steps=6)
    assert trace.lanes == ("lpips", "mean_colour", "ssim", "noise") and trace.layers[-2:] == ("distance", "luma")
    for lane, name in enumerate(trace.metrics):
        assert trace.distance[-1, lane, lane] > 1.3 * trace.distance[-1, 3, lane], name
    assert trace.distance == pytest.approx(trace.per_layer.sum(-1), rel=1e-5)
    shown = torch.from_numpy(trace.adversarial).permute(0, 3, 1, 2).float() / 255
    reference = torch.from_numpy(trace.reference).permute(2, 0, 1)[None].float() / 255
    assert trace.distance_8bit[:, 1] == pytest.approx(mean_colour(reference, shown).numpy(), rel=1e-3, abs=1e-7)
    trace.save(tmp_path / "own.zip")
    assert rlpips.Trace.load(tmp_path / "own.zip").metrics == trace.metrics


def test_a_metric_of_ones_own_needs_a_name_of_its_own():
    def lpips(x, y):
        return (x - y).abs().mean((1, 2, 3))

    with pytest.raises(ValueError, match="needs a name of its own; 'lpips' is taken"):
        rlpips.attack(torch.rand(3, 40, 40), metrics=[lpips])
