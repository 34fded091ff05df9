"""What a request may send: an ASGI middleware in front of Gradio, which would take bodies of any size and keep them."""

import errno
from contextlib import ExitStack
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rlpips.ui.runtime import files

MEGABYTE = 1024**2
FILE_BYTES = 64 * MEGABYTE  # of one uploaded file: the originals of 5,000 pairs of 64×64 pixels
UPLOAD_BYTES = FILE_BYTES + MEGABYTE  # of one request: a pair, each of 32 MB
UPLOAD_PARTS = 100  # which may be the pictures of 50 pairs
_FIELD_BYTES = 10_000  # of a part of an upload that is no file; Gradio sends none
_BODY_BYTES = MEGABYTE  # of every other request
_CLOSE = {"connection": "close"}  # else the server reads on, to the end of the body
_HELP = f"At most {FILE_BYTES // MEGABYTE} MB a file, and {UPLOAD_BYTES // MEGABYTE} MB at a time."


class Refused(Exception):
    """A request that is not taken, with the status of the answer."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


class Limits:
    """The middleware. It refuses a request before its body is in memory or on the disk."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with the reason why not."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = {name: value for name, value in scope["headers"]}  # ASGI has names in lower case
        try:
            if scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/upload"):
                length, parts = _check_upload(headers)
                with ExitStack() as stack:
                    _make_room(stack, length)
                    return await self._app(scope, parts.looked_through(receive), send)
            return await self._app(scope, await _body(headers, receive), send)
        except Refused as refusal:
            answer = PlainTextResponse(str(refusal), refusal.status, _CLOSE)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            answer = PlainTextResponse(files.FULL, 507, _CLOSE)
        await answer(scope, receive, send)


def _length(headers: dict[bytes, bytes]) -> int | None:
    """The length of a body in bytes, if it is declared; the server below sees to it that no more come."""
    text = headers.get(b"content-length", b"")
    return int(text) if text.isdigit() else None


async def _body(headers: dict[bytes, bytes], receive: Receive) -> Receive:
    """The same messages. The body is complete before Gradio sees any of it."""
    refusal = Refused(413, f"A request may have at most {_BODY_BYTES // MEGABYTE} MB.")
    if (_length(headers) or 0) > _BODY_BYTES:
        raise refusal
    messages, size = [], 0
    while True:
        messages.append(message := await receive())
        size += len(message.get("body", b""))
        if size > _BODY_BYTES:
            raise refusal
        if not message.get("more_body"):
            break
    messages.reverse()

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


def _check_upload(headers: dict[bytes, bytes]) -> tuple[int, "_Parts"]:
    """(bytes, parts) of an upload, from what its head says."""
    length = _length(headers)
    if length is None:
        raise Refused(411, "An upload must say its length.")
    if length > UPLOAD_BYTES:
        raise Refused(413, f"This upload has {length / MEGABYTE:.0f} MB. {_HELP}")
    kind, options = parse_options_header(headers.get(b"content-type"))
    if kind != b"multipart/form-data" or not (boundary := options.get(b"boundary")):
        raise Refused(400, "An upload must be multipart/form-data.")
    return length, _Parts(boundary)


def _make_room(stack: ExitStack, length: int) -> None:
    try:
        stack.enter_context(files.ROOM.hold(length, files.UPLOADS))
    except ValueError as error:
        raise Refused(507, str(error)) from error


class _Parts:
    """The parts of an upload: few, and fields short."""

    def __init__(self, boundary: bytes):
        self._count, self._field_bytes, self._is_file = 0, 0, False
        self._name, self._value = b"", b""  # of a header
        callbacks: dict[str, Any] = {
            "on_part_begin": self._begin, "on_header_field": self._header_name, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_part_data": self._data,
        }  # fmt: skip
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]

    def looked_through(self, receive: Receive) -> Receive:
        """The same messages; `Refused` among parts that are too many, too long, or none."""

        async def look() -> Message:
            message = await receive()
            try:
                self._parser.write(message.get("body", b""))
            except MultipartParseError as error:
                raise Refused(400, "This upload cannot be read.") from error
            return message

        return look

    def _begin(self) -> None:
        self._count, self._field_bytes, self._is_file = self._count + 1, 0, False
        if self._count > UPLOAD_PARTS:
            raise Refused(413, f"An upload may have at most {UPLOAD_PARTS} files. {_HELP}")

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._is_file = b"filename" in parse_options_header(self._value)[1]
        self._name, self._value = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            return
        self._field_bytes += end - start
        if self._field_bytes > _FIELD_BYTES:
            raise Refused(413, "An upload holds files, and no long fields.")
