"""Visitors of the page, for tests that call what an event calls."""

import gradio as gr

from rlpips.ui.runtime.queue import Client

VISITOR = Client("a session", "192.0.2.1")


def request(client=VISITOR):
    """The request that Gradio hands to an event of a visitor."""
    return gr.Request(session_hash=client.session, client={"host": client.address, "port": 1})
