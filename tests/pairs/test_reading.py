import csv
import zipfile

import numpy as np
import pytest
import torch
from pictures import make_pictures
from PIL import Image
from safetensors.torch import save_file

from rlpips.pairs import inputs
from rlpips.pairs.reading import read

PICTURES = [picture[:40, :44] for picture in make_pictures(4)]
STACK = np.stack(PICTURES)  # (4, 40, 44, 3) uint8
ATTACKED = np.clip(STACK.astype(int) + 3, 0, 255).astype(np.uint8)


def save(folder, names, pictures):
    for name, picture in zip(names, pictures):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / name)
    return folder


def pixels(inputs):
    """Of all pairs, (N, H, W, 3) each, as 8 bits."""
    both = [pair.load()[:2] for pair in inputs.pairs]
    sides = ([each[side].pixels for each in both] for side in (0, 1))
    return [np.stack([x if x.dtype == np.uint8 else np.rint(255 * x).astype(np.uint8) for x in side]) for side in sides]


def check(inputs):
    for found, expected in zip(pixels(inputs), (STACK, ATTACKED), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.fixture
def folders(tmp_path):
    names = [f"{index}.png" for index in range(4)]
    return save(tmp_path / "clean", names, STACK), save(tmp_path / "adv", [f"{n[0]}_adv.png" for n in names], ATTACKED)


def test_two_folders(folders):
    check(read(*folders))


def test_one_folder_with_both(folders):
    check(read(folders[0].parent))


def test_a_zip_with_both_is_read_without_unpacking(folders, tmp_path):
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for folder in folders:
            for file in folder.iterdir():
                archive.write(file, f"set/{folder.name}/{file.name}")
        archive.writestr("__MACOSX/set/clean/._0.png", b"junk")
    inputs = read(tmp_path / "both.zip")
    check(inputs)
    assert inputs.problems == []


def test_many_files_at_once_match_by_name(folders):
    check(read([file for folder in folders for file in sorted(folder.iterdir())]))


def test_lists_are_paired_by_place(folders):
    clean, attacked = (sorted(folder.iterdir()) for folder in folders)
    inputs = read(clean[::-1], attacked)
    assert [pair.clean.name for pair in inputs.pairs] == ["3.png", "2.png", "1.png", "0.png"]
    check(read(list(STACK), [Image.fromarray(picture) for picture in ATTACKED]))
    with pytest.raises(ValueError, match="got 4 and 3"):
        read(clean, attacked[:3])


def test_of_two_lists_what_is_not_read_keeps_its_place(folders):
    """And a picture may stand in a list twice."""
    clean, attacked = (sorted(folder.iterdir()) for folder in folders)
    (folders[0] / "._1.png").write_bytes(b"of a Mac")
    (folders[1] / "notes.txt").write_text("no picture")
    inputs = read(
        [clean[0], folders[0] / "._1.png", clean[2], clean[2]],
        [attacked[0], attacked[1], folders[1] / "notes.txt", attacked[3]],
    )
    assert [(pair.clean.name, pair.attacked.name) for pair in inputs.pairs] == [
        ("0.png", "0_adv.png"),
        ("2.png", "3_adv.png"),
    ]
    assert [problem.name for problem in inputs.problems] == ["1_adv.png", "2.png", "notes.txt"]
    np.testing.assert_array_equal(pixels(inputs)[0], STACK[[0, 2]])


@pytest.mark.parametrize(
    "separator, heading", [(",", None), (";", ("adv", "orig")), ("\t", ("Reference", "Candidate"))]
)
def test_a_csv_says_what_belongs_together(folders, tmp_path, separator, heading):
    swapped = heading == ("adv", "orig")
    rows = [(f"clean/{index}.png", f"adv/{index}_adv.png") for index in range(4)] + [("clean/9.png", "adv/0_adv.png")]
    with (tmp_path / "pairs.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows(([heading] if heading else []) + [row[::-1] if swapped else row for row in rows])
    inputs = read(tmp_path / "pairs.csv")
    check(inputs)
    (problem,) = inputs.problems
    assert problem.reason == "There is no picture called clean/9.png."


def test_a_csv_decides_within_two_folders(folders, tmp_path):
    (tmp_path / "match.csv").write_text("3.png,0_adv.png\n")
    (pair,) = read(*folders, listed=tmp_path / "match.csv").pairs
    assert (pair.clean.name, pair.name) == ("3.png", "0_adv.png")


def floats(name):
    low, high = {"unit": (0, 1), "signed": (-1, 1), "bytes": (0, 255)}[name]
    return [(low + (high - low) * each.astype(np.float32) / 255) for each in (STACK, ATTACKED)]


@pytest.mark.parametrize("name", ["unit", "signed", "bytes"])
@pytest.mark.parametrize("channels_first", [True, False])
def test_arrays_in_two_files(tmp_path, name, channels_first):
    for kind, array in zip(("clean", "adv"), floats(name)):
        array = np.moveaxis(array, -1, 1) if channels_first else array
        np.save(tmp_path / f"{kind}.npy", array)
        torch.save(torch.from_numpy(array), tmp_path / f"{kind}.pt")
        save_file({"x": torch.from_numpy(np.ascontiguousarray(array))}, tmp_path / f"{kind}.safetensors")
    for ending in ("npy", "pt", "safetensors"):
        inputs = read(tmp_path / f"clean.{ending}", tmp_path / f"adv.{ending}")
        check(inputs)
        title = {"unit": "[0, 1]", "signed": "[-1, 1]", "bytes": "[0, 255]"}[name]
        assert all(f"read as {title}" in note for note in inputs.notes)


def test_both_arrays_in_one_file_and_labels_beside_them(tmp_path):
    labels = np.arange(4)
    np.savez(tmp_path / "a.npz", y=labels, x_adv=ATTACKED, x=STACK)
    tensors = {
        "labels": torch.tensor(labels),
        "adv_inputs": torch.from_numpy(ATTACKED),
        "clean_inputs": torch.from_numpy(STACK),
    }
    torch.save(tensors, tmp_path / "b.pt")
    save_file(tensors, tmp_path / "c.safetensors")
    torch.save((torch.from_numpy(STACK), torch.from_numpy(ATTACKED)), tmp_path / "d.pt")
    np.save(tmp_path / "e.npy", np.stack([STACK, ATTACKED]))
    for name in ("a.npz", "b.pt", "c.safetensors", "d.pt", "e.npy"):
        check(read(tmp_path / name))
    assert "its first array (0) is taken as the originals" in read(tmp_path / "d.pt").notes[0]
    assert read(tmp_path / "d.pt").swapped().pairs[0].clean.name == "d.pt[1][0]"


def test_tensors_at_hand():
    x, y = (torch.from_numpy(each).permute(0, 3, 1, 2) / 255 for each in (STACK, ATTACKED))
    check(read(x, y))
    check(read(STACK, ATTACKED))
    check(read(list(x), list(y)))


def test_a_range_that_is_not_clear_must_be_said(tmp_path):
    centred = [each / 255 - 0.5 for each in (STACK / 1.0, ATTACKED / 1.0)]
    with pytest.raises(ValueError, match="say which range"):
        read(*centred)
    check(read(*centred, ranges=["centred"]))
    with pytest.raises(ValueError, match="must be one of unit"):
        read(*centred, ranges=["halves"])


def test_arrays_of_other_lengths_leave_the_rest_as_problems():
    inputs = read(STACK, ATTACKED[:3])
    assert len(inputs.pairs) == 3
    assert [problem.reason for problem in inputs.problems] == ["attacked has 3 pictures and originals 4."]


def test_code_in_a_pt_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="objects of other classes are not loaded"):
        read(tmp_path / "evil.pt")
    assert not (tmp_path / "run").exists()


def test_what_systems_leave_behind_is_skipped_and_other_files_are_listed(folders):
    for name in ("._0.png", "Thumbs.db", ".DS_Store", "desktop.ini"):
        (folders[0] / name).write_bytes(b"junk")
    (folders[1] / "log.txt").write_text("eps 8")
    inputs = read(*folders)
    check(inputs)
    assert [problem.name for problem in inputs.problems] == ["log.txt"]


def test_sizes_are_compared_before_anything_is_reduced(tmp_path):
    big = np.zeros((64, 100, 3), np.uint8)
    save(tmp_path, ["x.png", "y.png"], [big, big[:32, :50]])
    (pair,) = read(tmp_path / "x.png", tmp_path / "y.png").pairs
    with pytest.raises(ValueError, match="differ in size, 100×64 and 50×32"):
        pair.load(max_side=50)  # reduced to 50 pixels they would be equal
    (pair,) = read(tmp_path / "x.png", tmp_path / "x.png").pairs
    x, y, notes = pair.load(max_side=80)
    assert x.pixels.shape == y.pixels.shape == (51, 80, 3)
    assert notes[0].startswith("Both were reduced from 100×64 to 80×51")


def test_a_large_array_is_reduced_and_says_so():
    (pair,) = read(np.zeros((1, 64, 100, 3), np.float32), np.ones((1, 64, 100, 3), np.float32)).pairs
    x, _, notes = pair.load(max_side=80)
    assert x.pixels.shape == (51, 80, 3) and "Both were reduced" in notes[0]


def test_sixteen_bits_alpha_and_animation_are_said(tmp_path):
    grey = Image.fromarray(np.full((40, 44), 32768, np.uint16))
    grey.save(tmp_path / "deep.png")
    Image.new("RGBA", (44, 40), (10, 20, 30, 128)).save(tmp_path / "alpha.png")
    frames = [Image.new("RGB", (44, 40), (level, 0, 0)) for level in (10, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    said = {}
    for name in ("deep.png", "alpha.png", "moving.gif"):
        (pair,) = read(tmp_path / "deep.png", tmp_path / name).pairs
        said[name] = " ".join(pair.load()[2])
    assert "16 bits" in said["deep.png"]
    assert "Attacked: Transparency" in said["alpha.png"]
    assert "Attacked: It has several frames" in said["moving.gif"]


def test_exchanged_sides_are_asked_about(folders):
    clean = save(folders[0].parent / "x", ["0_clean.png", "1_clean.png"], STACK)
    attacked = save(folders[0].parent / "y", ["0_adv.png", "1_adv.png"], ATTACKED)
    assert any("exchanged" in note for note in read(attacked, clean).notes)
    assert not any("exchanged" in note for note in read(clean, attacked).notes)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda folder: folder / "missing", "There is no file or folder called missing"),
        (lambda folder: folder, "has no pictures"),
        (lambda folder: (folder / "a.zip", (folder / "a.zip").write_bytes(b"PK"))[0], "a.zip is not a zip"),
        (lambda folder: (folder / "a.npy", (folder / "a.npy").write_bytes(b"\x93NUMPY"))[0], "a.npy is damaged"),
        (lambda folder: (folder / "a.csv", (folder / "a.csv").write_text("one\n"))[0], "two columns"),
        (lambda folder: (folder / "a.txt", (folder / "a.txt").write_text("x"))[0], "of a kind that is not read here"),
        (lambda folder: np.zeros((2, 9, 9, 3)), "at least 32 a side"),
        (lambda folder: np.zeros((2, 40, 44, 4)), "pictures are"),
        (lambda folder: 7, "got int"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(tmp_path, make, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(make(tmp_path))


def test_names_that_do_not_match_get_a_sentence(tmp_path):
    save(tmp_path, ["a/1.png", "a/2.png", "b/3.png", "b/4.png"], STACK)
    with pytest.raises(ValueError, match="No two pictures in a and b belong together"):
        read(tmp_path / "a", tmp_path / "b")
    assert inputs.MAX_SIDE == 2048
