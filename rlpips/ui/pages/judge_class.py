"""The class tally of "You be the judge": a lecturer opens a room, students answer by its link, and the lecturer sees how many chose what.

In a room all get the stored questions in one order, A and B in the same places. A vote is an answer to a question on the page; the
counts and the rooms go by routes of the app.
"""

import random
import threading
from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rlpips import paths
from rlpips.data import images
from rlpips.metrics import eye
from rlpips.quiz.questions import Question, Verdict
from rlpips.ui.components import modules
from rlpips.ui.runtime import flip
from rlpips.ui.runtime.class_tally import Rooms
from rlpips.zoo import catalog

ROOMS = Rooms()
Stored = list[tuple[Question, Verdict]]
EYE_COLOR = "#6b7280"


def panel(space: str) -> gr.HTML:
    """The button "For a class", and in a room what becomes of the answers; its values are replies to votes, its event is `opened`."""
    return gr.HTML(
        None, elem_id="judge-class", html_template=_text("judge_class.html"), css_template=_text("judge_class.css"),
        js_on_load=modules.load("judge_class.js", events=("opened",)), apply_default_css=False, space=space,
    )  # fmt: skip


def _text(name: str) -> str:
    return (paths.VIEWER / name).read_text("utf-8")


def order(room: str, count: int) -> list[int]:
    """The order of `count` stored questions in a room, the same for everybody in it."""
    return random.Random(room).sample(range(count), count)


def vote(room: Any, token: Any, question: Any, choice: Any, address: str) -> str:
    """Count an answer in a room; returns what became of it, for the visitor."""
    try:
        counted = ROOMS.vote(room, token, question, choice, address)
    except ValueError as error:
        return str(error)
    return "Counted, without a name." if counted else "Counted before: a browser's first answer to a question counts."


def tally(stored: Stored, room: str, key: str) -> dict[str, Any]:
    """What the lecturer sees of a room: how many have voted, how often they chose as each judge does, and each question that has votes.

    {"voters", "votes", "agreement": [{"title", "color", "agrees"}], "questions": [{"number", "index", "words", "counts", "says"}]}.
    ValueError for a wrong code or key.
    """
    voters, counts = ROOMS.tally(room, key)
    counts = {index: chosen for index, chosen in counts.items() if index < len(stored)}
    places = order(room, len(stored))
    agrees: dict[tuple[str, str], int] = {}
    questions = []
    for index in sorted(counts, key=places.index):
        says = _judges(stored, index)
        for each in says:
            name = each["title"], each["color"]
            agrees[name] = agrees.get(name, 0) + counts[index][each["choice"]]
        questions.append(
            {
                "number": places.index(index) + 1, "index": index, "words": list(stored[index][0].distortions),
                "counts": list(counts[index]), "says": says,
            }
        )  # fmt: skip
    return {
        "voters": voters, "votes": sum(map(sum, counts.values())), "questions": questions,
        "agreement": [{"title": title, "color": color, "agrees": count} for (title, color), count in agrees.items()],
    }  # fmt: skip


def _judges(stored: Stored, index: int) -> list[dict[str, Any]]:
    """The choices of the metrics, of the metrics under attack, and of the model of the eye where there is one."""
    _, verdict = stored[index]
    says = []
    for attacked in (False, True):
        for name, choice in zip(verdict.metrics, verdict.choices(attacked).tolist()):
            card = catalog.card(name)
            says.append({"title": f"{card.title}{' attacked' * attacked}", "color": card.color, "choice": choice})
    if (choices := _EYE.choices(stored)) and choices[index] is not None:
        says.append({"title": f"{eye.TITLE}, a model of the eye", "color": EYE_COLOR, "choice": choices[index]})
    return says


class _Eye:
    """Which candidates FLIP finds nearer: looked at once, in the background, when the first room is opened."""

    def __init__(self) -> None:
        self._choices: list[int] = []
        self._begun = threading.Event()

    def look(self, stored: Stored) -> None:
        """Begin, unless that has been done."""
        if not self._begun.is_set():
            self._begun.set()
            threading.Thread(target=self._look, args=(stored,), daemon=True).start()

    def _look(self, stored: Stored) -> None:
        pairs = [(question.pictures[0], question.pictures[k]) for question, _ in stored for k in (1, 2)]
        distances = flip.distances(pairs)
        self._choices = np.array(distances).reshape(-1, 2).argmin(1).tolist() if distances else []

    def choices(self, stored: Stored) -> list[int]:
        """The candidate of each question; none before they are known."""
        return self._choices if len(self._choices) == len(stored) else []


_EYE = _Eye()


# ---- routes


def routes(stored: Any) -> list[Route]:
    """Where the page opens a room, reads its counts, and gets the pictures of a question; `stored()` are the questions."""

    async def opened(request: Request) -> Response:
        try:
            room = ROOMS.open(request.client.host if request.client else "")
        except ValueError as error:
            return PlainTextResponse(str(error), 429)
        _EYE.look(stored())
        return JSONResponse(room._asdict(), headers={"Cache-Control": "no-store"})

    async def counted(request: Request) -> Response:
        try:
            counts = tally(stored(), request.path_params["code"], request.headers.get("x-room-key", ""))
        except ValueError as error:
            return PlainTextResponse(str(error), 404)
        return JSONResponse(counts, headers={"Cache-Control": "no-store"})

    def pictures(request: Request) -> Response:
        index = request.path_params["index"]
        if index >= len(stored()):
            return PlainTextResponse("There is no such question.", 404)
        return Response(_strip(stored, index), media_type="image/png", headers={"Cache-Control": "max-age=3600"})

    return [
        Route("/viewer/rooms", opened, methods=["POST"]),
        Route("/viewer/rooms/{code}", counted),
        Route("/viewer/questions/{index:int}", pictures),
    ]


@lru_cache(maxsize=64)
def _strip(stored: Any, index: int) -> bytes:
    """Reference, A and B side by side, as a PNG."""
    return images.png_bytes(np.concatenate(stored()[index][0].pictures, 1))
