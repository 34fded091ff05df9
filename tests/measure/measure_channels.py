"""In how few channels an attack lives: `python tests/measure/measure_channels.py` prints Markdown tables.

    python tests/measure/measure_channels.py [alex] [vgg] [--side 128] [--steps 20] [--pictures 6]

For sample pictures, both norms and both objectives, within the budgets of the recorded duels: how many channels, the heaviest first, make 50
and 90 % of LPIPS's distance in the picture attacked against LPIPS, in the one against R-LPIPS l_inf, in noise of the same budget, and in two
JPEG copies: the one that LPIPS finds nearest in distance to the attack on it, and the one of quality 16; and which channel is the heaviest, with
its share. R-LPIPS's own counts follow. "Toward" pulls the next sample to look like this one.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from PIL import Image

import rlpips
from rlpips.data import images
from rlpips.data.distortions import DISTORTIONS
from rlpips.traces.schema import SharedTrunk
from rlpips.ui.components.samples import SAMPLES

METRICS = ("lpips", "rlpips-linf")
BACKBONES = ("alex", "vgg")
BUDGETS = {
    "away": {"linf": 4 / 255, "l2": 3},
    "toward": {"linf": 8 / 255, "l2": 5},
}  # as recorded; l2 at 256 pixels a side
SEVERITIES = np.linspace(0, 1, 41)
COLUMNS = ("attack on LPIPS", "attack on R-LPIPS", "noise", "JPEG as far", "JPEG 16")


def how_many(parts: np.ndarray, share: float) -> int:
    """How many of the parts, the largest first, make a share of their sum."""
    return int(np.searchsorted(np.sort(parts)[::-1].cumsum(), (share - 1e-9) * parts.sum()) + 1)


def cell(parts: np.ndarray, trunk: SharedTrunk) -> str:
    """How many make 50 · 90 %, then the heaviest, as the page names it, and its share."""
    names = [f"{layer}·{place}" for layer, count in zip(trunk.layers, trunk.channels) for place in range(count)]
    share = 100 * parts.max() / parts.sum()
    return f"{how_many(parts, 0.5)} · {how_many(parts, 0.9)}; {names[parts.argmax()]} {share:.0f} %"


def copies(metric: rlpips.PerceptualMetric, picture: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The names of JPEG copies, and their mean squared differences (S, C), weights not applied."""
    reference = images.to_tensor(picture)
    with torch.no_grad():
        pairs = [metric.trunk(torch.cat([reference, DISTORTIONS["jpeg"](reference, float(s))])) for s in SEVERITIES]
    squared = [np.concatenate([(f[1] - f[0]).square().mean((1, 2)).numpy() for f in features]) for features in pairs]
    return [DISTORTIONS["jpeg"].describe(float(severity)) for severity in SEVERITIES], np.stack(squared)


def rows(
    backbone: str, pictures: list[np.ndarray], names: list[str], norm: str, objective: str, options: argparse.Namespace
):
    """One row for each picture: {column: parts (2, C) under both metrics}, its trunk and the JPEG that is as far."""
    others = [*pictures[1:], pictures[0]] if objective == "toward" else [None] * len(pictures)
    eps = BUDGETS[objective][norm] * (options.side / 256 if norm == "l2" else 1)
    settings = {
        "backbone": backbone,
        "norm": norm,
        "objective": objective,
        "eps": eps,
        "steps": options.steps,
        "seed": 0,
    }
    metric = rlpips.load_metric("lpips", backbone)
    for picture, candidate, name in zip(pictures, others, names):
        trace = rlpips.attack(picture, candidate, metrics=METRICS, **settings)
        trunk, (attacked, robust, noise) = trace.trunks[0], trace.per_channel[-1]
        words, jpeg = copies(metric, picture)
        distance = jpeg @ trunk.heads[0]
        near = int(np.abs(np.log(np.maximum(distance, 1e-9) / (trunk.heads[0] @ attacked))).argmin())
        sixteen = next(k for k, word in enumerate(words) if int(word.split()[-1]) <= 16)
        squared = dict(zip(COLUMNS, (attacked, robust, noise, jpeg[near], jpeg[sixteen])))
        yield name, {column: trunk.heads * q for column, q in squared.items()}, trunk, words[near].split()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", metavar="backbone", help=f"of {', '.join(BACKBONES)}; all by default")
    parser.add_argument("--side", type=int, default=128, help="pixels a side")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=6)
    options = parser.parse_args()
    chosen = SAMPLES[: options.pictures]
    size = (options.side, options.side)
    pictures = [
        np.asarray(Image.fromarray(each.picture().pixels).resize(size, Image.Resampling.LANCZOS)) for each in chosen
    ]
    for backbone in options.backbones or BACKBONES:
        print(
            f"\n### {backbone}, {options.side} px, {options.steps} steps: channels for 50 · 90 % of LPIPS's distance; the heaviest\n"
        )
        print(f"| picture | attack | {' | '.join(COLUMNS)} | R-LPIPS's: attack on R-LPIPS | JPEG 16 |")
        print("|" + " --- |" * (len(COLUMNS) + 4), flush=True)
        for objective in ("away", "toward"):
            for norm in ("linf", "l2"):
                for name, parts, trunk, quality in rows(
                    backbone, pictures, [each.name for each in chosen], norm, objective, options
                ):
                    under = {column: cell(both[0], trunk) for column, both in parts.items()}
                    under["JPEG as far"] += f" (quality {quality})"
                    own = [cell(parts[column][1], trunk) for column in ("attack on R-LPIPS", "JPEG 16")]
                    print("| " + " | ".join([name, f"{objective} {norm}", *under.values(), *own]) + " |", flush=True)


if __name__ == "__main__":
    main()
