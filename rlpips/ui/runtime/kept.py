"""Scripts and styles, of which a page opens with two hundred: read and compressed once, then answered from memory."""

import gzip
import hashlib
import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No slash within a name: so there are as many paths as Gradio has files, and no more are kept.
_GRADIOS = re.compile(r"/(assets|static/js)/[\w-][\w.-]*\.(js|css)")
_HEADERS = ("content-type", "cache-control", "last-modified")  # of Gradio's answer; the others are of its bytes


class Kept:
    """A text, as browsers get it."""

    def __init__(self, text: bytes, headers: dict[str, str]):
        self._tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
        # Weak: it is the tag of the text, compressed or not.
        self._headers = {**headers, "etag": f"W/{self._tag}", "vary": "Accept-Encoding"}
        self._text, self._compressed = text, gzip.compress(text)

    def answer(self, request: Headers) -> Response:
        """The answer to a request with these headers. A new one each time: Gradio's own compression changes the headers it is given."""
        if self._tag in request.get("if-none-match", ""):  # which may name several
            return Response(status_code=304, headers=self._headers)
        if "gzip" in request.get("accept-encoding", ""):
            return Response(self._compressed, headers={**self._headers, "content-encoding": "gzip"})
        return Response(self._text, headers=self._headers)


class Assets:
    """A middleware that keeps Gradio's own. To read one and compress it takes four times as long as all else of a request."""

    def __init__(self, app: ASGIApp):
        self._app, self._kept = app, dict[str, Kept]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a script or a style of Gradio's, and pass all others on."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))  # a proxy may leave the root path there
        if scope["type"] != "http" or scope["method"] != "GET" or not _GRADIOS.fullmatch(path):
            return await self._app(scope, receive, send)
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
