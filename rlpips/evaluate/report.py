"""Results as they are printed and stored: JSON, and tables in Markdown."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rlpips.zoo import cards


class Report:
    """Results so far: `results`, ready for JSON, and `text`, the Markdown that `blocks` make up. Stored as `name`.json and
    `name`.md."""

    def __init__(self, name: str, results: dict[str, Any], blocks: Iterable[str]):
        self.name, self.results = name, results
        self.text = "\n\n".join(blocks) + "\n"

    def store(self, folder: Path) -> None:
        """Write both files into a folder that exists. An interruption while writing leaves the older file."""
        for suffix, content in (("json", cards.format_json(self.results)), ("md", self.text)):
            part = folder / f"{self.name}.{suffix}.part"
            part.write_text(content, "utf-8")
            part.replace(part.with_suffix(""))
