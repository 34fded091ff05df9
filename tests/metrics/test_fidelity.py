import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from rlpips.metrics.fidelity import Ssim, psnr, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(3, 3, 9, 12, generator=generator), size=(48, 61), mode="bilinear")
    sigma = torch.tensor([0.01, 0.05, 0.2]).view(-1, 1, 1, 1)
    return x, (x + sigma * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def arrays(pair):
    """Each pair of pictures as arrays (H, W, 3), float64."""
    return ((a.permute(1, 2, 0).double().numpy(), b.permute(1, 2, 0).double().numpy()) for a, b in zip(*pair))


def test_psnr_equals_skimages(pair):
    expected = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in arrays(pair)]
    np.testing.assert_allclose(psnr(*pair), expected, rtol=1e-4)


def test_ssim_equals_skimages_with_wangs_settings(pair):
    expected = []
    for a, b in arrays(pair):
        grey = [image @ np.array([0.299, 0.587, 0.114]) for image in (a, b)]
        _, full = structural_similarity(
            *grey, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        expected.append(full[5:-5, 5:-5].mean())  # where the window fits
    np.testing.assert_allclose(ssim(*pair), expected, atol=2e-4)


def test_ssim_with_fixed_pictures_is_the_same_for_one_batch_after_another(pair):
    x, y = pair
    with_y = Ssim(y)
    for other in (x, y, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(with_y(other), ssim(other, y))


def test_equal_pictures_have_infinite_psnr_and_ssim_1(pair):
    assert torch.isinf(psnr(pair[0], pair[0])).all()
    torch.testing.assert_close(ssim(pair[0], pair[0]), torch.ones(3))
