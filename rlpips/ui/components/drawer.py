"""The settings of a page in a narrow window: the column of controls with the class "drawer" is shut there, but for its thumbnails
and the bar of its buttons. assets/viewer/drawer.js opens it, assets/viewer/phone.css is its style."""

import gradio as gr


def head() -> gr.HTML:
    """The head of the open drawer, by which it is pulled down: first in the column."""
    return gr.HTML(
        '<h2>Settings</h2><button type="button" class="drawer-close">Close</button>', elem_classes="drawer-head",
        apply_default_css=False,
    )  # fmt: skip


def opener() -> gr.HTML:
    """The button that opens the drawer that it is in: beside Run."""
    return gr.HTML(
        '<button type="button" class="drawer-open" aria-haspopup="dialog" aria-expanded="false">Settings</button>',
        elem_classes="drawer-opener", apply_default_css=False,
    )  # fmt: skip
