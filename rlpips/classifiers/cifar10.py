"""CIFAR-10 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009) as tensors: 32×32 pictures of ten
classes, 50,000 to train on and 10,000 to test with, from torchvision or from a folder of picture files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from rlpips.zoo.catalog import CIFAR10_CLASSES

SPLITS = ("train", "test")
_FILES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Pictures:
    """`x` (N, 3, 32, 32) uint8, `y` (N,) int64, the index of each picture's class in `CIFAR10_CLASSES`."""

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self):
        return len(self.y)

    def __getitem__(self, rows):
        return Pictures(self.x[rows], self.y[rows])

    def subset(self, count, seed=0):
        """`count` of them (all for None), drawn by `seed`; a smaller count gives the first of a larger one's. ValueError
        for more than there are."""
        if count is None:
            return self
        if not 1 <= count <= len(self):
            raise ValueError(f"A subset must have 1 to {len(self)} pictures; got {count}.")
        return self[torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:count]]


def read(split, folder=None):
    """The pictures of a split, "train" or "test".

    `folder` has {train,test}/<class>/*.jpg (or .png), sorted by name, or torchvision's cifar-10-batches-py; None takes
    torchvision's, which is downloaded (170 MB) into torch.hub's cache the first time. ValueError for another split, or a
    folder that has neither.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    if folder is None:
        return _from_torchvision(Path(torch.hub.get_dir()) / "cifar10", split, download=True)
    folder = Path(folder)
    if (folder / "cifar-10-batches-py").is_dir():
        return _from_torchvision(folder, split)
    return _from_files(folder / split)


def _from_torchvision(root, split, download=False):
    from torchvision.datasets import CIFAR10

    try:
        found = CIFAR10(root, train=split == "train", download=download)
    except (OSError, RuntimeError) as error:  # no network; or what is there is damaged
        raise ValueError(f"CIFAR-10 could not be read from {root}, nor downloaded into it: {error}") from error
    if tuple(found.classes) != CIFAR10_CLASSES:
        raise ValueError(
            f"The classes in {root} should be {', '.join(CIFAR10_CLASSES)}; got {', '.join(found.classes)}."
        )
    return Pictures(torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(found.targets))


def _from_files(folder):
    x, y = [], []
    for label, name in enumerate(CIFAR10_CLASSES):
        files = sorted(each for each in (folder / name).glob("*") if each.suffix.lower() in _FILES)
        if not files:
            raise ValueError(f"Expected pictures (.jpg or .png) in {folder / name}; there are none.")
        for file in files:
            x.append(_picture(file))
            y.append(label)
    return Pictures(torch.from_numpy(np.stack(x)).permute(0, 3, 1, 2).contiguous(), torch.tensor(y))


def _picture(file):
    try:
        with Image.open(file) as image:
            picture = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a picture.") from error
    if picture.shape != (32, 32, 3):
        raise ValueError(f"{file} must have 32×32 pixels, as CIFAR-10; it has {picture.shape[1]}×{picture.shape[0]}.")
    return picture
