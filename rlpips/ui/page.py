"""The whole page: header, one tab for each page, and how it is served."""

import gc
import html
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import gradio as gr
from starlette.middleware import Middleware

from rlpips.ui import endpoint
from rlpips.ui.components import modules
from rlpips.ui.components.events import PRIVATE
from rlpips.ui.components.theme import CSS, theme
from rlpips.ui.pages import classifier, duel, gallery, how_it_works, inspect, judge, robustness
from rlpips.ui.runtime import device, differences, files, limits, settings, zero_gpu
from rlpips.ui.runtime.loading import describe_device, warm_up

log = logging.getLogger(__name__)

TITLE = "R-LPIPS Explorer"
MASTHEAD = f"<header><h1>{TITLE}</h1><p>the same small change, two verdicts</p></header>"
SESSIONS = 500  # so many Gradio remembers, 0.2 MB each, also when their tab is closed; older ones start again
CLEAN_EVERY_S, MAX_AGE_S = 10 * 60, 2 * 60 * 60  # how often old files are deleted, and how old they may get


def build() -> gr.Blocks:
    """The app. Does not import torch."""
    cleaning = (CLEAN_EVERY_S, MAX_AGE_S)
    opening = gallery.opening()
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=cleaning) as app:
        gr.HTML(MASTHEAD, elem_id="masthead", js_on_load=modules.load("away.js"))
        with gr.Tabs(elem_id="pages") as pages:
            with gr.Tab("Duel", id="duel", render_children=True):
                view, status = duel.build(opening)
            with gr.Tab("Inspect a pair", id="inspect"):
                inspect.build()
            with gr.Tab("Robustness", id="robustness") as tab:
                robustness.build(tab)
            with gr.Tab("You be the judge", id="judge") as tab:
                judge.build(tab)
            with gr.Tab("Gallery", id="gallery"):
                gallery.build(view, status, pages, "duel")
            with gr.Tab("Fool a classifier", id="classifier") as tab:
                classifier.build(tab)
            with gr.Tab("How it works", id="how"):
                how_it_works.build()
        endpoint.build()
        app.load(partial(_loading_status, opening is not None), None, status, **PRIVATE)
    # Work for the device waits in `rlpips.ui.runtime.queue`; no other event of a visitor waits for another visitor's.
    return app.queue(max_size=2 * device.THREADS, default_concurrency_limit=None)


def _loading_status(recorded: bool) -> Iterator[str]:
    """The status line while the network loads, and then; `recorded` if a recorded duel is shown meanwhile."""
    explore = " The recorded duel can be explored meanwhile." if recorded else ""
    opening = "This is a recorded duel" if recorded else "The recorded duel cannot be read"
    try:
        for text in warm_up().texts():
            yield f"{text}{explore}"
    except Exception as error:
        yield html.escape(f"Refused: the network could not be loaded: {error}")
        return
    yield f"Loading done ({describe_device()}). {opening}: press Run for a live one."


def serve() -> None:
    """Build and serve the app, load torch behind it, and stay. SystemExit with a sentence if the settings cannot be met."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if "SPACE_ID" in os.environ:  # there visitors come through a proxy, which says from where
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    port = settings.port()
    settings.check_folder(files.folder())
    app = build()
    if zero_gpu.ON:
        with suppress(ValueError):  # visitors read it, too, and what is recorded can be explored
            warm_up().wait()  # so that no worker is forked in the middle of it
    zero_gpu.launch(
        app, theme=theme(), css=CSS, ssr_mode=False, run_history=False, prevent_thread_lock=True, max_file_size=limits.FILE_BYTES,
        server_name=os.environ.get("GRADIO_SERVER_NAME"), server_port=port, footer_links=[], max_threads=device.THREADS,
        state_session_capacity=SESSIONS, head=modules.HEAD, app_kwargs={"routes": [*modules.ROUTES, differences.ROUTE], "middleware": [Middleware(limits.Limits)]},
    )  # fmt: skip
    gc.collect()
    gc.freeze()  # see app.py: from here on only what is new is looked through
    gc.enable()
    warm_up()
    files.keep_bounded(app)
    app.block_thread()
