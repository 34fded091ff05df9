"""The page "You be the judge": which of two candidates is nearer to a reference? The visitor first, then the metrics,
then the metrics attacked.

Before the choice the browser gets one strip of three pictures and a random name for it, as a data URL: no file name, no
file size and no address that could give the answer away. Stored questions need no torch; those made of the visitor's
picture are judged by the metrics while the visitor looks.
"""

import base64
import html
import math
import random
import secrets
import threading
import traceback
from functools import lru_cache
from pathlib import Path

import gradio as gr
import numpy as np

from rlpips import paths
from rlpips.data import images
from rlpips.quiz import archive, questions
from rlpips.ui.components import modules
from rlpips.ui.runtime import jobs as engine
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

KINDS = [("both kinds", "both"), ("one distortion, two strengths", "one"), ("two distortions", "mixed")]
LARGEST_SIDE = 512  # of the visitor's picture, so that patches show something
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE = {**engine.UNLIMITED, **PRIVATE}  # a stored question waits for nobody
FAILED = "Refused: the server could not do this. Another picture may help."
MISSING = "Refused: the stored questions cannot be read. Choose a picture of your own."
SCORE = """<section class="jscore" aria-label="Score of this visit"><table>
<thead><tr><th scope="col">Score of this visit</th><th scope="col">right</th><th scope="col">agrees with you</th></tr>
</thead>
<tbody></tbody></table>
<button type="button">Start over</button></section>"""
HELP = """<b>right</b>: where both candidates have one distortion, the milder one is nearer by construction.
<b>agrees with you</b>: all questions; of two distortions nobody knows which is nearer. An attack turns a metric's own
choice, right or wrong."""


class _Turn:
    """A question put to one visitor, and its verdict as soon as there is one."""

    def __init__(self, question, verdict=None):
        self.id = secrets.token_hex(8)
        self.swap = secrets.randbelow(2)  # which candidate is called A is drawn anew every time
        self.question = question.swapped() if self.swap else question
        self.answered = False
        self.ready = threading.Event()
        self.verdict = None
        if verdict:
            self.judged(verdict)

    def judged(self, verdict):
        self.verdict = verdict.swapped() if self.swap else verdict
        self.ready.set()


@lru_cache(maxsize=1)
def stored():
    """The stored questions and verdicts; none where they cannot be read, as the log will say."""
    try:
        return archive.read(paths.QUESTIONS)[0]
    except (ValueError, OSError) as error:
        print(f"No stored questions: {error}")
        return []


def build(tab):
    """Lay the page out in the Blocks at hand; the first question comes when `tab` is chosen."""
    threading.Thread(target=stored, daemon=True).start()
    deck, turn, wanted = gr.State(None), gr.State(None), gr.State(0)  # wanted: how many live questions were asked for
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            score = gr.HTML(
                None, elem_id="judge-score", html_template=SCORE, css_template=_text("judge_score.css"),
                js_on_load=modules.load("judge_score.js"), apply_default_css=False, lines=questions.rows(PAIR),
            )  # fmt: skip
            gr.HTML(HELP, elem_classes="hint")
            kind = gr.Dropdown(KINDS, value="both", label="Questions", elem_id="judge-kind")
            upload = gr.File(label="or of your own picture", height=64, elem_id="judge-upload", elem_classes="upload")
            status = gr.HTML(
                "Loading…", elem_id="judge-status", elem_classes="status",
                html_template='<div role="status" aria-live="polite">${value}</div>',
            )  # fmt: skip
        stage = gr.HTML(
            None, elem_id="judge", html_template=_text("judge.html"), css_template=_text("judge.css"),
            js_on_load=modules.load("judge.js", events=("next", "chosen")), apply_default_css=False,
        )  # fmt: skip

    asked = {"inputs": [deck, wanted, upload, kind], "outputs": [stage, status, deck, turn, wanted], **AT_ONCE}
    tab.select(_first, **asked)
    for another in (stage.next, upload.change, kind.input):
        another(_next, **asked)
    wanted.change(_live, [upload, kind], [stage, status, turn], **AT_ONCE)
    stage.chosen(_chosen, turn, [stage, score, status], **AT_ONCE)


def _text(name):
    return (paths.VIEWER / name).read_text("utf-8")


def _first(deck, *rest):
    """The first question of a visit; coming back to the tab changes nothing."""
    return _next(deck, *rest) if deck is None else (gr.skip(),) * 5


