import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

import rlpips
from rlpips import paths
from rlpips.data import images
from rlpips.metrics import eye
from rlpips.pairs.table import Columns

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def pairs():
    """Four pairs of 40×48 pixels: attacked, with noise, identical, and dark; under names that a page must not believe."""
    picture = images.read_picture(paths.SAMPLES / "chelsea.png").pixels[60:100, 100:148]
    trace = rlpips.attack(picture, eps=6 / 255, steps=8, seed=0)
    others = [trace.adversarial[0], trace.adversarial[2], picture, picture // 3]
    names = [HOSTILE + "0", "=1+1", "same", "dark"]
    attacked = [images.Picture(np.asarray(pixels), name=name) for pixels, name in zip(others, names)]
    return rlpips.compare([picture] * 4, attacked, threshold=12)


def test_rows_are_plain_and_have_verdicts(pairs):
    assert len(pairs) == 4
    row = pairs[0]
    assert row["verdict"] == "lpips only" and row["easy_to_see"] == ""
    assert isinstance(row["width"], int) and isinstance(row["lpips_jpeg"], int)
    assert pairs[2]["notes"] == "The two pictures are identical." and pairs[2]["psnr"] == float("inf")
    why = ["PSNR", "FLIP, a model of the eye, finds it"][eye.is_installed()]  # there are machines without
    assert pairs[3]["easy_to_see"].startswith(why) and (pairs[3]["eye"] is None) == (why == "PSNR")
    assert [row["pair"] for row in pairs[1:3]] == [pairs[1]["pair"], pairs[2]["pair"]]


def test_flagged_are_those_that_fool_the_first_and_not_the_second(pairs):
    assert [row["pair"] for row in pairs.flagged()] == [pairs[0]["pair"]]
    everything = pairs.flagged(*pairs.verdicts, easy_to_see=True)
    assert len(everything) == 4 and len(pairs.flagged(*pairs.verdicts)) == 3
    assert pairs.flagged("neither").source(0).attacked.name == pairs[1]["pair"]
    with pytest.raises(ValueError, match="A verdict is one of lpips only, both"):
        pairs.flagged("maybe")


def test_the_threshold_can_be_moved(pairs):
    assert pairs.at(99).counts()["both"] > pairs.counts()["both"]
    assert sum(pairs.at(1).counts().values()) == 4
    with pytest.raises(ValueError, match="from 1 to 99"):
        pairs.at(0)


def test_the_summary_counts_what_the_rows_say(pairs):
    summary = {each["metric"]: each for each in pairs.summary()}
    for name in pairs.metrics:
        assert summary[name]["fooled"] == sum(row[f"{name}_jpeg"] <= 12 for row in pairs)
        assert summary[name]["median_distance"] == pytest.approx(np.median([row[name] for row in pairs]))
    assert "fool LPIPS and not R-LPIPS l∞" in pairs.headline()


def test_csv_has_a_column_for_every_metric_and_the_verdict(pairs, tmp_path):
    path = pairs.to_csv(tmp_path)  # named after what is in it
    assert path.name == "4-pictures-4-lpips-rlpips-linf.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in pairs]
    assert float(rows[0]["rlpips-l2"]) == pytest.approx(pairs[0]["rlpips-l2"], rel=1e-6)
    assert rows[1]["pair"].startswith("'=1+1")  # a spreadsheet would compute it
    assert rows[2]["psnr"] == "inf"
    assert not any(key.endswith("_place") for key in rows[0])


def test_json_has_everything_that_the_numbers_depend_on(pairs, tmp_path):
    path = pairs.to_json(tmp_path / "all.json")
    whole = json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    receipt = whole["receipt"]
    assert receipt["weights"]["lpips"] == rlpips.CATALOG["lpips"].heads["alex"].sha256
    assert receipt["rlpips"] == rlpips.__version__ and receipt["threshold"] == 12 and receipt["torch"]
    assert whole["summary"]["verdicts"] == pairs.counts()
    assert whole["rows"][2]["psnr"] is None
    assert len({row["clean_sha256"] for row in whole["rows"]}) == 1
    assert (
        whole["rows"][2]["clean_sha256"] == whole["rows"][2]["attacked_sha256"] != whole["rows"][0]["attacked_sha256"]
    )


def test_latex_has_a_line_for_every_metric(pairs):
    text = pairs.to_latex()
    assert text.count(r"\\") == 1 + len(pairs.metrics)
    assert r"R-LPIPS $\ell_\infty$ &" in text and r"\,\%" in text and "∞" not in text


def test_a_notebook_shows_names_as_text(pairs):
    shown = pairs._repr_html_()
    assert "<img" not in shown and "&lt;img" in shown and "lpips only" in shown


@pytest.mark.parametrize("ending, start", [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_contact_sheet_is_written(pairs, tmp_path, ending, start):
    path = pairs.to_sheet(tmp_path / f"sheet.{ending}", count=2)
    assert path.read_bytes().startswith(start)


def test_compare_says_what_is_wrong(tmp_path):
    x = np.zeros((2, 40, 48, 3), np.uint8)
    with pytest.raises(ValueError, match="from 1 to 99"):
        rlpips.compare(x, x, threshold=150)
    with pytest.raises(ValueError, match="Unknown metric"):
        rlpips.compare(x, x, metrics=("lpips", "lipps"))
    Image.new("RGB", (48, 40)).save(tmp_path / "x.png")
    (tmp_path / "x_adv.png").write_bytes(b"\x89PNG broken")
    Image.new("RGB", (48, 40)).save(tmp_path / "y.png")
    pairs = rlpips.compare(tmp_path)
    assert len(pairs) == 0 and pairs.counts()["both"] == 0
    reasons = {each.name: each.reason for each in pairs.problems}
    assert "damaged" in reasons["x_adv.png"] and "No attacked picture" in reasons["y.png"]
    assert json.loads(pairs.to_json())["rows"] == [] and pairs.to_csv() == "" and "<html" in pairs.to_html()


def test_distances_alone_are_quick_and_have_no_verdict():
    x = np.random.default_rng(0).integers(0, 255, (2, 40, 48, 3), np.uint8)
    pairs = rlpips.compare(x, x[::-1].copy(), metrics=("lpips", "mse"), equivalents=False)
    assert pairs.counts() == {} and pairs[0]["verdict"] == "" and pairs[0]["lpips"] > 0
    assert pairs.headline() == "2 pairs." and "--" in pairs.to_latex()


def test_columns_hold_what_rows_had():
    columns = Columns()
    rows = [{"a": 1.5, "b": "x", "c": None}, {"a": float("inf"), "b": "y", "c": None}]
    for row in rows:
        columns.add(row)
    assert [columns.row(index) for index in range(len(columns))] == rows
