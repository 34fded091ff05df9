"""The life of a run, without a browser and without torch: its end in every way, the queue, and the cache."""

import errno
import html
import logging
import secrets
import threading
from dataclasses import replace

import gradio as gr
import pytest
from visitors import VISITOR

from rlpips.ui.runtime import cache, device, session
from rlpips.ui.runtime import queue as queue_module
from rlpips.ui.runtime.queue import Client, Queue
from rlpips.ui.runtime.session import ENDED, Run, Update


class Loaded:
    """A `Loading` that is done, after some texts or with an error."""

    def __init__(self, *texts, error=None):
        self._texts, self._error = texts, error

    def texts(self):
        yield from self._texts
        if self._error:
            raise self._error


class Counting(Run):
    """Counts to `limit`; fails before `fail_at`."""

    def __init__(self, limit=3, fail_at=None, notes=(), key=None):
        super().__init__(notes)
        self.key, self.no_result = key, {"state": "stopped"}
        self.limit, self.fail_at = limit, fail_at
        self.count, self.computed, self.is_closed = 0, 0, False

    def steps(self):
        try:
            for number in range(1, self.limit + 1):
                if number == self.fail_at:
                    raise RuntimeError("out of memory")
                self.computed += 1
                self.count = number
                yield Update(f"Running: {number}", {"count": number})
        finally:
            self.is_closed = True

    def result(self):
        state = "Done" if self.count == self.limit else "Stopped"
        return Update(f"{state}: counted to {self.count}.", {"count": self.count})


class InParts(Counting):
    """Its result is complete after two more updates."""

    rest_fails = False

    def result(self):
        return replace(super().result(), partial=True)

    def rest(self):
        yield Update("")
        if self.rest_fails:
            raise RuntimeError("out of memory")
        yield Update("", {"count": self.count, "complete": True})


@pytest.fixture(autouse=True)
def queue(monkeypatch):
    """An empty queue whose visitors hear from it often, and an empty cache."""
    queue = Queue(longest=5)
    monkeypatch.setattr(queue_module, "_TELL_S", 0.02)
    monkeypatch.setattr(session, "QUEUE", queue)
    monkeypatch.setattr(session, "FINISHED", cache.FinishedRuns(10_000))
    return queue


@pytest.fixture
def warnings(monkeypatch):
    texts = []
    monkeypatch.setattr(gr, "Warning", texts.append)
    return texts


def start(run, *texts):
    return session.updates(Client("one of many", secrets.token_hex(4)), Loaded(*texts), lambda: run)


def is_free(queue):
    """Whether the device is free for the next visitor."""
    with queue.join(VISITOR) as place:
        return next(place.turn(), "free") == "free"


def test_a_run_loads_computes_and_ends_with_its_notes(queue):
    run = Counting(2, notes=["The picture was scaled."])
    updates = list(start(run, "Loading AlexNet…"))
    assert [update.text for update in updates] == [
        "Loading AlexNet…", "Running: 1", "Running: 2", "Done: counted to 2. The picture was scaled.",
    ]  # fmt: skip
    assert [update.state for update in updates] == [None, run, run, ENDED]
    assert updates[-1].content == {"count": 2} and session.stopped(updates[-1].state) is None
    assert run.is_closed and is_free(queue)


def test_an_error_while_loading_is_in_the_log_and_in_a_sentence(caplog, queue):
    loading = Loaded("Loading…", error=OSError("no route to host"))
    first, last = session.guarded(session.updates(VISITOR, loading, Counting))
    assert first.text == "Loading…" and last == Update(session.FAILED, None, ENDED)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and "no route to host" in caplog.text and is_free(queue)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), session.DISK_FULL),
        (MemoryError(), session.NO_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), session.NO_MEMORY),
        (KeyError("eps"), session.FAILED),
    ],
)
def test_the_sentence_on_a_fault_of_the_server_does_not_blame_the_visitor(caplog, error, sentence):
    assert session.fault(error) == sentence and type(error).__name__ in caplog.text
    assert "picture" not in session.FAILED and "picture" in session.NO_MEMORY


