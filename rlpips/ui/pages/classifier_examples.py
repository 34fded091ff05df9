"""What the page "Fool a classifier" brings along: pictures of CIFAR-10 to attack, and recorded examples."""

import html
import json
import logging
import secrets
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips import paths
from rlpips.traces.trace import Trace
from rlpips.ui.pages import classifier_text
from rlpips.ui.runtime import messages
from rlpips.zoo.classifier_cards import CIFAR10_CLASSES

log = logging.getLogger(__name__)


def samples() -> list[str]:
    """Paths of the sample pictures, by class."""
    return [str(path) for path in sorted(paths.CIFAR10_SAMPLES.glob("*.png")) if label_of(path) is not None]


def label_of(path: str | Path) -> int | None:
    """The class of a sample, with which its name begins: "cat-03.png"; None for any other picture."""
    name = Path(path).stem.partition("-")[0]
    is_sample = Path(path).parent == paths.CIFAR10_SAMPLES
    return CIFAR10_CLASSES.index(name) if is_sample and name in CIFAR10_CLASSES else None


def examples() -> Iterator[tuple[str, str]]:
    """(caption, path) of the recorded examples that can be read."""
    for path in files():
        if read := about(path):
            yield read[0], str(path)


def files() -> list[Path]:
    """The recorded examples, readable or not."""
    return sorted(paths.PRECOMPUTED_CLASSIFIER.glob("*.zip"))


@lru_cache
def about(path: Path) -> tuple[str, dict[str, Any]] | None:
    """(caption, the settings that made it, a value for each key of the address) of a recorded example; None if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read("trace.json"))["meta"]
        return classifier_text.caption(meta), _settings(meta)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError) as error:
        log.error("The recorded examples leave out %s: %s", path.name, error)
        return None


def _settings(meta: dict[str, Any]) -> dict[str, Any]:
    receipt = meta["receipt"]
    attacks = [attack["name"] for attack in receipt["attacks"]]
    bounds = [attack["bound"] for attack in receipt["attacks"]]
    fields = [classifier_text.shown_bound(name, bound) for name, bound in zip(attacks, bounds)]
    return {
        "picture": meta["name"], "model": receipt["classifier"]["name"], "a": attacks[0], "b": attacks[1],
        "bounds": classifier_text.choice_of(attacks, bounds), "bounda": fields[0], "boundb": fields[1],
        "steps": receipt["steps"], "seed": receipt["seed"],
    }  # fmt: skip


def show(path: str | None) -> tuple:
    """(viewer message, status) of a recorded example."""
    file = Path(path or "")
    if file not in files():
        return gr.skip(), gr.skip()
    try:
        trace = Trace.load(file)
    except (ValueError, OSError) as error:
        log.error("The recorded example %s is not shown: %s", file.name, error)
        return gr.skip(), html.escape(f"Refused: {error}")
    text = f"Done: a recorded example. {classifier_text.verdict(trace)} Press Run for a live one."
    return messages.whole(secrets.token_hex(4), "recorded", trace, file.read_bytes()), html.escape(text)
