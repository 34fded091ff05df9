"""The app's one public endpoint, `/attack`: a live duel for a script, which Gradio's client libraries can call.

It is Run without the page: the same line, limits, deadline and memory of finished duels.
"""

import traceback
from contextlib import closing
from pathlib import Path
from typing import Literal

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta

from rlpips import Trace
from rlpips.data import images
from rlpips.ui.pages import duel
from rlpips.ui.pages import duel_controls as request
from rlpips.ui.runtime import files
from rlpips.ui.runtime import jobs as engine
from rlpips.ui.runtime import session as live


def build():
    """Add the endpoint to the Blocks at hand."""
    gr.api(attack, api_name="attack", **engine.UNLIMITED)


def attack(
    picture: gr.FileData,
    candidate: gr.FileData | None = None,
    metrics: list[str] = ["lpips", "rlpips-linf"],
    backbone: str = "alex",
    norm: Literal["linf", "l2"] = "linf",
    eps: float = 4 / 255,
    steps: int = 40,
    step_size: float | None = None,
    objective: Literal["away", "toward"] = "away",
    seed: int = 0,
    restarts: int = 1,
    precision: Literal["float32"] | None = None,
    longest_side: int = 256,
) -> tuple[str, gr.FileData | None, list[gr.FileData]]:
    """Push a picture against two metrics by PGD, live, and get everything that was measured. Pixels are RGB in [0, 1].

    Parameters:
        picture: the reference, a picture file of at most 50 megapixels, at least 32 pixels a side
        candidate: the picture to push, resized to the reference's size; none pushes the reference itself ("away" only)
        metrics: two names, such as "lpips", "rlpips-linf", "rlpips-l2"; one lane is pushed against each
        backbone: "alex", "vgg" or "squeeze"
        norm: of the ball around the picture that is pushed
        eps: the ball's radius in [0, 1] pixel units; above 0, at most 1 for "linf" and sqrt(3·H·W) for "l2"
        steps: 1 to 200, or what the host allows
        step_size: in the unit of eps; 2.5 eps / steps unless given
        objective: "away" makes each metric say "different", "toward" makes it find a different candidate near
        seed: of the random start, a whole number from 0
        restarts: 1 to 5; each lane keeps its best
        precision: "float32", or none for bfloat16 where the device has it in hardware
        longest_side: larger pictures are scaled down to it, 32 to 1024 pixels
    Returns:
        A sentence on how far it is, many times; with the last one, which begins with "Done" or, if the host's deadline cut
        the attack off, "Stopped", a trace, the zip archive that `rlpips.Trace.load` reads (curves, maps, pictures and the
        receipt with all settings), and the attacked pictures, a PNG of 8 bits (H, W, 3) for each metric.
    """
    try:
        said = _controls(**locals())
        with closing(live.answer(duel.ready(said))) as told:
            for message, words, _ in told:
                complete = message and "files" in message
                yield words, *(_results(message) if complete else (None, []))
    except ValueError as error:
        raise gr.Error(f"Refused: {error}", print_exception=False) from None
    except Exception:
        traceback.print_exc()
        raise gr.Error(live.FAILED, print_exception=False) from None


def _controls(picture, candidate, metrics, longest_side, norm, eps, step_size, precision, **same):
    """What the page's controls would say; whoever calls may have sent anything, while a control bounds what it sends."""
    pictures = [picture] if candidate is None else [picture, candidate]
    for each in pictures:
        if not is_file_obj_with_meta(each):  # a bare path would be one of the server's own files
            raise ValueError("picture and candidate must be uploaded files: gradio_client.handle_file(path).")
    if not isinstance(metrics, list) or list(map(type, metrics)) != [str, str]:
        raise ValueError(f"metrics must be a list of two names; got {metrics!r}.")
    for what, value in {"eps": eps, "step_size": step_size, "longest_side": longest_side, **same}.items():
        wanted = str if what in ("backbone", "objective") else int | float
        if not isinstance(value, wanted) and not (what == "step_size" and value is None):
            raise ValueError(f"{what} must be a {'text' if wanted is str else 'number'}; got {value!r}.")
    if not images.SMALLEST_SIDE <= longest_side <= images.LARGEST_SIDE:
        raise ValueError(
            f"longest_side must be {images.SMALLEST_SIDE} to {images.LARGEST_SIDE} pixels; got {longest_side!r}."
        )
    if len({each["path"] for each in pictures}) < len(pictures):
        raise ValueError("candidate must be another picture than the reference; none pushes the reference itself.")
    paths, unit = [each["path"] for each in pictures], 255 if norm == "linf" else 1  # the slider's, of request.read
    return request.Controls(
        picked=paths[0], mine=paths, upload=paths, candidate="itself" if candidate is None else "mine", norm=norm,
        eps=eps * unit, step_size=None if step_size is None else step_size * unit, first=metrics[0], second=metrics[1],
        size=int(longest_side), precision=precision or "auto", **same,
    )  # fmt: skip


def _results(message):
    """(the saved trace, the attacked picture of each metric) of a complete message."""
    saved = message["files"]["trace"]
    trace = Trace.load(Path(saved["path"]))
    pictures = zip(trace.metrics, trace.adversarial)
    return saved, [files.put(f"{trace.name}-{metric}.png", images.png_bytes(pixels)) for metric, pixels in pictures]