def test_a_value_error_is_a_refusal_and_no_error_in_the_log(warnings, caplog, queue):
    def prepare():
        raise ValueError("eps must be <= 1.")

    (update,) = session.guarded(session.updates(VISITOR, Loaded(), prepare))
    assert update.text == "Refused: eps must be <= 1." and update.refused and update.state == ENDED
    assert update.as_html() == f"Refused: {html.escape('eps must be <= 1.')}" and warnings == ["eps must be &lt;= 1."]
    assert not caplog.records and is_free(queue)


def test_a_failure_in_the_middle_frees_the_device(caplog, queue):
    run = Counting(fail_at=2)
    *_, last = session.guarded(start(run))
    assert last == Update(session.FAILED, {"state": "stopped"}, ENDED)  # the viewer's run ends, too
    assert "out of memory" in caplog.text and run.is_closed and is_free(queue)


def test_without_a_guard_the_caller_gets_the_errors(queue):
    with pytest.raises(RuntimeError, match="out of memory"):
        list(start(Counting(fail_at=1)))
    assert is_free(queue)


def test_stop_before_the_first_step(queue):
    updates = session.guarded(start(Counting(), "Loading…"))
    state = next(updates).state
    updates.close()
    assert session.stopped(state).text == "Stopped: before the first step." and is_free(queue)


def test_stop_in_the_middle_keeps_what_is_there(queue):
    run = Counting(9, notes=["A note."])
    updates = session.guarded(start(run))
    next(updates)
    state = next(updates).state
    assert not is_free(queue)
    updates.close()
    assert run.is_closed and is_free(queue)
    last = session.stopped(state)
    assert last.text == "Stopped: counted to 2. A note." and last.content == {"count": 2}


def test_a_stopped_run_whose_result_fails_is_in_the_log(caplog):
    run = Counting()
    run.result = lambda: 1 / 0
    assert session.stopped(run) == Update(session.FAILED, {"state": "stopped"}, ENDED)
    assert "ZeroDivisionError" in caplog.text


def test_the_deadline_ends_a_run_and_keeps_what_is_there(monkeypatch, queue):
    run, seconds = Counting(9, key="nine"), iter(range(0, 900, 50))
    monkeypatch.setattr(device, "stopwatch", lambda: lambda: next(seconds))
    monkeypatch.setattr(device, "DEADLINE_S", 120.0)
    *_, last = start(run)
    assert last.text == "Stopped: counted to 4. It was ended after 120 s, so that others get their turn."
    assert run.computed == 4 and run.is_closed and is_free(queue)
    assert session.FINISHED.get("nine") is None  # it is not the complete answer


def test_the_next_visitor_has_the_device_before_the_last_update_goes_out(queue):
    texts = [(update.text, is_free(queue)) for update in start(Counting(2))]
    assert texts == [("Running: 1", False), ("Running: 2", False), ("Done: counted to 2.", True)]


def test_a_second_visitor_waits_and_is_answered_from_the_cache(queue):
    first, second = Counting(2, key="two"), Counting(2, key="two", notes=["Theirs."])
    ahead, behind = start(first), start(second)
    assert next(ahead).text == "Running: 1"
    waiting = next(behind)
    assert waiting.text.startswith("Running: waiting for a turn… (1st in the queue") and waiting.state is None
    assert list(ahead)[-1].text == "Done: counted to 2."
    (last,) = behind
    assert last.text == "Done: counted to 2. This was computed before, for the same request. Theirs."
    assert last.content["count"] == 2 and last.content["run"] and last.state == ENDED
    assert second.computed == 0 and is_free(queue)
    (at_once,) = start(Counting(2, key="two"))
    assert at_once.content["run"] != last.content["run"]  # Gradio passes over a value that equals the one before


