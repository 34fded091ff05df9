"""The command `python -m rlpips.training tune`: train trunk and heads and write them with their card."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import safetensors.torch

from rlpips import saving
from rlpips.device import pick_device
from rlpips.metrics.lpips import load_metric
from rlpips.parallel import is_first, join
from rlpips.progress import Progress
from rlpips.training.command import command_line, exit_on_errors
from rlpips.training.data import Source, read_sources
from rlpips.training.settings import Settings, add_settings
from rlpips.training.tune import tune
from rlpips.training.tune_settings import TuneSettings
from rlpips.zoo import cards, weights

LIMITS = (
    "Trained on synthetic distortions, with LPIPS as the judge between families, not on human judgements; these are not the weights of "
    "the R-LPIPS paper. Robust against the attack and the budget named, less so against larger ones."
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.training tune",
        description="Train the trunk of R-LPIPS as well as its heads.",
        allow_abbrev=False,
    )
    parser.usage = "%(prog)s --images FOLDER [FOLDER …] --out FILE.safetensors [options]; --help lists them"
    parser.add_argument(
        "--images", required=True, nargs="+", help="folders of photographs; every fifth of each is held out"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="file for the heads; the trunk (…_trunk.safetensors) and the card go beside it",
    )
    parser.add_argument("--data", help="what the photographs are, for the card")
    parser.add_argument("--device", default="cpu")
    add_settings(parser, TuneSettings())
    options = vars(parser.parse_args(arguments))
    images, out, data, device = (options.pop(name) for name in ("images", "out", "data", "device"))
    state = out.with_suffix(".state.safetensors")

    with exit_on_errors(lambda: f"the same command {'continues' if state.is_file() else 'starts again'}"):
        settings = TuneSettings(**options)
        if out.suffix != ".safetensors" or not out.parent.is_dir():
            raise ValueError(f"--out must be a .safetensors file in a folder that exists; got {out}.")
        device = join(pick_device(device))
        folders = [read_sources(folder, None, Settings()) for folder in images]
        parts = [
            Source([each for source in part for each in source.photographs]) for part in zip(*folders, strict=True)
        ]
        lpips = load_metric("lpips", settings.backbone, device)
        heads = weights.load_heads(f"rlpips-{settings.norm}", settings.backbone)
        trunk, heads, seconds = tune(settings, parts[0], parts[1], lpips, heads, Progress(), state)
        if is_first():
            tensors = {
                key: value.half() for key, value in trunk.cpu().state_dict().items() if key.startswith("features.")
            }
            tensors["softness"] = trunk.softness
            trunk_file = out.with_stem(f"{out.stem}_trunk")
            saving.write(trunk_file, safetensors.torch.save(tensors))
            changed = {
                field.name: value
                for field in fields(settings)
                if (value := getattr(settings, field.name)) != field.default
            }
            named = {"images": ["FOLDER"] * len(images), "out": out.name, "data": data, **changed}
            names = ("trained on", "held out to choose", "held out to report")
            card = {
                "backbone": settings.backbone,
                "norm": settings.norm,
                "trunk": trunk_file.name,
                "data": data or "photographs",
                "photographs": {name: len(part.photographs) for name, part in zip(names, parts, strict=True)},
                "settings": {**asdict(settings), "eps": settings.budget},
                "seconds": round(seconds),
                "command": command_line("rlpips.training tune", named),
                "limits": LIMITS,
            }
            raw = safetensors.torch.save({str(layer): head.cpu().clone() for layer, head in enumerate(heads)})
            cards.write(out, raw, card)
            state.unlink(missing_ok=True)
