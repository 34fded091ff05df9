"""How fast the page is: `python tests/measure_page.py [rounds]` starts the app and prints a Markdown table.

Nothing else should run meanwhile. An animation frame is called before the browser paints; painted means, of the scrubber,
a task queued in that frame, which comes after the paint, and of the rest the frame after it.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import browser as b
from playwright.sync_api import sync_playwright

# Called before anything of the page: notes when the first picture of the opening is on the screen.
FIRST_PAINT = """(() => {
  const look = () => {
    const canvas = document.querySelector('#viewer .rv-clip canvas');
    if (!canvas || !canvas.painted) return requestAnimationFrame(look);
    requestAnimationFrame(() => { window.firstPaint = performance.now(); });
  };
  requestAnimationFrame(look);
})()"""

# When Run was pressed, when the picture first stood at a step of the new run, and when each new step came.
RUN = """() => {
  const viewer = document.querySelector('#viewer .rv'), step = viewer.querySelector('.rv-step');
  window.grown = null; window.updates = [];
  document.querySelector('#run').addEventListener('click', () => { window.pressed = performance.now(); }, { once: true });
  new MutationObserver(() => {
    if (viewer.dataset.state === 'running') window.updates.push(performance.now());
  }).observe(viewer, { attributes: true, attributeFilter: ['data-step'] });
  new MutationObserver(() => {
    if (window.grown || viewer.dataset.state !== 'running' || !/^step [1-9]/.test(step.textContent)) return;
    window.grown = -1;
    requestAnimationFrame(() => { window.grown = performance.now(); });
  }).observe(step, { childList: true, characterData: true, subtree: true });
}"""

# 60 events at any moment within a frame, through all the steps; each waits until it is painted.
DRAG = """async () => {
  const bar = document.querySelector('#viewer [data-scrubber]'), step = document.querySelector('#viewer .rv-step');
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(null);
  }));
  const times = []; let shown = 0;
  for (let i = 0; i < 60; i++) {
    const wanted = Math.abs((i + 1) % 80 - 40);
    await new Promise((done) => setTimeout(done, (7 * i) % 17));
    const begun = performance.now();
    bar.value = wanted;
    bar.dispatchEvent(new Event('input', { bubbles: true }));
    await painted();
    times.push(performance.now() - begun);
    shown += step.textContent === `step ${wanted} of 40`;
  }
  return [times, shown];
}"""


def main(rounds=5):
    rows = []
    with tempfile.TemporaryDirectory() as folder, b.serve(Path(folder)) as server, sync_playwright() as playwright:
        chromium = b.launch(playwright)
        rows.append(("served after `python app.py`", f"{server.seconds:.1f} s", "5 s"))
        with b.visit(chromium, server.url) as page:  # the network is loaded from here on
            b.ready(page)
        paints, sizes = zip(*(opening(chromium, server.url) for _ in range(rounds)))
        rows.append(
            (
                f"recorded duel painted after the request, median of {rounds}",
                f"{statistics.median(paints):.2f} s",
                "1.5 s",
            )
        )
        rows.append(("the slowest of them", f"{max(paints):.2f} s", "1.5 s"))
        rows.append(("sent to the browser before anything is pressed", f"{max(sizes) / 1e6:.1f} MB", "–"))
        with b.visit(chromium, server.url) as page:
            b.ready(page)
            b.run(page)  # once, so that the picture's ruler is known
            growths, rates = zip(*(live(page) for _ in range(rounds)))
            rows.append(
                (
                    f"Run to first growth painted, median of {rounds}",
                    f"{1000 * statistics.median(growths):.0f} ms",
                    "1000 ms",
                )
            )
            rows.append(("updates a second during a run", f"{statistics.median(rates):.0f}", "–"))
            page.wait_for_timeout(1000)
            times, shown = page.evaluate(DRAG)
            tenths = statistics.quantiles(times, n=10)
            rows.append(("scrubber, input to painted, median", f"{statistics.median(times):.0f} ms", "30 ms"))
            rows.append(("the same, 90 % within", f"{tenths[-1]:.0f} ms", "–"))
            rows.append(("steps shown of a 60-event drag", f"{shown}", "60"))
        chromium.close()
    print("| | measured | goal |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows), sep="\n")


def opening(chromium, url):
    """(seconds from the request until the recorded duel is painted, bytes sent until the page is at rest)."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(FIRST_PAINT)
    received = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(url)
    seconds = page.wait_for_function("window.firstPaint").json_value() / 1000
    b.ready(page)
    page.wait_for_timeout(1000)
    context.close()
    return seconds, sum(received)


def live(page):
    """(seconds from pressing Run to the first painted growth, updates a second) of one run."""
    page.evaluate(RUN)
    b.run(page)
    pressed, grown, updates = page.evaluate("[window.pressed, window.grown, window.updates]")
    return (grown - pressed) / 1000, 1000 * (len(updates) - 1) / (updates[-1] - updates[0])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
