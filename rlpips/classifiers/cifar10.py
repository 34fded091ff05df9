"""CIFAR-10 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009) as tensors: 32×32 pictures of ten
classes, 50,000 to train on and 10,000 to test with, from torchvision or from a folder of picture files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rlpips.data.file_types import ENDINGS
from rlpips.data.images import read_picture
from rlpips.zoo.classifier_cards import CIFAR10_CLASSES

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Pictures:
    """`x` (N, 3, 32, 32) uint8, and `y` (N,) int64, the index of each picture's class in `CIFAR10_CLASSES`."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice | Tensor) -> "Pictures":
        return Pictures(self.x[rows], self.y[rows])

    def subset(self, count: int | None, seed: int = 0) -> "Pictures":
        """`count` pictures (None: all) drawn by `seed`. A smaller subset is the beginning of a larger one of the same seed.
        ValueError for a count below 1 or above the number of pictures."""
        if count is None:
            return self
        if not 1 <= count <= len(self):
            raise ValueError(f"A subset must have 1 to {len(self)} pictures; got {count}.")
        return self[torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:count]]


def read(split: str, folder: str | Path | None = None) -> Pictures:
    """The pictures of a split, "train" or "test".

    `folder` has {train,test}/<class>/ with pictures, which are read in the order of their names, or torchvision's
    cifar-10-batches-py. None takes torchvision's, which is downloaded (170 MB) into torch.hub's cache the first time.
    ValueError for another split, or for a folder with neither.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    if folder is None:
        return _from_torchvision(Path(torch.hub.get_dir()) / "cifar10", split, download=True)
    folder = Path(folder)
    if (folder / "cifar-10-batches-py").is_dir():
        return _from_torchvision(folder, split)
    return _from_files(folder / split)


def _from_torchvision(root: Path, split: str, download: bool = False) -> Pictures:
    from torchvision.datasets import CIFAR10

    try:
        dataset = CIFAR10(root, train=split == "train", download=download)
    except (OSError, RuntimeError) as error:  # no network, or damaged files
        raise ValueError(f"CIFAR-10 could not be read from {root}, nor downloaded into it: {error}") from error
    if tuple(dataset.classes) != CIFAR10_CLASSES:
        raise ValueError(
            f"The classes in {root} should be {', '.join(CIFAR10_CLASSES)}; got {', '.join(dataset.classes)}."
        )
    return Pictures(torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets))


def _from_files(folder: Path) -> Pictures:
    x, y = [], []
    for label, name in enumerate(CIFAR10_CLASSES):
        files = sorted(file for file in (folder / name).glob("[!.]*") if file.suffix.lower() in ENDINGS)
        if not files:
            raise ValueError(f"Expected pictures in {folder / name}; there are none.")
        x += [_read_picture(file) for file in files]
        y += [label] * len(files)
    return Pictures(torch.from_numpy(np.stack(x)).permute(0, 3, 1, 2).contiguous(), torch.tensor(y))


def _read_picture(file: Path) -> np.ndarray:
    try:
        pixels = read_picture(file).pixels
    except ValueError as error:
        raise ValueError(f"In {file.parent}: {error}") from error
    if pixels.shape != (32, 32, 3):
        raise ValueError(f"{file} must have 32×32 pixels, as CIFAR-10; it has {pixels.shape[1]}×{pixels.shape[0]}.")
    return pixels
