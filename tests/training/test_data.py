from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import make_pictures, write_bapps, write_pictures
from PIL import Image

from rlpips.evaluate.scores import distances
from rlpips.metrics.lpips import load_metric
from rlpips.training.data import Source, channel_differences, log_ratio, prepare, read_sources
from rlpips.training.settings import Settings

TINY = Settings(size=40, triplets=12, validation=2)


@pytest.fixture(scope="module")
def lpips():
    return load_metric("lpips")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bapps(tmp_path_factory.mktemp("bapps"))


def test_channel_differences_are_the_metric_without_its_heads(lpips):
    generator = torch.Generator().manual_seed(0)
    x, y, z = torch.rand(3, 3, 3, 40, 56, generator=generator)
    differences = channel_differences(lpips.trunk, x, y, z)
    assert differences.shape == (2, 3, 64 + 192 + 384 + 256 + 256)
    expected = torch.stack([lpips(x, y), lpips(x, z)])
    torch.testing.assert_close(differences @ torch.cat(lpips.heads), expected, rtol=1e-5, atol=1e-6)


def test_log_ratio():
    ratio = log_ratio(torch.tensor([0.5, 0.0]), torch.tensor([0.25, 0.0]))
    np.testing.assert_allclose(ratio, [np.log(2), 0], atol=1e-6)


def test_photographs_alone(lpips):
    learning, choosing = Source(make_pictures()[:16]), Source(make_pictures()[16:])
    settings = replace(TINY, gap=0.5)
    data = prepare(settings, learning, choosing, lpips)
    assert len(data.triplets) == 12 and data.mixed.shape == (2, 12, 1152)
    assert ((data.triplets.severity[:, 0] - data.triplets.severity[:, 1]).abs() >= 0.5 - 1e-6).all()
    # where no person judged, LPIPS does, as 1 / (1 + (d1 / d0)^s)
    d0, d1 = distances(lpips, learning.triplets(12, 12, 40, 0, 0.5)[1])
    torch.testing.assert_close(data.mixed_judge, 1 / (1 + (d1 / d0) ** settings.sharpness), rtol=1e-3, atol=1e-4)
    assert [len(part) for part in data.validation] == [2, 8]
    other = prepare(settings, Source(make_pictures()[1:17]), choosing, lpips)
    assert data.digest() == prepare(settings, learning, choosing, lpips).digest() != other.digest()


def test_people_judge_where_there_is_bapps(folder, lpips):
    learning, choosing, reporting = read_sources(None, folder, TINY)
    parts = [len(source.judged) for source in (learning, choosing, reporting)]
    assert parts == [12, 2, 2]  # 8 of the 9 of each family: 12 triplets to train on, as set, and a fifth held out
    assert set(learning.judged.family) == {"cnn", "traditional"}
    everything = torch.cat([source.judged.reference for source in (learning, choosing, reporting)])
    assert len(everything.flatten(1).unique(dim=0)) == len(everything)  # no triplet in two parts
    data = prepare(TINY, learning, choosing, lpips)
    assert torch.equal(data.mixed_judge, data.triplets.judge)
    assert set(data.triplets.judge.tolist()) == {np.float32(0.2), np.float32(0.8)}
    assert torch.equal(data.clean, data.mixed)


def test_both_people_and_photographs(folder, lpips, tmp_path):
    learning, choosing, _ = read_sources(write_pictures(tmp_path / "photographs"), folder, TINY)
    assert len(learning.photographs) == 16
    data = prepare(TINY, learning, choosing, lpips)
    assert set(data.triplets.family) == {"cnn", "traditional"}  # people judge these
    assert len(data.mixed_judge) == 12 and len(data.mixed_judge.unique()) > 2  # and LPIPS those


def test_large_pictures_of_bapps_are_scaled_down(tmp_path):
    folder = write_bapps(tmp_path, families=("mix",), count=8, side=64)
    judged = read_sources(None, folder, replace(TINY, size=32))[0].judged
    assert judged.reference.shape[1:] == (3, 32, 32)


def test_unsuitable_folders_are_refused(tmp_path, folder):
    with pytest.raises(ValueError, match="got neither"):
        read_sources(None, None, TINY)
    with pytest.raises(ValueError, match=r"at least 6 photographs.* has 5"):
        read_sources(write_pictures(tmp_path / "few", 5), None, TINY)
    with pytest.raises(ValueError, match="2afc/train/<family>"):
        read_sources(None, tmp_path, TINY)
    with pytest.raises(ValueError, match=r"at least 6 triplets.* has 4"):
        read_sources(None, write_bapps(tmp_path / "b", ("cnn",), 4), TINY)
    write_bapps(tmp_path / "two", ("cnn",), 8, 32)
    write_bapps(tmp_path / "two", ("mix",), 8, 40)
    with pytest.raises(ValueError, match="one size"):
        read_sources(None, tmp_path / "two", TINY)
    Image.new("RGB", (40, 40)).save(folder / "2afc" / "train" / "cnn" / "ref" / "extra.png")
    with pytest.raises(ValueError, match="10 in ref, 9 in p0"):
        read_sources(None, folder, TINY)
