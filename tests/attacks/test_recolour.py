"""Recolouring against CIELUV written out in numpy, and a map looked up by hand."""

import numpy as np
import pytest
import torch

from rlpips.attacks import recolour


def pictures(count=2):
    return torch.rand(count, 3, 33, 40, generator=torch.Generator().manual_seed(0))


def luv_by_numpy(rgb):
    """CIE 15 and IEC 61966-2-1, one colour (…, 3) in [0, 1] at a time, as L*, u*, v*."""
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )

    def chromaticity(xyz):
        total = xyz @ [1, 15, 3]
        return 4 * xyz[..., 0] / total, 9 * xyz[..., 1] / total

    xyz = light @ matrix.T
    (u, v), (white_u, white_v) = chromaticity(xyz), chromaticity(np.array([0.95047, 1, 1.08883]))
    y = xyz[..., 1]
    lightness = np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, (29 / 3) ** 3 * y)
    return np.stack([lightness, 13 * lightness * (u - white_u), 13 * lightness * (v - white_v)], -1)


def test_colours_are_those_of_cieluv_and_come_back():
    x = pictures()
    x[0, :, 0, :7] = torch.tensor(
        [[1, 0, 0, 1, 0, 0.01, 0.004], [0, 1, 0, 1, 0, 0.02, 0], [0, 0, 1, 1, 1, 0.03, 0.002]]
    )
    luv = recolour.to_luv(x).permute(0, 2, 3, 1).double().numpy()
    expected = luv_by_numpy(x.permute(0, 2, 3, 1).double().numpy())
    np.testing.assert_allclose(luv * [100, 200, 200], expected, atol=0.02)
    torch.testing.assert_close(recolour.to_rgb(recolour.to_luv(x)), x, rtol=0, atol=2e-5)
    # Published values of pure red, and all that sRGB can show lies within the grid.
    np.testing.assert_allclose(expected[0, 0, 0], [53.24, 175.01, 37.76], atol=0.02)
    corners = torch.tensor([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)]).float().T.view(1, 3, 2, 4)
    for channel, (low, high) in enumerate(zip(recolour.LOW, recolour.HIGH)):
        values = recolour.to_luv(corners)[:, channel]
        assert low <= values.min() + 0.02 and values.max() - 0.02 <= high


def test_black_and_grey_have_gradients():
    x = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 3, 32, 32).contiguous()
    change = recolour.no_change(x).requires_grad_()
    shown = recolour.recoloured(x, change)
    torch.testing.assert_close(shown, x, rtol=0, atol=2e-5)
    shown.square().sum().backward()
    assert change.grad.isfinite().all() and (change.grad.flatten(1).abs().amax(1)[1:2] > 0).all()


def test_a_change_of_lightness_changes_lightness_alone():
    x = 0.3 + 0.3 * pictures()
    change = recolour.no_change(x)
    change[:, 0] = 0.05
    shown = recolour.to_luv(recolour.recoloured(x, change))
    torch.testing.assert_close(shown[:, 0], recolour.to_luv(x)[:, 0] + 0.05, rtol=0, atol=1e-4)
    torch.testing.assert_close(shown[:, 1:], recolour.to_luv(x)[:, 1:], rtol=0, atol=1e-3)


def test_a_map_is_linear_between_its_nodes_and_one_for_all_pixels_of_a_colour():
    x = 0.3 + 0.3 * pictures(1)
    x[..., 1::2, :] = x[..., ::2, :][..., :16, :]  # every colour twice
    grid = torch.meshgrid(
        *(torch.linspace(low, high, nodes) for low, high, nodes in zip(recolour.LOW, recolour.HIGH, recolour.NODES)),
        indexing="ij",
    )
    weights = torch.tensor([0.02, 0.03, -0.04])
    plane = sum(weight * axis for weight, axis in zip(weights, grid))
    change = torch.stack([plane, -plane, 0 * plane])[None].reshape(recolour.no_change(x).shape)
    luv = recolour.to_luv(x)
    expected = (luv * weights.view(1, 3, 1, 1)).sum(1)
    shown = recolour.to_luv(recolour.recoloured(x, change))
    torch.testing.assert_close(shown[:, 0] - luv[:, 0], expected, rtol=0, atol=2e-4)
    torch.testing.assert_close(shown[:, 1] - luv[:, 1], -expected, rtol=0, atol=2e-4)
    assert torch.equal(
        recolour.recoloured(x, change)[..., 1::2, :], recolour.recoloured(x, change)[..., ::2, :][..., :16, :]
    )


def test_push_reaches_the_edge_of_the_budget_where_an_objective_is_monotone():
    """Brighter is better: every colour of the pictures gets all of the lightness that the budget has."""
    x = 0.3 + 0.3 * pictures()
    eps = 0.06

    def brightness(shown):
        values = recolour.to_luv(shown)[:, 0].mean((1, 2))
        return values, values.detach()

    *iterates, (shown, change, value) = recolour.push(x, brightness, eps, steps=10, seed=3)
    assert len(iterates) == 10 and all(each[1].abs().max() <= eps + 1e-6 for each in iterates)
    torch.testing.assert_close(value, recolour.to_luv(x)[:, 0].mean((1, 2)) + eps, rtol=0, atol=2e-3)
    torch.testing.assert_close(recolour.recoloured(x, change), shown)
    first = [next(recolour.push(x[n : n + 1], brightness, eps, 10, seed=3 + n))[1] for n in range(2)]
    torch.testing.assert_close(iterates[0][1], torch.cat(first))
    for wrong in ({"eps": 0}, {"eps": 1.5}, {"steps": 0}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            recolour.push(x, brightness, **{"eps": 0.1, **wrong})
