"""What Gradio sends, packed once and kept: a page of sixty small files is then limited by the browser and not by the server.

Gradio reads and compresses every file of its own anew for every visitor, milliseconds each, and does not compress the page.
"""

import re

from gradio.brotli_middleware import BrotliMiddleware
from starlette.middleware.gzip import GZipMiddleware

# Gradio's files have a digest of what they contain in their names.
_LASTING = (b"cache-control", b"public, max-age=31536000, immutable")
# Nothing else is kept or named in the page: an address may spell a file in any way that it likes.
_NAMED = re.compile(r"/assets/[\w.-]+")


class Packed:
    """ASGI middleware around the app. The scripts and styles under /assets/ are a few megabytes, all of them together.

    `head` is HTML that the page gets at the end of its own; so does, from the second visitor on, what the first visitor's
    browser asked for until Gradio was at work: Gradio's scripts name each other in a chain, which takes longer.
    """

    def __init__(self, app, head: str = ""):
        self._app = app
        self._head = head
        self._page = GZipMiddleware(self._with_head, compresslevel=6)  # it carries the whole app's configuration
        self._files = BrotliMiddleware(app)
        self._kept = {}  # (path, the packings that the browser knows) -> the response's messages
        self._first, self._at_work = [], False  # paths that the opening needs; whether they are known

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "GET":
            self._at_work = self._at_work or scope.get("path", "").endswith("/queue/join")
            await self._app(scope, receive, send)
        elif scope["path"] == "/":
            await self._page(scope, receive, send)
        elif _NAMED.fullmatch(scope["path"]):
            for message in await self._file(scope, receive):
                await send(message)
        else:
            await self._app(scope, receive, send)

    async def _with_head(self, scope, receive, send):
        start, *parts = await _messages(self._app, scope, receive)
        body = b"".join(part.get("body", b"") for part in parts)
        links = [_link(path) for path in self._first if self._at_work and path.encode() not in body]
        body = body.replace(b"</head>", "".join([self._head, *links, "</head>"]).encode(), 1)
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    async def _file(self, scope, receive):
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        key = scope["path"], b"br" in accepted, b"gzip" in accepted
        if key in self._kept:
            return self._kept[key]
        messages = await _messages(self._files, scope, receive)
        if messages[0]["status"] == 200:
            messages[0]["headers"] = [*messages[0]["headers"], _LASTING]
            self._kept[key] = messages
            if not self._at_work and scope["path"] not in self._first:
                self._first.append(scope["path"])
        return messages


async def _messages(app, scope, receive):
    """What the app sends."""
    messages = []

    async def collect(message):
        messages.append(message)

    await app(scope, receive, collect)
    return messages


def _link(path):
    kind = "stylesheet" if path.endswith(".css") else "modulepreload"
    return f'<link rel="{kind}" crossorigin href=".{path}">'
