"""What the page still says in English in another language: `python tests/measure/untranslated.py zh` prints it as JSON, page by page.

    python tests/measure/untranslated.py [zh] [--pages duel judge …] [--all] [--names]

Put the lines, with their translations, into a file of assets/text/zh/. A number or a name in a line that comes from the run becomes
a place: {#1} takes a number, {1} any words within a sentence. `--all` begins with an empty catalogue.
"""

# ruff: noqa: E402

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b
import tour
from playwright.sync_api import sync_playwright


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", nargs="?", default="zh")
    parser.add_argument("--pages", nargs="*", default=tour.PAGES)
    parser.add_argument("--all", action="store_true", help="all texts, translated or not")
    parser.add_argument("--names", action="store_true", help="single words too, which are names mostly")
    options = parser.parse_args()
    said = set()
    with (
        tempfile.TemporaryDirectory() as folder,
        b.serve(Path(folder)) as server,
        sync_playwright() as playwright,
        b.visit(b.launch(playwright), f"{server.url}#duel?lang={options.language}") as page,
    ):
        if options.all:
            page.route("**/text/*", lambda route: route.fulfill(json={}))
            page.reload()
        page.wait_for_selector("#viewer .rv-columns canvas")
        page.wait_for_function("window.document.querySelector('html').lang !== 'en'")
        for name in tour.tour(page, options.pages):
            new = [text for text in tour.missing(page, options.names) if text not in said]
            said.update(new)
            print(f"\n{name}")
            print(",\n".join(f'  {json.dumps(text, ensure_ascii=False)}: ""' for text in new), flush=True)


if __name__ == "__main__":
    main()
