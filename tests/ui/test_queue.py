"""The line before the device: order, leaving in every way, what is said, and that it never gets stuck."""

import threading
import time

import pytest

from rlpips.ui.runtime import queue as module
from rlpips.ui.runtime.queue import Line


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_TELL_S", 0.02)
    monkeypatch.setattr(module, "_ALL_TELL_S", 0.0)


def visitor(line, work):
    """What an event of the page does: waits, then works; a generator of sentences."""
    with line.join() as place:
        yield from place.turn()
        work()
        yield "working"


def finish(generator):
    for _ in generator:
        pass


def test_alone_it_is_your_turn_at_once():
    line, worked = Line(3), []
    assert next(visitor(line, lambda: worked.append(1))) == "working" and worked == [1]


def test_turns_come_in_order_of_arrival_one_at_a_time():
    line, order, having = Line(20), [], []

    def work(n):
        having.append(n)
        time.sleep(0.005)
        assert having == [n]
        having.remove(n)
        order.append(n)

    first = visitor(line, lambda: None)
    assert next(first) == "working"
    waiting = [visitor(line, lambda n=n: work(n)) for n in range(12)]
    for n, each in enumerate(waiting):  # they arrive one after the other
        assert module._ordinal(n + 1) in next(each)
    threads = [threading.Thread(target=finish, args=(each,)) for each in reversed(waiting)]  # and ask in any order
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert order == []  # the first one still has it
    first.close()
    for thread in threads:
        thread.join(10)
    assert order == list(range(12)) and line.waiting == 0


def test_who_leaves_while_waiting_lets_the_others_move_up():
    line, worked = Line(9), []
    has = visitor(line, lambda: worked.append("has"))
    next(has)
    second, third, fourth = (visitor(line, lambda n=n: worked.append(n)) for n in (2, 3, 4))
    for each, place in ((second, "1st"), (third, "2nd"), (fourth, "3rd")):
        assert f"({place} in the queue" in next(each)
    third.close()  # GeneratorExit, as Stop and a closed tab come
    assert "(2nd in the queue" in next(fourth) and "(1st in the queue" in next(second) and line.waiting == 2
    has.close()
    assert next(second) == "working" and "(1st" in next(fourth)
    second.close()
    assert next(fourth) == "working" and worked == ["has", 2, 4]


def test_an_error_at_work_frees_the_device():
    line = Line(9)

    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        finish(visitor(line, fail))
    assert next(visitor(line, lambda: None)) == "working"


def test_a_full_line_refuses_in_a_sentence_and_then_has_room_again():
    line = Line(2)
    everyone = [visitor(line, lambda: None) for _ in range(3)]
    for each in everyone:
        next(each)
    with pytest.raises(ValueError, match=r"2 visitors are waiting already\..*again in a few minutes"):
        next(visitor(line, lambda: None))
    everyone[1].close()
    assert "(2nd in the queue" in next(visitor(line, lambda: None))


def test_the_time_that_is_told_is_that_of_the_visits_before(monkeypatch):
    line, now = Line(99), [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    has = visitor(line, lambda: None)
    next(has)
    waits = visitor(line, lambda: None)
    assert next(waits) == "Running: waiting for a turn… (1st in the queue)"  # nothing is known yet
    now[0] += 6
    has.close()
    next(waits)  # it has the device now; the one before had it for 6 s
    others = [visitor(line, lambda: None) for _ in range(30)]
    now[0] += 4
    told = [next(each) for each in others]
    assert told[0].endswith("(1st in the queue, about 2 s)") and told[1].endswith("(2nd in the queue, about 8 s)")
    assert told[2].endswith("(3rd in the queue, about 15 s)") and told[10].endswith("(11th in the queue, about 60 s)")
    assert told[20].endswith("(21st in the queue, about 2 min)")
    now[0] += 60  # longer than usual: the one ahead may end at any moment
    assert next(others[0]).endswith("(1st in the queue, about 1 s)")
