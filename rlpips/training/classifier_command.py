"""The command `python -m rlpips.classifiers NAME`: train a classifier of CIFAR-10 and write its weights,
`classifier_NAME.safetensors`, with a card (.json) that says what they are and how often they are correct."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rlpips.classifiers import cifar10
from rlpips.classifiers.models import small_resnet
from rlpips.device import pick_device
from rlpips.engine.bfloat16 import pick_precision
from rlpips.progress import Progress
from rlpips.training.classifier_accuracy import measure
from rlpips.training.classifier_recipes import RECIPES
from rlpips.training.classifiers import BATCH, pack, train, unpack
from rlpips.training.command import command_line, exit_on_errors
from rlpips.zoo import cards

LIMITS = (
    "Scaled down to what two CPU cores train in minutes, a network of 308,650 parameters and a few epochs: published "
    "classifiers, with networks a hundred times as large and ten times as many epochs, are right far more often. The robust "
    "accuracies are of PGD, a weak attack, and on a few hundred pictures."
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.classifiers", description="Train a classifier of CIFAR-10.", allow_abbrev=False
    )
    parser.add_argument("name", choices=RECIPES, metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--out", required=True, type=Path, help="folder for the weights and their card")
    parser.add_argument(
        "--images", help="folder with {train,test}/<class>/*.jpg, or torchvision's; default: download torchvision's"
    )
    parser.add_argument("--data", help="what the pictures are, for the card")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--subset", type=int, help="how many pictures to train on, drawn by the seed; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--resume", action="store_true", help="continue from the last saved state of an interrupted training"
    )
    options = parser.parse_args(arguments)
    state = options.out / f"classifier_{options.name}.state.safetensors"

    with exit_on_errors(lambda: "the same command with --resume continues from the last saved state"):
        if not options.out.is_dir():
            raise ValueError(f"--out must be a folder that exists; got {options.out}.")
        device, progress = pick_device(options.device), Progress()
        pictures = cifar10.read("train", options.images).subset(options.subset, options.seed)
        test = cifar10.read("test", options.images)  # now, so that missing pictures are noticed before the training
        precision = pick_precision(None, device)
        classifier, seconds = train(
            options.name, pictures, options.epochs, options.seed, device, precision, state, options.resume, progress
        )
        raw = pack(classifier)
        progress("measuring the packed weights on the test pictures", keep=True)
        packed = small_resnet(options.name)
        packed.load_state_dict(unpack(raw))
        packed = packed.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        card = {
            "name": options.name,
            **_describe_training(options, len(pictures), precision, device, seconds),
            "results": measure(packed, test),
            "limits": LIMITS,
        }
        file = options.out / f"classifier_{options.name}.safetensors"
        cards.write(file, raw, card)
        state.unlink(missing_ok=True)
        progress(f"{file}: {card['results']}", keep=True)


def _describe_training(
    options: argparse.Namespace, pictures: int, precision: str, device: torch.device, seconds: float
) -> dict[str, Any]:
    """How a classifier was trained, with the command that gives the same weights, FOLDER in place of the user's own paths."""
    recipe = RECIPES[options.name]
    epochs = recipe.epochs if options.epochs is None else options.epochs
    named = {
        "out": "FOLDER",
        "images": options.images and "FOLDER",
        "epochs": options.epochs,
        "subset": options.subset,
        "seed": options.seed or None,
        "device": None if options.device == "cpu" else options.device,
    }
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device)
    else:
        processor = f"CPU, threads: {torch.get_num_threads()}"
    return {
        "trained": recipe.description,
        "data": options.data or "CIFAR-10",
        "pictures": pictures,
        "epochs": epochs,
        "steps": epochs * (pictures // BATCH),
        "batch": BATCH,
        "seed": options.seed,
        "cpu_seconds": round(seconds),
        "device": processor,
        "precision": precision,
        "torch": torch.__version__,
        "command": command_line(f"rlpips.classifiers {options.name}", named),
    }


if __name__ == "__main__":
    main()
