import io
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.ruler import SEVERITIES, Ruler, make_ruler
from rlpips.metrics.lpips import PerceptualMetric, load_metric

FAMILIES = list(DISTORTIONS.values())
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def pictures():
    """(3, 3, 40, 56) in [0.1, 0.9]: colourful, with coarse and fine structure."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.nn.functional.interpolate(torch.rand(3, 3, 5, 7, generator=generator), (40, 56), mode="bicubic")
    return (0.1 + 0.7 * coarse.clamp(0, 1) + 0.1 * torch.rand(3, 3, 40, 56, generator=generator)).contiguous()


@pytest.fixture(scope="module")
def metrics():
    lpips = load_metric("lpips")
    flat = PerceptualMetric(lpips.trunk, [torch.full_like(head, 0.01) for head in lpips.heads], "flat")
    return [lpips, flat]


def ramps():
    """(3, 3, 40, 60): red rises by 0.01 a pixel to the right, green by 0.01 a pixel downwards."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    return torch.stack([0.2 + x / 100, 0.2 + y / 100, 0 * x]).expand(3, 3, 40, 60).contiguous()


def bytes_of(x):  # (3, H, W) -> (H, W, 3) uint8
    return (x * 255).round().byte().permute(1, 2, 0).numpy()


@every_family
def test_shape_range_and_repeatability(family, pictures):
    before = pictures.clone()
    severity = torch.tensor([0.2, 0.6, 1.0])
    made = [family(pictures, severity, torch.Generator().manual_seed(seed)) for seed in (3, 3)]
    assert made[0].shape == pictures.shape and made[0].dtype == pictures.dtype
    assert made[0].min() >= 0 and made[0].max() <= 1
    assert torch.equal(*made)
    assert torch.equal(pictures, before)


@every_family
def test_severity_0_is_invisible_and_more_is_more(family, pictures):
    if family.name == "shift":  # far enough to the side any texture looks alike again; a slope does not
        pictures = ramps()
    change = [(family(pictures, severity) - pictures).abs().mean((1, 2, 3)) for severity in np.linspace(0, 1, 6)]
    assert (change[0] < 1.5 / 255).all()
    for weaker, stronger in zip(change, change[1:]):
        assert (stronger > weaker).all()
    assert (change[-1] > 8 / 255).all()


