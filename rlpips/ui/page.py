"""The whole page: header, the pages as tabs, and how it is served."""

import gc
import html
import os

import gradio as gr

from rlpips.ui import endpoint
from rlpips.ui.components import modules
from rlpips.ui.components.theme import CSS, theme
from rlpips.ui.pages import classifier, duel, gallery, how_it_works, inspect, judge, robustness
from rlpips.ui.runtime import files
from rlpips.ui.runtime import jobs as engine

TITLE = "R-LPIPS Explorer"
MASTHEAD = f"<header><h1>{TITLE}</h1><p>the same invisible change, two verdicts</p></header>"
MEGABYTES = 1024**2
SESSIONS = 500  # that Gradio remembers, some 0.2 MB each, also when their tab is closed; older ones begin anew


def build() -> gr.Blocks:
    """The app; nothing of torch is imported."""
    sweep = (10 * 60, 2 * 60 * 60)  # seconds: how often, and how old a run's pictures may get
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=sweep) as app:
        gr.HTML(MASTHEAD, elem_id="masthead")
        with gr.Tabs(elem_id="pages") as pages:
            with gr.Tab("Duel", id="duel", render_children=True):
                shown, status = duel.build(gallery.opening())
            with gr.Tab("Inspect a pair", id="inspect"):
                inspect.build()
            with gr.Tab("Robustness", id="robustness") as tab:
                robustness.build(tab)
            with gr.Tab("You be the judge", id="judge") as tab:
                judge.build(tab)
            with gr.Tab("Gallery", id="gallery"):
                gallery.build(shown, status, pages, "duel")
            with gr.Tab("Fool a classifier", id="classifier") as tab:
                classifier.build(tab)
            with gr.Tab("How it works", id="how"):
                how_it_works.build()
        endpoint.build()
        app.load(_ready, None, status, api_visibility="private", show_progress="hidden")
    return app.queue(max_size=2 * engine.THREADS)


def _ready():
    """What the status line says until the network is there, and then."""
    loading = engine.warm_up()
    try:
        while loading.busy():
            yield f"{loading.text} The recorded duel can be explored meanwhile."
        loading.result()
    except Exception as error:
        yield html.escape(f"Refused: the network could not be loaded: {error}")
        return
    yield f"Loading done ({engine.describe_device()}). This is a recorded duel: press Run for a live one."


def launch(app: gr.Blocks) -> None:
    """Serve the app, load torch behind it, and stay."""
    if engine.ON_SPACES:
        engine.warm_up().result()  # ZeroGPU wants the networks loaded before the first call
    # Gradio looks for new events a thousand times a second, and each time takes the device's thread its turn in Python.
    app._queue.sleep_when_free = 0.005  # seconds
    app.launch(
        theme=theme(), css=CSS, ssr_mode=False, run_history=False, prevent_thread_lock=True, max_file_size=32 * MEGABYTES,
        server_name=os.environ.get("GRADIO_SERVER_NAME"), footer_links=[], max_threads=engine.THREADS,
        state_session_capacity=SESSIONS, head=modules.HEAD, app_kwargs=modules.SERVE,
    )  # fmt: skip
    gc.collect()
    gc.freeze()  # see app.py: from here on only what is new is looked through
    gc.enable()
    engine.warm_up()
    files.keep_bounded(app)
    app.block_thread()
