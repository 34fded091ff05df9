"""What heads are trained on: triplets from photographs or from BAPPS, and what the trunk sees in them.

A distance is linear in the heads. A pair of pictures is represented by its mean squared feature difference in every channel
(`channel_differences`); the distance is the dot product of this vector with the heads. The trunk is frozen, so the vectors of
natural pairs are computed once.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rlpips.data.triplets import Triplets, find_pictures, make_triplets, read_bapps, read_photographs, split_photographs
from rlpips.metrics.backbones import Trunk
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import share
from rlpips.training.settings import Settings


@dataclass(frozen=True)
class Source:
    """Where triplets come from: photographs, uint8 (H, W, 3), or triplets that people judged, or both."""

    photographs: Sequence[np.ndarray]
    judged: Triplets | None = None

    def triplets(self, count: int, mixed: int, size: int, seed: int, gap: float = 0.1) -> tuple[Triplets, Triplets]:
        """(triplets with a judge, triplets of mixed families).

        The first are `count` triplets on which heads are attacked. People judged them if there are judgements; otherwise they
        are of one family of distortions, at two severities at least `gap` apart. The second are `mixed` triplets of two
        families without a judge, which keep the metric close to LPIPS. Without photographs they are the first again.
        """
        if self.judged is None:
            same = make_triplets(self.photographs, count, False, size, seed, gap)
        else:
            same = self.judged[:count]
        return same, make_triplets(self.photographs, mixed, True, size, seed + 1) if self.photographs else same


def read_sources(images: str | Path | None, bapps: str | Path | None, settings: Settings) -> list[Source]:
    """Three `Source`s: for training, for the choice of the best heads, and for the report.

    `images` is a folder of photographs, `bapps` a folder with 2afc/train/<family>/{ref,p0,p1,judge}; one may be None. Of the
    sorted photographs every fifth is held out, of the judged triplets a random fifth. ValueError for a folder that lacks
    something, or holds less than 6 photographs or triplets.
    """
    if not images and not bapps:
        raise ValueError("Give a folder of photographs, a BAPPS folder, or both; got neither.")
    photographs: list[list[np.ndarray]] = [[], [], []]
    judged: list[Triplets | None] = [None, None, None]
    if images:
        paths = find_pictures(images)
        if len(paths) < 6:
            raise ValueError(
                f"A training needs at least 6 photographs, as some are held out; {images} has {len(paths)}."
            )
        photographs = [read_photographs(part) for part in split_photographs(paths)]
    if bapps:
        judged = [*_read_judged(Path(bapps), settings)]
    return [Source(*part) for part in zip(photographs, judged, strict=True)]


def _read_judged(folder: Path, settings: Settings) -> list[Triplets]:
    """Triplets that people judged, in three parts, as many of each family, in an order drawn by the seed."""
    families = sorted(path for path in folder.glob("2afc/train/*") if path.is_dir())
    if not families:
        raise ValueError(f"{folder} has no folders 2afc/train/<family>, as BAPPS has.")
    count = -(-settings.triplets * 5 // (4 * len(families)))  # of each family, rounded up; a fifth is held out
    parts = [read_bapps(family, count, settings.size) for family in families]
    shapes = {tuple(part.reference.shape[1:]) for part in parts}
    if len(shapes) > 1:
        raise ValueError(f"All pictures of BAPPS should have one size; {folder} has {sorted(shapes)} (3×H×W).")
    triplets = Triplets.cat(parts)
    if len(triplets) < 6:
        raise ValueError(f"A training needs at least 6 triplets, as some are held out; {folder} has {len(triplets)}.")
    order = torch.randperm(len(triplets), generator=torch.Generator().manual_seed(settings.seed)).tolist()
    return [triplets[rows] for rows in split_photographs(order)]


def channel_differences(trunk: Trunk, reference: Tensor, *candidates: Tensor) -> Tensor:
    """The mean squared difference of the trunk's features in every channel, (K, N, C_0 + … + C_L-1), between `reference` and
    K `candidates`, all (N, 3, H, W) in [0, 1]. Its product with a metric's heads is the distance. Processes share the work."""

    @torch.no_grad()
    def work(rows: Tensor) -> Tensor:
        features = trunk(reference[rows])
        return torch.stack(
            [
                torch.cat([(a - b).square().mean((2, 3)) for a, b in zip(features, trunk(x[rows]), strict=True)], 1)
                for x in candidates
            ]
        )

    return torch.cat(share(work, torch.arange(len(reference)).split(64)), 1)


@dataclass(frozen=True)
class TrainingData:
    """What heads are trained on, with C = C_0 + … + C_L-1 channels.

    triplets     N triplets with a judge, to train on and to attack
    clean        their channel differences (2, N, C), from the reference to p0 and to p1
    mixed        channel differences of M triplets of mixed families, (2, M, C)
    mixed_judge  (M,) in [0, 1], the fraction of judges who find p1 nearer, or LPIPS's certainty that it is
    validation   two sets of triplets that choose the best heads: with a judge, and of mixed families
    """

    triplets: Triplets
    clean: Tensor
    mixed: Tensor
    mixed_judge: Tensor
    validation: tuple[Triplets, Triplets]

    def digest(self) -> str:
        """The sha256 of the pictures and judgements, which tells this data from other data."""
        sha256 = hashlib.sha256()
        for tensor in (
            self.triplets.reference,
            self.triplets.p1,
            self.triplets.judge,
            self.mixed_judge,
            self.validation[0].p0,
        ):
            sha256.update(tensor.cpu().contiguous().numpy().tobytes())
        return sha256.hexdigest()


def prepare(
    settings: Settings,
    learning: Source,
    choosing: Source,
    lpips: PerceptualMetric,
    device: str | torch.device = "cpu",
) -> TrainingData:
    """The `TrainingData` of two `Source`s, on `device`. Where no person judged, `lpips` does, by its distances:
    1 / (1 + (d1 / d0)^s) that p1 is nearer, with s the sharpness of the settings."""

    def draw(source: Source, count: int, mixed: int, seed: int, gap: float = 0.1) -> tuple[Triplets, Triplets]:
        same, other = source.triplets(count, mixed, settings.size, seed, gap)
        return same.to(device), other.to(device)

    triplets, other = draw(learning, settings.triplets, settings.triplets, settings.seed, settings.gap)
    validation = draw(choosing, settings.validation, 4 * settings.validation, settings.seed + 2)
    clean = channel_differences(lpips.trunk, triplets.reference, triplets.p0, triplets.p1)
    mixed = channel_differences(lpips.trunk, other.reference, other.p0, other.p1)
    d0, d1 = mixed @ torch.cat(lpips.heads)
    judge_of_lpips = torch.sigmoid(settings.sharpness * log_ratio(d0, d1))
    mixed_judge = torch.where(other.judge.isnan(), judge_of_lpips, other.judge)
    return TrainingData(triplets, clean, mixed, mixed_judge, validation)


def log_ratio(d0: Tensor, d1: Tensor) -> Tensor:
    """log(d0 / d1) of distances (N,). Distances below 1e-8 are rounding errors of 0, and 1e-8 is added to both."""
    return (d0 + 1e-8).log() - (d1 + 1e-8).log()
