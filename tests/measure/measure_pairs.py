"""How fast many pairs are measured: `python tests/measure/measure_pairs.py [--sides 64 256] [--pairs 24] [--rounds 3]` prints a Markdown table.

The pairs are the recorded attacks, read from PNG files: cut into tiles, or whole; of each original there is one attacked picture. Three
ways take turns in every round. A loop over the `lpips` package has one model for each of the two metrics, as its users write it, and
prints distances alone; a second one also measures the seven JPEG copies of a ruler. `rlpips.compare` measures both metrics, norms, PSNR
and SSIM, layers and channels, with and without equivalents. Ratios above 1: `rlpips.compare` takes less time.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch is imported, as in app.py
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from PIL import Image

from rlpips.benchmark.packages import lpips_package
from rlpips.benchmark.timing import Table, in_turns, median_text, ratio_text
from rlpips.data.distortions import jpeg_copy
from rlpips.engine.ruler import SEVERITIES
from rlpips.pairs import example
from rlpips.pairs.compare import compare
from rlpips.zoo.catalog import PAIR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for side in options.sides:
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder), side, options.pairs)
            rows.append([f"{side}×{side}", options.pairs, *cells(Path(folder), options.pairs, options.rounds)])
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {options.rounds} rounds, without FLIP.\n")
    heads = ["compare", "distances only", "loop", "loop with rulers"]
    ratios = ["loop / compare", "loop / distances only", "loop with rulers / compare"]
    print(Table("Many pairs", "Milliseconds a pair.", ["pixels", "pairs", *heads, *ratios], rows))


def save(folder: Path, side: int, count: int) -> None:
    """Write pairs of that many pixels a side as PNG: tiles of the recorded attacks, each pair turned in a way of its own."""
    pictures = example.pictures()
    made = 0
    for name in [name for name in pictures if name.startswith("attacked")]:
        clean = pictures[f"clean/{name.removeprefix('attacked/').partition('_adv')[0]}.png"]
        for top in range(0, clean.shape[0] - side + 1, side):
            for left in range(0, clean.shape[1] - side + 1, side):
                for kind, pixels in (("clean", clean), ("adv", pictures[name])):
                    tile = np.rot90(pixels[top : top + side, left : left + side], made % 4)
                    (folder / kind).mkdir(exist_ok=True)
                    Image.fromarray(np.ascontiguousarray(tile[:, :: 1 - 2 * (made // 4 % 2)])).save(
                        folder / kind / f"{made:05}.png"
                    )
                made += 1
                if made == count:
                    return
    raise SystemExit(f"The recorded attacks give {made} pairs of {side} pixels; ask for fewer.")


def cells(folder: Path, count: int, rounds: int) -> list[str]:
    models = lpips_package(PAIR).models
    files = [sorted((folder / kind).iterdir()) for kind in ("clean", "adv")]

    def tensor(pixels: np.ndarray) -> torch.Tensor:  # as lpips.im2tensor makes it
        return torch.Tensor((pixels / (255.0 / 2) - 1)[:, :, :, None].transpose(3, 2, 0, 1))

    @torch.no_grad()
    def loop(rulers: bool) -> None:
        for both in zip(*files, strict=True):
            x, y = (np.asarray(Image.open(path).convert("RGB")) for path in both)
            copies = [jpeg_copy(x, severity) for severity in SEVERITIES] if rulers else []
            for model in models:
                for other in (y, *copies):
                    model(tensor(x), tensor(other)).item()

    def ours(equivalents: bool) -> None:
        compare(folder / "clean", folder / "adv", PAIR, equivalents=equivalents, eye=False, device="cpu")

    calls = {
        "compare": lambda: ours(True),
        "distances": lambda: ours(False),
        "loop": lambda: loop(False),
        "rulers": lambda: loop(True),
    }
    times = in_turns(calls, rounds)
    each = [median_text([ms / count for ms in times[name]]) for name in calls]
    ratios = [("loop", "compare"), ("loop", "distances"), ("rulers", "compare")]
    return [*each, *(ratio_text(times[one], times[other]) for one, other in ratios)]


if __name__ == "__main__":
    main()
