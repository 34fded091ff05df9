"""Rooms of a class: what is counted, what is forgotten, and what a stranger cannot do. The clock is the test's own."""

import re
import threading

import pytest

from rlpips.ui.runtime import class_tally
from rlpips.ui.runtime.class_tally import Rooms


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def house(clock):
    return Rooms(clock)


def token(number):
    return f"browser-{number}"


def test_a_room_counts_choices_and_nothing_else(house):
    code, key = house.open("::1")
    assert re.fullmatch(f"[{class_tally.LETTERS}]{{5}}", code) and not set(class_tally.LETTERS) & set(
        "0O1IL5S2Z8BGQ6UV"
    )
    assert house.is_open(code) and not house.is_open("AAAAA") and house.tally(code, key) == (0, {})
    for number, question, choice in ((0, 3, 0), (1, 3, 1), (2, 3, 1), (0, 4, 1)):
        assert house.vote(code, token(number), question, choice, "::1")
    assert house.tally(code, key) == (3, {3: (1, 2), 4: (0, 1)})


def test_a_browser_votes_once_on_a_question_and_the_first_vote_counts(house):
    code, key = house.open("::1")
    assert [house.vote(code, token(0), 7, choice, "::1") for choice in (1, 0, 1)] == [True, False, False]
    assert house.tally(code, key) == (1, {7: (0, 1)})


def test_rooms_do_not_hear_each_other_and_only_the_key_reads(house):
    (one, key), (two, other) = house.open("::1"), house.open("::1")
    house.vote(one, token(0), 0, 0, "::1")
    assert house.tally(two, other) == (0, {})
    for code, wrong in ((one, other), (one, ""), (one, None), (one, "é"), ("AAAAA", key), (None, None)):
        with pytest.raises(ValueError, match="closed, or never was"):
            house.tally(code, wrong)


def test_a_room_is_forgotten_after_a_day_and_an_unused_one_after_an_hour(house, clock):
    (used, key), (unused, _) = house.open("::1"), house.open("::1")
    house.vote(used, token(0), 0, 0, "::1")
    clock.now += class_tally.UNUSED_S
    assert house.is_open(used) and not house.is_open(unused)
    clock.now += class_tally.DAY_S - class_tally.UNUSED_S - 1
    assert house.tally(used, key)[0] == 1
    clock.now += 1
    with pytest.raises(ValueError, match="closed"):
        house.vote(used, token(1), 0, 0, "::1")


def test_a_full_house_and_a_full_room_say_so(house, clock, monkeypatch):
    monkeypatch.setattr(class_tally, "ROOMS", 3)
    monkeypatch.setattr(class_tally, "VOTERS", 2)
    (code, key), _, _ = (house.open("::1") for _ in range(3))
    with pytest.raises(ValueError, match="All rooms are taken"):
        house.open("::2")
    for number in range(2):
        house.vote(code, token(number), 0, 0, "::1")
    with pytest.raises(ValueError, match="full"):
        house.vote(code, token(2), 0, 0, "::1")
    assert house.vote(code, token(1), 1, 0, "::1")  # who is in stays in
    assert house.tally(code, key) == (2, {0: (2, 0), 1: (1, 0)})
    clock.now += class_tally.UNUSED_S
    assert house.open("::2")  # the two without a vote have gone


def test_an_address_is_held_back_for_a_minute_and_then_forgotten(house, clock):
    code, _ = house.open("::1")
    for _ in range(class_tally.ROOMS_A_MINUTE - 1):
        house.open("::1")
    with pytest.raises(ValueError, match="wait a minute"):
        house.open("::1")
    house.open("::2")
    for number in range(class_tally.VOTES_A_MINUTE):
        house.vote(code, token(number % 100), number // 100, 0, "::1")
    with pytest.raises(ValueError, match="wait a minute"):
        house.vote(code, token(0), 50, 0, "::1")
    assert house.vote(code, token(0), 50, 0, "::2")
    clock.now += 60
    assert house.vote(code, token(0), 51, 0, "::1")
    assert "::2" not in repr(vars(house))  # nor anywhere else


@pytest.mark.parametrize(
    "change",
    [
        {"code": None}, {"code": "abcde"}, {"code": "ACDEF\n"}, {"code": "x" * 10**5}, {"code": ["A"]}, {"token": None}, {"token": ""},
        {"token": "short"}, {"token": "x" * 41}, {"token": "<script>alert"}, {"token": "tokenٱtoken"}, {"token": 12345678},
        {"question": -1}, {"question": 200}, {"question": 1.0}, {"question": True}, {"question": "0"}, {"question": 10**30},
        {"choice": 2}, {"choice": -1}, {"choice": True}, {"choice": 0.0}, {"choice": None}, {"choice": "0"},
    ],
)  # fmt: skip
def test_a_strangers_values_count_nothing(house, change):
    code, key = house.open("::1")
    with pytest.raises(ValueError, match=r"[.]$"):
        house.vote(**{"code": code, "token": token(0), "question": 0, "choice": 0, "address": "::1"} | change)
    assert house.tally(code, key) == (0, {})


def test_many_browsers_at_once(house):
    code, key = house.open("::1")

    def visit(number):
        for question in range(20):
            house.vote(code, token(number), question, number % 2, str(number))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert house.tally(code, key) == (20, {question: (10, 10) for question in range(20)})