def _next(deck, wanted, upload, kind):
    """(stage message, status, deck, turn, wanted): a stored question, or the wish for one of the visitor's picture."""
    if upload:
        return _message("waiting"), "Running: waiting for a turn…", deck or [], None, wanted + 1
    fitting = [index for index, (question, _) in enumerate(stored()) if _fits(question, kind)]
    if not fitting:
        return _message("refused"), MISSING, [], None, wanted
    deck = deck or []
    if not set(deck) & set(fitting):  # each comes once before any comes again
        deck = deck + random.sample(fitting, len(fitting))
    index = next(index for index in deck if index in fitting)
    turn = _Turn(*stored()[index])
    words = "Done: a stored question, cut from the sample pictures."
    return _asked(turn), words, [other for other in deck if other != index], turn, wanted


def _fits(question, kind):
    return kind == "both" or (question.nearer is None) == (kind == "mixed")


def _live(upload, kind):
    """Yields (stage message, status, turn): a question of the visitor's picture, and then that it has been judged."""
    turn = None
    try:
        if not upload:  # it was taken away while this one waited
            return
        photograph = images.read_picture(Path(upload), LARGEST_SIDE)
        loading = engine.Loading(PAIR, "alex")
        while loading.busy():
            yield gr.skip(), html.escape(loading.text), None
        loading.result()
        mixed = kind == "mixed" or (kind == "both" and secrets.randbelow(2) == 1)
        with engine.LINE.join() as place:
            for words in place.turn():
                yield gr.skip(), words, None
            clock = engine.clock()
            steps = engine.judged(photograph.pixels, mixed, secrets.randbelow(2**53))
            turn = _Turn(next(steps))
            yield _asked(turn), "Running: choose; the metrics are judging meanwhile…", turn
            turn.judged(next(steps))
        said = " ".join(
            [f"Done: a question of your picture, judged by the metrics in {clock():.1f} s.", *photograph.notes]
        )
        yield gr.skip(), html.escape(said), gr.skip()
    except ValueError as error:
        gr.Warning(html.escape(str(error)))
        yield _message("refused"), html.escape(f"Refused: {error}"), None
    except Exception:  # the visitor is told, the host finds the reason in the log
        traceback.print_exc()
        yield _message("refused"), FAILED, None
    finally:
        if turn:
            turn.ready.set()  # whoever waits need not wait on


def _chosen(turn, event: gr.EventData):
    """Yields (stage message, score message, status): the verdict, once visitor and metrics have judged."""
    choice = getattr(event, "choice", None)
    if turn is None or turn.answered or choice not in (0, 1) or getattr(event, "id", None) != turn.id:
        yield gr.skip(), gr.skip(), gr.skip()  # an answer to another question
        return
    turn.answered = True
    if not turn.ready.is_set():
        yield gr.skip(), gr.skip(), "Running: the metrics have not decided yet…"
        turn.ready.wait(engine.DEADLINE_S)
    if turn.verdict is None:
        yield _message("refused"), gr.skip(), FAILED
        return
    scored = questions.points(turn.question, turn.verdict, int(choice))
    yield _revealed(turn, int(choice)), {"id": turn.id, "points": scored}, gr.skip()


def _message(kind):
    return {"kind": kind, "id": secrets.token_hex(8)}  # Gradio passes over a value that is the one before


def _asked(turn):
    """What the browser gets before the choice: three pictures side by side, and nothing else."""
    return {"kind": "question", "id": turn.id, "pictures": _url(np.concatenate(turn.question.pictures, 1))}


def _revealed(turn, chosen):
    """What it gets after the choice; eps as n/255."""
    question, verdict = turn.question, turn.verdict
    each = zip(
        verdict.metrics, verdict.distances(False), verdict.distances(True), verdict.choices(False),
        verdict.choices(True), verdict.smallest,
    )  # fmt: skip
    return {
        "kind": "verdict", "id": turn.id, "chosen": chosen, "nearer": question.nearer, "words": list(question.words),
        "attacked": verdict.attacked, "eps": round(255 * verdict.eps), "most": round(255 * verdict.most),
        "pushed": _url(np.concatenate(verdict.pushed)),
        "metrics": [
            {
                "title": catalog.card(name).title, "color": catalog.card(name).color,
                "distances": [before.tolist(), after.tolist()], "choices": [int(first), int(then)],
                "smallest": None if math.isnan(eps) else _rounded_up(255 * eps),
            }
            for name, before, after, first, then, eps in each
        ],
    }  # fmt: skip


def _url(pixels):
    return "data:image/png;base64," + base64.b64encode(images.png_bytes(pixels)).decode()


def _rounded_up(value):
    """To two digits, upwards: what turned the choice must not look smaller than it was."""
    unit = 10 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / unit - 1e-9) * unit, 6)
