import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

import rlpips
from rlpips import Trace, paths
from rlpips.attacks.side_by_side import fool
from rlpips.engine.compare import compare
from rlpips.paths import SAMPLES
from rlpips.traces.figures import curves, image, maps, overview
from rlpips.traces.schema import merged_maps


def test_the_overview_shows_every_curve_and_the_pictures_of_the_trace(tmp_path):
    trace = rlpips.attack(torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(0)), steps=3)
    figure = overview(trace)
    *pictures, chart = figure.axes
    assert len(pictures) == 2 * 4
    np.testing.assert_array_equal(pictures[0].images[0].get_array(), trace.adversarial[0])
    np.testing.assert_array_equal(pictures[4].images[0].get_array(), trace.adversarial[1])
    delta = trace.adversarial[0].astype(int) - trace.start
    np.testing.assert_array_equal(pictures[1].images[0].get_array(), np.clip(128 + 25 * delta, 0, 255))
    drawn = [line.get_ydata() for line in chart.lines]
    assert len(drawn) == 3 * 2
    np.testing.assert_array_equal(drawn[0], trace.distance[:, 0, 0])
    np.testing.assert_array_equal(drawn[-1], trace.distance[:, 2, 1])
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_pair_is_shown_with_a_bar_per_metric(tmp_path):
    x, y = torch.rand(2, 1, 3, 48, 61, generator=torch.Generator().manual_seed(1))
    pair = compare(x, y, metrics=("lpips", "rlpips-linf", "rlpips-l2"))
    figure = overview(pair)
    *pictures, chart = figure.axes
    assert len(pictures) == 5
    np.testing.assert_array_equal(pictures[0].images[0].get_array(), pair.adversarial[0])
    for seen, expected in zip(pictures[2:], pair.maps[0], strict=True):
        np.testing.assert_array_equal(seen.images[0].get_array(), expected)
    assert [bar.get_width() for bar in chart.patches] == pytest.approx(pair.distance[0, 0])
    assert "attack" not in " ".join(axis.get_title() + axis.get_ylabel() for axis in figure.axes)
    figure.savefig(tmp_path / "a.png")


def test_a_pair_of_equals_and_a_single_metric(tmp_path):
    same = torch.rand(1, 3, 48, 61, generator=torch.Generator().manual_seed(1))
    overview(compare(same, same)).savefig(tmp_path / "a.png")
    assert len(overview(rlpips.attack(same, metrics="lpips", steps=1)).axes) == 3 + 1


def test_attacks_on_a_classifier_are_named_after_themselves(tmp_path):
    trace = fool(SAMPLES / "cifar10" / "frog-01.png", 6, "undefended", ("ppgd", "pgd-linf"), steps=2)
    *pictures, chart = overview(trace).axes
    assert [pictures[row].get_ylabel() for row in (0, 4)] == ["PPGD", "PGD l∞"]
    assert [line.get_label() for line in chart.lines] == [
        f"{metric}, {attack}" for metric in ("LPIPS", "R-LPIPS l∞") for attack in ("PPGD", "PGD l∞")
    ]
    np.testing.assert_array_equal(chart.lines[1].get_ydata(), trace.distance[:, 1, 0])


@pytest.fixture(scope="module")
def duel():
    return Trace.load(paths.PRECOMPUTED / "chelsea-away-linf-4.zip")


def test_the_curves_stand_alone(duel):
    (axis,) = curves(duel).axes
    assert len(axis.lines) == 3 * 2 and axis.get_yscale() == "log"
    np.testing.assert_array_equal(axis.lines[4].get_ydata(), duel.distance[:, 1, 1])
    styles = {(line.get_color(), line.get_linestyle()) for line in axis.lines}
    assert len(styles) == 6  # told apart by more than colour
    (bars,) = curves(compare(duel.reference, duel.adversarial[0])).axes
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(duel.distance_8bit[0], rel=1e-3)


def test_the_maps_say_their_scale(duel):
    panels = [axis for axis in maps(duel).axes if axis.images]
    assert len(panels) == 3 * 2
    for axis, (lane, metric) in zip(panels, np.ndindex(3, 2)):
        np.testing.assert_array_equal(axis.images[0].get_array(), duel.maps[lane, metric])
        assert axis.images[0].get_clim() == (0, pytest.approx(duel.maps[lane, metric].max()))
        assert axis.images[0].colorbar is not None
    common = [axis.images[0].get_clim() for axis in maps(duel, scale="common").axes if axis.images]
    assert common == [(0, pytest.approx(duel.maps.max()))] * 6
    low, high = maps(duel, scale="log").axes[0].images[0].get_clim()
    assert high == pytest.approx(duel.maps.max()) and low == pytest.approx(high / 1000)
    early, *_ = maps(duel, 6, lanes=[1], metrics=[0]).axes
    np.testing.assert_array_equal(early.images[0].get_array(), merged_maps(*duel.at(1, 5))[0])
    assert early.get_title() == "" and early.get_title("left") == "seen by LPIPS\nattacked against R-LPIPS l∞"
    flat = compare(duel.reference, duel.reference)
    assert len([axis for axis in maps(flat, scale="log").axes if axis.images]) == 2
    for wrong in ({"scale": "square"}, {"lanes": [3]}, {"metrics": [-1]}, {"lanes": []}, {"lanes": ["lpips"]}):
        with pytest.raises(ValueError, match=r"own, common, log|is a place from 0 to"):
            maps(duel, **wrong)


def test_no_label_is_cut_off(duel):
    official = "rlpips-official-x0-tune"  # the longest title
    long = replace(duel, metrics=("lpips", official), lanes=("lpips", official, "noise"))
    for figure in (curves(long), maps(long, lanes=[1]), maps(long, metrics=[1], scale="log"), overview(duel)):
        FigureCanvasAgg(figure).draw()
        page = figure.bbox
        texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        assert len(texts) > 5
        for text in texts:
            box = text.get_window_extent()
            if text.axes and not (text.get_clip_on() and not page.overlaps(box)):
                assert page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1, text
                assert page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1, text


def test_figures_are_written_for_print(duel):
    figure = curves(duel)
    png, svg, pdf = (image(figure, kind) for kind in ("png", "svg", "pdf"))
    assert Image.open(io.BytesIO(png)).size == (1300, 600)  # 6.5 inches wide at 200 dots
    assert svg.startswith(b"<?xml") and b"<image" not in svg and b"<dc:date>" not in svg
    assert pdf.startswith(b"%PDF") and b"/Type3" not in pdf and b"/FontFile2" in pdf  # TrueType, embedded
    assert image(figure, "pdf") == pdf
    with pytest.raises(ValueError, match="png, svg or pdf; got 'exe'"):
        image(figure, "exe")
