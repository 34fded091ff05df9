"""Triplets: a reference and two candidates, one of which is nearer to it.

Triplets come from a BAPPS folder (Zhang et al., arXiv 1801.03924), where people judged, or are made from photographs: a patch
and two natural distortions of it. With one family of distortions the milder one is nearer by construction. With two families
there is no judge, but two metrics can be compared. Everything is (N, 3, H, W) in [0, 1] pixel units.
"""

import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.data.distortions import DISTORTIONS
from rlpips.data.file_types import ENDINGS
from rlpips.data.images import read_picture

_BATCH = 64  # triplets per pass of a network without gradients

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Triplets:
    """N triplets of pictures."""

    reference: Tensor  # (N, 3, H, W) in [0, 1], as p0 and p1
    p0: Tensor
    p1: Tensor
    judge: Tensor  # (N,): the fraction of judges who find p1 nearer; NaN without judges
    family: tuple[str, ...]  # N names of distortions, "noise" or, for two families, "noise/blur"
    severity: Tensor  # (N, 2), of p0 and p1, in [0, 1]; NaN for distortions that are not ours
    photograph: Tensor  # (N,), whole numbers: triplets of one photograph have the same, and are not independent

    def __len__(self) -> int:
        return len(self.reference)

    def __getitem__(self, index: slice | Sequence[int]) -> "Triplets":
        """The triplets of a slice, or of a list of positions."""
        family = self.family[index] if isinstance(index, slice) else tuple(self.family[i] for i in index)
        return Triplets(family=family, **{name: getattr(self, name)[index] for name in _TENSORS})

    @classmethod
    def cat(cls, parts: Sequence["Triplets"]) -> "Triplets":
        """Join several `Triplets`, whose pictures have one size."""
        tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in _TENSORS}
        return cls(family=sum((part.family for part in parts), ()), **tensors)

    def to(self, device: str | torch.device) -> "Triplets":
        """The same triplets on `device`."""
        return replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})

    def batches(self, size: int = _BATCH) -> Iterator["Triplets"]:
        """The triplets, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


_TENSORS = ("reference", "p0", "p1", "judge", "severity", "photograph")


def find_pictures(folder: str | os.PathLike) -> list[Path]:
    """The picture files of a folder, sorted by name; ValueError if there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There are no pictures in {folder}: there is no such folder.")
    paths = _files(folder, ENDINGS)
    if not paths:
        held = f"none of its files ends with {', '.join(ENDINGS)}" if any(folder.iterdir()) else "the folder is empty"
        raise ValueError(f"There are no pictures in {folder}: {held}.")
    return paths


def _files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """The files of a folder with one of the endings; none that begins with a dot, as macOS leaves ._a.png beside a.png."""
    paths = sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in endings)
    return [path for path in paths if path.is_file()]


def read_photographs(paths: Sequence[Path], max_side: int = 512) -> list[np.ndarray]:
    """The pixels of each file, uint8 (H, W, 3), at most `max_side` a side."""
    return [read_picture(path, max_side=max_side).pixels for path in paths]


def random_patch(photograph: np.ndarray, size: int, generator: torch.Generator) -> Tensor:
    """A random square of a photograph, uint8 (H, W, 3), as (1, 3, size, size) in [0, 1].

    Half of the patches are cut at full resolution, and half are larger squares scaled down, so that both textures and whole
    objects occur.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(photograph)).permute(2, 0, 1)[None].float() / 255
    draw = torch.rand(4, generator=generator).tolist()
    shortest = min(pixels.shape[2:])
    side = min(size, shortest)
    if draw[0] < 0.5:
        side = int(side * (shortest / side) ** draw[1])
    top, left = (int((length - side + 1) * u) for length, u in zip(pixels.shape[2:], draw[2:]))
    patch = pixels[:, :, top : top + side, left : left + side]
    return F.interpolate(patch, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


def split_photographs(paths: Sequence[Entry]) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Split sorted photographs into three lists: for training, for choosing the best heads, and for reporting on them.

    Every fifth photograph is held out from training, by turns to choose and to report.
    """
    train = [path for index, path in enumerate(paths) if index % 5]
    return train, list(paths[5::10]), list(paths[0::10])


