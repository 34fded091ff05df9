import numpy as np
import pytest
import torch

import rlpips
from rlpips import paths
from rlpips.data import images
from rlpips.data.distortions import DISTORTIONS
from rlpips.engine.compare import compare as compare_pair
from rlpips.engine.eye import look
from rlpips.engine.ruler import SEVERITIES, Ruler, make_ruler, scale_of
from rlpips.metrics.lpips import load_metrics
from rlpips.metrics.pixel import PixelMSE
from rlpips.pairs import eye
from rlpips.pairs.inputs import Problem
from rlpips.pairs.measure import METRICS, PIECE, Measurer, Settings, pieces_of
from rlpips.pairs.reading import read

SIDES = (40, 56)


@pytest.fixture(scope="module")
def photos():
    """Three pictures (40, 56, 3), and each with some noise, another one each."""
    picture = images.read_picture(paths.SAMPLES / "astronaut.png").pixels
    clean = [picture[y : y + SIDES[0], 60 : 60 + SIDES[1]] for y in (20, 80, 140)]
    rng = np.random.default_rng(0)
    return clean, [
        np.clip(x + rng.integers(-n, n + 1, x.shape), 0, 255).astype(np.uint8) for x, n in zip(clean, (3, 12, 40))
    ]


def rows_of(inputs, **settings):
    measurer = Measurer(Settings(**settings), "cpu")
    return [row for rows in measurer.rows(pieces_of(inputs.pairs)) for row in rows]


def test_a_row_says_what_inspect_says(photos):
    for x, y, row in zip(*photos, rows_of(read(*map(list, photos)))):
        trace = compare_pair(x, y, METRICS)
        ruler = make_ruler(images.to_tensor(x), load_metrics(METRICS, "alex"), distortions=("jpeg",))
        for index, name in enumerate(METRICS):
            distance = float(trace.distance[0, 0, index])
            assert row[name] == pytest.approx(distance, rel=1e-4)
            assert row[f"{name}_equivalent"] == ruler.read(name, distance)
            shares = trace.per_layer[0, 0, index] / distance
            assert row[f"{name}_layer"] == trace.layers[shares.argmax()]
            assert row[f"{name}_layer_share"] == pytest.approx(shares.max(), rel=1e-3)
        frame = trace.frames[0]
        assert row["psnr"] == pytest.approx(float(frame.psnr[0]), rel=1e-5)
        assert row["ssim"] == pytest.approx(float(frame.ssim[0]), rel=1e-5)
        assert row["linf"] == pytest.approx(np.abs(x.astype(int) - y).max() / 255, rel=1e-5)
        assert row["l2"] == pytest.approx(np.sqrt(((x / 255.0 - y / 255.0) ** 2).sum()), rel=1e-5)
        assert row["changed"] == pytest.approx((x != y).any(-1).mean(), rel=1e-5)


def test_distances_are_those_of_the_lpips_package(photos):
    packages = pytest.importorskip("rlpips.benchmark.packages")
    pytest.importorskip("lpips")
    models = packages.lpips_package(METRICS[:2]).models
    x, y = (torch.cat([images.to_tensor(each) for each in side]) for side in photos)
    for name, model in zip(METRICS, models):
        with torch.no_grad():
            truth = model(2 * x - 1, 2 * y - 1).flatten().tolist()
        assert [row[name] for row in rows_of(read(*map(list, photos)))] == pytest.approx(truth, rel=1e-4)


def test_channels_for_half_are_the_fewest(photos):
    x, y = (images.to_tensor(side[1]) for side in photos)
    metric = rlpips.load_metric("rlpips-linf")
    with torch.no_grad():
        features = [metric.trunk(each) for each in (x, y)]
    parts = [((a - b) ** 2).mean((2, 3))[0] * head for a, b, head in zip(*features, metric.heads)]
    shares = torch.cat(parts).sort(descending=True).values
    row = rows_of(read([photos[0][1]], [photos[1][1]]))[0]
    half = row["rlpips-linf_half"]
    assert shares[: half - 1].sum() < shares.sum() / 2 <= shares[:half].sum()
    assert row["rlpips-linf_channel_share"] == pytest.approx(float(shares[0] / shares.sum()), rel=1e-3)
    layer, channel = row["rlpips-linf_channel"].split("·")
    assert parts[metric.layers.index(layer)][int(channel)] == shares[0]


def test_a_place_on_the_ruler_lies_by_the_entry_of_its_words(photos):
    scale = scale_of(DISTORTIONS["jpeg"], SEVERITIES, np.zeros((len(SEVERITIES), 1)))
    for row in rows_of(read(*map(list, photos))):
        for name in METRICS:
            if row[f"{name}_equivalent"].startswith("as far as"):
                entry = scale.words[round(row[f"{name}_place"])]
                assert row[f"{name}_equivalent"] == f"as far as {entry}"
                assert row[f"{name}_jpeg"] == int(entry.split()[-1])


