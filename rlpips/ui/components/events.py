"""What many events of the page share."""

import html
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import gradio as gr

# Not a public endpoint, and no spinner over the page.
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

_Item = TypeVar("_Item")


def refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of an event, whose ValueError is a message to the visitor, and changes nothing on the page."""

    @wraps(function)
    def call(*values: Any) -> Any:
        try:
            return function(*values)
        except ValueError as error:
            gr.Warning(html.escape(str(error)))
            return gr.skip()

    return call


def chosen(event: gr.SelectData, items: Sequence[_Item]) -> _Item | None:
    """The item that a visitor selected; None for a place that is none, as anybody can send an event."""
    place = event.index
    return items[place] if type(place) is int and 0 <= place < len(items) else None