def make_triplets(
    photographs: Sequence[np.ndarray], count: int, mixed: bool = False, size: int = 64, seed: int = 0, gap: float = 0.1
) -> Triplets:
    """`count` triplets of random patches of photographs, uint8 (H, W, 3), each with two natural distortions.

    mixed=False  one family, with severities at least `gap` apart in [0, 1], as people often confuse closer ones; the judge is
                 certain that the milder one is nearer
    mixed=True   two different families, with severities uniform in [0, 1]; the judge is NaN, as nobody has judged

    Patches are `size` pixels a side; the same seed gives the same triplets. ValueError without photographs or triplets.
    """
    if not photographs or count < 1:
        raise ValueError(f"Triplets need photographs and a count of at least 1; got {len(photographs)} and {count}.")
    generator = torch.Generator().manual_seed(seed)
    passes = math.ceil(count / len(photographs))
    order = torch.cat([torch.randperm(len(photographs), generator=generator) for _ in range(passes)])[:count]
    reference = torch.cat([random_patch(photographs[i], size, generator) for i in order.tolist()])
    names = list(DISTORTIONS)
    first = torch.randint(len(names), (count,), generator=generator)
    other = torch.randint(1, len(names), (count,), generator=generator)
    second = (first + other) % len(names) if mixed else first
    severity = torch.rand(2, count, generator=generator)
    if not mixed:
        severity *= 1 - gap
        severity += gap * (severity == severity.amax(0))

    candidates = []
    for families, strength in zip((first, second), severity):
        candidate = torch.empty_like(reference)
        for index in families.unique().tolist():
            rows = (families == index).nonzero()[:, 0]
            candidate[rows] = DISTORTIONS[names[index]](reference[rows], strength[rows], generator)
        candidates.append(candidate)

    judge = torch.full((count,), torch.nan) if mixed else (severity[1] < severity[0]).float()
    family = [names[a] + (f"/{names[b]}" if mixed else "") for a, b in zip(first.tolist(), second.tolist())]
    p0, p1 = candidates
    return Triplets(reference, p0, p1, judge, tuple(family), severity.T, order)


def read_bapps(folder: str | os.PathLike, limit: int | None = None, max_side: int = 512) -> Triplets:
    """The triplets of one BAPPS folder, such as 2afc/val/cnn.

    ref/, p0/ and p1/ hold pictures of the same names, and judge/ holds a .npy for each: the fraction of judges who chose p1.
    With a `limit`, at most so many triplets are read, evenly spread over the names. Pictures larger than `max_side` a side are
    scaled down. ValueError if files are missing, pictures differ in size, or judgements are not numbers in [0, 1].
    """
    folder = Path(folder)
    endings = {"ref": ENDINGS, "p0": ENDINGS, "p1": ENDINGS, "judge": (".npy",)}
    paths = {part: {path.stem: path for path in _files(folder / part, endings[part])} for part in endings}
    stems = sorted(paths["ref"])
    if not stems or any(set(files) != set(stems) for files in paths.values()):
        counts = ", ".join(f"{len(files)} in {part}" for part, files in paths.items())
        raise ValueError(f"{folder} needs the same names in ref, p0, p1 and judge, as BAPPS has; found {counts}.")

    count = min(len(stems), limit or len(stems))
    stems = [stems[index * len(stems) // count] for index in range(count)]

    def stack(part: str) -> Tensor:
        pixels = [read_picture(paths[part][stem], max_side=max_side).pixels for stem in stems]
        sizes = sorted({each.shape for each in pixels})
        if len(sizes) > 1:
            raise ValueError(f"All pictures of {folder} should have one size; got {sizes} (H×W×3).")
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255

    judge = torch.tensor([_judgement(paths["judge"][stem]) for stem in stems])
    if not ((judge >= 0) & (judge <= 1)).all():
        raise ValueError(f"Judgements lie in [0, 1]; {folder} has values from {judge.min():.3g} to {judge.max():.3g}.")
    severity = torch.full((len(stems), 2), torch.nan)
    # BAPPS does not say which patches come from one photograph: each counts as one of its own.
    alone = torch.arange(len(stems))
    return Triplets(stack("ref"), stack("p0"), stack("p1"), judge, (folder.name,) * len(stems), severity, alone)


def _judgement(path: Path) -> float:
    try:
        return float(np.load(path).item())
    except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} should hold one number, as BAPPS's judgements do.") from error
