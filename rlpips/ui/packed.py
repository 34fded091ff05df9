"""What Gradio sends, packed once and kept: a page of sixty small files is then limited by the browser and not by the server.

Gradio reads and compresses every file of its own anew for every visitor, milliseconds each, and makes the page anew, thirty
milliseconds, and does not compress it.
"""

import re
from collections import OrderedDict

from gradio.brotli_middleware import BrotliMiddleware
from starlette.middleware.gzip import GZipMiddleware

# Gradio's files have a digest of what they contain in their names.
_LASTING = (b"cache-control", b"public, max-age=31536000, immutable")
# Nothing else is kept or named in the page: an address may spell a file in any way that it likes.
_NAMED = re.compile(r"/assets/[\w.-]+")
# In the page's configuration: Gradio's script asks for the theme by them, and waits for it.
_THEME = re.compile(r'"theme_hash":"(?P<hash>\w+)".*?"root":"(?P<root>[^"\\]*)"')
# The page names the server as the browser knows it. Strangers may send any, so only the latest few are kept.
_PAGE_DEPENDS_ON = (b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-server", b"accept-encoding")
_PAGES = 8


class Packed:
    """ASGI middleware around the app. The scripts and styles under /assets/ are a few megabytes, all of them together.

    `head` is HTML that the page gets at the beginning of its own. From the second visitor on the page also brings what the
    first visitor's browser asked for until Gradio was at work, as Gradio's scripts name each other in a chain, which takes
    longer: it names the scripts, and holds the styles, forty of some lines each, as every request takes a browser milliseconds.
    """

    def __init__(self, app, head: str = ""):
        self._app = app
        self._head = head
        self._page = GZipMiddleware(self._with_head, compresslevel=6)  # it carries the whole app's configuration
        self._files = BrotliMiddleware(app)
        self._kept = {}  # (path, the packings that the browser knows) -> the response's messages
        self._pages = OrderedDict()  # the same of the page, by what it depends on, for the latest few
        self._first, self._at_work = [], False  # paths that the opening needs; whether they are known

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "GET":
            self._at_work = self._at_work or scope.get("path", "").endswith("/queue/join")
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/":
            messages = await self._opening(scope, receive)
        elif _NAMED.fullmatch(scope["path"]):
            messages = await self._file(scope, receive)
        else:
            await self._app(scope, receive, send)
            return
        for message in messages:
            await send(message)

    async def _opening(self, scope, receive):
        told = tuple((name, value) for name, value in scope["headers"] if name in _PAGE_DEPENDS_ON)
        key = scope.get("scheme"), scope.get("root_path"), scope.get("query_string"), told
        if key in self._pages:
            self._pages.move_to_end(key)
            return self._pages[key]
        at_work = self._at_work
        messages = await _messages(self._page, scope, receive)
        if at_work and messages[0]["status"] == 200:
            self._pages[key] = messages
            if len(self._pages) > _PAGES:
                self._pages.popitem(last=False)
        return messages

    async def _with_head(self, scope, receive, send):
        start, *parts = await _messages(self._app, scope, receive)
        page = _body(parts).decode()
        missing = [path for path in self._first if self._at_work and path not in page]
        scripts = [f'<link rel="modulepreload" crossorigin href=".{path}">' for path in missing if path.endswith(".js")]
        styles = [await self._style(f".{path}", path, scope, receive) for path in missing if path.endswith(".css")]
        if self._at_work and (theme := _THEME.search(page)):
            styles.append(
                await self._style(f"{theme['root']}/theme.css?v={theme['hash']}", "/theme.css", scope, receive)
            )
        page = page.replace("<head>", f"<head>{self._head}", 1)
        body = page.replace("</head>", "".join([*scripts, *styles, "</head>"]), 1).encode()
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    async def _style(self, address, path, scope, receive):
        """A stylesheet within the page. Gradio looks for a link before it loads one: this link is there and loads nothing."""
        _, *parts = await _messages(self._app, {**scope, "path": path, "headers": []}, receive)
        return f'<link rel="stylesheet" disabled href="{address}"><style>{_body(parts).decode()}</style>'

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


def _body(parts):
    return b"".join(part.get("body", b"") for part in parts)
