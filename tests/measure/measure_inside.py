"""How fast the opened metric follows its controls: `python tests/measure/measure_inside.py` prints a Markdown table, in about a minute.

    python tests/measure/measure_inside.py [--moves 40] [--width 1440] [--height 900]

The recorded duel is opened with its panel. Each control is brought into sight and moved by a script, to new values at various moments within a frame; "painted" is when a
task queued in the frame after runs, which is after the page's own paint. "Work" is the page's part of it, without the wait for a frame. Then the control is moved by keys:
"shown" is when the browser says that the frame was on the screen, which it tells in steps of 8 ms. Nothing else should run meanwhile.
"""

# ruff: noqa: E402

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b
from playwright.sync_api import sync_playwright

GOAL = 25  # ms

# Moves a control `moves` times; returns for each the ms until it was painted, and of them those from the frame on.
MOVE = """async ([place, moves, kind, before]) => {
  const all = [...document.querySelectorAll(`#viewer ${place}`)].filter((node) => node.offsetParent);
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const frame = performance.now(), channel = new MessageChannel();
    channel.port1.onmessage = () => done(frame);
    channel.port2.postMessage(null);
  }));
  all[0].scrollIntoView({ block: "center" });
  await painted().then(painted);
  const times = [];
  for (let i = 0; i < moves; i++) {
    const node = all[i % all.length];
    if (before) { document.querySelector(`#viewer ${before}`).click(); await painted(); }
    await new Promise((done) => setTimeout(done, 30 + (7 * i) % 17));
    const begun = performance.now();
    if (kind === "press") node.click();
    else {
      node.value = Number(node.max) * ((i * 0.37 + Math.random() * 0.3) % 1);
      node.dispatchEvent(new Event("input", { bubbles: true }));
    }
    const handled = performance.now();
    const frame = await painted(), now = performance.now();
    times.push([now - begun, now - frame + handled - begun]);
  }
  return times;
}"""
FIGURES = (min, statistics.median, lambda times: statistics.quantiles(times, n=20)[-1])
SILENCE = ".rv-is-silence input"
CONTROLS = {  # where it is, how it is moved, and what is pressed before each time
    "mixture": (".rv-recipe > .rv-slider:first-child input", "input", None),
    "gains of the layers": (".rv-gains input", "input", None),
    "silence the heaviest": (".rv-recipe > .rv-slider:nth-last-of-type(1) input", "input", None),
    "silence a channel in its row": (SILENCE, "press", None),
    "undo": (".rv-undo", "press", None),
    "reset": (".rv-start-over", "press", SILENCE),
}
SHOWN = """() => {
  window.shown = {};
  new PerformanceObserver((list) => {
    for (const { interactionId: id, duration } of list.getEntries())
      if (id) window.shown[id] = Math.max(duration, window.shown[id] ?? 0);
  }).observe({ type: "event", durationThreshold: 16 });
}"""


def shown(page, place: str, kind: str, before: str | None, moves: int) -> list[float]:
    """The ms from keys to the screen; 16 stands for anything less."""
    page.evaluate("window.shown = {}")
    all_ = page.locator(f"#viewer {place}:visible")
    for move in range(moves):
        if before:
            page.evaluate("(place) => document.querySelector(`#viewer ${place}`).click()", before)
        node = all_.nth(move % all_.count())
        node.focus()
        page.wait_for_timeout(60)
        node.press("Space" if kind == "press" else "ArrowRight")
    page.wait_for_timeout(500)
    times = list(page.evaluate("Object.values(window.shown)"))
    return times + [16.0] * (moves - len(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    options = parser.parse_args()
    print(
        "| control | painted, best | median | 95 % | work, best | median | 95 % | shown, best | median | 95 % | goal |",
        "| --- |" + " --- |" * 10,
        sep="\n",
    )
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder, b.serve(Path(folder)) as server:
        chromium = b.launch(playwright)
        address = f"{server.url}#duel?inside=1"
        with b.visit(chromium, address, options.width, options.height) as page:
            b.ready(page)
            page.wait_for_selector("#viewer .rv-activations canvas >> nth=0")
            page.evaluate(SHOWN)
            for name, (place, kind, before) in CONTROLS.items():
                painted, work = zip(*page.evaluate(MOVE, [place, options.moves, kind, before]))
                keys = shown(page, place, kind, before, options.moves // 2)
                figures = [f"{figure(times):.0f} ms" for times in (painted, work, keys) for figure in FIGURES]
                print(f"| {' | '.join([name, *figures, f'{GOAL} ms'])} |", flush=True)
        chromium.close()


if __name__ == "__main__":
    main()
