"""Two visitors at once, in a real browser: who waits is told their place, and nobody keeps the device who has left."""

import time

import browser as b


def again(page, button):
    b.watch(page)
    page.click(button)


def test_who_waits_is_told_their_place_and_gets_the_device_when_a_tab_is_closed(chromium, server):
    with b.visit(chromium, server.url) as second:
        with b.visit(chromium, server.url) as first:
            for page, steps in ((first, 200), (second, 9)):
                b.ready(page)
                b.enter(page, "#steps", steps)
                b.enter(page, "#seed", 101)
            again(first, "#run")
            b.wait_for_status(first, "Running: step")
            again(second, "#run")
            b.wait_for_status(second, "Running: waiting for a turn… (1st in the queue")
            again(second, "#stop")
            assert b.wait_for_status(second, "Stopped") == "Stopped: before the first step."
            again(second, "#run")
            b.wait_for_status(second, "Running: waiting for a turn… (1st in the queue")
            assert first.evaluate("window.statuses.at(-1)").startswith("Running: step")
        closed = time.monotonic()  # the first one's tab
        b.wait_for_status(second, "Running…")
        assert time.monotonic() - closed < 3  # seconds; the attack would have gone on for longer
        done = b.wait_for_status(second, "Done: 9 steps")
        readings = second.locator("#viewer .rv-distance")
        second.wait_for_function("document.querySelector('#viewer .rv').dataset.state === 'done'")
        shown = readings.all_inner_texts()
        again(second, "#run")
        assert b.wait_for_status(second, "Done") == f"{done} This was computed before, for the same request."
        assert second.evaluate("window.states") == ["done"] and readings.all_inner_texts() == shown  # complete at once
