"""The page "You be the judge": what is sent before the choice, the choice, and the page in a real browser."""

import base64
import io
import json
import logging
import re
from types import SimpleNamespace

import browser as b
import gradio as gr
import numpy as np
import pytest
import tour
from PIL import Image
from visitors import request

from rlpips import paths
from rlpips.quiz import archive, questions
from rlpips.ui.pages import judge
from rlpips.ui.runtime import session, work
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR


@pytest.fixture
def made(monkeypatch):
    """Stored questions made up: of one family and of two, by turns."""
    random = np.random.default_rng(0)
    answered = []
    for index in range(6):
        pictures = random.integers(0, 256, (3, 34, 50, 3), np.uint8)
        nearer = (None, 0, None, 1, 0, None)[index]
        question = questions.Question(pictures, (f"JPEG quality {index}", f"JPEG quality {index + 20}"), nearer)
        verdict = questions.Verdict(
            4 / 255, 32 / 255, index % 2, PAIR, random.random((2, 2)), random.random(2),
            np.array([0.0102, np.nan]), np.stack([pictures[1 + index % 2]] * 2),
        )  # fmt: skip
        answered.append((question, verdict))
    monkeypatch.setattr(judge, "stored", lambda: answered)
    return answered


def pixels_of(url):
    assert url.startswith("data:image/png;base64,")
    return np.array(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def event(turn, **said):
    return SimpleNamespace(**{"id": turn.id, "choice": 0, **said})


def test_before_the_choice_nothing_is_sent_but_three_pictures(made):
    said = set()
    for _ in range(12):
        message, status, _, turn, _ = judge._next(None, 0, None, "both")
        assert message.keys() == {"kind", "id", "pictures"} and message["kind"] == "question"
        said.add(status)
        strip = np.stack(np.split(pixels_of(message["pictures"]), 3, axis=1))
        assert (strip == turn.question.pictures).all()
    assert len(said) == 1  # whatever the question
    turns = [judge._Turn(*made[1]) for _ in range(40)]
    assert {turn.question.nearer for turn in turns} == {0, 1}  # which one is called A is drawn anew
    assert len({turn.id for turn in turns}) == 40
    for turn in turns:
        own = turn.question.pictures[1 + turn.verdict.attacked]
        assert (turn.verdict.pushed == own).all()  # the verdict goes with its question


def test_every_question_comes_once_before_any_comes_again(made):
    deck, seen = None, []
    for _ in range(6):
        _, _, deck, turn, _ = judge._next(deck, 0, None, "both")
        seen.append(frozenset(turn.question.distortions))
    assert len(set(seen)) == 6
    for kind, known in (("one", True), ("mixed", False)):
        for _ in range(4):
            _, _, deck, turn, _ = judge._next(deck, 0, None, kind)
            assert (turn.question.nearer is not None) == known


def test_a_visit_begins_once(made):
    assert judge._first([], 0, None, "both") == (gr.skip(),) * 5
    assert judge._first(None, 0, None, "both")[0]["kind"] == "question"


def test_ones_own_picture_is_asked_for_in_the_queue(made):
    message, status, _, turn, wanted = judge._next([1], 3, "mine.png", "both")
    assert message["kind"] == "waiting" and status.startswith("Running") and turn is None and wanted == 4


def test_without_stored_questions_the_page_says_so(monkeypatch):
    monkeypatch.setattr(judge, "stored", lambda: [])
    message, status, *_ = judge._next(None, 0, None, "both")
    assert message["kind"] == "refused" and status == judge.MISSING


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_missing_or_damaged_questions_are_an_error_in_the_log_and_a_sentence(tmp_path, monkeypatch, caplog, damage):
    if damage == "damaged":
        (tmp_path / "questions.zip").write_bytes(b"no zip")
    monkeypatch.setattr(paths, "QUESTIONS", tmp_path / "questions.zip")
    judge.stored.cache_clear()
    try:
        message, status, *_ = judge._next(None, 0, None, "both")
    finally:
        judge.stored.cache_clear()
    assert message["kind"] == "refused" and status == judge.MISSING
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and "questions.zip" in record.getMessage()


def test_an_answer_counts_once_and_for_its_own_question(made):
    _, _, _, turn, _ = judge._next(None, 0, None, "one")
    nothing = [(gr.skip(),) * 3]
    for forged in ({"id": "other"}, {"choice": 2}, {"choice": "0"}, {"choice": None}):
        assert list(judge._answer(turn, event(turn, **forged))) == nothing
    assert list(judge._answer(None, event(turn))) == nothing
    ((message, score, _),) = judge._answer(turn, event(turn, choice=1))
    assert (
        message["chosen"] == 1
        and message["nearer"] == turn.question.nearer
        and message["attacked"] == turn.verdict.attacked
    )
    assert score == {"id": turn.id, "points": questions.points(turn.question, turn.verdict, 1)}
    assert [each["title"] for each in message["metrics"]] == [catalog.card(name).title for name in PAIR]
    assert [each["smallest"] for each in message["metrics"]] == [2.7, None]  # as n/255, two digits, rounded up
    assert (pixels_of(message["pushed"]).reshape(2, 34, 50, 3) == turn.verdict.pushed).all()
    json.dumps([message, score], allow_nan=False)  # plain numbers: others become texts or null on their way
    assert list(judge._answer(turn, event(turn, choice=0))) == nothing  # a second thought comes too late


def test_without_a_verdict_the_page_says_so(made):
    turn = judge._Turn(made[0][0])
    turn.ready.set()  # the metrics have failed
    *_, (message, _, status) = judge._answer(turn, event(turn))
    assert message["kind"] == "refused" and status == session.FAILED


def test_a_live_question_comes_before_its_verdict_and_a_failure_keeps_nobody_waiting(
    tmp_path, monkeypatch, made, caplog
):
    question, verdict = made[0]
    path = photograph(tmp_path / "mine.png", 60, 80)

    def judged(pixels, mixed, seed):
        yield question
        yield verdict

    monkeypatch.setattr(work, "question", judged)
    updates = [values for values in judge._live(request(), path, "both") if not values[1].startswith("Loading")]
    (stage, status, turn), (last_stage, last_status, last_turn) = updates
    assert stage["kind"] == "question" and status.startswith("Running: choose") and turn.verdict is not None
    assert last_stage == last_turn == gr.skip() and last_status.startswith("Done: a question of your picture")

    def failing(pixels, mixed, seed):
        yield question
        raise RuntimeError("out of memory")

    monkeypatch.setattr(work, "question", failing)
    *_, (_, _, turn), (stage, status, last_turn) = judge._live(request(), path, "both")
    assert turn.ready.is_set() and turn.verdict is None and last_turn is None
    assert stage["kind"] == "refused" and status == session.FAILED and "out of memory" in caplog.text


# ---- in the browser

ANSWERED = "#judge .jd[data-state=answered]"
QUESTION = "#judge .jd[data-state=question]"
PIXELS = """() => [...document.querySelectorAll('#judge .jd-picture canvas')].map((canvas) => {
  const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return [canvas.ariaLabel, canvas.height, canvas.width, PACKED(bytes)];
})""".replace("PACKED", b.PACKED)


def reset(page):
    """Back to a question of both kinds that nobody has answered, and a score of nothing."""
    if page.input_value("#judge-kind input") != "both kinds":
        another(page, lambda: b.choose(page, "#judge-kind", "both kinds"))
        page.wait_for_function("!document.activeElement.matches('input')")
    if page.locator(ANSWERED).count():
        following(page)
    page.click("#judge-score button")
    page.wait_for_function(r"!/\d[/]\d/.test(document.querySelector('#judge-score').innerText)")


@pytest.fixture
def page(window, request):
    with window.turn(request, opened, reset) as page:
        yield page


def opened(page):
    page.wait_for_selector("#viewer .rv-columns canvas")
    b.tab(page, "You be the judge")
    page.wait_for_selector(QUESTION)
    return page


def shown(page):
    """{what a screen reader calls it: its pixels} of the three pictures."""
    return {
        name: b.unpacked(data).reshape(height, width, 4)[..., :3] for name, height, width, data in page.evaluate(PIXELS)
    }


def found(page):
    """The stored question and verdict on show, as the page orders A and B."""
    pictures = shown(page)
    for question, verdict in archive.read(paths.QUESTIONS)[0]:
        if (question.pictures[0] == pictures["reference"]).all():
            swap = (question.pictures[1] != pictures["candidate A"]).any()
            question, verdict = (question.swapped(), verdict.swapped()) if swap else (question, verdict)
            if (question.pictures[2] == pictures["candidate B"]).all():
                return question, verdict
    pytest.fail("shows no stored question")


def answer(page, key):
    page.keyboard.press(key)
    page.wait_for_selector(ANSWERED)


ANOTHER = """(before) => {
  const { state, question } = document.querySelector('#judge .jd').dataset;
  return state === 'question' && question !== before;
}"""


def another(page, act):
    """Do what brings another question, and wait for it."""
    before = page.get_attribute("#judge .jd", "data-question")
    act()
    page.wait_for_function(ANOTHER, arg=before)


def following(page, key="n"):
    another(page, lambda: page.keyboard.press(key))


def score(page):
    rows = page.locator("#judge-score tbody tr").all_inner_texts()
    return [re.split(r"\s*\t\s*", row.strip()) for row in rows]


def places(page):
    return [each.bounding_box() for each in page.locator("#judge .jd-picture").all()]


def test_a_question_is_answered_and_explained(page):
    question, verdict = found(page)
    text = page.inner_text("#judge") + page.inner_html("#judge")
    assert not any(words in text for words in question.distortions) and "construction" not in text
    assert set(shown(page)) == {"reference", "candidate A", "candidate B"}
    before = places(page)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "one screen at 1440×900"
    page.locator("#judge .jd-candidate").nth(1).click()
    page.wait_for_selector(ANSWERED)
    assert places(page) == before and page.evaluate("document.documentElement.scrollHeight <= innerHeight")

    text = page.inner_text("#judge")
    for letter, words in zip("AB", question.distortions):
        assert f"{letter}: {words}" in text
    said = page.inner_text("#judge .jd-said")
    if question.nearer is None:
        assert said.startswith("You say B.") and "nobody has measured" in said
    else:
        assert said.startswith("Right!" if question.nearer == 1 else "Not this time.")
        first, second = question.distortions if question.nearer == 0 else question.distortions[::-1]
        assert f"{first} against {second}" in said
    cards = page.locator("#judge .jd-verdict").all_inner_texts()
    cards = [" ".join(card.split()) for card in cards]
    assert len(cards) == 2
    for m, (name, card) in enumerate(zip(PAIR, cards)):
        choices = ["AB"[verdict.choices(after)[m]] for after in (False, True)]
        assert re.search(rf"^{catalog.card(name).title} says {choices[0]}.*attacked, says {choices[1]}", card)
        assert card.count("turned") == (choices[0] != choices[1]) and card.count("holds") == (choices[0] == choices[1])
        numbers = [float(each) for each in re.findall(r"\d\.\d{3}(?!\d*/255)", card)]  # but the smallest eps
        expected = np.concatenate([verdict.distances(False)[m], verdict.distances(True)[m]])
        assert numbers == pytest.approx(expected, abs=6e-4)
        if np.isnan(verdict.smallest_eps[m]):
            assert "not flipped up to 32/255" in card
        else:  # two digits, rounded up
            said = float(re.search(r"unrounded: ([\d.]+)/255", card)[1])
            assert 0 <= said - 255 * verdict.smallest_eps[m] < 0.1 * said
    points = questions.points(question, verdict, 1)
    assert score(page) == [
        [
            p["title"],
            "–" if p["right"] is None else f"{p['right']:d}/1",
            "–" if p["agrees"] is None else f"{p['agrees']:d}/1",
        ]
        for p in points
    ]


def test_the_attacked_candidate_can_be_seen_in_its_place(page):
    _, verdict = found(page)
    before = shown(page)
    answer(page, "ArrowLeft")
    for m in range(2):
        page.locator("#judge .jd-swap").nth(m).focus()
        now = shown(page)
        place = "candidate " + "AB"[verdict.attacked]
        assert (now[place] == verdict.pushed[m]).all() and (now[place] != before[place]).any()
    page.locator("#judge .jd-next").focus()
    assert all((pixels == before[name]).all() for name, pixels in shown(page).items())


def test_the_score_adds_up_stays_and_starts_over(page):
    keys = ["a", "ArrowRight", "b", "ArrowLeft"]
    expected = np.zeros((5, 4), int)  # right, of, agrees, of
    for index, key in enumerate(keys):
        question, verdict = found(page)
        for row, point in enumerate(questions.points(question, verdict, int(key in ("b", "ArrowRight")))):
            for column, value in ((0, point["right"]), (2, point["agrees"])):
                if value is not None:
                    expected[row, column : column + 2] += (value, 1)
        answer(page, key)
        assert page.evaluate("document.activeElement.classList.contains('jd-next')")
        if index < len(keys) - 1:
            following(page, "Enter" if index % 2 else "n")

    def texts():
        return [[f"{a}/{c}" if c else "–", f"{d}/{e}" if e else "–"] for a, c, d, e in expected]

    assert [row[1:] for row in score(page)] == texts()
    with b.leaving(page):
        page.reload()
    page.wait_for_selector(QUESTION)  # the address leads to this page again
    assert [row[1:] for row in score(page)] == texts()  # the visit goes on
    page.click("#judge-score button")
    assert [row[1:] for row in score(page)] == [["–", "–"]] * 5


def test_only_questions_of_the_kind_asked_for(page):
    for words, known in (("two distortions", False), ("one distortion, two strengths", True)):
        another(page, lambda words=words: b.choose(page, "#judge-kind", words))
        page.wait_for_function("!document.activeElement.matches('input')")  # where letters are typed and choose nothing
        for _ in range(2):
            assert (found(page)[0].nearer is not None) == known
            answer(page, "a")
            following(page)


def test_the_tab_key_passes_the_kinds_of_question_and_the_question_stays(page):
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    question = page.get_attribute("#judge .jd", "data-question")
    page.focus("#judge-kind input")
    page.keyboard.press("Tab")
    tour.settle(page)
    assert page.get_attribute("#judge .jd", "data-question") == question and not requests


def photograph(path, height, width):
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    noise = np.random.default_rng(0).random((height, width, 3))
    waves = np.stack([np.sin(9 * x + 5 * y), np.cos(12 * y), np.sin(20 * x * y)], -1) / 2 + 0.5
    Image.fromarray(np.uint8(255 * (0.8 * waves + 0.2 * noise))).save(path)
    return path


def told(page, words):
    page.wait_for_function("words => document.querySelector('#judge-status').innerText.includes(words)", arg=words)


def test_questions_of_ones_own_picture(page, tmp_path):
    b.upload(page, "#judge-upload", photograph(tmp_path / "mine.png", 190, 260))
    told(page, "Running")
    page.wait_for_selector(QUESTION)
    answer(page, "a")  # perhaps before the metrics are done
    told(page, "Done: a question of your picture, judged by the metrics in")
    assert page.locator("#judge .jd-verdict").count() == 2 and "smallest eps" in page.inner_text("#judge")
    following(page)
    told(page, "Done: a question of your picture")

    (tmp_path / "words.png").write_bytes(b"Dear reader, this is no picture.\n" * 40)
    b.upload(page, "#judge-upload", tmp_path / "words.png")
    told(page, "Refused: words.png")
    page.wait_for_selector("#judge .jd[data-state=refused]")
    page.click("#judge-upload button[aria-label=Clear]")
    told(page, "Done: a stored question")
    page.wait_for_selector(QUESTION)
    assert found(page)


TEXTS = [
    "#judge h2", "#judge h3", "#judge h4", "#judge .jd-caption", "#judge .jd-said", "#judge .jd-said b",
    "#judge .jd-next", "#judge .jd-choice span", "#judge .jd-distances span:not(.jd-fill)", "#judge .jd-smallest b",
    "#judge .jd-swap span", "#judge-score th", "#judge-score td", "#judge-score button",
]  # fmt: skip


def test_light_and_dark_are_readable(chromium, server):
    with b.visit(chromium, server.url, color_scheme="light") as page:
        opened(page)
        answer(page, "a")
        for change in ("remove", "add"):
            page.evaluate(f"document.body.classList.{change}('dark')")
            contrast = b.contrast(page, TEXTS)
            assert len(contrast) > 40
            faint = {place: round(value, 2) for place, value in contrast.items() if value < 4.5}
            assert not faint, faint


def test_on_a_phone_the_question_comes_first_and_nothing_scrolls_sideways(chromium, server):
    with b.visit(chromium, server.url, width=390, height=844, has_touch=True) as page:
        opened(page)
        boxes = places(page)
        assert all(box["width"] > 150 and box["y"] + box["height"] < 844 for box in boxes)
        assert boxes[0]["y"] == boxes[2]["y"] > boxes[1]["y"]  # the reference above A and B
        page.locator("#judge .jd-candidate").first.tap()
        page.wait_for_selector(ANSWERED)
        assert places(page) == boxes
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
