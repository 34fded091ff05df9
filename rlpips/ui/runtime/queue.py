"""Queues before what all visitors share, the device above all: each visitor knows their place, and none can take all places.

Gradio's own queue tells the browser, but not the page's status line; here the generator that writes that line waits itself. A
visitor leaves the queue by leaving the `with` block, however that happens: done, an error, Stop, a closed tab.

Turns come in order of arrival, but fairly: whoever has had fewer turns of late comes first, address by address, and at one address
session by session. A session is a tab of a browser.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import gradio as gr

# How often a waiting visitor is told their place. A message costs the server milliseconds, so it comes more seldom where many
# wait; but a visitor who presses Stop leaves at the next message.
_TELL_S = 0.5
_TELL_EACH_S = 0.05  # times as many as wait
_TELL_AT_MOST_S = 2

_RECENT_S = 300  # for how long a turn counts
OF_SESSION = 4  # places of one session in a queue: a run on each of some pages
OF_ADDRESS = 60  # of one address, which may be that of a whole class


class Client(NamedTuple):
    """Who asks."""

    session: str
    address: str

    @classmethod
    def of(cls, request: gr.Request) -> "Client":
        """The client of a request to Gradio."""
        return cls(str(request.session_hash), str(getattr(request.client, "host", "")))


class Queue:
    """At most `longest` visitors wait while `at_once` have their turn. Safe to use from several threads."""

    def __init__(self, longest: int, at_once: int = 1):
        self._longest, self._at_once = longest, at_once
        self._changed = threading.Condition()
        self._active: list[Place] = []
        self._waiting: list[Place] = []  # by arrival
        self._served: deque[tuple[float, Client]] = deque(maxlen=1000)  # who had a turn of late, and when
        self._durations: deque[float] = deque(maxlen=20)  # for how many seconds the last visitors had their turn

    @property
    def waiting(self) -> int:
        """How many visitors wait."""
        return len(self._waiting)

    @contextmanager
    def join(self, client: Client) -> Iterator["Place"]:
        """A `Place` at the end; ValueError if the queue is full, or holds too many of the client."""
        place = Place(self, client)
        with self._changed:
            self._check_room(client)
            self._waiting.append(place)
        try:
            yield place
        finally:
            with self._changed:
                if place.since is None:
                    self._waiting.remove(place)
                else:
                    self._active.remove(place)
                    self._served.append((time.monotonic(), client))
                    self._durations.append(time.monotonic() - place.since)
                self._changed.notify_all()

    def _check_room(self, client: Client) -> None:
        clients = [place.client for place in self._active + self._waiting]
        later = "Press the button again in a few minutes; what is recorded can be explored meanwhile."
        if sum(other == client for other in clients) >= OF_SESSION:
            raise ValueError(f"{OF_SESSION} runs of this page wait or run already. Stop one, or wait for it.")
        if sum(other.address == client.address for other in clients) >= OF_ADDRESS:
            raise ValueError(f"{OF_ADDRESS} visitors from your address are waiting already. {later}")
        if len(clients) >= self._longest + self._at_once:
            raise ValueError(f"{self._longest} visitors are waiting already. {later}")

    def _order(self) -> list["Place"]:
        """Those who wait, in the order of their turns."""
        recent = time.monotonic() - _RECENT_S
        served = [client for when, client in self._served if when > recent] + [place.client for place in self._active]
        sessions, addresses = Counter(served), Counter(client.address for client in served)
        nth_of_session = {place: _count(sessions, place.client) for place in self._waiting}
        by_session = sorted(self._waiting, key=nth_of_session.__getitem__)  # by arrival where equal
        nth_of_address = {place: _count(addresses, place.client.address) for place in by_session}
        return sorted(by_session, key=nth_of_address.__getitem__)

    def _status(self, place: "Place") -> tuple[str, float] | None:
        """(a sentence on how long it may take, when to say so again); None when the turn has come."""
        with self._changed:
            if self._is_next(place):
                self._waiting.remove(place)
                self._active.append(place)
                place.since = time.monotonic()
                return None
            pause = min(_TELL_AT_MOST_S, max(_TELL_S, _TELL_EACH_S * len(self._waiting)))
            return self._text(len(self._active) + self._order().index(place)), pause

    def _is_next(self, place: "Place") -> bool:
        return place in self._order()[: self._at_once - len(self._active)]

    def _wait(self, place: "Place", seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_next(place), seconds)

    def _text(self, ahead: int) -> str:
        """`ahead` counts those who have their turn."""
        text = f"Running: waiting for a turn… ({_ordinal(ahead)} in the queue"
        if self._durations:
            average = sum(self._durations) / len(self._durations)
            since = min((place.since for place in self._active if place.since is not None), default=None)
            spent = time.monotonic() - since if since is not None else 0
            text += f", about {duration((average * ahead - min(spent, average)) / self._at_once)}"
        return text + ")"


class Place:
    """A client's place in a `Queue`."""

    def __init__(self, queue: Queue, client: Client):
        self._queue = queue
        self.client = client
        self.since: float | None = None  # when the turn came, by time.monotonic()

    def turn(self) -> Iterator[str]:
        """Yields a sentence for the visitor now and then until their turn has come; nothing if it has come already."""
        while status := self._queue._status(self):
            text, pause = status
            yield text
            self._queue._wait(self, pause)


def _count(counter: Counter, key: object) -> int:
    """How often the key came before."""
    counter[key] += 1
    return counter[key]


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """No more exact than it is: "3 s", "20 s", "2 min"."""
    if seconds > 90:
        return f"{seconds / 60:.0f} min"
    return f"{max(1, round(seconds))} s" if seconds < 10 else f"{5 * round(seconds / 5)} s"


QUEUE = Queue(longest=100)  # work waits here, and not in Gradio's queue, which lets all events through
