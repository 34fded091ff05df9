"""Two-alternative forced choice: which of two candidates is nearer to a reference, and how an attacker turns
the choice.

Triplets come from a BAPPS folder (Zhang et al., arXiv 1801.03924: people judged) or are made from
photographs: a patch and two natural distortions of it. With one family of distortions the milder one is
nearer by construction; with two families nobody has judged, and two metrics can be compared. Everything is
(N, 3, H, W) in [0, 1] pixel units.
"""

import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from rlpips.data.distortions import DISTORTIONS
from rlpips.data.images import read_picture

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
_BATCH = 64  # pictures per pass of the network where no gradient is needed


@dataclass(frozen=True)
class Triplets:
    """`reference`, `p0`, `p1`: (N, 3, H, W) in [0, 1]. `judge` (N,): the fraction of judges who find p1
    nearer, NaN where nobody judged. `family`: N names of distortions, "noise" or, for two families,
    "noise/blur". `severity` (N, 2): of p0 and p1 in [0, 1], NaN where the distortion is not ours."""

    reference: torch.Tensor
    p0: torch.Tensor
    p1: torch.Tensor
    judge: torch.Tensor
    family: tuple[str, ...]
    severity: torch.Tensor

    def __len__(self):
        return len(self.reference)

    def __getitem__(self, index):
        """The triplets of a slice, or of a list of positions."""
        family = self.family[index] if isinstance(index, slice) else tuple(self.family[i] for i in index)
        return Triplets(*(getattr(self, name)[index] for name in _TENSORS[:4]), family, self.severity[index])

    @classmethod
    def cat(cls, parts):
        """One `Triplets` of several, whose pictures have one size."""
        reference, p0, p1, judge, severity = (torch.cat([getattr(part, name) for part in parts]) for name in _TENSORS)
        return cls(reference, p0, p1, judge, sum((part.family for part in parts), ()), severity)

    def to(self, device):
        return replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})

    def batches(self, size=_BATCH):
        for start in range(0, len(self), size):
            yield self[start : start + size]


_TENSORS = ("reference", "p0", "p1", "judge", "severity")


def find_pictures(folder):
    """The picture files of a folder, sorted by name; ValueError if there are none."""
    paths = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in PICTURES)
    if not paths:
        raise ValueError(f"There are no pictures ({', '.join(sorted(PICTURES))}) in the folder {folder}.")
    return paths


def read_photographs(paths, max_side=512):
    """The pixels of each file, uint8 (H, W, 3), at most `max_side` a side."""
    return [read_picture(path, max_side=max_side).pixels for path in paths]


def random_patch(photograph, size, generator):
    """A random square of uint8 (H, W, 3) as (1, 3, size, size) in [0, 1]: half of them cut at full
    resolution, half a larger square scaled down, so that textures and whole objects both occur."""
    pixels = torch.from_numpy(np.ascontiguousarray(photograph)).permute(2, 0, 1)[None].float() / 255
    draw = torch.rand(4, generator=generator).tolist()
    shortest = min(pixels.shape[2:])
    side = min(size, shortest)
    if draw[0] < 0.5:
        side = int(side * (shortest / side) ** draw[1])
    top, left = (int((length - side + 1) * u) for length, u in zip(pixels.shape[2:], draw[2:]))
    patch = pixels[:, :, top : top + side, left : left + side]
    return F.interpolate(patch, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


def split_photographs(paths):
    """Training, choosing and reporting: of the sorted names every fifth is held out, by turns to choose the
    best heads and to report on them."""
    train = [path for index, path in enumerate(paths) if index % 5]
    return train, paths[5::10], paths[0::10]


def make_triplets(photographs, count, mixed=False, size=64, seed=0, gap=0.1):
    """`count` triplets of random patches of uint8 photographs (H, W, 3), each with two natural distortions.

    mixed=False  one family, severities at least `gap` apart in [0, 1] (closer ones people would often mistake);
    the judge is sure that the milder one is nearer
    mixed=True   two different families, severities uniform in [0, 1]; the judge is NaN, for nobody has looked
    """
    if not photographs or count < 1:
        raise ValueError(f"Triplets need photographs and a count of at least 1; got {len(photographs)} and {count}.")
    generator = torch.Generator().manual_seed(seed)
    passes = math.ceil(count / len(photographs))
    order = torch.cat([torch.randperm(len(photographs), generator=generator) for _ in range(passes)])
    reference = torch.cat([random_patch(photographs[i], size, generator) for i in order[:count].tolist()])
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
    return Triplets(reference, *candidates, judge, tuple(family), severity.T)


def read_bapps(folder, most=None, max_side=512):
    """Triplets of one BAPPS folder, such as 2afc/val/cnn: ref/, p0/ and p1/ with pictures of the same names,
    and judge/ with a .npy each, the fraction of judges who chose p1. Of more than `most` names as many are read,
    evenly spread; larger pictures are scaled down to `max_side`. ValueError if a part is missing."""
    folder = Path(folder)
    paths = {part: {path.stem: path for path in folder.glob(f"{part}/*")} for part in ("ref", "p0", "p1", "judge")}
    stems = sorted(paths["ref"])
    if not stems or any(set(found) != set(stems) for found in paths.values()):
        counts = ", ".join(f"{len(found)} in {part}" for part, found in paths.items())
        raise ValueError(f"{folder} needs the same names in ref, p0, p1 and judge, as BAPPS has; found {counts}.")

    count = min(len(stems), most or len(stems))
    stems = [stems[index * len(stems) // count] for index in range(count)]

    def stack(part):
        pixels = [read_picture(paths[part][stem], max_side=max_side).pixels for stem in stems]
        sizes = sorted({each.shape for each in pixels})
        if len(sizes) > 1:
            raise ValueError(f"All pictures of {folder} should have one size; got {sizes} (H×W×3).")
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255

    judge = torch.tensor([_judgement(paths["judge"][stem]) for stem in stems])
    if not ((judge >= 0) & (judge <= 1)).all():
        raise ValueError(f"Judgements lie in [0, 1]; {folder} has values from {judge.min():.3g} to {judge.max():.3g}.")
    severity = torch.full((len(stems), 2), torch.nan)
    return Triplets(stack("ref"), stack("p0"), stack("p1"), judge, (folder.name,) * len(stems), severity)


def _judgement(path):
    try:
        return float(np.load(path).item())
    except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} should hold one number, as BAPPS's judgements do.") from error
