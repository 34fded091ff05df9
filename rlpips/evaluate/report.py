"""Results as they are printed and stored: JSON, and tables in Markdown."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rlpips import saving
from rlpips.zoo import cards


class Report:
    """Results so far: `results`, ready for JSON, and `text`, the Markdown that `blocks` make up. Stored as `name`.json and
    `name`.md."""

    def __init__(self, name: str, results: dict[str, Any], blocks: Iterable[str]):
        self.name, self.results = name, results
        self.text = "\n\n".join(blocks) + "\n"

    def store(self, folder: Path) -> None:
        """Write both files into a folder that exists."""
        saving.write(folder / f"{self.name}.json", cards.format_json(self.results))
        saving.write(folder / f"{self.name}.md", self.text)


def read_earlier(file: Path, *keys: str) -> dict[str, Any] | None:
    """The results that an earlier run stored, or None if there is no file. ValueError for a file that is damaged or
    lacks one of the keys."""
    try:
        results = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        results = None
    if not isinstance(results, dict) or not results.keys() >= set(keys):
        raise ValueError(f"{file} holds no results of an earlier run; move it away, or choose another folder.")
    return results
