"""The card of a metric's heads: a JSON file beside them in assets/weights/ that says what they are, how they were
made, what was measured and what they are not. `rlpips.training` writes it, `rlpips.evaluate` adds the figures, and
the pages and the README take their numbers from it.
"""

import json
import re
from pathlib import Path

from rlpips import paths
from rlpips.zoo import catalog


def path(name: str, backbone: str = "alex") -> Path:
    """Where the card of a metric's heads is; ValueError if there is no such metric, or none with heads of ours."""
    catalog.check(name, backbone)
    heads = catalog.card(name).heads
    if backbone not in heads:
        raise ValueError(f"{name} has no heads file of its own, so there is no card; it comes whole from its authors.")
    return (paths.WEIGHTS / heads[backbone].file).with_suffix(".json")


def read(name: str, backbone: str = "alex") -> dict:
    """The card of a metric's heads."""
    return json.loads(path(name, backbone).read_text("utf-8"))


def store(name: str, backbone: str, /, **parts) -> None:
    """Write parts of a card, such as results=…, and leave the others."""
    file = path(name, backbone)
    card = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(written({**card, **parts}), "utf-8")


def written(value) -> str:
    """JSON for people: a line for each entry, but lists of numbers on one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(r"\[([^\[\]{}\"]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
