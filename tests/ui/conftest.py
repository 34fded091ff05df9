"""Shared by the tests of the page: a folder for its files, and a blank page beside the viewer's modules for tests of the
JavaScript without the app."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import browser as b
import pytest

from rlpips import paths

BLANK = b"<!doctype html><title>blank</title><link rel=icon href=data:,>"


class _Files(SimpleHTTPRequestHandler):
    """The viewer's files, those of the story as /story/…, and a blank page at /."""

    def do_GET(self):
        if self.path.startswith(("/story/", "/viewer/")):
            self.directory = str(paths.ASSETS)
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(BLANK)))
        self.end_headers()
        self.wfile.write(BLANK)

    def log_message(self, *_):
        pass


@pytest.fixture
def blank(chromium):
    """A blank page that can `import("./model.js")` and the other modules; it fails the test on any error of the console."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=paths.VIEWER)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            with b.visit(chromium, f"http://127.0.0.1:{server.server_port}/") as page:
                yield page
        finally:
            server.shutdown()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The folder of the files that the page serves, for tests without a server."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    return tmp_path / "served"


@pytest.fixture(scope="module")
def window(chromium, server):
    """A page for the tests of a file to take turns on."""
    window = b.Window(chromium, server.url)
    yield window
    window.close()
