"""The page "You be the judge": which of two candidates is nearer to a reference? First the visitor answers, then the metrics,
then the metrics under attack.

Before the choice the browser gets one strip of three pictures and a random name for it, as a data URL: no file name, no
file size and no address that could give the answer away. Stored questions need no torch; the metrics judge questions from the
visitor's picture while the visitor looks.
"""

import base64
import logging
import math
import random
import secrets
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np

from rlpips import paths
from rlpips.data import images
from rlpips.data.images import Picture
from rlpips.quiz import archive, questions
from rlpips.quiz.questions import Question, Verdict
from rlpips.ui.components import masthead, modules
from rlpips.ui.components.events import PRIVATE
from rlpips.ui.components.status import status_line
from rlpips.ui.pages import judge_class
from rlpips.ui.runtime import class_tally, device, session, uploads, work
from rlpips.ui.runtime.address import Choice, Key, Text
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import Client
from rlpips.ui.runtime.session import Run, Update
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

log = logging.getLogger(__name__)

KINDS = [("both kinds", "both"), ("one distortion, two strengths", "one"), ("two distortions", "mixed")]
KEYS = (
    Key("kind", "judge-kind", Choice("both", [name for _, name in KINDS])),
    Key(
        "room", "judge-class", Text(class_tally.CODE, f"{class_tally.CODE_LENGTH} of the letters {class_tally.LETTERS}")
    ),
)
# The last input is the room that the page's address names; the one before the kind of questions.
ROOM_JS = """(...values) => [...values.slice(0, -1), new URLSearchParams(location.hash.split("?")[1] ?? "").get("room") ?? ""]"""
# As the tab opens, its controls do not have yet what the address says.
ADDRESS_JS = """(...values) => {
  const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const kind = ["both", "one", "mixed"].find((each) => each === query.get("kind")) ?? values.at(-2);
  return [...values.slice(0, -2), kind, query.get("room") ?? ""];
}"""
LARGEST_SIDE = 512  # of the visitor's picture, so that patches show something
MISSING = "Refused: the stored questions cannot be read. Choose a picture of your own."
SCORE = """<section class="jscore" aria-label="Score of this visit"><table>
<thead><tr><th scope="col">Score of this visit</th><th scope="col">right</th><th scope="col">agrees with you</th></tr>
</thead>
<tbody></tbody></table>
<button type="button">Start over</button></section>"""
HELP = """<b>right</b>: where both candidates have one distortion, the milder one is nearer by construction.
<b>agrees with you</b>: all questions; of two distortions nobody knows which is nearer. An attack turns a metric's own
choice, right or wrong: PGD of 40 steps on stored questions, of 20 on your own picture."""


class _Turn:
    """A question for one visitor, and its verdict as soon as there is one."""

    def __init__(
        self, question: Question, verdict: Verdict | None = None, index: int | None = None, swap: bool | None = None
    ):
        self.id = secrets.token_hex(8)
        self.index = index  # among the stored questions
        # Which candidate is called A is drawn anew every time; but a class speaks of the same one.
        self.is_swapped = bool(secrets.randbelow(2)) if swap is None else swap
        self.question = question.swapped() if self.is_swapped else question
        self.is_answered = False
        self.ready = threading.Event()  # set when the verdict is there, or never will be
        self.verdict: Verdict | None = None
        if verdict:
            self.judge(verdict)

    def judge(self, verdict: Verdict) -> None:
        """Take the verdict on the question as it was before the swap."""
        self.verdict = verdict.swapped() if self.is_swapped else verdict
        self.ready.set()


def fill(settings: dict[str, Any]) -> list[Any]:
    """The values of what an address sets."""
    return [settings["kind"]]


@lru_cache(maxsize=1)
def stored() -> list[tuple[Question, Verdict]]:
    """The stored questions and verdicts; none if they cannot be read, with the reason in the log."""
    try:
        return archive.read(paths.QUESTIONS)[0]
    except (ValueError, OSError) as error:
        log.error("There are no stored questions: %s", error)
        return []


