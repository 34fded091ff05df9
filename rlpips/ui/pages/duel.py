"""The Duel page: choose a picture and an attack, press Run, and watch the same change get two verdicts."""

from pathlib import Path

import gradio as gr

from rlpips.data import images
from rlpips.ui.components.samples import SAMPLES, chosen, chosen_js, thumbnail
from rlpips.ui.components.viewer import viewer
from rlpips.ui.pages import duel_controls as request
from rlpips.ui.runtime import jobs as engine
from rlpips.ui.runtime import session as live
from rlpips.zoo import catalog

# The budget in both conventions, computed in the browser while the slider moves.
BUDGET_JS = """(eps, norm) => {
  const unit = norm === 'linf' ? eps / 255 : eps;
  const number = (x) => Number(x.toPrecision(3)).toString();
  return (norm === 'linf' ? `${eps}/255 = ` : 'l2 norm ')
    + `${number(unit)} on [0, 1], ${number(2 * unit)} on [−1, 1]`;
}"""
BUDGET = "4/255 = 0.0157 on [0, 1], 0.0314 on [−1, 1]"  # what it says of the first values

_SAMPLES = [str(sample.path) for sample in SAMPLES]

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}


def build(opening):
    """Lay the page out in the Blocks at hand; `opening` is the first viewer message. Returns (viewer, status)."""
    # The `live.Live` attack, so that Stop can keep what there is; ENDED; None before there is one. Where a tab was closed in
    # the middle Gradio would keep it, some megabytes, for an hour.
    running = gr.State(time_to_live=2 * engine.DEADLINE_S)
    # Pictures by their paths: the visitor's own, and those in the strip of thumbnails; and which of these Run is for.
    mine, strip, place = gr.State([]), gr.State(_SAMPLES), gr.Number(visible=False, precision=0)
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            pictures = gr.Gallery(
                _thumbnails(_SAMPLES), elem_id="samples", label="Picture", columns=5, height="auto", format="png",
                allow_preview=False, selected_index=0, object_fit="cover", interactive=False, buttons=[], show_label=False,
            )  # fmt: skip
            upload = gr.File(
                label="or your own picture, or a pair",
                file_count="multiple",
                height=64,
                elem_id="upload",
                elem_classes="upload",
            )
            with gr.Row():
                objective = gr.Dropdown(
                    request.OBJECTIVES, value="away", label="Attack", elem_id="objective", min_width=90
                )
                norm = gr.Dropdown(request.NORMS, value="linf", label="Norm", elem_id="norm", min_width=70)
            candidate = gr.Dropdown(request.CANDIDATES, value="itself", label="What is pushed", elem_id="candidate")
            eps = gr.Slider(0.5, 16, value=4, step=0.5, label="eps, n/255", elem_id="eps")
            budget = gr.HTML(BUDGET, elem_id="budget", elem_classes="hint")
            steps = gr.Slider(5, engine.MAX_STEPS, value=40, step=1, label="Steps", elem_id="steps")
            with gr.Row():
                first = gr.Dropdown(request.METRICS, value="lpips", label="Against", elem_id="metric-0", min_width=90)
                second = gr.Dropdown(
                    request.METRICS, value="rlpips-linf", label="and", elem_id="metric-1", min_width=90
                )
            with gr.Row():
                backbone = gr.Dropdown(
                    request.DUEL_BACKBONES, value="alex", label="Backbone", elem_id="backbone", min_width=90
                )
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed", min_width=90)
            with gr.Row():
                run = gr.Button("Run", variant="primary", elem_id="run", min_width=80)
                stop = gr.Button("Stop", elem_id="stop", min_width=80)
            status = gr.HTML(
                "Loading the network… The recorded duel can be explored meanwhile.", elem_id="status", elem_classes="status",
                html_template='<div role="status" aria-live="polite">${value}</div>',
            )  # fmt: skip
            with gr.Accordion("More", open=False, elem_id="more"):
                step_size = gr.Number(
                    None, label="Step size, in eps's unit (empty: 2.5 eps / steps)", elem_id="step-size"
                )
                restarts = gr.Slider(1, engine.MAX_RESTARTS, value=1, step=1, label="Restarts", elem_id="restarts")
                size = gr.Dropdown(request.SIZES, value=256, label="Longest side of your picture", elem_id="size")
                precision = gr.Dropdown(request.PRECISIONS, value="auto", label="Precision", elem_id="precision")
        shown = viewer(opening, empty="Nothing to show yet. Choose a picture and press Run.")

    upload.change(_uploaded, upload, [pictures, strip, mine, candidate, status], **PRIVATE)
    objective.change(_pushed_by, [objective, candidate], candidate, **PRIVATE)
    norm.change(_slider_of, norm, eps, **PRIVATE)
    gr.on([eps.change, norm.change], None, [eps, norm], budget, js=BUDGET_JS, api_visibility="private")

    controls = request.Controls(
        place,
        mine,
        upload,
        objective,
        norm,
        candidate,
        eps,
        steps,
        first,
        second,
        seed,
        step_size,
        restarts,
        backbone,
        size,
        precision,
    )
    run.click(
        None, None, status, js=f"() => '{live.WAITING}'", **PRIVATE
    )  # at once, by the browser; others may be first
    attack = run.click(
        _attack, [*controls, strip], [shown, status, running], js=chosen_js(pictures), **engine.UNLIMITED, **PRIVATE
    )
    attack.then(live.stopped, running, [shown, status, running], **PRIVATE)
    stop.click(None, cancels=[attack], api_visibility="private")
    return shown, status


