"""The app's public endpoints, for scripts, which Gradio's client libraries can call: `/attack`, a live duel, and `/compare`, many pairs.

They are Run and Measure without the page: the same queue, limits and deadline, and the same memory of finished duels.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from rlpips.data import file_types, images
from rlpips.pairs.verdict import THRESHOLD
from rlpips.traces.trace import Trace
from rlpips.ui.pages import duel, pairs_run
from rlpips.ui.pages.duel_controls import Controls
from rlpips.ui.runtime import files, session, work
from rlpips.ui.runtime.pair_files import MAX_PAIRS, Chosen
from rlpips.ui.runtime.queue import QUEUE, Client
from rlpips.validation import check_whole
from rlpips.zoo import catalog


def build() -> None:
    """Add the endpoints to the current Blocks."""
    gr.api(attack, api_name="attack")
    gr.api(compare, api_name="compare")


def attack(
    request: gr.Request,
    picture: gr.FileData,
    candidate: gr.FileData | None = None,
    metrics: list[str] = ["lpips", "rlpips-linf"],  # noqa: B006  # part of the API that Gradio describes; nothing changes it
    backbone: str = "alex",
    norm: Literal["linf", "l2", "flow"] = "linf",
    eps: float = 4 / 255,
    steps: int = 20,
    step_size: float | None = None,
    objective: Literal["away", "toward"] = "away",
    seed: int = 0,
    restarts: int = 1,
    precision: Literal["float32"] | None = None,
    schedule: Literal["cosine", "fixed", "apgd"] = "cosine",
    longest_side: int = 256,
) -> tuple[str, gr.FileData | None, list[gr.FileData]]:  # of each message; Gradio makes the outputs of the API from it
    """Push a picture against two metrics by PGD, live, and get all measurements. Pixels are RGB in [0, 1].

    Parameters:
        picture: the reference, a picture file of at most 50 megapixels, at least 32 pixels a side
        candidate: the picture to push, resized to the reference's size; none pushes the reference itself ("away" only)
        metrics: two names, such as "lpips", "rlpips-linf", "rlpips-l2"; one lane is pushed against each
        backbone: "alex", "vgg" or "squeeze"
        norm: of the ball around the picture that is pushed; "flow" moves its pixels instead of changing them (stAdv)
        eps: the ball's radius in [0, 1] pixel units; above 0, at most 1 for "linf" and sqrt(3·H·W) for "l2"; for "flow" the
            largest displacement in pixels, at most 2 (0.5 is usual)
        steps: 1 to 200, or what the host allows
        step_size: of all steps, in the unit of eps; none for the sizes of the schedule
        objective: "away" makes each metric say "different", "toward" makes a different candidate look identical to it
        seed: of the random start, a whole number from 0
        restarts: 1 to 5; each lane keeps its best
        precision: "float32", or none for bfloat16 where the device has it in hardware
        schedule: of the step sizes: "cosine" from 2 eps to 0, "fixed" at 2.5 eps / steps, or "apgd"
        longest_side: larger pictures are scaled down to it, 32 to 1024 pixels
    Returns:
        A sentence on the progress, many times. The last one begins with "Done" or, if the host's deadline ended the attack,
        "Stopped"; with it come a trace, the zip archive that `rlpips.Trace.load` reads (curves, maps, pictures and the receipt
        with all settings), and the attacked pictures, a PNG of 8 bits (H, W, 3) for each metric.
    """
    arguments = locals()
    with _refusing():
        client = Client.of(arguments.pop("request"))
        with closing(session.completed(duel.updates(client, _controls(**arguments)))) as updates:
            for update in updates:
                is_complete = update.content and "files" in update.content
                yield update.text, *(_results(update.content) if is_complete else (None, []))


def compare(
    request: gr.Request,
    references: list[gr.FileData],
    candidates: list[gr.FileData],
    metrics: list[str] = ["lpips", "rlpips-linf", "rlpips-l2"],  # noqa: B006  # as above
    backbone: str = "alex",
    threshold: int = THRESHOLD,
) -> tuple[str, dict | None]:  # as above
    """Measure pairs of pictures: which of them fool the first metric and not the second?

    Parameters:
        references: the originals, picture files of at most 50 megapixels, at least 32 pixels a side; a single file is a pair's
        candidates: the changed pictures, as many, of the same sizes: the first with the first, and so on
        metrics: names of metrics; the verdicts are about the first two
        backbone: "alex", "vgg" or "squeeze"
        threshold: the JPEG quality, 1 to 99, as far as which a metric must find a pair to count as fooled
    Returns:
        A sentence on the progress, many times. The last one begins with "Done" or, if the host's deadline came first, "Stopped";
        with it comes what `rlpips.compare(references, candidates).to_json()` writes: {"receipt", "summary", "notes", "problems",
        "rows": one for each pair that could be read}. Pairs of more than 1024 pixels a side are reduced, and their notes say so;
        FLIP is asked about at most 100 pairs.
    """
    with _refusing():
        client, (chosen, names) = Client.of(request), _pairs(references, candidates, metrics, backbone)
        check_whole("The threshold", threshold, 1, 99)
        with closing(pairs_run.measured(client, chosen, names, backbone)) as updates:
            for update in updates:
                is_last = update.content and update.text.startswith(("Done", "Stopped"))
                yield update.text, _written(client, update.content[1], threshold) if is_last else None


@contextmanager
def _refusing() -> Iterator[None]:
    """Within, an error becomes one for the script, with the sentence that the page would show."""
    try:
        yield
    except ValueError as error:
        raise gr.Error(f"Refused: {error}", print_exception=False) from None
    except Exception as error:
        raise gr.Error(session.fault(error), print_exception=False) from None


def _pairs(references: Any, candidates: Any, metrics: Any, backbone: Any) -> tuple[Chosen, tuple[str, ...]]:
    """(the files, the metrics) of a request. A script may send anything."""
    sides = [[side] if isinstance(side, dict) else side for side in (references, candidates)]
    for side in sides:
        if not isinstance(side, list) or not side or not all(map(files.is_upload, side)):
            raise ValueError(
                "references and candidates must be lists of uploaded files: [gradio_client.handle_file(path)]."
            )
    first, second = ([each["path"] for each in side] for side in sides)
    if len(first) != len(second):
        raise ValueError(f"Every reference needs its candidate; got {len(first)} and {len(second)} files.")
    if len(first) > MAX_PAIRS:
        raise ValueError(f"At most {MAX_PAIRS} pairs at a time here; got {len(first)}.")
    for path in map(Path, [*first, *second]):
        if path.suffix.lower() not in file_types.ENDINGS or path.name.startswith("."):
            raise ValueError(f"{path.name} is of a kind that is not read here; send pictures, such as PNG.")
    if not isinstance(metrics, list) or not all(isinstance(name, str) for name in metrics):
        raise ValueError(f"metrics must be a list of names; got {metrics!r}.")
    return Chosen(tuple(first), tuple(second), ordered=True), catalog.check_metrics(metrics, backbone)


def _written(client: Client, measured: Any, threshold: int) -> dict:
    """What `rlpips.pairs.results.Pairs.to_json` writes of measured pairs."""
    with QUEUE.join(client) as place:
        for _ in place.turn():
            pass
        _, data = work.pairs_file("json", measured, threshold)
    return json.loads(data)


def _controls(picture, candidate, metrics, longest_side, norm, eps, step_size, precision, **others) -> Controls:
    """The values that the page's controls would have. A script may send anything, while a control bounds what it sends."""
    pictures = [picture] if candidate is None else [picture, candidate]
    if not all(map(files.is_upload, pictures)):
        raise ValueError("picture and candidate must be uploaded files: gradio_client.handle_file(path).")
    if not isinstance(metrics, list) or list(map(type, metrics)) != [str, str]:
        raise ValueError(f"metrics must be a list of two names; got {metrics!r}.")
    for name, value in {"eps": eps, "step_size": step_size, "longest_side": longest_side, **others}.items():
        is_text = name in ("backbone", "objective", "schedule")
        if not isinstance(value, str if is_text else int | float) and not (name == "step_size" and value is None):
            raise ValueError(f"{name} must be a {'text' if is_text else 'number'}; got {value!r}.")
    if not images.SMALLEST_SIDE <= longest_side <= images.LARGEST_SIDE:
        raise ValueError(
            f"longest_side must be {images.SMALLEST_SIDE} to {images.LARGEST_SIDE} pixels; got {longest_side!r}."
        )
    paths = [each["path"] for each in pictures]
    if len(set(paths)) < len(paths):
        raise ValueError("candidate must be another picture than the reference; none pushes the reference itself.")
    unit = 255 if norm == "linf" else 1  # the slider's
    return Controls(
        selected=paths[0], mine=paths, upload=paths, candidate="itself" if candidate is None else "mine", norm=norm,
        eps=eps * unit, step_size=None if step_size is None else step_size * unit, first=metrics[0], second=metrics[1],
        size=int(longest_side), precision=precision or "auto", **others,
    )  # fmt: skip


def _results(message: dict) -> tuple[dict, list[dict]]:
    """(the saved trace, the attacked picture of each metric) of a complete message."""
    saved = message["files"]["trace"]
    trace = Trace.load(Path(saved["path"]))
    pictures = zip(trace.metrics, trace.adversarial)
    return saved, [files.put(f"{trace.name}-{metric}.png", images.png_bytes(pixels)) for metric, pixels in pictures]
