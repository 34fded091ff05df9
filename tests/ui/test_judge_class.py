"""The class tally of "You be the judge": same questions for all, votes, what the lecturer sees, routes; then in a real browser."""

from types import SimpleNamespace

import browser as b
import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from visitors import request

from rlpips.quiz import questions
from rlpips.ui.pages import judge, judge_class
from rlpips.ui.runtime import class_tally, flip
from rlpips.zoo.catalog import PAIR


@pytest.fixture
def made(monkeypatch):
    """Six made-up questions: LPIPS chooses A, R-LPIPS B, and FLIP whichever is darker, by turns; an attack turns R-LPIPS alone."""
    answered = []
    for index in range(6):
        pictures = np.full((3, 20, 30, 3), 100, np.uint8)
        pictures[1 + index % 2] += 50
        question = questions.Question(pictures, (f"blur {index}", f"noise {index}"), None)
        verdict = questions.Verdict(
            4 / 255, 32 / 255, 0, PAIR, np.array([[0.1, 0.2], [0.2, 0.1]]), np.array([0.1, 0.05]), np.array([0.01, np.nan]),
            pictures[[1, 1]],
        )  # fmt: skip
        answered.append((question, verdict))
    monkeypatch.setattr(judge, "stored", lambda: answered)
    monkeypatch.setattr(judge_class, "ROOMS", class_tally.Rooms())
    monkeypatch.setattr(judge_class, "_EYE", judge_class._Eye())
    distance = lambda pair: float(np.abs(pair[0].astype(int) - pair[1]).mean())  # noqa: E731
    monkeypatch.setattr(flip, "distances", lambda pairs: [distance(pair) for pair in pairs])
    return answered


def test_in_a_room_all_get_the_same_questions_with_a_and_b_in_their_places(made):
    room = judge_class.ROOMS.open("::1").code
    seen = []
    for _ in range(2):
        deck, indexes = None, []
        for number in range(1, 7):
            _, status, deck, turn, _ = judge._next(deck, 0, None, "both", room)
            assert status == f"Done: question {number} of 6 in room {room}." and not turn.is_swapped
            indexes.append(turn.index)
        seen.append(indexes)
    assert seen[0] == seen[1] and sorted(seen[0]) == list(range(6))
    _, status, *_ = judge._next(None, 0, None, "both", "AAAAA")
    assert status.startswith("Done: a stored question") and "This room is closed" in status


def answered(room, turn, choice, token, **changes):
    return judge._vote(
        turn, SimpleNamespace(**{"id": turn.id, "choice": choice, "room": room, "token": token} | changes), request()
    )


def test_answers_are_counted_and_compared_with_every_judge(made):
    room, key = judge_class.ROOMS.open("::1")
    judge_class._EYE._look(made)
    turn = judge._Turn(*made[3], index=3, swap=False)
    says = [answered(room, turn, choice, f"browser-{k}")["says"] for k, choice in enumerate((0, 1, 1))]
    assert says == ["Counted, without a name."] * 3
    assert answered(room, turn, 0, "browser-0")["says"].startswith("Counted before")
    assert answered("AAAAA", turn, 0, "browser-9")["says"] == class_tally.CLOSED
    swapped = judge._Turn(*made[3], index=3, swap=True)
    for nothing in (answered("", turn, 0, "browser-9"), answered(room, turn, 0, "browser-9", id="other"),
                    answered(room, swapped, 0, "browser-9"), answered(room, judge._Turn(made[0][0]), 0, "browser-9")):  # fmt: skip
        assert nothing == gr.skip()
    found = judge_class.tally(made, room, key)
    assert (found["voters"], found["votes"]) == (3, 3)
    assert {each["title"]: each["agrees"] for each in found["agreement"]} == {
        "LPIPS": 1, "R-LPIPS l∞": 2, "LPIPS attacked": 1, "R-LPIPS l∞ attacked": 1, "FLIP, a model of the eye": 1,
    }  # fmt: skip
    (question,) = found["questions"]
    assert question["number"] == judge_class.order(room, 6).index(3) + 1
    assert (question["index"], question["words"], question["counts"]) == (3, ["blur 3", "noise 3"], [1, 2])


def test_the_routes_open_a_room_and_show_its_counts_to_the_key_alone(made):
    client = TestClient(FastAPI(routes=judge_class.routes(judge.stored)))
    opened = client.post("/viewer/rooms")
    room = opened.json()
    assert (
        opened.status_code == 200 and room.keys() == {"code", "key"} and opened.headers["cache-control"] == "no-store"
    )
    answer = client.get(f"/viewer/rooms/{room['code']}", headers={"x-room-key": room["key"]})
    assert answer.status_code == 200 and answer.json() == {"voters": 0, "votes": 0, "questions": [], "agreement": []}
    for code, headers in (
        (room["code"], {}),
        (room["code"], {"x-room-key": "x"}),
        ("AAAAA", {"x-room-key": room["key"]}),
    ):
        refused = client.get(f"/viewer/rooms/{code}", headers=headers)
        assert refused.status_code == 404 and refused.text == class_tally.CLOSED
    assert client.get("/viewer/rooms").status_code == 405
    for _ in range(class_tally.ROOMS_A_MINUTE):
        last = client.post("/viewer/rooms")
    assert last.status_code == 429 and last.text == class_tally.HURRIED
    assert client.get("/viewer/questions/2").headers["content-type"] == "image/png"
    assert client.get("/viewer/questions/6").status_code == 404


def test_a_lecturer_and_a_student(chromium, server):
    with b.visit(chromium, server.url + "#judge?kind=mixed", width=1280, height=720) as lecturer:
        lecturer.wait_for_selector("#judge .jd[data-state=question]")
        lecturer.wait_for_function("document.querySelector('#judge-kind input').value === 'two distortions'")
        lecturer.click(".jc-open")
        lecturer.wait_for_function("document.querySelector('.jc-qr').naturalWidth > 0")
        room = lecturer.inner_text(".jc-code")
        assert lecturer.inner_text(".jc-link").endswith(f"#judge?room={room}")
        lecturer.wait_for_function("document.querySelector('.jc-tally h2').textContent.startsWith('0 answers')")
        with b.visit(chromium, f"{server.url}#judge?room={room}", width=390, height=844) as student:
            student.wait_for_function(
                "room => document.querySelector('#judge-status')?.innerText.includes(`question 1 of 45 in room ${room}`)",
                arg=room,
            )
            student.wait_for_selector("#judge .jd[data-state=question]")
            student.keyboard.press("b")
            student.wait_for_function("document.querySelector('.jc-says').innerText.startsWith('Counted')")
            assert not student.is_visible(".jc-open") and student.evaluate("location.hash") == f"#judge?room={room}"
            assert student.evaluate("document.documentElement.scrollWidth") <= 390
        lecturer.wait_for_function("document.querySelector('.jc-tally h2').textContent === '1 answer from 1 browser'")
        assert not lecturer.is_visible(".jc-questions")
        lecturer.click(".jc-reveal")
        lecturer.wait_for_selector(".jc-questions li")
        assert lecturer.locator(".jc-bar").count() == 2 and "Question 1" in lecturer.inner_text(".jc-questions")
        lecturer.wait_for_function("document.querySelector('.jc-questions img').naturalWidth === 360")
        lecturer.evaluate("document.querySelector('.jc-dialog').close()")
        assert lecturer.inner_text(".jc-open") == f"Room {room}"
