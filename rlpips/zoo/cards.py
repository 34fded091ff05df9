"""Cards and stored results: the JSON files in assets/weights/ that hold every measured number.

The card of a metric's heads stands beside them and says what they are, how they were made, what was measured and what they
are not. `rlpips.training` writes it, `rlpips.evaluate` adds the figures, and the pages and documents take their numbers from it.
"""

import functools
import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

from rlpips import paths, saving
from rlpips.zoo import catalog


def path(name: str, backbone: str = "alex") -> Path:
    """The file of the card of a metric on a backbone; ValueError for an unknown metric, or an official checkpoint, which has none."""
    catalog.check(name, backbone)
    card = catalog.card(name)
    if card.official:
        raise ValueError(
            f"{name} has no heads file of its own, and so no card: its authors publish trunk and heads as one."
        )
    if backbone in card.heads:
        return (paths.WEIGHTS / card.heads[backbone].file).with_suffix(".json")
    chosen = f"{name}_{backbone}" if card.trunk_of(backbone) == backbone and not card.always else name
    return paths.WEIGHTS / f"{chosen}.json"


def read(name: str, backbone: str = "alex") -> dict[str, Any]:
    """The card of a metric's heads; ValueError, which is also logged, if its file is missing or damaged."""
    return _read(path(name, backbone))


def read_results() -> dict[str, Any]:
    """The stored results of attacks on classifiers; ValueError, which is also logged, if their file is missing or damaged."""
    return _read(paths.RESULTS)


def read_stored(file: Path) -> dict[str, Any]:
    """A file of stored results, such as `paths.DIAL`; ValueError, which is also logged, if it is missing or damaged."""
    return _read(file)


def write(weights: Path, raw: bytes, card: dict[str, Any]) -> None:
    """Write a weights file and, beside it, its card, which begins with the file's name and digest.

    The card is moved into place last. After a kill in between, the older card's digest is not that of the weights.
    """
    card = {"file": weights.name, "sha256": hashlib.sha256(raw).hexdigest(), **card}
    with saving.beside(weights.with_suffix(".json")) as card_part, saving.beside(weights) as part:
        part.write_bytes(raw)
        card_part.write_text(format_json(card), "utf-8")


def store(name: str, backbone: str, /, **parts: Any) -> None:
    """Write parts of a card, such as results=…, and leave the others. Without a card yet, write a new one."""
    file = path(name, backbone)
    card = _read(file) if file.exists() else {}
    saving.write(file, format_json({**card, **parts}))


def format_json(value: Any) -> str:
    """JSON that people can read: a line for each entry, but lists of numbers on one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(r"\[([^\[\]{}\"]+)\]", lambda match: f"[{' '.join(match[1].split())}]", text) + "\n"


def _read(file: Path) -> dict[str, Any]:
    """The JSON object of a file that is part of the project."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise _fault(
            f"{file.name} is missing from assets/weights; please install this project's files again."
        ) from error
    except (OSError, ValueError) as error:
        raise _fault(f"{file.name} in assets/weights is damaged; please install this project's files again.") from error
    if not isinstance(value, dict):
        raise _fault(f"{file.name} in assets/weights should hold a JSON object; it holds another value.")
    return value


@functools.cache  # a page may ask for the same file at every visit; the log needs the sentence once
def _log(text: str) -> None:
    logging.getLogger(__name__).error(text)


def _fault(text: str) -> ValueError:
    _log(text)
    return ValueError(text)