def build(tab: gr.Tab, space: str = "") -> list[Any]:
    """Lay out the page in the current Blocks; the first question comes when `tab` is selected. Returns what an address sets.

    space  the app's name on Spaces
    """
    threading.Thread(target=stored, daemon=True).start()
    deck, turn = gr.State(None), gr.State(None)
    requests = gr.State(0)  # how many live questions the visitor has requested
    room = gr.Textbox(visible=False)  # the code in the address
    with gr.Row(elem_classes="beside"):
        with gr.Column(scale=0, elem_classes="controls"):
            in_class = judge_class.panel(space)
            score = gr.HTML(
                None, elem_id="judge-score", html_template=SCORE, css_template=_text("judge_score.css"),
                js_on_load=modules.load("judge_score.js"), apply_default_css=False, lines=questions.score_lines(PAIR),
            )  # fmt: skip
            gr.HTML(HELP, elem_classes="hint")
            kind = gr.Dropdown(KINDS, value="both", label="Questions", elem_id="judge-kind")
            upload = gr.File(label="or of your own picture", height=64, elem_id="judge-upload", elem_classes="upload")
            status = status_line("Loading…", "judge-status")
        stage = gr.HTML(
            None, elem_id="judge", html_template=_text("judge.html"), css_template=_text("judge.css"),
            js_on_load=modules.load("judge.js", events=("next", "chosen")), apply_default_css=False,
        )  # fmt: skip

    inputs, outputs = [deck, requests, upload, kind, room], [stage, status, deck, turn, requests]
    tab.select(_first, inputs, outputs, js=ADDRESS_JS, **PRIVATE)
    # Not `input`: Gradio fires it when a dropdown loses the focus, whatever it shows.
    for event in (stage.next, upload.change, kind.select):
        event(_next, inputs, outputs, js=ROOM_JS, **PRIVATE)
    in_class.opened(_anew, inputs, outputs, js=ROOM_JS, **PRIVATE)
    masthead.tell("judge", {"kind": kind})
    requests.change(_live, [upload, kind], [stage, status, turn], **PRIVATE)
    # A quick visitor answers before Gradio has ended the event of the answer before.
    stage.chosen(_vote, turn, in_class, trigger_mode="multiple", **PRIVATE)
    stage.chosen(_answer, turn, [stage, score, status], trigger_mode="multiple", **PRIVATE)
    return [kind]


def _text(name: str) -> str:
    return (paths.VIEWER / name).read_text("utf-8")


def _first(deck: list[int] | None, *others: Any) -> tuple:
    """The first question of a visit; a return to the tab changes nothing."""
    return _next(deck, *others) if deck is None else (gr.skip(),) * 5


def _anew(deck: list[int] | None, *others: Any) -> tuple:
    """The first question of a room that has just been opened."""
    return _next(None, *others)


def _next(deck: list[int] | None, requests: int, upload: str | None, kind: str, room: str = "") -> tuple:
    """(stage message, status, deck, turn, requests): a stored question, or a request for one from the visitor's picture."""
    if upload:
        return _message("waiting"), session.WAITING, deck or [], None, requests + 1
    fitting = [index for index, (question, _) in enumerate(stored()) if _is_of_kind(question, kind)]
    if not fitting:
        return _message("refused"), MISSING, [], None, requests
    deck = deck or []
    if not set(deck) & set(fitting):  # each comes once before any comes again
        deck = deck + random.sample(fitting, len(fitting))
    in_room = judge_class.ROOMS.is_open(room)
    order = judge_class.order(room, len(stored())) if in_room else deck
    index = next(index for index in order if index in fitting and index in deck)
    turn = _Turn(*stored()[index], index, swap=False if in_room else None)
    text = "Done: a stored question, cut from the sample pictures."
    if in_room:
        text = f"Done: question {order.index(index) + 1} of {len(order)} in room {room}."
    elif room:
        text = f"{text} {class_tally.CLOSED}"
    return _question(turn), text, [other for other in deck if other != index], turn, requests


def _vote(turn: _Turn | None, event: gr.EventData, request: gr.Request) -> dict | Any:
    """The reply to whoever answers in a room: what became of the answer."""
    room, choice = (getattr(event, name, None) for name in ("room", "choice"))
    if not room or turn is None or turn.index is None or getattr(event, "id", None) != turn.id or turn.is_swapped:
        return gr.skip()
    says = judge_class.vote(room, getattr(event, "token", None), turn.index, choice, Client.of(request).address)
    return {"id": turn.id, "says": says}


def _is_of_kind(question: Question, kind: str) -> bool:
    return kind == "both" or (question.nearer is None) == (kind == "mixed")


