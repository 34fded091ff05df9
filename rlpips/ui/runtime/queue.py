"""The queue before the device: one visitor at a time has it, in order of arrival, and all others know their place.

Gradio's own queue tells the browser, but not the page's status line; here the generator that writes that line waits itself. A
visitor leaves the queue by leaving the `with` block, however that happens: done, an error, Stop, a closed tab.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

# How often a waiting visitor is told their place. A message costs the server milliseconds, so it comes more seldom where many
# wait; but a visitor who presses Stop leaves at the next message.
_TELL_S = 0.5
_TELL_EACH_S = 0.05  # times as many as wait
_TELL_AT_MOST_S = 2


class Queue:
    """At most `longest` visitors wait. Safe to use from several threads."""

    def __init__(self, longest: int):
        self._longest = longest
        self._changed = threading.Condition()
        self._places: list[Place] = []  # first the visitor who has the device, then those who wait
        self._durations: deque[float] = deque(maxlen=20)  # for how many seconds the last visitors had the device

    @property
    def waiting(self) -> int:
        """How many visitors wait."""
        return max(0, len(self._places) - 1)

    @contextmanager
    def join(self) -> Iterator["Place"]:
        """A `Place` at the end; ValueError if the queue is full."""
        place = Place(self)
        with self._changed:
            if len(self._places) > self._longest:
                raise ValueError(
                    f"{self._longest} visitors are waiting already. Press the button again in a few minutes; what is "
                    "recorded can be explored meanwhile."
                )
            self._places.append(place)
        try:
            yield place
        finally:
            with self._changed:
                self._places.remove(place)
                if place.since is not None:
                    self._durations.append(time.monotonic() - place.since)
                self._changed.notify_all()

    def _status(self, place: "Place") -> tuple[str, float] | None:
        """(a sentence on how long it may take, when to say so again); None when the turn has come."""
        with self._changed:
            ahead = self._places.index(place)  # counts the visitor who has the device
            if not ahead:
                return None
            return self._text(ahead), min(_TELL_AT_MOST_S, max(_TELL_S, _TELL_EACH_S * len(self._places)))

    def _wait(self, place: "Place", seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._places[0] is place, seconds)

    def _text(self, ahead: int) -> str:
        text = f"Running: waiting for a turn… ({_ordinal(ahead)} in the queue"
        if self._durations:
            average = sum(self._durations) / len(self._durations)
            since = self._places[0].since
            spent = time.monotonic() - since if since is not None else 0
            text += f", about {_duration(average * ahead - min(spent, average))}"
        return text + ")"


class Place:
    """One visitor's place in a `Queue`."""

    def __init__(self, queue: Queue):
        self._queue = queue
        self.since: float | None = None  # when the turn came, by time.monotonic()

    def turn(self) -> Iterator[str]:
        """Yields a sentence for the visitor now and then until their turn has come; nothing if it has come already."""
        while status := self._queue._status(self):
            text, pause = status
            yield text
            self._queue._wait(self, pause)
        self.since = time.monotonic()


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _duration(seconds: float) -> str:
    """No more exact than it is: "3 s", "20 s", "2 min"."""
    if seconds > 90:
        return f"{seconds / 60:.0f} min"
    return f"{max(1, round(seconds))} s" if seconds < 10 else f"{5 * round(seconds / 5)} s"


QUEUE = Queue(longest=100)  # work waits here, and not in Gradio's queue, which lets all events through
