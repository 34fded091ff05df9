import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from rlpips.data.distortions import DISTORTIONS

FAMILIES = list(DISTORTIONS.values())
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def pictures():
    """(3, 3, 40, 56) in [0.1, 0.9]: colourful, with coarse and fine structure."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.nn.functional.interpolate(torch.rand(3, 3, 5, 7, generator=generator), (40, 56), mode="bicubic")
    return (0.1 + 0.7 * coarse.clamp(0, 1) + 0.1 * torch.rand(3, 3, 40, 56, generator=generator)).contiguous()


def ramps():
    """(3, 3, 40, 60): red grows by 0.01 a pixel to the right, green by 0.01 a pixel downwards."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    return torch.stack([0.2 + x / 100, 0.2 + y / 100, 0 * x]).expand(3, 3, 40, 60).contiguous()


def to_bytes(x):  # (3, H, W) -> (H, W, 3) uint8
    return (x * 255).round().byte().permute(1, 2, 0).numpy()


@every_family
def test_shape_range_and_repeatability(family, pictures):
    before = pictures.clone()
    severity = torch.tensor([0.2, 0.6, 1.0])
    once, again = (family(pictures, severity, torch.Generator().manual_seed(3)) for _ in range(2))
    assert once.shape == pictures.shape and once.dtype == pictures.dtype
    assert once.min() >= 0 and once.max() <= 1
    assert torch.equal(once, again)
    assert torch.equal(pictures, before)


@every_family
def test_change_grows_with_severity_from_almost_nothing(family, pictures):
    if family.name == "shift":  # a texture may look alike again after a long shift; a slope does not
        pictures = ramps()
    change = [(family(pictures, severity) - pictures).abs().mean((1, 2, 3)) for severity in np.linspace(0, 1, 6)]
    assert (change[0] < 1.5 / 255).all()
    for weaker, stronger in itertools.pairwise(change):
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
def test_severities_have_different_descriptions(family):
    descriptions = [family.describe(severity) for severity in np.linspace(0, 1, 6)]
    assert len(set(descriptions)) == 6


def test_jpeg_is_pillows(pictures):
    assert DISTORTIONS["jpeg"].describe(0.5) == "JPEG quality 25"
    file = io.BytesIO()
    Image.fromarray(to_bytes(pictures[1])).save(file, "JPEG", quality=25, subsampling=0)
    expected = np.asarray(Image.open(file))
    np.testing.assert_array_equal(to_bytes(DISTORTIONS["jpeg"](pictures, 0.5)[1]), expected)


def test_noise_has_the_sigma_it_names():
    grey = torch.full((2, 3, 64, 96), 0.5)
    noisy = DISTORTIONS["noise"](grey, torch.tensor([0.25, 0.5]))
    for picture, severity in zip(noisy, (0.25, 0.5)):
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
    pillow = np.asarray(Image.fromarray(to_bytes(spot[0])).filter(ImageFilter.GaussianBlur(sigma)))[..., 0] / 255
    np.testing.assert_allclose(DISTORTIONS["blur"](spot, 0.6)[0, 0].numpy(), pillow, atol=0.01)


def test_shift_moves_by_the_pixels_it_names():
    moved = (DISTORTIONS["shift"](ramps(), 0.5) - ramps())[:, :, 15:25, 20:40].mean((2, 3)) * 100  # away from edges
    np.testing.assert_allclose(torch.hypot(moved[:, 0], moved[:, 1]), torch.full((3,), 4.0), rtol=0.02)
    assert DISTORTIONS["shift"].describe(0.5) == "a shift of 4 px"


def test_contrast_brightness_saturation_and_quantise_follow_their_formulas(pictures):
    x = pictures.numpy()
    mean = x.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(DISTORTIONS["contrast"](pictures, 0.5), mean + 0.55 * (x - mean), atol=1e-6)
    np.testing.assert_allclose(DISTORTIONS["brightness"](pictures, 0.5), 0.55 * x, atol=1e-6)
    grey = np.asarray(Image.fromarray(to_bytes(pictures[2])).convert("L"))
    colourless = to_bytes(DISTORTIONS["saturation"](pictures, 1.0)[2]).astype(int)
    assert np.abs(colourless - grey[..., None]).max() <= 1
    assert len(torch.unique(DISTORTIONS["quantise"](pictures, 1.0))) == 2


def test_downscale_loses_fine_structure():
    stripes = torch.zeros(2, 3, 48, 64)
    stripes[..., ::2] = 1
    distorted = DISTORTIONS["downscale"](stripes, torch.tensor([0.0, 0.8]))
    assert torch.equal(distorted[0], stripes[0])
    assert (distorted[1] - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan"), torch.tensor([0.5, 0.5]), torch.zeros(3, 1)])
def test_wrong_severities_are_refused(pictures, severity):
    with pytest.raises(ValueError, match="everit"):
        DISTORTIONS["blur"](pictures, severity)


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        DISTORTIONS["blur"](torch.zeros(3, 8, 8), 0.5)