def _live(request: gr.Request, upload: str | None, kind: str) -> Iterator[tuple]:
    """Yields (stage message, status, turn): a question from the visitor's picture, and later that the metrics have judged it."""
    if not upload:  # the visitor removed it meanwhile
        return
    with closing(session.guarded(updates(Client.of(request), upload, kind))) as messages:
        for update in messages:
            if update.refused:
                yield _message("refused"), update.as_html(), None
            else:
                stage, turn = update.content or (gr.skip(), gr.skip())
                yield stage, update.as_html(), turn


def updates(client: Client, upload: str, kind: str) -> Generator[Update]:
    """A question from the visitor's picture, from loading to the verdict. ValueError for a picture that cannot be read."""
    picture = uploads.read_picture(client, upload, LARGEST_SIDE)
    yield from session.updates(client, Loading(PAIR, "alex"), lambda: _QuestionRun(picture, kind))


class _QuestionRun(Run):
    """Draws a question from a picture; the metrics judge it while the visitor looks."""

    def __init__(self, picture: Picture, kind: str):
        super().__init__(picture.notes)
        self._pixels = picture.pixels
        self._mixed = kind == "mixed" or (kind == "both" and secrets.randbelow(2) == 1)
        self._seconds = device.stopwatch()

    def steps(self) -> Generator[Update]:
        self._seconds = device.stopwatch()
        with closing(work.question(self._pixels, self._mixed, secrets.randbelow(2**53))) as steps:
            turn = _Turn(next(steps))
            try:
                yield Update("Running: choose; the metrics are judging meanwhile…", (_question(turn), turn))
                turn.judge(next(steps))
            finally:
                turn.ready.set()  # whatever happened, a visitor who has answered need not wait longer

    def result(self) -> Update:
        return Update(f"Done: a question of your picture, judged by the metrics in {self._seconds():.1f} s.")


def _answer(turn: _Turn | None, event: gr.EventData) -> Iterator[tuple]:
    """Yields (stage message, score message, status): the verdict, once visitor and metrics have judged."""
    choice = getattr(event, "choice", None)
    if turn is None or turn.is_answered or choice not in (0, 1) or getattr(event, "id", None) != turn.id:
        yield gr.skip(), gr.skip(), gr.skip()  # an answer to another question
        return
    turn.is_answered = True
    if not turn.ready.is_set():
        yield gr.skip(), gr.skip(), "Running: the metrics have not decided yet…"
        turn.ready.wait(device.DEADLINE_S)
    if turn.verdict is None:
        yield _message("refused"), gr.skip(), session.FAILED
        return
    points = questions.points(turn.question, turn.verdict, int(choice))
    yield _verdict(turn.id, turn.question, turn.verdict, int(choice)), {"id": turn.id, "points": points}, gr.skip()


def _message(kind: str) -> dict:
    return {"kind": kind, "id": secrets.token_hex(8)}  # Gradio passes over a value that equals the one before


def _question(turn: _Turn) -> dict:
    """What the browser gets before the choice: three pictures side by side, and nothing else."""
    return {"kind": "question", "id": turn.id, "pictures": _url(np.concatenate(turn.question.pictures, 1))}


def _verdict(turn_id: str, question: Question, verdict: Verdict, choice: int) -> dict:
    """What the browser gets after the choice; eps as n/255."""
    rows = zip(
        verdict.metrics, verdict.distances(False), verdict.distances(True), verdict.choices(False),
        verdict.choices(True), verdict.smallest_eps,
    )  # fmt: skip
    return {
        "kind": "verdict", "id": turn_id, "chosen": choice, "nearer": question.nearer, "words": list(question.distortions),
        "attacked": verdict.attacked, "eps": round(255 * verdict.eps), "most": round(255 * verdict.max_eps),
        "pushed": _url(np.concatenate(verdict.pushed)),
        "metrics": [
            {
                "title": catalog.card(name).title, "color": catalog.card(name).color,
                "distances": [before.tolist(), after.tolist()], "choices": [int(choice_before), int(choice_after)],
                "smallest": None if math.isnan(eps) else _round_up(255 * eps),
            }
            for name, before, after, choice_before, choice_after, eps in rows
        ],
    }  # fmt: skip


def _url(pixels: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(images.png_bytes(pixels)).decode()


def _round_up(value: float) -> float:
    """To two digits, upwards: an eps that turned the choice must not look smaller than it was."""
    unit = 10 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / unit - 1e-9) * unit, 6)
