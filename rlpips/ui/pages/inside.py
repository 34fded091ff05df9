"""The opened metric, below the viewer: what it requests of the server. All else about it is computed in the browser.

A request names the trace on show by its file, so that it is about the pictures and settings that the visitor sees.
"""

import json
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips import paths
from rlpips.attacks.request import AttackRequest
from rlpips.traces.trace import Trace
from rlpips.ui.components import modules
from rlpips.ui.components.events import PRIVATE
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.runtime import device, files, flip, session, uploads, work
from rlpips.ui.runtime.attack_run import AttackRun
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import Client
from rlpips.ui.runtime.session import Run, Update
from rlpips.zoo import catalog

log = logging.getLogger(__name__)

NAME = "yours"  # of the visitor's metric, in traces
BEFORE = "yours before"  # of the one that they had attacked before, where it is attacked beside the new one
# The visitor's metric as the panel has it; the field holds what the request is about.
_RECIPE_JS = "() => [document.querySelector('#viewer .rv-inside').dataset.request]"


def connect_yours(stop: gr.Button, verdict: Any, outputs: Sequence[Any]) -> None:
    """Let the visitor attack and score a metric of their own.

    verdict  the result of a trace in a sentence
    outputs  of the duel: the viewer, the status line, and the state of a run
    """
    request = gr.Textbox(visible=False)
    attack = gr.Button(visible="hidden", elem_id="attack-yours")
    score, cancel = (gr.Button(visible="hidden", elem_id=f"{name}-yours") for name in ("score", "cancel"))
    session.connect(
        attack, stop, lambda client, text: attack_updates(client, text, verdict), [request], outputs, js=_RECIPE_JS
    )
    scoring = score.click(_score, request, _replies(), js=_RECIPE_JS, **PRIVATE)
    cancel.click(None, cancels=[scoring], api_visibility="private")


def _replies() -> gr.HTML:
    """A component without a look, whose values reach the viewers as an event of the document."""
    return gr.HTML(
        None, html_template="", visible="hidden", js_on_load=modules.load("replies.js"), apply_default_css=False
    )


def title(name: str) -> str:
    """What the page calls a metric of a duel, which may be the visitor's own."""
    return name if name in (NAME, BEFORE) else catalog.card(name).title


def known_scores() -> str:
    """The points of the trade-off that are known, as JSON: [{"title", "color", "agreement", "attacked"}, …]."""
    try:
        scores = json.loads(paths.SCORES.read_text("utf-8"))
        return json.dumps(
            [
                {"title": catalog.card(name).title, "color": catalog.card(name).color, **score}
                for name, score in scores.items()
            ]
        )
    except (OSError, ValueError) as error:
        log.error("The scores of the known metrics cannot be read: %s", error)
        return "[]"


def _trace(client: Client, value: Any) -> Trace:
    """The trace of a request; ValueError for any file but that of a trace that the page shows."""
    if not files.is_upload({"path": value}) or Path(value).name != "trace.zip":
        raise ValueError("The recording of this run is no longer there. Run it again.")
    uploads.check_trace(client, value)
    return Trace.load(value)


def _read(text: Any) -> dict[str, Any]:
    """A request as the panel writes it: {"trace", "metrics": [name, name], "backbone", "share", "gains", "silenced"}, and
    "before", the share, gains and silenced channels of another metric, or null."""
    try:
        value = json.loads(text)
        first, second = value["metrics"]
        return {
            "trace": value["trace"], "metrics": (str(first), str(second)), "backbone": str(value["backbone"]),
            **_weights(value), "before": _weights(value["before"]) if value.get("before") else None,
        }  # fmt: skip
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError("This is not the recipe of a metric.") from error


def _weights(value: dict[str, Any]) -> dict[str, Any]:
    numbers = {key: tuple(map(kind, value[key])) for key, kind in (("gains", float), ("silenced", int))}
    return {"share": float(value["share"]), **numbers}


def _metric(recipe: dict[str, Any], name: str = NAME) -> Any:
    """The visitor's `PerceptualMetric`; ValueError for a recipe out of range."""
    from rlpips.metrics.heads import Heads
    from rlpips.metrics.lpips import load_metric

    for each in recipe["metrics"]:
        catalog.check(each, recipe["backbone"])
    heads = Heads.mix(*(Heads.of(each, recipe["backbone"]) for each in recipe["metrics"]), recipe["share"])
    metric = load_metric(heads.scale_layers(recipe["gains"]).silence(recipe["silenced"]))
    metric.name = name
    return metric


def attack_updates(client: Client, text: Any, verdict: Any) -> Generator[Update]:
    """A live attack on the metrics on show and on the visitor's own, from loading to the complete trace."""
    recipe = _read(text)
    trace = _trace(client, recipe["trace"])
    yield from session.updates(
        client, Loading(recipe["metrics"], recipe["backbone"]), lambda: _attack(recipe, trace, verdict)
    )


def _attack(recipe: dict[str, Any], trace: Trace, verdict: Any) -> AttackRun:
    receipt = trace.receipt
    if receipt.get("objective") not in ("away", "toward"):
        raise ValueError("A duel can be attacked anew; this recording is not one.")
    pushed = (trace.start != trace.reference).any()
    before = [_metric({**recipe, **recipe["before"]}, BEFORE)] if recipe["before"] else []
    request = AttackRequest(
        reference=trace.reference,
        candidate=trace.start if pushed else None,
        metrics=(*recipe["metrics"], *before, _metric(recipe)),
        backbone=recipe["backbone"],
        steps=min(receipt["steps"], device.MAX_STEPS),
        restarts=min(receipt["restarts"], device.MAX_RESTARTS),
        **{key: receipt[key] for key in ("norm", "eps", "objective", "seed", "schedule")},
        step_size=receipt["step_size"] if receipt["schedule"] == "fixed" else None,
    )
    return AttackRun(request, trace.name, [], work.duel, verdict, work.duel_ruler, flip.look)


def _score(request: gr.Request, text: str) -> Iterator[dict]:
    """Yields replies {"score": {"text", "progress", "figures"}}."""
    with closing(session.guarded(score_updates(Client.of(request), text))) as updates:
        for update in updates:
            yield {"score": {"text": update.text, "progress": update.progress, "figures": update.content}}


def score_updates(client: Client, text: Any) -> Generator[Update]:
    """The score of the visitor's metric, from loading to the figures of `rlpips.evaluate.sample_score`."""
    recipe = _read(text)
    yield from session.updates(
        client, Loading(recipe["metrics"], recipe["backbone"]), lambda: _ScoreRun(_metric(recipe))
    )


class _ScoreRun(Run):
    """Scores a metric on patches of the samples."""

    def __init__(self, metric: Any):
        super().__init__()
        self._metric = metric
        self._figures: dict[str, Any] = {}
        self._seconds = device.stopwatch()

    def steps(self) -> Generator[Update]:
        self._seconds = device.stopwatch()  # without the wait for a turn
        pictures = [sample.picture().pixels for sample in SAMPLES]
        with closing(work.score(self._metric, pictures)) as steps:
            for done, self._figures in steps:
                yield Update("Running: scored so far", self._figures, progress=(round(100 * done), 100))

    def result(self) -> Update:
        if "attacked" not in self._figures:
            return Update(session.NOTHING_YET)
        return Update(f"Done: scored in {self._seconds():.0f} s.", self._figures)
