"""For tests in the browser: chromium, the app as a server without a network, and pages that fail on any error of their own."""

import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from rlpips import paths

OFFLINE = Path(__file__).resolve().parent / "offline"  # its sitecustomize.py keeps Python from the network
# The shell comes first: without a window to draw, a visit takes about two thirds of the processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
PATIENCE = 60_000  # ms; so much that a busy machine causes no failure
POLLING = 50  # ms between two looks at what is waited for


def chromium():
    """The path of a chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright):
    """The browser."""
    return playwright.chromium.launch(executable_path=chromium(), args=FLAGS)


@dataclass(frozen=True)
class Server:
    """`python app.py`, running."""

    url: str
    log: Path
    seconds: float  # from the start of the process until the page was served
    pid: int

    def refused(self) -> list[str]:
        """Its attempts to reach the network, which were refused."""
        return [line for line in self.log.read_text("utf-8").splitlines() if line.startswith("offline: refused")]


@contextmanager
def serve(folder: Path, root: Path = paths.ROOT, **environment):
    """Start the app on a free port, its files in `folder`; every connection beyond this machine is refused.

    root  a copy of the project
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    modules = [str(OFFLINE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(modules), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1,localhost",
        "GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "files"), **environment,
    }  # fmt: skip
    log, url = folder / "server.log", f"http://127.0.0.1:{port}/"
    begun = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        while not _answers(url):
            if process.poll() is not None or time.monotonic() - begun > 120:
                raise RuntimeError(f"app.py does not serve: {log.read_text('utf-8')}")
            time.sleep(0.05)
        yield Server(url, log, time.monotonic() - begun, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=10) as response:
            return response.status == 200
    except OSError:
        return False


def _wait(wait_for_function, expression, **options):
    """Wait until the expression, or the function, gives a true value; a node that is not there yet (TypeError) is waited for."""
    patient = f"""argument => {{
      try {{
        const value = {expression};
        return typeof value === "function" ? value(argument) : value;
      }} catch (error) {{
        if (error instanceof TypeError) return false;
        throw error;
      }}
    }}"""
    # Not in every frame, the default, which keeps the browser busy with frames that nobody sees.
    return wait_for_function(patient, polling=POLLING, **options)


@contextmanager
def visit(browser, url, width=1440, height=900, offline_after=False, **options):
    """A page in a context of its own; fails at the end after an error in the console or a request to another server.

    `offline_after`: the server ends while the page is open, so errors of connections are no fault.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(PATIENCE)
    context.add_init_script("performance.setResourceTimingBufferSize(5000)")
    page = context.new_page()
    page.wait_for_function = partial(_wait, page.wait_for_function)
    page.complaints = complaints = []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    here = urlsplit(url).netloc

    def watch(request):
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != here:
            complaints.append(f"a request to {request.url}")

    page.on("request", watch)
    page.on("websocket", watch)
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    if offline_after:
        complaints = [
            text
            for text in complaints
            if not re.search("net::ERR_|network error|Connection errored|client exception", text)
        ]
    assert not complaints, complaints


@contextmanager
def leaving(page):
    """Leave the page within: answers that end with it are errors to Gradio's client, and none to the test."""
    before = len(page.complaints)
    yield
    ended = "signal is aborted without reason|Connection errored out"
    page.complaints[before:] = [text for text in page.complaints[before:] if not re.search(ended, text)]


class Window:
    """A page that several tests use in turn, since a visit takes seconds; after a test that fails the next one gets a new page."""

    def __init__(self, browser, url, **options):
        self._visit = lambda: visit(browser, url, **options)
        self._open, self._page = ExitStack(), None

    @contextmanager
    def turn(self, request, begin, reset):
        """The page for the test of the fixture's `request`: `begin(page)` waits for what a new one opens with, and `reset(page)` brings
        a used one back to it. The test is the one that fails if the page complains."""
        failed = request.session.testsfailed
        is_new = self._page is None
        if is_new:
            self._page = self._open.enter_context(self._visit())
        try:
            (begin if is_new else reset)(self._page)
        except BaseException:
            self.close()
            raise
        yield self._page
        if self._page.complaints or request.session.testsfailed > failed:
            self.close()

    def close(self):
        self._page = None
        self._open.close()


def go(page, address):
    """Open an address of the page again, even one that it still has because it has not yet written what was just changed."""
    page.evaluate(
        "address => location.hash === address ? dispatchEvent(new Event('hashchange')) : (location.hash = address)",
        address,
    )


# Collects every new text of the status line and every step and state of the viewer.
_WATCH = """(page) => {
  const status = document.querySelector(`#${page}status`), viewer = document.querySelector(`#${page}viewer .rv`);
  for (const old of window.watchers || []) old.disconnect();
  window.statuses = []; window.steps = []; window.states = [];
  // Without Gradio's hidden report on progress. innerText would lay out the page every time.
  const line = () => status.querySelector('[role=status]').textContent.trim();
  let last = line();
  const texts = new MutationObserver(() => {
    const text = line();
    if (text !== last) window.statuses.push(text);
    last = text;
  });
  const mirror = new MutationObserver(() => {
    const { step, state } = viewer.dataset;
    if (Number(step) !== window.steps.at(-1)) window.steps.push(Number(step));
    if (state !== window.states.at(-1)) window.states.push(state);
  });
  texts.observe(status, { subtree: true, childList: true, characterData: true });
  mirror.observe(viewer, { attributes: true, attributeFilter: ['data-step', 'data-state'] });
  window.watchers = [texts, mirror];
}"""


def watch(page, which=""):
    """From now on `wait_for_status(page, word)` waits for a new status, and window.steps and window.states collect the viewer's.
    `which` is the prefix of the ids of a page, "" for the Duel."""
    page.evaluate(_WATCH, which)


def wait_for_status(page, word):
    """Wait for a status since `watch` that begins with `word`; returns it."""
    try:
        status = page.wait_for_function("word => window.statuses.find((text) => text.startsWith(word))", arg=word)
    except Exception as error:
        raise AssertionError(f"no status {word!r}, but {page.evaluate('[window.statuses, window.states]')}") from error
    return status.json_value()


def run(page, until="Done"):
    """Press Run and wait for the status to begin with `until`; returns the status."""
    watch(page)
    page.click("#run")
    return wait_for_status(page, until)


def ready(page):
    """Wait for the opening: pictures painted, the chart drawn, the network loaded."""
    page.wait_for_selector("#viewer .rv-columns canvas")
    page.wait_for_selector("#viewer .rv-curve", state="attached")
    page.wait_for_function("document.querySelector('#status').innerText.startsWith('Loading done')")


def enter(page, field, value):
    """Type a number into the number field of a slider or number input, as people do."""
    box = page.locator(f"{field} input[type=number]")
    box.fill(str(value))
    box.press("Enter")
    box.blur()


def stop(page, button, ready):
    """Press a button that stops a run as soon as it can be pressed and `ready`, a JavaScript expression, is true. From within the page:
    the run may be over before a click of the driver arrives."""
    page.evaluate(
        f"""(button) => new Promise((done) => {{
          const look = () => {{
            const node = document.querySelector(button);
            if (node.disabled || !({ready})) return setTimeout(look, 10);
            node.click();
            done();
          }};
          look();
        }})""",
        button,
    )


def choose(page, field, text):
    """Choose an entry of a dropdown."""
    page.click(f"{field} input")
    page.locator("ul").get_by_role("option", name=text, exact=True).click()  # not of the viewer's lists
    page.wait_for_function(
        "([field, text]) => document.querySelector(`${field} input`).value === text", arg=[field, text]
    )


def tab(page, name):
    """Go to a tab, which in a narrow window may be in the menu of further tabs."""
    try:
        _press_tab(page, name, 10_000)
    except Exception:  # Gradio moves tabs between the bar and the menu a moment after the window has changed
        _press_tab(page, name, PATIENCE)


def _press_tab(page, name, patience):
    place = page.get_by_role("tab", name=name)
    if not place.count():
        page.get_by_label("More tabs").click(timeout=patience)
        place = page.locator(".overflow-dropdown").get_by_text(name)
    place.click(timeout=patience)


def upload(page, field, *files):
    """Replace the files of a file field, and wait until it shows them."""
    if page.locator(f"{field} button[aria-label=Clear]").count():
        page.click(f"{field} button[aria-label=Clear]")
    page.set_input_files(f"{field} input[type=file]", [str(file) for file in files])
    page.wait_for_function(
        "([field, count]) => document.querySelectorAll(`${field} .file-preview tr`).length === count",
        arg=[field, len(files)],
    )


# A JavaScript function that gives bytes as one text, which `unpacked` reads: as an array of numbers they take 10 µs each.
PACKED = """((bytes) => {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
})"""


def unpacked(text):
    """The bytes of a text of PACKED, an array of uint8."""
    return np.frombuffer(base64.b64decode(text), np.uint8)


def set_dark(page, is_dark):
    """Make the page dark or light, as a change of the system's setting does, and wait until its colours no longer change."""
    page.evaluate(
        """(isDark) => {
          document.body.classList.toggle('dark', isDark);
          const changes = document.getAnimations().filter((each) => each instanceof CSSTransition);
          return Promise.allSettled(changes.map((each) => each.finished)).then(() => null);
        }""",
        is_dark,
    )


# For every canvas: width, height, darkest and lightest byte, and a checksum of its pixels.
_CANVASES = """(root) => [...document.querySelectorAll(`${root} .rv-columns canvas`)].map((canvas) => {
  const { width, height } = canvas;
  const bytes = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  let [low, high, digest] = [255, 0, 0];
  for (let i = 0; i < bytes.length; i++) {
    if (i % 4 === 3) continue;
    low = Math.min(low, bytes[i]); high = Math.max(high, bytes[i]); digest = (31 * digest + bytes[i]) | 0;
  }
  return { width, height, low, high, digest };
})"""


def canvases(page, viewer="#viewer"):
    """Of every canvas of a viewer: width, height, low, high (bytes), digest."""
    return page.evaluate(_CANVASES, viewer)


# The contrast of each text with what it stands on, by WCAG's formula.
_CONTRAST = """(places) => {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      if (color[3] > 250) return color;
    }
    return [255, 255, 255, 255];
  };
  return Object.fromEntries(places.flatMap((place) => [...document.querySelectorAll(place)].map((node, i) => {
    const [a, b] = [light(rgba(getComputedStyle(node).color)), light(ground(node))];
    return [`${place} ${i}`, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  })));
}"""


def contrast(page, places):
    """{place and number: the contrast of a text} of all texts at the places, CSS selectors."""
    return page.evaluate(_CONTRAST, places)
