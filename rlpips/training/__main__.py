"""`python -m rlpips.training`: train R-LPIPS heads and write them with their card; `python -m rlpips.training tune`: the trunk, too."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import safetensors.torch

from rlpips.device import pick_device
from rlpips.metrics.lpips import load_metric
from rlpips.parallel import is_first, join
from rlpips.progress import Progress
from rlpips.training.command import command_line, exit_on_errors
from rlpips.training.data import Source, prepare, read_sources
from rlpips.training.heads import train
from rlpips.training.settings import Settings, add_settings
from rlpips.zoo import cards


def main(arguments: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["tune"]:
        from rlpips.training import tune_command

        tune_command.main(arguments[1:])
        return
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.training", description="Train R-LPIPS heads.", allow_abbrev=False
    )
    parser.usage = (
        "%(prog)s [tune] (--images FOLDER | --bapps FOLDER) --out FILE.safetensors [options]; --help lists them"
    )
    parser.add_argument("--images", help="folder of photographs; every fifth is held out")
    parser.add_argument(
        "--bapps", help="folder with 2afc/train/<family>/{ref,p0,p1,judge}; every fifth triplet is held out"
    )
    parser.add_argument("--out", required=True, type=Path, help="file for the heads; the card (.json) goes beside it")
    parser.add_argument("--data", help="what the photographs or triplets are, for the card")
    parser.add_argument("--device", default="cpu")
    add_settings(parser)
    options = vars(parser.parse_args(arguments))
    images, bapps, out, data, device = (options.pop(name) for name in ("images", "bapps", "out", "data", "device"))
    state = out.with_suffix(".state.safetensors")

    with exit_on_errors(lambda: f"the same command {'continues' if state.is_file() else 'starts again'}"):
        settings = Settings(**options)
        if out.suffix != ".safetensors" or not out.parent.is_dir():
            raise ValueError(f"--out must be a .safetensors file in a folder that exists; got {out}.")
        device = join(pick_device(device))
        sources, progress = read_sources(images, bapps, settings), Progress()
        progress("computing features of natural pairs")
        lpips = load_metric("lpips", settings.backbone, device)
        learning, choosing, _ = sources
        training_data = prepare(settings, learning, choosing, lpips, device)
        heads, seconds = train(settings, training_data, lpips, progress, state)
        if is_first():
            raw = safetensors.torch.save(
                {str(layer): head.cpu() for layer, head in enumerate(heads)},
                {"title": f"R-LPIPS heads, {settings.norm}, {settings.backbone}"},
            )
            card = {
                "backbone": settings.backbone,
                "norm": settings.norm,
                **_describe_data(sources, data),
                "settings": {**asdict(settings), "eps": settings.budget},
                "seconds": round(seconds),
                "command": _command(settings, images, bapps, out, data),
                "limits": _limits(images, bapps),
            }
            cards.write(out, raw, card)
            state.unlink(missing_ok=True)


def _describe_data(sources: Sequence[Source], data: str | None) -> dict[str, Any]:
    counts = {
        "photographs": [len(source.photographs) for source in sources],
        "judged triplets": [len(source.judged or ()) for source in sources],
    }
    parts = "trained on", "held out to choose", "held out to report"
    rows = {name: dict(zip(parts, count, strict=True)) for name, count in counts.items() if any(count)}
    return {"data": data or " and ".join(rows), **rows}


def _command(settings: Settings, images: str | None, bapps: str | None, out: Path, data: str | None) -> str:
    """The command that gives the same heads, with FOLDER in place of the user's own paths."""
    changed = {
        field.name: value for field in fields(Settings) if (value := getattr(settings, field.name)) != field.default
    }
    folders = {"images": images and "FOLDER", "bapps": bapps and "FOLDER"}
    return command_line("rlpips.training", {**folders, "out": out.name, "data": data, **changed})


def _limits(images: str | None, bapps: str | None) -> str:
    basis = {
        (True, False): "synthetic distortions, with LPIPS as the judge between families, not on human judgements",
        (False, True): "human judgements alone",
        (True, True): "human judgements, and on synthetic distortions of two families, which LPIPS judged",
    }[bool(images), bool(bapps)]
    return (
        f"Trained on {basis}; these are not the weights of the R-LPIPS paper. "
        "Robust against the attack and the budget named, less so against larger ones."
    )


if __name__ == "__main__":
    main()
