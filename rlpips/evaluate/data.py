"""The triplets that `rlpips.evaluate` measures on: made from photographs, or BAPPS's own."""

import math
import sys
from dataclasses import dataclass

import torch

from rlpips import paths
from rlpips.data.triplets import (  # fmt: skip
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
    """`same` has judges and is attacked, `mixed` serves for the agreement and the mean natural distance; `large` and
    `large_mixed` are the same with larger pictures, where they were asked for. `facts` says what it all is."""

    same: Triplets
    mixed: Triplets
    facts: dict
    large: Triplets | None = None
    large_mixed: Triplets | None = None


def from_photographs(folder, everything, counts, size, gap, seed, large=None):
    """Triplets of the photographs in a folder, or of the sample pictures for None.

    everything  whether all serve, or every tenth by name only: those that training with the same folder never saw
    counts      (of one family, of two families); size: pixels a side; gap: as for `make_triplets`
    large       (count, size) of the larger ones; four times as many of two families

    Raises ValueError for a folder without pictures, or one that cannot be read.
    """
    files = find_pictures(folder or paths.SAMPLES)
    if not folder:
        words = f"the {len(files)} sample pictures, which are few"
        if is_first():
            print(f"Without --images: {words}.", file=sys.stderr)
    elif everything:
        words = "all photographs of a folder"
    else:
        words = "every tenth photograph of a folder by name, which training holds out to report on"
        files = split_photographs(files)[2]
    photographs = read_photographs(files)

    def triplets(count, mixed, size):
        return make_triplets(photographs, count, mixed, size, seed, gap)

    facts = {"data": words, "photographs": len(files), "natural": counts[0], "mixed": counts[1], "size": size}
    larger = (triplets(large[0], False, large[1]), triplets(4 * large[0], True, large[1])) if large else ()
    same, mixed = (triplets(count, mix, size) for count, mix in zip(counts, (False, True)))
    return Data(same, mixed, {**facts, "gap": gap}, *larger)


def from_bapps(folder, count, seed):
    """Triplets of the validation part of BAPPS: of each family 2afc/val/<family> an equal share of `count`, or for None
    all there are, shuffled. Raises ValueError for another layout, or families with pictures of several sizes."""
    families = sorted(path for path in (folder / "2afc" / "val").glob("*") if path.is_dir())
    if not families:
        raise ValueError(f"There is no BAPPS in {folder}: it would have folders such as 2afc/val/cnn.")
    parts = [read_bapps(family, count and math.ceil(count / len(families))) for family in families]
    sizes = {part.reference.shape[1:] for part in parts}
    if len(sizes) > 1:
        raise ValueError(f"The pictures of all families in {folder} should have one size; got {len(sizes)} sizes.")
    same = Triplets.cat(parts)
    facts = {"data": f"BAPPS, {', '.join(path.name for path in families)}", "photographs": None}
    size = same.reference.shape[-1]
    same = same[
        torch.randperm(len(same), generator=torch.Generator().manual_seed(seed)).tolist()
    ]  # so that the first few are of all families
    return Data(same, same, {**facts, "natural": len(same), "mixed": len(same), "size": size, "gap": None})
