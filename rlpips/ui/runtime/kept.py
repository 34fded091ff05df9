"""Scripts and styles, of which a page opens with two hundred: read and compressed once, then answered from memory."""

import copy
import gzip
import hashlib
import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No slash within a name, and no file of a visitor (gradio_api/file=…): so there are as many as Gradio has, and no more are kept.
_GRADIOS = re.compile(r"[^=]*/(assets|static/js)/[\w-][\w.-]*\.(js|css)")
_HEADERS = ("content-type", "cache-control", "last-modified")  # of Gradio's answer; the others are of its bytes


class Kept:
    """A text, as browsers get it."""

    def __init__(self, text: bytes, headers: dict[str, str]):
        self._tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
        headers = {**headers, "etag": self._tag, "vary": "Accept-Encoding"}
        self._same = Response(status_code=304, headers=headers)
        self._plain = Response(text, headers=headers)
        self._compressed = Response(gzip.compress(text), headers={**headers, "content-encoding": "gzip"})

    def answer(self, request: Headers) -> Response:
        """The answer to a request with these headers."""
        if self._tag in request.get("if-none-match", ""):  # it may have several, and each may be marked as weak
            return self._same
        kept = self._compressed if "gzip" in request.get("accept-encoding", "") else self._plain
        response = copy.copy(kept)
        response.raw_headers = [*kept.raw_headers]  # Gradio's compression changes the headers that it is given
        return response


class Assets:
    """A middleware that keeps Gradio's own. To read one and compress it takes four times as long as all else of a request."""

    def __init__(self, app: ASGIApp):
        self._app, self._kept = app, dict[str, Kept]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a script or a style of Gradio's, and pass all others on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _GRADIOS.fullmatch(scope["path"]):
            return await self._app(scope, receive, send)
        path = scope["path"]
        if path not in self._kept:
            messages: list[Message] = []

            async def collect(message: Message) -> None:
                messages.append(message)

            # Without extensions: a server that sends files itself would get a path, and no text come here.
            await self._app({**scope, "headers": [], "extensions": {}}, receive, collect)
            begin, *rest = messages
            if begin["status"] != 200:
                for message in messages:
                    await send(message)
                return
            headers = Headers(raw=begin["headers"])
            text = b"".join(message.get("body", b"") for message in rest)
            self._kept[path] = Kept(text, {name: headers[name] for name in _HEADERS if name in headers})
        await self._kept[path].answer(Headers(scope=scope))(scope, receive, send)
