"""`python -m rlpips.training`: train R-LPIPS heads and write them with their card."""

import argparse
import hashlib
import shlex
import sys
from dataclasses import asdict, fields
from pathlib import Path

import safetensors.torch

from rlpips.device import pick_device
from rlpips.metrics.lpips import load_metric
from rlpips.parallel import is_first, join, leave
from rlpips.progress import Progress
from rlpips.training.data import look, read_sources
from rlpips.training.heads import train
from rlpips.training.settings import Settings, add_settings
from rlpips.zoo import cards


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.training", description="Train R-LPIPS heads.", allow_abbrev=False
    )
    parser.usage = "%(prog)s (--images FOLDER | --bapps FOLDER) --out FILE.safetensors [options]; --help names them"
    parser.add_argument("--images", help="folder of photographs; every fifth is held out")
    parser.add_argument(
        "--bapps", help="folder with 2afc/train/<family>/{ref,p0,p1,judge}; every fifth triplet is held out"
    )
    parser.add_argument("--out", required=True, type=Path, help="the heads (.safetensors); a card (.json) beside them")
    parser.add_argument("--data", help="what the photographs or triplets are, for the card")
    parser.add_argument("--device", default="cpu")
    add_settings(parser)
    chosen = vars(parser.parse_args(arguments))
    images, bapps, out, data, device = (chosen.pop(name) for name in ("images", "bapps", "out", "data", "device"))
    state = out.with_suffix(".state.safetensors")
    try:
        settings = Settings(**chosen)
        if out.suffix != ".safetensors" or not out.parent.is_dir():
            raise ValueError(f"--out must be a .safetensors file in a folder that is there; got {out}.")
        device = join(pick_device(device))
        sources, progress = read_sources(images, bapps, settings), Progress()
        progress("looking at natural pairs")
        lpips = load_metric("lpips", settings.backbone, device)
        heads, seconds = train(settings, look(settings, *sources[:2], lpips, device), lpips, progress, state)
        if is_first():
            raw = safetensors.torch.save(
                {str(layer): head.cpu() for layer, head in enumerate(heads)},
                {"title": f"R-LPIPS heads, {settings.norm}, {settings.backbone}"},
            )
            out.write_bytes(raw)
            card = {"file": out.name, "sha256": hashlib.sha256(raw).hexdigest(), "backbone": settings.backbone}
            card |= {"norm": settings.norm, **_about(settings, sources, data), "seconds": round(seconds)}
            card |= {"command": _command(settings, images, bapps, out, data), "limits": _limits(images, bapps)}
            out.with_suffix(".json").write_text(cards.format_json(card), "utf-8")
            state.unlink(missing_ok=True)
    except ValueError as error:
        sys.exit(_say(error, 2))
    except FloatingPointError as error:
        sys.exit(_say(error, 1))
    except KeyboardInterrupt:
        goes_on = "goes on from the last state that was kept" if state.is_file() else "begins anew"
        sys.exit(_say(f"Interrupted; the same command {goes_on}.", 130))
    finally:
        leave()


def _say(error, code):
    print(error, file=sys.stderr)
    return code


def _about(settings, sources, data):
    counts = {"photographs": [len(source.photographs) for source in sources]}
    counts["judged triplets"] = [len(source.judged or ()) for source in sources]
    parts = "trained on", "held out to choose", "held out to report"
    about = {name: dict(zip(parts, count)) for name, count in counts.items() if any(count)}
    return {"data": data or " and ".join(about), **about, "settings": {**asdict(settings), "eps": settings.budget}}


def _command(settings, images, bapps, out, data):
    """The command that repeats this, with FOLDER for the user's own paths."""
    words = ["python -m rlpips.training"]
    words += [f"--{name} FOLDER" for name, folder in (("images", images), ("bapps", bapps)) if folder]
    words += [f"--out {shlex.quote(out.name)}"] + ([f"--data {shlex.quote(data)}"] if data else [])
    for field in fields(Settings):
        if (value := getattr(settings, field.name)) != field.default:
            words.append(f"--{field.name.replace('_', '-')} {value}")
    return " ".join(words)


def _limits(images, bapps):
    learnt = {
        (True, False): "synthetic distortions, with LPIPS as the judge between families, not on human judgements",
        (False, True): "human judgements alone",
        (True, True): "human judgements, and on synthetic distortions of two families, which LPIPS judged",
    }[bool(images), bool(bapps)]
    return (
        f"Trained on {learnt}; these are not the weights of the R-LPIPS paper. "
        "Robust against the attack and the budget named, less so against larger ones."
    )


if __name__ == "__main__":
    main()