@every_family
def test_each_picture_has_its_own_severity(family, pictures):
    if family.name in ("noise", "shift"):
        pytest.skip("random: a picture's pattern depends on its place in the batch")
    severity = torch.tensor([0.9, 0.1, 0.5])
    together = family(pictures, severity)
    alone = torch.cat([family(pictures[i : i + 1], severity[i]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@every_family
def test_words_differ_along_the_way(family):
    words = [family.describe(severity) for severity in np.linspace(0, 1, 6)]
    assert len(set(words)) == 6


def test_jpeg_is_pillows(pictures):
    assert DISTORTIONS["jpeg"].describe(0.5) == "JPEG quality 25"
    file = io.BytesIO()
    Image.fromarray(bytes_of(pictures[1])).save(file, "JPEG", quality=25, subsampling=0)
    expected = np.asarray(Image.open(file))
    np.testing.assert_array_equal(bytes_of(DISTORTIONS["jpeg"](pictures, 0.5)[1]), expected)


def test_noise_has_the_sigma_it_names():
    grey = torch.full((2, 3, 64, 96), 0.5)
    made = DISTORTIONS["noise"](grey, torch.tensor([0.25, 0.5]))
    for picture, severity in zip(made, (0.25, 0.5)):
        sigma = float(DISTORTIONS["noise"].describe(severity).split()[-1].split("/")[0])
        assert np.std(picture.numpy()) * 255 == pytest.approx(sigma, rel=0.03)


def test_noise_is_one_pattern_at_every_severity(pictures):
    weak, strong = (DISTORTIONS["noise"](pictures, severity) - pictures for severity in (0.1, 0.2))
    torch.testing.assert_close(strong, 4 * weak, atol=1e-5, rtol=0)


def test_blur_is_a_gaussian():
    spot = torch.zeros(2, 3, 41, 61)
    spot[:, :, 20, 30] = 1
    sigma = 0.25 * 32**0.6  # 2 pixels
    assert DISTORTIONS["blur"].describe(0.6) == "blur σ 2 px"
    row = DISTORTIONS["blur"](spot, 0.6)[1, 2].sum(0).numpy()
    offsets = np.arange(61) - 30
    assert row.sum() == pytest.approx(1, abs=1e-5)
    assert np.sqrt((row * offsets**2).sum()) == pytest.approx(sigma, rel=0.02)  # cut off at 3 sigma
    pillow = np.asarray(Image.fromarray(bytes_of(spot[0])).filter(ImageFilter.GaussianBlur(sigma)))[..., 0] / 255
    np.testing.assert_allclose(DISTORTIONS["blur"](spot, 0.6)[0, 0].numpy(), pillow, atol=0.01)


def test_shift_moves_by_the_pixels_it_names():
    moved = (DISTORTIONS["shift"](ramps(), 0.5) - ramps())[:, :, 15:25, 20:40].mean((2, 3)) * 100  # away from edges
    np.testing.assert_allclose(torch.hypot(moved[:, 0], moved[:, 1]), torch.full((3,), 4.0), rtol=0.02)
    assert DISTORTIONS["shift"].describe(0.5) == "a shift of 4 px"


def test_colours(pictures):
    x = pictures.numpy()
    mean = x.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(DISTORTIONS["contrast"](pictures, 0.5), mean + 0.55 * (x - mean), atol=1e-6)
    np.testing.assert_allclose(DISTORTIONS["brightness"](pictures, 0.5), 0.55 * x, atol=1e-6)
    grey = np.asarray(Image.fromarray(bytes_of(pictures[2])).convert("L"))
    made = bytes_of(DISTORTIONS["saturation"](pictures, 1.0)[2]).astype(int)
    assert np.abs(made - grey[..., None]).max() <= 1
    assert len(torch.unique(DISTORTIONS["quantise"](pictures, 1.0))) == 2


def test_downscale_loses_what_is_finer():
    stripes = torch.zeros(2, 3, 48, 64)
    stripes[..., ::2] = 1
    made = DISTORTIONS["downscale"](stripes, torch.tensor([0.0, 0.8]))
    assert torch.equal(made[0], stripes[0])
    assert (made[1] - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan"), torch.tensor([0.5, 0.5]), torch.zeros(3, 1)])
def test_wrong_severities(pictures, severity):
    with pytest.raises(ValueError, match="everit"):
        DISTORTIONS["blur"](pictures, severity)


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        DISTORTIONS["blur"](torch.zeros(3, 8, 8), 0.5)


def test_ruler_measures_what_the_metrics_say(pictures, metrics):
    reference = pictures[:1]
    ruler = make_ruler(reference, metrics, distortions=("jpeg", "noise"), between=0)
    assert ruler.metrics == ("lpips", "flat") and list(ruler.scales) == ["jpeg", "noise"]
    for name, scale in ruler.scales.items():
        assert scale.distance.shape == (len(SEVERITIES), 2) and len(scale.words) == len(scale.distance)
        made = [DISTORTIONS[name](reference, severity) for severity in SEVERITIES]
        for column, metric in enumerate(metrics):
            expected = np.maximum.accumulate([metric(reference, x).item() for x in made])
            np.testing.assert_allclose(scale.distance[:, column], expected, rtol=1e-4, atol=1e-7)


def test_ruler_between_the_measured(pictures, metrics):
    rulers = [make_ruler(pictures[1:2], metrics, distortions=("noise",), between=n) for n in (0, 2)]
    coarse, fine = (ruler.scales["noise"] for ruler in rulers)
    assert len(fine.words) == 3 * len(coarse.words) - 2
    np.testing.assert_allclose(fine.distance[::3], coarse.distance, rtol=1e-6)
    assert (np.diff(fine.distance, axis=0) >= 0).all()


def test_ruler_reads():
    ruler = Ruler.from_json(
        {
            "metrics": ["a", "b"],
            "distortions": [
                {"name": "jpeg", "title": "JPEG", "words": ["JPEG quality 80", "JPEG quality 9", "JPEG quality 1"],
                 "distance": [[0.01, 1], [0.1, 2], [0.4, 3]]},
                {"name": "blur", "title": "blur", "words": ["blur σ 1 px"], "distance": [[0, 0]]},
            ],
        }
    )  # fmt: skip
    assert ruler.read("a", 0.1) == "as far as JPEG quality 9"
    assert ruler.read("a", 0.035) == "as far as JPEG quality 9"  # the nearest by factor: √(0.01·0.1) = 0.0316
    assert ruler.read("a", 0.03) == "as far as JPEG quality 80"
    assert ruler.read("b", 2.9) == "as far as JPEG quality 1"
    assert ruler.read("a", 0.5) == "further than any JPEG tried (quality 1)"
    assert ruler.read("a", 0.005) == "nearer than the mildest JPEG tried (quality 80)"
    assert ruler.read("a", 0.5, "blur") == "further than any blur tried (σ 1 px)"
    assert ruler.read("a", 0, "blur") == "as far as blur σ 1 px"
    for wrong in (("c", 1), ("a", 1, "fog"), ("a", float("nan")), ("a", -1)):
        with pytest.raises(ValueError):
            ruler.read(*wrong)


def test_ruler_as_json(pictures, metrics):
    ruler = make_ruler(pictures[:1], metrics, severities=(0.2, 0.7), distortions=("shift", "contrast"))
    again = Ruler.from_json(json.loads(json.dumps(ruler.to_json(), allow_nan=False)))
    assert again.to_json() == ruler.to_json()
    assert again.read("flat", 0.01, "contrast") == ruler.read("flat", 0.01, "contrast")


NARROW = {"name": "x", "title": "x", "words": ["x 1"], "distance": [[1, 2]]}  # two metrics where there is one


@pytest.mark.parametrize("entries", [None, [{"name": "x"}], [NARROW]])
def test_ruler_refuses_other_json(entries):
    with pytest.raises(ValueError, match="ruler"):
        Ruler.from_json({"metrics": ["a"], "distortions": entries})


def test_ruler_belongs_to_one_picture(pictures, metrics):
    with pytest.raises(ValueError, match="one picture"):
        make_ruler(pictures, metrics)
