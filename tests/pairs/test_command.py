import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from rlpips.pairs import __main__ as command
from rlpips.pairs import journal as journals
from rlpips.pairs import measure
from rlpips.pairs.inputs import Problem
from rlpips.pairs.journal import Journal
from rlpips.pairs.reading import read


@pytest.fixture
def folder(tmp_path):
    """Five pairs in two folders, one of them of two sizes."""
    rng = np.random.default_rng(0)
    for index in range(5):
        picture = np.kron(rng.integers(40, 220, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        attacked = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        for kind, pixels in (("clean", picture), ("adv", attacked[: 32 if index == 3 else 40])):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / kind / f"{index}.png")
    return tmp_path


def run(*arguments):
    command.main([str(argument) for argument in (*arguments, "--device", "cpu", "--metrics", "lpips", "rlpips-linf")])


def test_the_command_writes_what_it_is_asked_for(folder, capsys):
    run(folder / "clean", folder / "adv", "--csv", folder / "rows.csv", "--report", folder / "report.html")
    rows = list(csv.DictReader((folder / "rows.csv").open(encoding="utf-8")))
    assert len(rows) == 4 and {"lpips", "rlpips-linf", "verdict"} <= rows[0].keys()
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")
    said = capsys.readouterr()
    assert "Of 4 pairs" in said.out and "neither" in said.out
    assert "5 pairs, such as 0.png and 0.png" in said.err and "3.png: The pictures differ in size" in said.err
    assert not list(folder.glob(".pairs*"))


def test_a_folder_gets_everything_under_names_that_say_what_it_is(folder):
    run(folder / "clean", folder / "adv", "--out", folder / "out")
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == [f"adv-4-lpips-rlpips-linf.{ending}" for ending in ("csv", "html", "json", "png", "tex")]


def test_the_match_can_be_looked_at_and_mended(folder, capsys):
    run(folder / "clean", folder / "adv", "--list")
    listed = capsys.readouterr().out
    rows = list(csv.reader(io.StringIO(listed)))
    assert rows[0] == ["original", "attacked"] and rows[1] == ["0.png", "0.png"] and len(rows) == 6
    (folder / "match.csv").write_text("original,attacked\n0.png,1.png\n")
    run(folder / "clean", folder / "adv", "--match", folder / "match.csv", "--json", folder / "all.json")
    (row,) = json.loads((folder / "all.json").read_text("utf-8"))["rows"]
    assert (row["clean"], row["attacked"]) == ("0.png", "1.png")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["missing"], "There is no file or folder called missing"),
        (["clean", "adv", "--metrics", "lipps"], "Unknown metric 'lipps'"),
        (["clean", "adv", "--csv", "nowhere/rows.csv"], "There is no folder nowhere for --csv"),
        (["clean", "adv", "--sheet", "sheet.doc"], "A sheet is written as .png"),
    ],
)
def test_a_wrong_argument_ends_it_with_a_sentence(folder, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        command.main([*arguments, "--device", "cpu"])
    assert end.value.code == 2 and sentence in capsys.readouterr().err


def test_a_run_that_was_killed_goes_on_and_gives_the_same_rows(folder, monkeypatch, capsys):
    monkeypatch.setattr(measure, "PIECE", 2)
    monkeypatch.setattr(journals, "PIECE", 2)
    run(folder / "clean", folder / "adv", "--csv", folder / "whole.csv")
    add, pieces = Journal.add, []

    def killed_at_the_third(self, piece, results):
        if len(pieces) == 2:
            with next(folder.glob(".pairs*")).open("a") as file:
                file.write("\n[2, [{")  # half a line
            raise KeyboardInterrupt
        pieces.append(piece)
        add(self, piece, results)

    monkeypatch.setattr(Journal, "add", killed_at_the_third)
    with pytest.raises(SystemExit):
        run(folder / "clean", folder / "adv", "--csv", folder / "rows.csv")
    assert not (folder / "rows.csv").exists() and "goes on from here" in capsys.readouterr().err
    again = []
    monkeypatch.setattr(Journal, "add", lambda self, piece, results: (again.append(piece), add(self, piece, results)))
    run(folder / "clean", folder / "adv", "--csv", folder / "rows.csv")
    assert (pieces, again) == ([0, 1], [2])
    assert (folder / "rows.csv").read_text() == (folder / "whole.csv").read_text()


def test_a_journal_belongs_to_its_pictures_and_settings(folder, monkeypatch):
    pairs = read(folder / "clean", folder / "adv").pairs
    first = Journal(folder, pairs, {"metrics": "a"})
    first.add(0, [{"lpips": float("inf")}, Problem("x", "It is damaged.")])
    assert Journal(folder, pairs, {"metrics": "a"}, process=1).done() == [0]
    assert Journal(folder, pairs, {"metrics": "b"}).done() == []
    Image.new("RGB", (48, 40)).save(folder / "adv" / "2.png")
    assert Journal(folder, pairs, {"metrics": "a"}).done() == []
    assert list(first.results()) == [[{"lpips": float("inf")}, Problem("x", "It is damaged.")]]
    first.clear()
    with pytest.raises(ValueError, match="1 of 1 pieces are not measured"):
        list(first.results())
