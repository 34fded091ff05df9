"""How fast the page is, and how much memory it uses: `python tests/measure/measure_page.py` prints a Markdown table, in about four minutes.

    python tests/measure/measure_page.py [start] [opening] [run] [memory] [--rounds 5] [--runs 50]

Without a name all four are measured; measure_beside.py measures another copy of the project beside this one. Nothing else should run
meanwhile. The browser calls an animation frame before it
paints. "Painted" is measured for the scrubber by a task queued in that frame, which runs after the paint, and elsewhere by the
next frame. "Interactive": a moved scrubber has moved the viewer, and a click on Run has changed the status.
"""

# ruff: noqa: E402

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b
from playwright.sync_api import sync_playwright

# Runs before the scripts of the page: records when the first picture of the opening is on the screen.
FIRST_PAINT = """(() => {
  const look = () => {
    const canvas = document.querySelector('#viewer .rv-clip canvas');
    if (!canvas || !canvas.painted) return requestAnimationFrame(look);
    requestAnimationFrame(() => { window.firstPaint = performance.now(); });
  };
  requestAnimationFrame(look);
})()"""

# Runs before the scripts of the page: moves the scrubber and presses Run in every frame until both have an effect.
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

# Records when Run was pressed, when the step and the picture first were those of the new run, and when each new step came.
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
    const step = Number(viewer.dataset.step);     // of the new run; the page may still show the old one
    if (viewer.dataset.state !== 'running' || !shown(place) || shown(place) > step) return;
    watcher.disconnect();
    requestAnimationFrame(() => done(performance.now()));
  }).observe(viewer, { childList: true, characterData: true, subtree: true }));
  window.grown = Promise.all([grown('.rv-step'), grown('.rv-keyframe')]);
}"""

# 60 events at various moments within a frame, through all steps; each waits until it is painted.
DRAG = """async () => {
  const bar = document.querySelector('#viewer [data-scrubber]'), step = document.querySelector('#viewer .rv-step');
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(null);
  }));
  const times = []; let shown = 0;
  for (let i = 0; i < 60; i++) {
    const target = Math.abs((i + 1) % 80 - 40);
    await new Promise((done) => setTimeout(done, (7 * i) % 17));
    const begun = performance.now();
    bar.value = target;
    bar.dispatchEvent(new Event('input', { bubbles: true }));
    await painted();
    times.push(performance.now() - begun);
    shown += step.textContent === `step ${target} of 40`;
  }
  return [times, shown];
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="what", help="of: " + ", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each measurement")
    parser.add_argument("--runs", type=int, default=50, help="runs after which memory is measured")
    options = parser.parse_args()
    if unknown := set(options.what) - set(MEASURES):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(MEASURES)}")
    print("| | measured | goal |", "| --- | --- | --- |", sep="\n")
    with sync_playwright() as playwright:
        chromium = b.launch(playwright)
        for name in options.what or MEASURES:
            for row in MEASURES[name](chromium, options):
                print(f"| {' | '.join(row)} |", flush=True)
        chromium.close()


def start(_, options):
    """From the command until the page is served, and how much of it is the import of Gradio."""
    floor = statistics.median(_seconds_of([sys.executable, "-c", "import gradio"]) for _ in range(options.rounds))
    times = []
    for _ in range(options.rounds):
        with Server() as server:
            times.append(server.seconds)
    yield f"served after `python app.py`, median of {options.rounds}", f"{statistics.median(times):.1f} s", "3 s"
    yield "of it `import gradio` alone takes", f"{floor:.1f} s", "–"


def opening(chromium, options):
    """The page before a visitor presses anything."""
    with Server() as server:
        with b.visit(chromium, server.url) as page:  # the network is loaded from here on
            b.ready(page)
        openings = [measure_opening(chromium, server.url) for _ in range(options.rounds)]
        ready = [measure_interactive(chromium, server.url) for _ in range(options.rounds)]
    paints = [each.painted for each in openings]
    yield (
        f"recorded duel painted after the request, median of {options.rounds}",
        f"{statistics.median(paints):.2f} s",
        "1 s",
    )
    yield "the slowest of them", f"{max(paints):.2f} s", "1.5 s"
    yield f"interactive after the request, median of {options.rounds}", f"{statistics.median(ready):.2f} s", "1.5 s"
    yield (
        "sent to the browser before anything is pressed",
        f"{max(sum(each.sizes.values()) for each in openings) / 1e6:.2f} MB",
        "2 MB",
    )


def run(chromium, options):
    """A run of 40 steps, each time with another seed, so that none is answered from the cache; then the scrubber."""
    with Server() as server, b.visit(chromium, server.url) as page:
        b.ready(page)
        b.enter(page, "#steps", 40)
        b.run(page)  # once, so that the ruler of the picture is in the cache
        curves, pictures, rates = zip(*(measure_run(page, 1 + each) for each in range(options.rounds)))
        page.wait_for_timeout(1000)
        times, shown = page.evaluate(DRAG)
    yield f"Run to first growth painted, median of {options.rounds}", f"{statistics.median(curves):.0f} ms", "300 ms"
    yield "the same with its pictures", f"{statistics.median(pictures):.0f} ms", "–"
    yield "updates a second during a run", f"{statistics.median(rates):.0f}", "–"
    yield "scrubber, input to painted, median", f"{statistics.median(times):.0f} ms", "25 ms"
    yield "the same, 90 % within", f"{statistics.quantiles(times, n=10)[-1]:.0f} ms", "–"
    yield "steps shown of a 60-event drag", f"{shown}", "60"


