"""The line before the device: one visitor at a time has it, in order of arrival, and all others know their place.

Gradio's own queue tells the browser, but not the page's status line; here the generator that writes that line waits
itself. A place is left by leaving its `with` block, however that comes about: done, an error, Stop, a closed tab.
"""

import threading
import time
from collections import deque
from contextlib import contextmanager

# How often one who waits is told their place: a message costs the server milliseconds, so more seldom where many wait; but
# whoever presses Stop leaves when they are told next.
_TELL_S = 0.5
_ALL_TELL_S = 0.05  # times as many as wait
_LONGEST_S = 2


class Line:
    """At most `longest` wait. Safe to use from several threads."""

    def __init__(self, longest: int):
        self._longest = longest
        self._moved = threading.Condition()
        self._places = []  # who has the device, and behind it who waits
        self._durations = deque(maxlen=20)  # for how many seconds the last ones had the device

    @property
    def waiting(self) -> int:
        """How many wait."""
        return max(0, len(self._places) - 1)

    @contextmanager
    def join(self):
        """A `Place` at the end; ValueError if the line is full."""
        place = Place(self)
        with self._moved:
            if len(self._places) > self._longest:
                raise ValueError(
                    f"{self._longest} visitors are waiting already. Press the button again in a few minutes; what is "
                    "recorded can be explored meanwhile."
                )
            self._places.append(place)
        try:
            yield place
        finally:
            with self._moved:
                self._places.remove(place)
                if place.since is not None:
                    self._durations.append(time.monotonic() - place.since)
                self._moved.notify_all()


class Place:
    """One visitor's place in a `Line`."""

    def __init__(self, line):
        self._line = line
        self.since = None  # when its turn came, by time.monotonic()

    def turn(self):
        """Yields a sentence for the visitor now and then until their turn has come; nothing if it has already."""
        line = self._line
        while True:
            with line._moved:
                ahead = line._places.index(self)  # among them who has the device
                if not ahead:
                    break
                words, pause = self._words(ahead), min(_LONGEST_S, max(_TELL_S, _ALL_TELL_S * len(line._places)))
            yield words
            with line._moved:
                line._moved.wait_for(lambda: line._places[0] is self, pause)
        self.since = time.monotonic()

    def _words(self, ahead):
        line, text = self._line, f"Running: waiting for a turn… ({_ordinal(ahead)} in the queue"
        if line._durations:
            each = sum(line._durations) / len(line._durations)
            since = line._places[0].since
            spent = time.monotonic() - since if since is not None else 0
            text += f", about {_duration(each * ahead - min(spent, each))}"
        return text + ")"


def _ordinal(number):
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _duration(seconds):
    """No more exact than it is: "3 s", "20 s", "2 min"."""
    if seconds > 90:
        return f"{seconds / 60:.0f} min"
    return f"{max(1, round(seconds))} s" if seconds < 10 else f"{5 * round(seconds / 5)} s"
