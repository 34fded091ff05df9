"""What Gradio sends, packed once and kept: a page of sixty small files is then limited by the browser and not by the server.

Gradio reads and compresses every file of its own anew for every visitor, milliseconds each, and does not compress the page.
"""

from gradio.brotli_middleware import BrotliMiddleware
from starlette.middleware.gzip import GZipMiddleware

# Gradio's files have a digest of what they contain in their names.
_LASTING = (b"cache-control", b"public, max-age=31536000, immutable")


class Packed:
    """ASGI middleware around the app. The scripts and styles under /assets/ are a few megabytes, all of them together."""

    def __init__(self, app):
        self._app = app
        self._page = GZipMiddleware(app, compresslevel=6)  # it carries the whole app's configuration
        self._files = BrotliMiddleware(app)
        self._kept = {}  # (path, encodings) -> the response's messages

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
        elif scope["path"] == "/":
            await self._page(scope, receive, send)
        elif scope["path"].startswith("/assets/"):
            for message in await self._file(scope, receive):
                await send(message)
        else:
            await self._app(scope, receive, send)

    async def _file(self, scope, receive):
        key = scope["path"], dict(scope["headers"]).get(b"accept-encoding")
        if key in self._kept:
            return self._kept[key]
        messages = []

        async def collect(message):
            messages.append(message)

        await self._files(scope, receive, collect)
        if messages[0]["status"] == 200:
            messages[0]["headers"] = [*messages[0]["headers"], _LASTING]
            self._kept[key] = messages
        return messages