def _thumbnails(paths):
    pictures = [images.read_picture(Path(path)) for path in paths]
    return [(thumbnail(picture.pixels), picture.name.replace("_", " ")) for picture in pictures]


def _uploaded(paths):
    """The visitor's pictures go first in the strip; a pair is attacked as one, its second picture being pushed."""
    if not paths:
        return gr.Gallery(_thumbnails(_SAMPLES), selected_index=0), _SAMPLES, [], "itself", gr.skip()
    mine = paths[:2]
    pushed = "mine" if len(mine) > 1 else "itself"
    try:
        notes = [" ".join(images.read_picture(Path(path)).notes) for path in mine]
        shown = [*mine, *_SAMPLES]
        said = " ".join(["Loading done: your picture is chosen.", *filter(None, notes)])
        if len(paths) > 2:
            said += " Only the first two of your pictures are used."
        return gr.Gallery(_thumbnails(shown), selected_index=0), shown, mine, pushed, live.line(said)
    except ValueError as error:  # it stays chosen, so that Run does not silently attack another picture
        gr.Warning(live.line(error))
        return (
            gr.Gallery(_thumbnails(_SAMPLES), selected_index=None),
            _SAMPLES,
            mine,
            pushed,
            live.line(f"Refused: {error}"),
        )


def _pushed_by(objective, candidate):
    """What is pushed has to differ from the reference to be pulled toward it, and usually is the reference otherwise."""
    copies = {name for _, name in request.COPIES}
    if objective == "toward":
        return "blur" if candidate == "itself" else candidate
    return "itself" if candidate in copies else candidate


def _slider_of(norm):
    if norm == "linf":
        return gr.Slider(minimum=0.5, maximum=16, value=4, step=0.5, label="eps, n/255")
    return gr.Slider(minimum=0.1, maximum=20, value=4, step=0.1, label="eps, l2 norm on [0, 1]")


def _verdict(trace):
    """Each metric's distance to the picture attacked against it, in words: "LPIPS 0.804, as far as JPEG quality 2"."""
    from rlpips.engine.ruler import Ruler

    ruler, shares = Ruler.from_json(trace.ruler), trace.distance[-1]
    said = (
        f"{catalog.card(name).title} {shares[lane, lane]:.3f}, {ruler.read(name, shares[lane, lane])}"
        for lane, name in enumerate(trace.metrics)
    )
    return "; ".join(said) + "."


def _attack(*values):
    """Run's work: yields (viewer message, status, live attack) from loading to the last step."""
    yield from live.run(_asked(*values))


def _asked(*values):
    """`ready` for what the page's controls say, of which the first is a place in the strip, and for the strip's paths."""
    said, strip = request.Controls(*values[:-1]), values[-1]
    return (yield from ready(said._replace(picked=chosen(said.picked, strip, next(iter(said.mine), None)))))


def ready(said: request.Controls):
    """Yields what is loading; returns the `live.Job`. ValueError if the request is amiss."""
    loading = engine.Loading((said.first, said.second), said.backbone)
    while loading.busy():
        yield loading.text
    loading.result()
    asked, name, notes = request.read(said)
    return live.Job(asked, name, notes, engine.duel, _verdict, _ruler)


def _ruler(asked, recorder):
    return engine.ruler_alone(*(asked[key] for key in ("reference", "metrics", "backbone", "precision")))
