"""The Inspect page: a pair of the visitor's own pictures, attacked elsewhere perhaps, under every metric."""

import html
import secrets
import traceback
from pathlib import Path

import gradio as gr

from rlpips import paths
from rlpips.data import images
from rlpips.traces.trace import Trace
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import duel_controls as request
from rlpips.ui.pages import gallery
from rlpips.ui.runtime import files
from rlpips.ui.runtime import jobs as engine

METRICS = ("lpips", "rlpips-linf", "rlpips-l2")
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
FAILED = "Refused: the server could not do this. Smaller pictures may help."
_HELP = "Choose an original and a changed picture of the same size. PNG keeps every bit; JPEG and lossy WebP do not."


def build():
    """Lay the page out in the Blocks at hand."""
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            first = gr.File(label="Original", height=64, elem_id="pair-first", elem_classes="upload")
            second = gr.File(label="Changed picture", height=64, elem_id="pair-second", elem_classes="upload")
            backbone = gr.Dropdown(request.BACKBONES, value="alex", label="Backbone", elem_id="pair-backbone")
            with gr.Row():
                compare = gr.Button("Compare", variant="primary", elem_id="compare", min_width=80)
                example = gr.Button("Example", elem_id="pair-example", min_width=80)
            resize = gr.Button("Resize the changed picture and compare", visible="hidden", elem_id="pair-resize")
            status = gr.HTML(
                _HELP, elem_id="pair-status", elem_classes="status",
                html_template='<div role="status" aria-live="polite">${value}</div>',
            )  # fmt: skip
        shown = viewer(None, empty="Choose two pictures and press Compare.", elem_id="pair-viewer")

    work = {**engine.UNLIMITED, **PRIVATE}
    compare.click(_compare, [first, second, backbone], [shown, status, resize], **work)
    example.click(_example, None, [first, second], **PRIVATE).then(
        _compare, [first, second, backbone], [shown, status, resize], **work
    )
    resize.click(_resized, [first, second, backbone], [shown, status, resize], **work)


def _example():
    """A recorded attack's original and attacked picture, as files."""
    trace = Trace.load(paths.PRECOMPUTED / gallery.OPENING)
    pictures = (("original.png", trace.reference), ("attacked.png", trace.adversarial[0]))
    return [files.put(name, images.png_bytes(pixels))["path"] for name, pixels in pictures]


def _compare(first, second, backbone):
    yield from _measure(first, second, backbone, resized=False)


def _resized(first, second, backbone):
    yield from _measure(first, second, backbone, resized=True)


def _measure(first, second, backbone, resized):
    """Yields (viewer message, status, the resize button)."""
    skip, hidden = gr.skip(), gr.Button(visible="hidden")
    try:
        if not first or not second:
            raise ValueError("Two pictures are needed: an original and a changed one.")
        x, y = (images.read_picture(Path(path)) for path in (first, second))
        notes = [f"{each.name}: {note}" for each in (x, y) for note in each.notes]
        height, width = x.pixels.shape[:2]
        if x.pixels.shape != y.pixels.shape and not resized:
            theirs = f"{y.pixels.shape[1]}×{y.pixels.shape[0]}"
            text = (
                f"Refused: the pictures differ in size ({width}×{height} and {theirs}), and the metrics compare position by "
                "position. Resizing changes the picture and can remove a perturbation; the numbers are then those of "
                "the resized picture."
            )
            yield skip, html.escape(text), gr.Button(f"Resize {theirs} to {width}×{height} and compare", visible=True)
            return
        pixels = y.pixels
        if x.pixels.shape != y.pixels.shape:
            pixels = images.resize(pixels, (height, width))
            notes.append(f"The changed picture was resized to {width}×{height}.")
        loading = engine.Loading(METRICS[:1], backbone)
        while loading.busy():
            yield skip, html.escape(loading.text), hidden
        loading.result()
        with engine.LINE.join() as place:
            for words in place.turn():
                yield skip, words, hidden
            clock = engine.clock()
            trace = engine.pair(x.pixels, pixels, request.metrics_on(METRICS, backbone), backbone)
    except ValueError as error:
        gr.Warning(html.escape(str(error)))
        yield skip, html.escape(f"Refused: {error}"), hidden
        return
    except Exception:
        traceback.print_exc()
        yield skip, FAILED, hidden
        return
    message = files.whole(secrets.token_hex(4), "done", trace)
    message["meta"]["name"] = x.name
    yield message, html.escape(" ".join([f"Done: measured in {clock():.1f} s.", *notes])), hidden
