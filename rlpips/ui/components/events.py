"""What many events of the page share."""

from collections.abc import Sequence
from typing import Any, TypeVar

import gradio as gr

# Not a public endpoint, and no spinner over the page.
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

_Item = TypeVar("_Item")


def chosen(event: gr.SelectData, items: Sequence[_Item]) -> _Item | None:
    """The item that a visitor selected; None for a place that is none, as anybody can send an event."""
    place = event.index
    return items[place] if type(place) is int and 0 <= place < len(items) else None
