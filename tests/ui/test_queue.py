"""The queue before the device: order, every way to leave it, its sentences, and that it never gets stuck."""

import secrets
import threading
import time

import pytest

from rlpips.ui.runtime import queue as module
from rlpips.ui.runtime.queue import Client, Queue


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_TELL_S", 0.02)
    monkeypatch.setattr(module, "_TELL_EACH_S", 0.0)


def visitor(queue, work, client=None):
    """What an event of the page does: it waits, then works; yields sentences."""
    with queue.join(client or Client(secrets.token_hex(4), secrets.token_hex(4))) as place:
        yield from place.turn()
        work()
        yield "working"


def finish(generator):
    for _ in generator:
        pass


def test_alone_the_turn_comes_at_once():
    queue, worked = Queue(3), []
    assert next(visitor(queue, lambda: worked.append(1))) == "working" and worked == [1]


def test_turns_come_in_order_of_arrival_one_at_a_time():
    queue, order, active = Queue(20), [], []

    def work(n):
        active.append(n)
        time.sleep(0.005)
        assert active == [n]
        active.remove(n)
        order.append(n)

    first = visitor(queue, lambda: None)
    assert next(first) == "working"
    waiting = [visitor(queue, lambda n=n: work(n)) for n in range(12)]
    for n, each in enumerate(waiting):  # they arrive one after the other
        assert module._ordinal(n + 1) in next(each)
    threads = [threading.Thread(target=finish, args=(each,)) for each in reversed(waiting)]  # and wait in any order
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert order == []  # the first one still has the device
    first.close()
    for thread in threads:
        thread.join(10)
    assert order == list(range(12)) and queue.waiting == 0


def test_a_visitor_who_leaves_while_waiting_lets_the_others_move_up():
    queue, worked = Queue(9), []
    holder = visitor(queue, lambda: worked.append("holder"))
    next(holder)
    second, third, fourth = (visitor(queue, lambda n=n: worked.append(n)) for n in (2, 3, 4))
    for each, place in ((second, "1st"), (third, "2nd"), (fourth, "3rd")):
        assert f"({place} in the queue" in next(each)
    third.close()  # GeneratorExit, which Stop and a closed tab cause
    assert "(2nd in the queue" in next(fourth) and "(1st in the queue" in next(second) and queue.waiting == 2
    holder.close()
    assert next(second) == "working" and "(1st" in next(fourth)
    second.close()
    assert next(fourth) == "working" and worked == ["holder", 2, 4]


def test_an_error_at_work_frees_the_device():
    queue = Queue(9)

    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        finish(visitor(queue, fail))
    assert next(visitor(queue, lambda: None)) == "working"


def test_a_full_queue_refuses_in_a_sentence_and_then_has_room_again():
    queue = Queue(2)
    everyone = [visitor(queue, lambda: None) for _ in range(3)]
    for each in everyone:
        next(each)
    with pytest.raises(ValueError, match=r"2 visitors are waiting already\..*again in a few minutes"):
        next(visitor(queue, lambda: None))
    everyone[1].close()
    assert "(2nd in the queue" in next(visitor(queue, lambda: None))


def test_the_expected_wait_follows_the_visits_before(monkeypatch):
    queue, now = Queue(99), [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    holder = visitor(queue, lambda: None)
    next(holder)
    waits = visitor(queue, lambda: None)
    assert next(waits) == "Running: waiting for a turn… (1st in the queue)"  # no visit has ended yet
    now[0] += 6
    holder.close()
    next(waits)  # has the device now; the visitor before had it for 6 s
    others = [visitor(queue, lambda: None) for _ in range(30)]
    now[0] += 4
    texts = [next(each) for each in others]
    assert texts[0].endswith("(1st in the queue, about 2 s)") and texts[1].endswith("(2nd in the queue, about 8 s)")
    assert texts[2].endswith("(3rd in the queue, about 15 s)") and texts[10].endswith("(11th in the queue, about 60 s)")
    assert texts[20].endswith("(21st in the queue, about 2 min)")
    now[0] += 60  # longer than usual: the visitor ahead may end at any moment
    assert next(others[0]).endswith("(1st in the queue, about 1 s)")


def test_who_has_several_places_waits_with_the_second_until_all_have_had_a_turn():
    """Home 1 and home 2 are tabs at one address; the class comes from another."""
    queue = Queue(20)
    home_1, home_2, away = Client("1", "home"), Client("2", "home"), Client("3", "away")
    holder = visitor(queue, lambda: None, home_1)
    next(holder)
    order = []
    names = {"home 1": home_1, "home 1 again": home_1, "home 2": home_2, "away": away, "away again": away}
    waiting = {name: visitor(queue, lambda name=name: order.append(name), client) for name, client in names.items()}
    for each in waiting.values():
        next(each)
    threads = [threading.Thread(target=finish, args=(each,)) for each in waiting.values()]
    for thread in threads:
        thread.start()
    holder.close()
    for thread in threads:
        thread.join(10)
    assert order.index("away") < order.index("home 1") and order.index("home 2") < order.index("home 1 again")
    assert order[0] == "away" and len(order) == 5 and queue.waiting == 0


def test_no_client_takes_all_places():
    queue = Queue(100)
    greedy = [visitor(queue, lambda: None, Client("greedy", "home")) for _ in range(module.OF_SESSION)]
    for each in greedy:
        next(each)
    with pytest.raises(ValueError, match=r"4 runs of this page wait or run already\. Stop one"):
        next(visitor(queue, lambda: None, Client("greedy", "home")))
    others = [visitor(queue, lambda: None, Client(str(n), "home")) for n in range(module.OF_ADDRESS - len(greedy))]
    for each in others:
        next(each)
    with pytest.raises(ValueError, match="60 visitors from your address are waiting already"):
        next(visitor(queue, lambda: None, Client("one more", "home")))
    honest = visitor(queue, lambda: None, Client("honest", "away"))
    assert "(1st in the queue" in next(honest)
    greedy[0].close()
    assert next(honest) == "working"


def test_several_at_once():
    queue = Queue(9, at_once=2)
    one, two, three, four = (visitor(queue, lambda: None) for _ in range(4))
    assert next(one) == next(two) == "working"
    assert "(2nd in the queue" in next(three) and "(3rd in the queue" in next(four)
    two.close()
    assert next(three) == "working" and "(2nd in the queue" in next(four)
    three.close()
    one.close()
    assert next(four) == "working" and queue.waiting == 0