def test_a_finished_run_is_answered_while_others_compute():
    list(start(Counting(2, key="two")))
    other = start(Counting(5))
    next(other)
    (update,) = start(Counting(2, key="two"))
    assert update.text.startswith("Done: counted to 2.")


def test_a_generator_closed_while_it_waits_frees_its_place(queue):
    first, second, third = (start(Counting()) for _ in range(3))
    next(first)
    assert "1st in the queue" in next(second).text and "2nd in the queue" in next(third).text
    second.close()
    assert queue.waiting == 1 and "1st in the queue" in next(third).text
    first.close()
    assert next(third).text == "Running: 1"


def test_a_full_queue_is_a_refusal(warnings, queue):
    others = [start(Counting()) for _ in range(6)]
    for other in others:
        next(other)
    (update,) = session.guarded(start(Counting()))
    assert update.text.startswith("Refused: 5 visitors are waiting already.") and len(warnings) == 1


def test_visitors_on_several_threads_compute_one_at_a_time():
    lock, ends = threading.Lock(), []

    class Exclusive(Counting):
        def steps(self):
            assert lock.acquire(blocking=False)
            yield from super().steps()
            lock.release()

    threads = [threading.Thread(target=lambda: ends.append(list(start(Exclusive(50)))[-1].text)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert ends == ["Done: counted to 50."] * 5


def test_the_rest_of_a_result_comes_after_it_and_is_remembered(queue):
    run = InParts(2, notes=["A note."], key="two")
    *_, last = start(run)
    assert last.text == "Done: counted to 2. A note." and last.content == {"count": 2} and is_free(queue)
    assert session.stopped(last.state) is None and session.FINISHED.get("two") is None
    assert [update.content for update in session.rest(last.state)] == [None, {"count": 2, "complete": True}]
    (again,) = start(InParts(2, key="two", notes=["Theirs."]))
    assert again.content["complete"] and again.text.startswith("Done: counted to 2. This was computed before")
    assert again.text.endswith("Theirs.") and again.state == ENDED


def test_a_script_gets_the_complete_result():
    *_, partial, last = session.completed(start(InParts(2, notes=["A note."])))
    assert partial.text == last.text == "Done: counted to 2. A note." and last.state == ENDED
    assert "complete" not in partial.content and last.content["complete"]


def test_a_stopped_run_is_completed_and_not_remembered():
    updates = start(InParts(9, key="nine"))
    state = next(updates).state
    updates.close()
    last = session.stopped(state)
    assert last.text == "Stopped: counted to 1." and list(session.rest(last.state))[-1].content["complete"]
    assert session.FINISHED.get("nine") is None
    assert not list(session.rest(ENDED)) and not list(session.rest(None)) and not list(session.rest(InParts()))


def test_who_asks_for_the_same_meanwhile_gets_the_complete_result():
    ahead, behind = start(InParts(2, key="two")), start(InParts(2, key="two"))
    next(ahead), next(behind)
    *_, partial = ahead
    (last,) = behind
    assert "complete" not in partial.content and last.content["complete"] and "computed before" in last.text


def test_a_rest_that_fails_leaves_the_result_and_is_in_the_log(caplog):
    run = InParts(2, key="two")
    run.rest_fails = True
    *_, last = start(run)
    assert [update.content for update in session.rest(last.state)] == [None]
    assert "out of memory" in caplog.text and session.FINISHED.get("two") is None


def test_values_for_the_components_of_a_page():
    skip = gr.skip()
    assert session.output_values(Update("Loading <b>"), 2) == (skip, skip, "Loading &lt;b&gt;", None)
    assert session.output_values(Update("Done: x.", "content", ENDED), 1) == ("content", "Done: x.", ENDED)
    *content, status, _ = session.output_values(Update("Running: 1.", ["a", "b"], None, (1, 4)), 2)
    assert content == ["a", "b"] and status.startswith('Running: 1.<progress max="4" value="1"')
    assert session.output_values(None, 1) == (skip,) * 3
