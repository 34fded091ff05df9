"""What heads are trained on: triplets from photographs or from BAPPS, and what the trunk sees in them.

A distance is linear in the heads: a pair of pictures is the vector of its mean squared differences per channel
(`evidence`), and its distance the dot product of that with the heads. What the frozen trunk sees in natural pairs is
therefore computed once.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from rlpips.data.triplets import Triplets, find_pictures, make_triplets, read_bapps, read_photographs, split_photographs
from rlpips.parallel import share


@dataclass(frozen=True)
class Source:
    """Where triplets come from: photographs, uint8 (H, W, 3), or triplets that people judged, or both."""

    photographs: list
    judged: Triplets | None = None

    def triplets(self, count, mixed, size, seed, gap=0.1):
        """(what the heads are attacked on, what keeps the metric perceptual).

        First, `count` triplets with a judge: people's where there are any, else of one family of distortions at two
        severities at least `gap` apart. Second, `mixed` triplets of two families, which have no judge and are left to
        LPIPS; without photographs the same judged triplets once more.
        """
        if self.judged is None:
            same = make_triplets(self.photographs, count, False, size, seed, gap)
        else:
            same = self.judged[:count]
        return same, make_triplets(self.photographs, mixed, True, size, seed + 1) if self.photographs else same


def read_sources(images, bapps, settings):
    """Three `Source`s, for training, choosing and reporting, from a folder of photographs and a BAPPS folder (with
    2afc/train/<family>/{ref,p0,p1,judge} in it); either may be None. Of the sorted names every fifth is held out."""
    if not images and not bapps:
        raise ValueError("Give a folder of photographs, a BAPPS folder, or both; got neither.")
    parts = [[], [], []]
    if images:
        paths = find_pictures(images)
        if len(paths) < 6:
            raise ValueError(f"Training takes at least 6 photographs, as some are held out; {images} has {len(paths)}.")
        parts = [read_photographs(part) for part in split_photographs(paths)]
    judged = _read_judged(Path(bapps), settings) if bapps else [None] * 3
    return [Source(*part) for part in zip(parts, judged)]


def _read_judged(folder, settings):
    """Triplets that people judged, in three parts, as many of each family, in an order drawn by the seed."""
    families = sorted(path for path in folder.glob("2afc/train/*") if path.is_dir())
    if not families:
        raise ValueError(f"{folder} has no folders 2afc/train/<family>, as BAPPS has.")
    most = -(-settings.triplets * 5 // (4 * len(families)))  # a fifth is held out
    read = [read_bapps(family, most, settings.size) for family in families]
    shapes = {tuple(each.reference.shape[1:]) for each in read}
    if len(shapes) > 1:
        raise ValueError(f"All pictures of BAPPS should have one size; {folder} has {sorted(shapes)} (3×H×W).")
    whole = Triplets.cat(read)
    if len(whole) < 6:
        raise ValueError(f"Training takes at least 6 triplets, as some are held out; {folder} has {len(whole)}.")
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(settings.seed)).tolist()
    return [whole[part] for part in split_photographs(order)]


def evidence(trunk, reference, *candidates):
    """The mean squared difference of the trunk's features in every channel, (K, N, C_0 + … + C_L-1), between
    `reference` and K `candidates`, all (N, 3, H, W) in [0, 1]; a metric on this trunk is this times its heads.
    Processes share the work."""

    @torch.no_grad()
    def work(rows):
        features = trunk(reference[rows])
        return torch.stack(
            [
                torch.cat([(a - b).square().mean((2, 3)) for a, b in zip(features, trunk(x[rows]), strict=True)], 1)
                for x in candidates
            ]
        )

    return torch.cat(share(work, torch.arange(len(reference)).split(64)), 1)


@dataclass(frozen=True)
class Material:
    """Triplets `same` with their `natural` evidence (2, N, C); the evidence `between` the pictures of other triplets,
    (2, M, C), with the `opinion` (M,) that p1 is nearer; `validation`, two sets of triplets to choose heads by."""

    same: Triplets
    natural: torch.Tensor
    between: torch.Tensor
    opinion: torch.Tensor
    validation: tuple[Triplets, Triplets]

    def digest(self):
        """A short text that differs for other data."""
        parts = (self.same.reference, self.same.p1, self.same.judge, self.opinion, self.validation[0].p0)
        whole = hashlib.sha256()
        for part in parts:
            whole.update(part.cpu().contiguous().numpy().tobytes())
        return whole.hexdigest()


def look(settings, learning, choosing, lpips, device="cpu"):
    """The `Material` of two `Source`s; `lpips` judges where no person has, as surely as its distances differ."""
    parts = [
        [triplets.to(device) for triplets in source.triplets(*options)]
        for source, options in (
            (learning, (settings.triplets, settings.triplets, settings.size, settings.seed, settings.gap)),
            (choosing, (settings.validation, 4 * settings.validation, settings.size, settings.seed + 2)),
        )
    ]
    same, mixed = parts[0]
    natural = evidence(lpips.trunk, same.reference, same.p0, same.p1)
    between = evidence(lpips.trunk, mixed.reference, mixed.p0, mixed.p1)
    d0, d1 = between @ torch.cat(lpips.heads)
    believed = torch.sigmoid(settings.sharpness * log_ratio(d0, d1))
    return Material(same, natural, between, torch.where(mixed.judge.isnan(), believed, mixed.judge), tuple(parts[1]))


def log_ratio(d0, d1):
    """log(d0 / d1). Below 1e-8 two pictures are the same, and the logarithm would only tell rounding errors apart."""
    return (d0 + 1e-8).log() - (d1 + 1e-8).log()
