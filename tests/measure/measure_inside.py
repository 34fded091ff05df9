"""How fast the opened metric follows its controls: `python tests/measure/measure_inside.py` prints a Markdown table, in about a minute.

    python tests/measure/measure_inside.py [--moves 40] [--width 1440] [--height 900]

The recorded duel is opened with its panel. Each control is brought into sight and moved, to new values at various moments within a frame; painted is when a task queued in
the frame after runs, which is after the paint. "Work" is the page's own part of it, without the wait for a frame. Nothing else should run meanwhile.
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
MOVE = """async ([place, moves, kind]) => {
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
CONTROLS = {
    "mixture": (".rv-recipe > .rv-slider:first-child input", "input"),
    "gains of the layers": (".rv-gains input", "input"),
    "silence the heaviest": (".rv-recipe > .rv-slider:nth-last-of-type(1) input", "input"),
    "silence a channel in its row": (".rv-is-silence input", "press"),
    "undo": (".rv-undo", "press"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    options = parser.parse_args()
    print(
        "| control | painted, best | median | 95 % | work, best | median | 95 % | goal |",
        "| --- |" + " --- |" * 7,
        sep="\n",
    )
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder, b.serve(Path(folder)) as server:
        chromium = b.launch(playwright)
        address = f"{server.url}#duel?inside=1"
        with b.visit(chromium, address, options.width, options.height) as page:
            b.ready(page)
            page.wait_for_selector("#viewer .rv-activations canvas >> nth=0")
            for name, (place, kind) in CONTROLS.items():
                painted, work = zip(*page.evaluate(MOVE, [place, options.moves, kind]))
                figures = [f"{figure(times):.0f} ms" for times in (painted, work) for figure in FIGURES]
                print(f"| {' | '.join([name, *figures, f'{GOAL} ms'])} |", flush=True)
        chromium.close()


if __name__ == "__main__":
    main()
