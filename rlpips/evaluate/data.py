"""The triplets that `rlpips.evaluate` measures on: made from photographs, or those of BAPPS."""

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rlpips import paths
from rlpips.data.triplets import (
    Triplets,
    find_pictures,
    make_triplets,
    read_bapps,
    read_photographs,
    split_photographs,
)
from rlpips.parallel import is_first


@dataclass(frozen=True)
class Data:
    """Triplets to measure on.

    same, mixed         with judges, scored and attacked; and for the agreement and the mean natural distance
    facts               where they come from and how many there are, ready for JSON
    large, large_mixed  the same as `same` and `mixed` with larger pictures, if there are any
    judged              the quality of the candidates of `mixed` to a judge, if one was asked (`rlpips.evaluate.judge.qualities`)
    """

    same: Triplets
    mixed: Triplets
    facts: dict[str, Any]
    large: Triplets | None = None
    large_mixed: Triplets | None = None
    judged: tuple[torch.Tensor, torch.Tensor] | None = None


def from_photographs(
    folder: Path | None,
    everything: bool,
    counts: tuple[int, int],
    size: int,
    gap: float,
    seed: int,
    large: tuple[int, int] | None = None,
) -> Data:
    """Triplets of the photographs in a folder; None takes the sample pictures.

    everything  use all photographs; otherwise every tenth by name, which a training with the same folder never sees
    counts      (triplets of one family, triplets of two families)
    size, gap   pixels a side, and the least difference of severities (see `make_triplets`)
    large       (count, size) of the larger triplets of one family; there are four times as many of two families

    Raises ValueError for a folder without pictures, or a picture that cannot be read.
    """
    files = find_pictures(folder or paths.SAMPLES)
    if folder is None:
        source = f"the {len(files)} sample pictures, which are few"
        if is_first():
            print(f"Without --images: {source}.", file=sys.stderr)
    elif everything:
        source = "all photographs of a folder"
    else:
        source = "every tenth photograph of a folder by name, which training holds out to report on"
        files = split_photographs(files)[2]
    photographs = read_photographs(files)

    def triplets(count: int, mixed: bool, size: int) -> Triplets:
        return make_triplets(photographs, count, mixed, size, seed, gap)

    same, mixed = triplets(counts[0], False, size), triplets(counts[1], True, size)
    facts = {
        "data": source,
        "photographs": len(files),
        "natural": counts[0],
        "mixed": counts[1],
        "size": size,
        "gap": gap,
    }
    if large is None:
        return Data(same, mixed, facts)
    count, large_size = large
    return Data(same, mixed, facts, triplets(count, False, large_size), triplets(4 * count, True, large_size))


def from_bapps(folder: Path, count: int | None, seed: int) -> Data:
    """Triplets of the validation part of BAPPS (Zhang et al., arXiv 1801.03924), shuffled: an equal share of `count` from
    each family 2afc/val/<family>, or all of them for None. Raises ValueError for another layout, or for families whose
    pictures differ in size."""
    families = sorted(path for path in (folder / "2afc" / "val").glob("*") if path.is_dir())
    if not families:
        raise ValueError(f"There is no BAPPS in {folder}: it would have folders such as 2afc/val/cnn.")
    parts = [read_bapps(family, count and math.ceil(count / len(families))) for family in families]
    sizes = {part.reference.shape[1:] for part in parts}
    if len(sizes) > 1:
        raise ValueError(f"The pictures of all families in {folder} should have one size; got {len(sizes)} sizes.")
    same = Triplets.cat(parts)
    same = replace(same, photograph=torch.arange(len(same)))  # no two count as one across families either
    order = torch.randperm(len(same), generator=torch.Generator().manual_seed(seed))
    same = same[order.tolist()]  # shuffled, so that the first few are of all families
    facts = {
        "data": f"BAPPS, {', '.join(path.name for path in families)}",
        "photographs": None,
        "natural": len(same),
        "mixed": len(same),
        "size": same.reference.shape[-1],
        "gap": None,
    }
    return Data(same, same, facts)
