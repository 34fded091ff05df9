"""What a change costs a visitor: another copy of the project and this one, in turns, so that both meet the same load.

    python tests/measure/measure_beside.py OTHER [--rounds 5]

OTHER is the folder of the other copy, such as `git worktree add ../before COMMIT` makes one. The table has its figures, those of
this copy, and their ratio. What is measured, and how, is in measure_page.py.
"""

# ruff: noqa: E402

import argparse
import os
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b
import measure_page
from playwright.sync_api import sync_playwright

from rlpips import paths

# What an address begins with, and whose it is; the others are Gradio's.
OWNERS = {"gradio_api/file=": "data", "viewer/": "ours", "text/": "ours", "story/": "ours"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each measurement")
    options = parser.parse_args()
    with ExitStack() as stack:
        chromium = b.launch(stack.enter_context(sync_playwright()))
        stack.callback(chromium.close)
        servers = [stack.enter_context(measure_page.Server(root=root)) for root in (options.other, paths.ROOT)]
        load = os.getloadavg()[0]
        print(
            f"| median of {options.rounds} | {options.other.name} | this | ratio |",
            "| --- | --- | --- | --- |",
            sep="\n",
        )
        for what, before, now in rows(chromium, servers, options.rounds):
            print(f"| {what} | {before:.4g} | {now:.4g} | {now / before if before else 0:.2f} |", flush=True)
    print(
        f"\nThe machine's load was {load:.1f} at first and {os.getloadavg()[0]:.1f} in the end, on {os.cpu_count()} cores."
    )


def rows(chromium, servers, rounds):
    """Yields (what, the median of each server)."""
    pages = []
    for server in servers:  # the network is loaded from here on
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        pages.append(context.new_page())
        pages[-1].goto(server.url)
        b.ready(pages[-1])
        b.enter(pages[-1], "#steps", 40)
        b.run(pages[-1])  # once, so that the ruler of the picture is in the cache
    yield from _medians(rounds, pages, _of_run)
    for page in pages:
        page.context.close()  # else it draws beside those measured
    yield from _medians(
        rounds, servers, lambda server, _: _of_opening(measure_page.measure_opening(chromium, server.url))
    )
    interactive = lambda server, _: {"interactive, s": measure_page.measure_interactive(chromium, server.url)}  # noqa: E731
    yield from _medians(rounds, servers, interactive)


def _medians(rounds, subjects, measure):
    """Measure each subject once in every round."""
    found = [[measure(subject, number) for subject in subjects] for number in range(rounds)]
    for what in found[0][0]:
        yield what, *(statistics.median(each[what] for each in of_one) for of_one in zip(*found))


def _of_run(page, number):
    curves, pictures, _ = measure_page.measure_run(page, 1 + number)
    page.wait_for_timeout(1000)
    times, _ = page.evaluate(measure_page.DRAG)
    return {
        "Run to first growth painted, ms": curves,
        "the same with its pictures, ms": pictures,
        "scrubber, input to painted, ms": statistics.median(times),
    }


def _of_opening(opening):
    sizes = {"page": 0, "gradio": 0, "ours": 0, "data": 0}
    for address, size in opening.sizes.items():
        path = urlsplit(address).path.lstrip("/")
        owner = next((owner for start, owner in OWNERS.items() if path.startswith(start)), "gradio" if path else "page")
        sizes[owner] += size / 1e3
    return {
        "recorded duel painted, s": opening.painted,
        "CPU of the browser until the page is at rest, s": opening.cpu,
        "requests": len(opening.sizes),
        "sent before anything is pressed, kB": sum(sizes.values()),
        "of it the page itself, kB": sizes["page"],
        "Gradio's own scripts and styles, kB": sizes["gradio"],
        "our scripts, kB": sizes["ours"],
        "pictures and data, kB": sizes["data"],
    }


if __name__ == "__main__":
    main()
