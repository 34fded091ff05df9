import json

import numpy as np
import pytest
import torch

from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.ruler import SEVERITIES, Ruler, make_ruler
from rlpips.metrics.lpips import PerceptualMetric, load_metric


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


def test_ruler_holds_the_distances_of_the_metrics(pictures, metrics):
    reference = pictures[:1]
    ruler = make_ruler(reference, metrics, distortions=("jpeg", "noise"), between=0)
    assert ruler.metrics == ("lpips", "flat") and list(ruler.scales) == ["jpeg", "noise"]
    for name, scale in ruler.scales.items():
        assert scale.distance.shape == (len(SEVERITIES), 2) and len(scale.words) == len(scale.distance)
        distorted = [DISTORTIONS[name](reference, severity) for severity in SEVERITIES]
        for column, metric in enumerate(metrics):
            expected = np.maximum.accumulate([metric(reference, x).item() for x in distorted])
            np.testing.assert_allclose(scale.distance[:, column], expected, rtol=1e-4, atol=1e-7)


def test_ruler_interpolates_between_severities(pictures, metrics):
    rulers = [make_ruler(pictures[1:2], metrics, distortions=("noise",), between=n) for n in (0, 2)]
    coarse, fine = (ruler.scales["noise"] for ruler in rulers)
    assert len(fine.words) == 3 * len(coarse.words) - 2
    np.testing.assert_allclose(fine.distance[::3], coarse.distance, rtol=1e-6)
    assert (np.diff(fine.distance, axis=0) >= 0).all()


def test_ruler_reads_a_distance_as_a_distortion():
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
    assert ruler.read("a", 0, "blur") == "identical"
    for wrong in (("c", 1), ("a", 1, "fog"), ("a", float("nan")), ("a", -1)):
        with pytest.raises(ValueError):
            ruler.read(*wrong)


def test_ruler_survives_json(pictures, metrics):
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
