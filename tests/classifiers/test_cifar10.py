import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from rlpips.classifiers import cifar10
from rlpips.classifiers.cifar10 import Pictures
from rlpips.zoo.classifier_cards import CIFAR10_CLASSES


def write_files(folder, split, per_class):
    """A folder of PNG pictures; the red value of picture n of class k is 10 k + n."""
    for label, name in enumerate(CIFAR10_CLASSES):
        (folder / split / name).mkdir(parents=True)
        for n in range(per_class):
            picture = np.zeros((32, 32, 3), np.uint8)
            picture[..., 0], picture[3, 5] = 10 * label + n, (1, 2, 3)  # row 3, column 5
            Image.fromarray(picture).save(folder / split / name / f"{n:04}.png")


def test_a_folder_of_files_is_read_in_order(tmp_path):
    write_files(tmp_path, "train", 2)
    (tmp_path / "train" / "cat" / "._0000.png").write_bytes(b"what a Mac leaves beside a file")
    pictures = cifar10.read("train", tmp_path)
    assert pictures.x.shape == (20, 3, 32, 32) and pictures.x.dtype == torch.uint8 and pictures.y.dtype == torch.int64
    assert pictures.y.tolist() == [label for label in range(10) for _ in range(2)]
    assert pictures.x[:, 0, 0, 0].tolist() == [10 * label + n for label in range(10) for n in range(2)]
    assert pictures.x[:, :, 3, 5].unique(dim=0).tolist() == [[1, 2, 3]]


def test_other_folders_are_refused(tmp_path):
    write_files(tmp_path, "train", 1)
    with pytest.raises(ValueError, match="split must be one of train, test; got 'validation'"):
        cifar10.read("validation", tmp_path)
    with pytest.raises(ValueError, match=r"Expected pictures in .*airplane; there are none"):
        cifar10.read("test", tmp_path)
    Image.new("RGB", (32, 48)).save(tmp_path / "train" / "cat" / "0000.png")
    with pytest.raises(ValueError, match="must have 32×32 pixels, as CIFAR-10; it has 32×48"):
        cifar10.read("train", tmp_path)
    (tmp_path / "train" / "cat" / "0000.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"In .*cat: 0000.png is not a picture that can be read"):
        cifar10.read("train", tmp_path)


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """Torchvision's folder, with three random pictures in each of its batches."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (18, 3 * 32 * 32), dtype=np.uint8)
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    for n, name in enumerate(names):
        part = {"data": rows[3 * n : 3 * n + 3], "labels": [n, 9 - n, 7]}
        (folder / name).write_bytes(pickle.dumps(part))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10_CLASSES)}))
    monkeypatch.setattr(
        CIFAR10, "train_list", [[name, None] for name in names[:5]]
    )  # without the digests of the real ones
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})
    return tmp_path, rows.reshape(18, 3, 32, 32)


def test_torchvisions_folder_is_read(batches):
    folder, rows = batches
    train, test = cifar10.read("train", folder), cifar10.read("test", folder)
    assert np.array_equal(train.x, rows[:15]) and np.array_equal(test.x, rows[15:])
    assert train.y.tolist() == [0, 9, 7, 1, 8, 7, 2, 7, 7, 3, 6, 7, 4, 5, 7] and test.y.tolist() == [5, 4, 7]


def test_without_a_folder_torch_hubs_cache_is_read(batches, monkeypatch):
    folder, rows = batches
    hub = folder / "hub"
    hub.mkdir()
    (folder / "cifar-10-batches-py").rename(folder / "moved")
    (hub / "cifar10").mkdir()
    (folder / "moved").rename(hub / "cifar10" / "cifar-10-batches-py")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    assert np.array_equal(cifar10.read("test").x, rows[15:])


def test_damaged_batches_are_refused(batches):
    folder, _ = batches
    (folder / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(ValueError, match="CIFAR-10 could not be read from"):
        cifar10.read("train", folder)


def test_a_subset_is_drawn_by_its_seed():
    pictures = Pictures(
        torch.arange(50, dtype=torch.uint8)[:, None, None, None].expand(50, 3, 32, 32), torch.arange(50)
    )
    first, more = pictures.subset(10, seed=3), pictures.subset(20, seed=3)
    assert len(first) == 10 and first.y.tolist() == more.y[:10].tolist()
    assert len(set(more.y.tolist())) == 20 and torch.equal(more.x[:, 0, 0, 0].long(), more.y)
    assert first.y.tolist() != pictures.subset(10, seed=4).y.tolist()
    assert pictures.subset(None) is pictures
    for bad in (0, 51):
        with pytest.raises(ValueError, match=f"1 to 50 pictures; got {bad}"):
            pictures.subset(bad)