def memory(chromium, options):
    """The memory of the browser and the server after runs of 5 steps."""
    points, rows = [count for count in (1, 10, options.runs) if count <= options.runs], []
    with Server(RLPIPS_CACHE_MB="40") as server, b.visit(chromium, server.url) as page:
        b.ready(page)
        b.enter(page, "#steps", 5)
        for count in range(1, points[-1] + 1):
            b.enter(page, "#seed", count)
            b.run(page)
            if count in points:
                page.wait_for_timeout(1000)
                rows.append({**_browser_memory(page), **_server_memory(server)})
    runs = ", ".join(map(str, points))
    for what in rows[0]:
        goal = "40, within 10 s" if "cache" in what else "no growth"
        yield (
            f"{what} after {runs} runs",
            ", ".join(f"{each[what]:.{0 if each[what] > 99 else 1}f}" for each in rows),
            goal,
        )


MEASURES = {each.__name__: each for each in (start, opening, run, memory)}


def _seconds_of(command):
    begun = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begun


class Server:
    """The app, running, with its files in a folder of its own; options as for `browser.serve`."""

    def __init__(self, **options):
        self._options = options

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        self._server = b.serve(Path(self._folder.name), **self._options)
        return self._server.__enter__()

    def __exit__(self, *error):
        self._server.__exit__(*error)
        self._folder.cleanup()


@dataclass(frozen=True)
class Opening:
    """What a visitor gets before pressing anything."""

    painted: float  # seconds from the request until the recorded duel is painted
    sizes: dict[str, int]  # of each address, the bytes received, compressed as they are
    cpu: float  # seconds of all processes of the browser until the page is at rest


def measure_opening(chromium, url):
    """The `Opening` of the page, without anything in the browser's cache."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(FIRST_PAINT)
    addresses, sizes = {}, {}
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.requestWillBeSent", lambda event: addresses.update({event["requestId"]: event["request"]["url"]})
    )
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    page.wait_for_timeout(500)  # what opening a window itself costs
    begun = browser_cpu()
    page.goto(url)
    seconds = page.wait_for_function("window.firstPaint").json_value() / 1000
    b.ready(page)
    page.wait_for_timeout(1000)
    cpu = browser_cpu() - begun
    context.close()
    return Opening(seconds, {addresses[each]: size for each, size in sizes.items()}, cpu)


def browser_cpu():
    """The CPU seconds so far of this program's browser, all of its living processes together. Linux alone has them."""
    children, times = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            name, fields = re.fullmatch(r"\d+ \((.*)\) (.*)", stat.read_text().strip(), re.DOTALL).groups()
            _, parent, *fields = fields.split()
            pid = int(stat.parent.name)
            children.setdefault(int(parent), []).append(pid)
            times[pid] = (sum(map(int, fields[9:11])) / os.sysconf("SC_CLK_TCK")) if "chrom" in name else 0
    todo, total = [os.getpid()], 0.0
    while todo:
        found = children.get(todo.pop(), [])
        total += sum(times[pid] for pid in found)
        todo += found
    return total


def measure_interactive(chromium, url):
    """Seconds from the request until the page reacts."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(INTERACTIVE)
    page.goto(url)
    seconds = page.wait_for_function("window.interactive").json_value() / 1000
    # Otherwise the next visitor would have to wait for it. The run may be over already: it may have been made before.
    page.wait_for_function("document.querySelector('#status').innerText.trim().startsWith('Done')", timeout=b.PATIENCE)
    context.close()
    return seconds


def measure_run(page, seed):
    """(ms from pressing Run to the first growth painted, the same with its pictures, updates a second) of one run."""
    b.enter(page, "#seed", seed)
    page.evaluate(RUN)
    b.run(page)
    pressed, (curves, pictures), updates = page.evaluate(
        "(async () => [window.pressed, await window.grown, window.updates])()"
    )
    return curves - pressed, pictures - pressed, 1000 * (len(updates) - 1) / (updates[-1] - updates[0])


def _browser_memory(page):
    """The memory that the browser needs after a garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {
        "MB of JavaScript": metrics["JSHeapUsedSize"] / 1e6,
        "DOM nodes": metrics["Nodes"],
        "event listeners": metrics["JSEventListeners"],
    }


def _server_memory(server):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines())
    cache = sum(each.stat().st_size for each in (server.log.parent / "files").rglob("*") if each.is_file())
    return {"MB of the server": int(status["VmRSS"].split()[0]) / 1e3, "MB in its cache folder": cache / 1e6}


if __name__ == "__main__":
    main()
