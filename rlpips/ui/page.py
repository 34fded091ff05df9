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
from rlpips.ui.components import languages, masthead, modules, viewer
from rlpips.ui.components.events import PRIVATE
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.components.theme import CSS, theme
from rlpips.ui.pages import (
    classifier,
    classifier_address,
    duel,
    duel_address,
    gallery,
    help_texts,
    how_it_works,
    inspect,
    judge,
    judge_class,
    links,
    pairs,
    robustness,
    story,
)
from rlpips.ui.runtime import (
    address,
    compression,
    device,
    differences,
    exports,
    files,
    kept,
    limits,
    settings,
    strips,
    zero_gpu,
)
from rlpips.ui.runtime.loading import describe_device, warm_up

log = logging.getLogger(__name__)

TITLE = "R-LPIPS Explorer"
TAGLINE = "the same small change, two verdicts"
SELECTED_JS = "() => document.dispatchEvent(new CustomEvent('page-selected', { detail: '%s' }))"
SESSIONS = 500  # so many Gradio remembers, 0.2 MB each, also when their tab is closed; older ones start again
CLEAN_EVERY_S, MAX_AGE_S = 10 * 60, 2 * 60 * 60  # how often old files are deleted, and how old they may get


def build() -> gr.Blocks:
    """The app. Does not import torch."""
    cleaning = (CLEAN_EVERY_S, MAX_AGE_S)
    opening = gallery.opening()
    keys = {
        "duel": duel_address.KEYS, "judge": judge.KEYS, "inspect": inspect.KEYS, "robustness": robustness.KEYS,
        "pairs": pairs.KEYS, "classifier": classifier_address.keys(), "gallery": gallery.keys(),
    }  # fmt: skip
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=cleaning) as app:
        head = masthead.masthead(
            TITLE, TAGLINE, pages=[*links.TABS], keys={name: address.for_browser(of_page) for name, of_page in keys.items()},
            samples=[sample.name for sample in SAMPLES], recorded=opening is not None and duel_address.is_recorded(), space=os.environ.get("SPACE_ID", ""),
            help=help_texts.for_browser(), languages=languages.for_browser(),
        )  # fmt: skip
        with gr.Tabs(elem_id="pages") as pages:
            with _tab("duel"):
                the_duel = duel.build(opening)
            with _tab("judge") as tab:
                to_judge = judge.build(tab, os.environ.get("SPACE_ID", ""))
            with _tab("inspect") as tab:
                to_inspect = inspect.build(tab, pages, the_duel)
            with _tab("pairs") as tab:
                to_pairs = pairs.build(tab)
            with _tab("robustness") as tab:
                to_robustness = robustness.build(tab)
            with _tab("classifier") as tab:
                to_classifier = classifier.build(tab)
            with _tab("gallery"):
                gallery.build(head, pages, the_duel)
            with _tab("how"):
                how_it_works.build()
        others = {
            "judge": (to_judge, judge.fill), "inspect": (to_inspect, inspect.fill), "robustness": (to_robustness, robustness.fill),
            "pairs": (to_pairs, pairs.fill), "classifier": (to_classifier, classifier_address.fill), "gallery": ([], lambda _: []),
        }  # fmt: skip
        links.connect(head, pages, the_duel, {name: links.Page(keys[name], *page) for name, page in others.items()})
        endpoint.build()
        app.load(partial(_loading_status, opening is not None), None, the_duel.status, **PRIVATE)
    # Work for the device waits in `rlpips.ui.runtime.queue`; no other event of a visitor waits for another visitor's.
    return app.queue(max_size=2 * device.THREADS, default_concurrency_limit=None)


def _tab(name: str) -> gr.Tab:
    """A tab, which tells the page's address when it is selected. Only the first one is there before it is selected."""
    tab = gr.Tab(links.TABS[name], id=name, elem_id=f"page-{name}", render_children=name == "duel")
    tab.select(None, js=SELECTED_JS % name, **PRIVATE)
    return tab


def _loading_status(recorded: bool) -> Iterator[str]:
    """The status line while the network loads, and then; `recorded` if a recorded duel is shown meanwhile."""
    explore = " The recorded duel can be explored meanwhile." if recorded else ""
    opening = "" if recorded else " The recorded duel cannot be read."
    try:
        for text in warm_up().texts():
            yield f"{text}{explore}"
    except Exception as error:
        yield html.escape(f"Refused: the network could not be loaded: {error}")
        return
    yield f"Loading done ({describe_device()}).{opening} Press Run for a live duel."


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
        state_session_capacity=SESSIONS, head=viewer.HEAD + modules.HEAD,
        app_kwargs={
            "routes": [
                masthead.ROUTE, languages.ROUTE, viewer.ROUTE, *modules.ROUTES, differences.ROUTE, strips.ROUTE, *exports.ROUTES, *story.ROUTES,
                *judge_class.routes(judge.stored),
            ],
            "middleware": [Middleware(kept.Assets), Middleware(compression.Compression), Middleware(limits.Limits)],
        },
    )  # fmt: skip
    gc.collect()
    gc.freeze()  # see app.py: from here on only what is new is looked through
    gc.enable()
    warm_up()
    files.keep_bounded(app)
    app.block_thread()