def test_floats_are_measured_exactly_and_in_8_bits(photos):
    x = images.to_tensor(photos[0][0])
    y = (x + 0.4 / 255).clamp(0, 1)  # vanishes when it is saved
    row = rows_of(read(x, y))[0]
    assert row["bits"] == "float" and row["lpips"] > 0 == row["lpips_8bit"]
    assert "Saved in 8 bits, the two pictures are identical." in row["notes"]
    other = rows_of(read(x, (x + 3 / 255).clamp(0, 1).mul(255).round() / 255))[0]
    assert other["bits"] == "8-bit" and other["lpips"] == other["lpips_8bit"]


def test_identical_pictures_are_at_distance_zero(photos):
    row = rows_of(read([photos[0][0]], [photos[0][0]]))[0]
    assert row["lpips"] == 0 and row["lpips_equivalent"] == "identical" and row["lpips_jpeg"] == 100
    assert row["notes"] == "The two pictures are identical."
    assert row["lpips_half"] == row["lpips_layer_share"] == row["lpips_channel_share"] == 0


def test_rows_keep_their_order_over_sizes_and_problems(photos):
    clean, attacked = (list(side) for side in photos)
    clean.insert(1, clean[0][:, :48])
    attacked.insert(1, attacked[0][:, :48])
    clean.insert(2, clean[0])
    attacked.insert(2, attacked[0][:36])
    mixed = rows_of(read(clean, attacked))
    assert isinstance(mixed[2], Problem) and "differ in size, 56×40 and 56×36" in mixed[2].reason
    alone = rows_of(read(*map(list, photos)))
    assert [row["lpips"] for row in mixed[:1] + mixed[3:]] == pytest.approx([row["lpips"] for row in alone], rel=1e-4)
    assert mixed[1]["width"] == 48


def test_one_original_of_several_attacked_pictures_has_one_ruler(photos):
    x = photos[0][0]
    together = rows_of(read([x, photos[0][1], x], [photos[1][0], photos[1][1], np.flip(x, 1).copy()]))
    for row, y in zip(together, (photos[1][0], photos[1][1], np.flip(x, 1).copy())):
        alone = rows_of(read([photos[0][1] if row is together[1] else x], [y]))[0]
        assert row["rlpips-l2_equivalent"] == alone["rlpips-l2_equivalent"]


def test_metrics_of_every_kind_stand_beside_each_other(photos):
    def halves(x, y):
        return (x - y).abs().mean((1, 2, 3)) / 2

    row = rows_of(read([photos[0][0]], [photos[1][0]]), metrics=("ssim", "rlpips-tune", PixelMSE(), "lpips", halves))[0]
    assert row["ssim_layer"] == "luma" and "ssim_half" not in row
    x, y = (images.to_tensor(side[0]) for side in photos)
    for name in ("rlpips-tune", "mse", "lpips"):
        assert row[name] == pytest.approx(rlpips.load_metric(name)(x, y).item(), rel=1e-4)
    assert row["halves"] == pytest.approx(halves(x, y).item(), rel=1e-4)
    assert row["halves_jpeg"] <= 100


def test_distances_alone_have_no_equivalents(photos):
    row = rows_of(read([photos[0][0]], [photos[1][0]]), equivalents=False)[0]
    assert row["lpips"] > 0 and row["lpips_jpeg"] is None and row["lpips_equivalent"] == ""


def test_the_eye_reads_pairs_as_on_the_other_pages(photos):
    pytest.importorskip("flip_evaluator")
    x, y = photos[0][1], photos[1][1]
    (row,) = rows_of(read([x], [y]), metrics=("lpips",))
    *_, whole = look(x, [y])
    ruler = Ruler.from_json(whole.ruler)
    assert row["eye"] == pytest.approx(float(whole.distance[0]), rel=1e-5)
    assert ruler.read("flip", row["eye"]) == f"as far as JPEG quality {row['eye_jpeg']}"
    assert rows_of(read([x], [y]), metrics=("lpips",), eye=False)[0]["eye"] is None


def test_of_large_pairs_the_eye_is_not_asked_and_the_row_says_so(photos, monkeypatch):
    pytest.importorskip("flip_evaluator")
    monkeypatch.setattr(eye, "LARGEST", 40 * 50)
    clean, attacked = [photos[0][0], photos[0][0][:, :48]], [photos[1][0], photos[1][0][:, :48]]
    large, small = rows_of(read(clean, attacked), metrics=("lpips",), equivalents=False)
    assert large["eye"] is large["eye_jpeg"] is None and "FLIP" in large["notes"]
    assert small["eye"] > 0 and "FLIP" not in small["notes"]


def test_pieces_are_the_same_whatever_computes_them():
    assert [len(piece) for piece in pieces_of(range(2 * PIECE + 3))] == [PIECE, PIECE, 3]
