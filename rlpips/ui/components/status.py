"""The status line of a page."""

import gradio as gr


def status_line(text: str, elem_id: str) -> gr.HTML:
    """A line that screen readers read aloud when it changes. Its value is HTML."""
    return gr.HTML(
        text, elem_id=elem_id, elem_classes="status",
        html_template='<div role="status" aria-live="polite">${value}</div>',
    )  # fmt: skip
