"""How fast the page is, and what it keeps: `python tests/measure/measure_page.py` prints a Markdown table, in about four minutes.

    python tests/measure/measure_page.py [start] [opening] [run] [memory] [--rounds 5] [--runs 50]

Without a name all four are measured. Nothing else should run meanwhile. An animation frame is called before the browser
paints; painted means, of the scrubber, a task queued in that frame, which comes after the paint, and of the rest the
frame after it. Interactive: the scrubber, moved, has moved the viewer, and Run, pressed, has changed the status.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b  # noqa: E402
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

# Called before anything of the page: moves the scrubber and presses Run in every frame until both have an effect.
INTERACTIVE = """(() => {
  let moved = false;
  const look = () => {
    const viewer = document.querySelector('#viewer .rv'), bar = viewer?.querySelector('[data-scrubber]');
    if (!moved && bar && Number(viewer.dataset.steps)) {
      bar.value = 7;
      bar.dispatchEvent(new Event('input', { bubbles: true }));
      moved = viewer.dataset.step === '7';
    }
    const pressed = document.querySelector('#status')?.innerText.startsWith('Running');
    if (moved && pressed) { window.interactive = performance.now(); return; }
    if (!pressed) document.querySelector('#run')?.click();
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""

# When Run was pressed, when the step and when the picture first were of the new run, and when each new step came.
RUN = """() => {
  const viewer = document.querySelector('#viewer .rv');
  window.updates = [];
  window.counter?.disconnect();
  const press = () => { window.pressed = performance.now(); };
  document.querySelector('#run').addEventListener('click', press, { once: true });
  window.counter = new MutationObserver(() => {
    if (viewer.dataset.state === 'running') window.updates.push(performance.now());
  });
  window.counter.observe(viewer, { attributes: true, attributeFilter: ['data-step'] });
  const shown = (place) => Number(viewer.querySelector(place).textContent.match(/step (\\d+)/)?.[1] ?? 0);
  const grown = (place) => new Promise((done) => new MutationObserver((_, watcher) => {
    const step = Number(viewer.dataset.step);     // of the new run; what is shown may still be the old one's
    if (viewer.dataset.state !== 'running' || !shown(place) || shown(place) > step) return;
    watcher.disconnect();
    requestAnimationFrame(() => done(performance.now()));
  }).observe(viewer, { childList: true, characterData: true, subtree: true }));
  window.grown = Promise.all([grown('.rv-step'), grown('.rv-keyframe')]);
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="what", help="of: " + ", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=5, help="how often what varies is measured")
    parser.add_argument("--runs", type=int, default=50, help="how many runs memory is measured over")
    said = parser.parse_args()
    if unknown := set(said.what) - set(MEASURES):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(MEASURES)}")
    print("| | measured | goal |", "| --- | --- | --- |", sep="\n")
    with sync_playwright() as playwright:
        chromium = b.launch(playwright)
        for name in said.what or MEASURES:
            for row in MEASURES[name](chromium, said):
                print(f"| {' | '.join(row)} |", flush=True)
        chromium.close()


def start(_, said):
    """From the command until the page is served; what of it is Gradio's own import."""
    floor = statistics.median(_seconds_of([sys.executable, "-c", "import gradio"]) for _ in range(said.rounds))
    served = []
    for _ in range(said.rounds):
        with _served() as server:
            served.append(server.seconds)
    yield f"served after `python app.py`, median of {said.rounds}", f"{statistics.median(served):.1f} s", "3 s"
    yield "of it `import gradio` alone takes", f"{floor:.1f} s", "–"


def opening(chromium, said):
    """What a visitor meets before anything is pressed."""
    with _served() as server:
        with b.visit(chromium, server.url) as page:  # the network is loaded from here on
            b.ready(page)
        paints, sizes = zip(*(_opened(chromium, server.url) for _ in range(said.rounds)))
        ready = [_interactive(chromium, server.url) for _ in range(said.rounds)]
    yield (
        f"recorded duel painted after the request, median of {said.rounds}",
        f"{statistics.median(paints):.2f} s",
        "1 s",
    )
    yield "the slowest of them", f"{max(paints):.2f} s", "1.5 s"
    yield f"interactive after the request, median of {said.rounds}", f"{statistics.median(ready):.2f} s", "1.5 s"
    yield "sent to the browser before anything is pressed", f"{max(sizes) / 1e6:.2f} MB", "2 MB"


def run(chromium, said):
    """A run of 40 steps, each time with another seed, so that none is remembered; then the scrubber."""
    with _served() as server, b.visit(chromium, server.url) as page:
        b.ready(page)
        b.run(page)  # once, so that the picture's ruler is known
        curves, pictures, rates = zip(*(_live(page, 1 + each) for each in range(said.rounds)))
        page.wait_for_timeout(1000)
        times, shown = page.evaluate(DRAG)
    yield f"Run to first growth painted, median of {said.rounds}", f"{statistics.median(curves):.0f} ms", "300 ms"
    yield "the same with its pictures", f"{statistics.median(pictures):.0f} ms", "–"
    yield "updates a second during a run", f"{statistics.median(rates):.0f}", "–"
    yield "scrubber, input to painted, median", f"{statistics.median(times):.0f} ms", "25 ms"
    yield "the same, 90 % within", f"{statistics.quantiles(times, n=10)[-1]:.0f} ms", "–"
    yield "steps shown of a 60-event drag", f"{shown}", "60"


def memory(chromium, said):
    """What the browser and the server hold on to after runs of 5 steps."""
    after, kept = [count for count in (1, 10, said.runs) if count <= said.runs], []
    with _served(RLPIPS_CACHE_MB="40") as server, b.visit(chromium, server.url) as page:
        b.ready(page)
        b.enter(page, "#steps", 5)
        for count in range(1, after[-1] + 1):
            b.enter(page, "#seed", count)
            b.run(page)
            if count in after:
                page.wait_for_timeout(1000)
                kept.append({**_browser_memory(page), **_server_memory(server)})
    runs = ", ".join(map(str, after))
    for what in kept[0]:
        goal = "40, within 10 s" if "cache" in what else "no growth"
        yield (
            f"{what} after {runs} runs",
            ", ".join(f"{each[what]:.{0 if each[what] > 99 else 1}f}" for each in kept),
            goal,
        )


MEASURES = {each.__name__: each for each in (start, opening, run, memory)}


def _seconds_of(command):
    begun = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begun


class _served:
    """The app, running, with its files in a folder of its own."""

    def __init__(self, **environment):
        self._environment = environment

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        self._server = b.serve(Path(self._folder.name), **self._environment)
        return self._server.__enter__()

    def __exit__(self, *error):
        self._server.__exit__(*error)
        self._folder.cleanup()


def _opened(chromium, url):
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


def _interactive(chromium, url):
    """Seconds from the request until the page reacts."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(INTERACTIVE)
    page.goto(url)
    seconds = page.wait_for_function("window.interactive").json_value() / 1000
    b.watch(page)
    b.said(page, "Done")  # or the next visitor would have to wait for it
    context.close()
    return seconds


def _live(page, seed):
    """(ms from pressing Run to the first growth painted, the same with its pictures, updates a second) of one run."""
    b.enter(page, "#seed", seed)
    page.evaluate(RUN)
    b.run(page)
    pressed, (curves, pictures), updates = page.evaluate(
        "(async () => [window.pressed, await window.grown, window.updates])()"
    )
    return curves - pressed, pictures - pressed, 1000 * (len(updates) - 1) / (updates[-1] - updates[0])


def _browser_memory(page):
    """What is left when the browser has collected its garbage."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    found = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {
        "MB of JavaScript": found["JSHeapUsedSize"] / 1e6,
        "DOM nodes": found["Nodes"],
        "event listeners": found["JSEventListeners"],
    }


def _server_memory(server):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines())
    cache = sum(each.stat().st_size for each in (server.log.parent / "files").rglob("*") if each.is_file())
    return {"MB of the server": int(status["VmRSS"].split()[0]) / 1e3, "MB in its cache folder": cache / 1e6}


if __name__ == "__main__":
    main()
