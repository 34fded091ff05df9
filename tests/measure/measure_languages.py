"""What a frame costs while somebody scrubs, in English and in another language: `python tests/measure/measure_languages.py [zh]`.

Milliseconds of the browser's main thread for each step, as Chromium counts its tasks, scripts, styles and layouts; rounds alternate.
"""

# ruff: noqa: E402

import statistics
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b
import tour
from playwright.sync_api import sync_playwright

ROUNDS = 6
PARTS = ("TaskDuration", "ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
_SCRUB = """async () => {
  const scrubber = document.querySelector('#viewer [data-scrubber]');
  const last = Number(scrubber.max);
  for (let i = 0; i < 2 * last; i++) {
    scrubber.value = i < last ? i : 2 * last - i;
    scrubber.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(requestAnimationFrame);
  }
  return 2 * last;
}"""


def main():
    code = sys.argv[1] if len(sys.argv) > 1 else "zh"
    with (
        tempfile.TemporaryDirectory() as folder,
        b.serve(Path(folder)) as server,
        sync_playwright() as playwright,
        b.visit(b.launch(playwright), server.url) as page,
    ):
        b.ready(page)
        tour.settle(page, 1200)
        counter = page.context.new_cdp_session(page)
        counter.send("Performance.enable")

        def counts():
            found = {each["name"]: each["value"] for each in counter.send("Performance.getMetrics")["metrics"]}
            return [1000 * found[part] for part in PARTS]

        costs = {"en": [], code: []}
        for turn in range(2 * ROUNDS + 2):
            language = ("en", code)[turn % 2]
            page.evaluate("code => { location.hash = `duel?lang=${code}`; }", language)
            page.wait_for_function("is => (document.documentElement.lang === 'en') === is", arg=language == "en")
            tour.settle(page)
            before = counts()
            steps = page.evaluate(_SCRUB)
            costs[language].append([(after - start) / steps for start, after in zip(before, counts(), strict=True)])
        for language, (first, *again) in costs.items():  # at first every text is looked up
            _print(f"{language}, first", first)
            _print(f"{language}, again", [statistics.median(part) for part in zip(*again, strict=True)])


def _print(what, values):
    print(f"{what}:", ", ".join(f"{name[:-8]} {value:.2f} ms" for name, value in zip(PARTS, values, strict=True)))


if __name__ == "__main__":
    main()
