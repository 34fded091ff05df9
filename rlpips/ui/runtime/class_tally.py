"""Rooms in which a class answers together: how many chose what, question by question, and nothing about who.

A room has a code, which its link holds, and a key, with which whoever opened it reads the counts. A browser draws a token of its own,
so that it votes once on a question; whoever deletes it, or takes another browser, can vote again. All of it is in memory, for a day
at most.
"""

import re
import secrets
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

LETTERS = "ACDEFHJKMNPRTWXY"  # none that is taken for another one, or for a digit
CODE_LENGTH = 5
ROOMS = 200  # at once
VOTERS = 400  # in a room
QUESTIONS = 200  # numbers of questions, from 0
DAY_S, UNUSED_S = 24 * 3600, 3600  # how long a room is kept, and one without a vote
VOTES_A_MINUTE = 600  # from one address, which may be that of a whole class
ROOMS_A_MINUTE = 5
_ADDRESSES = 10_000  # that are counted at once
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,40}", re.ASCII)
CODE = f"[{LETTERS}]{{{CODE_LENGTH}}}"  # a regular expression

FULL = "All rooms are taken. Rooms are forgotten after a day, and those without a vote after an hour; try again later."
HURRIED = "Too many at once from this address; wait a minute."
CLOSED = "This room is closed, or never was. Rooms are forgotten after a day."
CROWDED = f"This room is full: {VOTERS} browsers vote in it already."


class Opened(NamedTuple):
    """A room that has just been opened."""

    code: str
    key: str  # for whoever opened it alone


class _Room:
    def __init__(self, now: float):
        self.key = secrets.token_urlsafe(16)
        self.opened = now
        self.voted: dict[str, int] = {}  # by token, one bit for each question
        self.counts: dict[int, list[int]] = {}  # by question, how many chose A and B

    def is_over(self, now: float) -> bool:
        return now - self.opened >= (DAY_S if self.voted else UNUSED_S)


class Rooms:
    """All rooms of a server. Safe to use from several threads; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._rooms: dict[str, _Room] = {}
        self._minute = 0  # the one that is counted, and of it how often an address did what: then they are forgotten
        self._done: dict[Hashable, int] = {}

    def open(self, address: str) -> Opened:
        """Open a room for somebody at an address. ValueError with a sentence where there is none to be had."""
        with self._lock:
            self._tidy()
            self._count("open", address, ROOMS_A_MINUTE)
            if len(self._rooms) >= ROOMS:
                raise ValueError(FULL)
            while (code := "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))) in self._rooms:
                pass
            room = self._rooms[code] = _Room(self._clock())
            return Opened(code, room.key)

    def is_open(self, code: Any) -> bool:
        """Whether there is a room of this code."""
        with self._lock:
            self._tidy()
            return isinstance(code, str) and code in self._rooms

    def vote(self, code: Any, token: Any, question: Any, choice: Any, address: str) -> bool:
        """Count a choice, 0 for A and 1 for B. False if this browser has answered the question before: the first answer counts.

        ValueError with a sentence for a room that is closed or full, for too many votes from an address, and for values that cannot be.
        """
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ValueError("The token of a browser has 8 to 40 letters, digits, - and _.")
        if type(question) is not int or not 0 <= question < QUESTIONS:
            raise ValueError(f"A question is a number from 0 to {QUESTIONS - 1}.")
        if type(choice) is not int or choice not in (0, 1):
            raise ValueError("A choice is 0 or 1.")
        with self._lock:
            self._tidy()
            self._count("vote", address, VOTES_A_MINUTE)
            room = self._room(code)
            bit, voted = 1 << question, room.voted.get(token, 0)
            if voted & bit:
                return False
            if token not in room.voted and len(room.voted) >= VOTERS:
                raise ValueError(CROWDED)
            room.voted[token] = voted | bit
            room.counts.setdefault(question, [0, 0])[choice] += 1
            return True

    def tally(self, code: Any, key: Any) -> tuple[int, dict[int, tuple[int, int]]]:
        """(how many browsers have voted, {question: how many chose A and B}). ValueError for a wrong code or key, which look alike."""
        with self._lock:
            self._tidy()
            room = self._room(code)
            if not isinstance(key, str) or not secrets.compare_digest(key.encode(), room.key.encode()):
                raise ValueError(CLOSED)
            return len(room.voted), {question: (first, second) for question, (first, second) in room.counts.items()}

    def _room(self, code: Any) -> _Room:
        if not isinstance(code, str) or not re.fullmatch(CODE, code) or code not in self._rooms:
            raise ValueError(CLOSED)
        return self._rooms[code]

    def _tidy(self) -> None:
        """Forget what is over: rooms, and who did what in the minute before."""
        now = self._clock()
        for code in [code for code, room in self._rooms.items() if room.is_over(now)]:
            del self._rooms[code]
        if self._minute != now // 60:
            self._minute = now // 60
            self._done.clear()

    def _count(self, what: str, address: str, most: int) -> None:
        key = (what, address)
        if self._done.get(key, 0) >= most or (key not in self._done and len(self._done) >= _ADDRESSES):
            raise ValueError(HURRIED)
        self._done[key] = self._done.get(key, 0) + 1
