"""Scripts and styles that are answered from memory."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips.ui.runtime.kept import Assets, Kept

TEXT = "const verdict = 'further'; " * 100
CODINGS = ["gzip, deflate, br", "identity"]


@pytest.fixture
def asked():
    """The paths that reached the app behind the middleware."""
    return []


@pytest.fixture
def client(asked):
    def answer(request):
        asked.append(request.url.path)
        if "missing" in request.url.path:
            return PlainTextResponse("There is none.", 404)
        headers = {"Last-Modified": "Sat, 01 Aug 2026 00:00:00 GMT", "X-Once": "1"}
        return Response(TEXT + request.url.path, media_type="text/javascript", headers=headers)

    return TestClient(FastAPI(routes=[Route("/{path:path}", answer)], middleware=[Middleware(Assets)]))


@pytest.mark.parametrize("root", ["", "/demo"])
@pytest.mark.parametrize("path", ["/assets/core-Bd_9-a.js", "/assets/Index.css", "/static/js/frame.min.js"])
def test_a_script_is_asked_for_once(client, asked, root, path):
    """A proxy may leave the root path in the address, or remove it."""
    client.app.root_path, path = root, root + path
    for coding in CODINGS * 2:
        response = client.get(path, headers={"Accept-Encoding": coding})
        assert response.text == TEXT + path and response.headers["content-type"].startswith("text/javascript")
        assert response.headers.get("content-encoding") == ("gzip" if "gzip" in coding else None)
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers["last-modified"].startswith("Sat") and "x-once" not in response.headers
        assert int(response.headers["content-length"]) == (response.num_bytes_downloaded)
    assert asked == [path]


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/assets/missing.js", "/assets/font.woff2", "/assets/a//b.js", "/viewer/model.js", "/gradio_api/file=/x/assets/a.js",
     "/gradio_api/file/x/assets/a.js", "/demo/assets/a.js"],
)  # fmt: skip
def test_nothing_else_is_kept(client, asked, path):
    answers = [client.get(path) for _ in range(2)]
    assert asked == [path, path]
    assert [answer.status_code for answer in answers] == [404 if "missing" in path else 200] * 2


def test_what_is_sent_goes_to_the_app(client, asked):
    assert client.post("/assets/a.js").status_code == 405 and asked == []


def test_a_browser_that_has_the_text_is_told_so():
    kept = Kept(TEXT.encode(), {"content-type": "text/css"})
    tag = kept.answer({}).headers["etag"]
    for asks in (tag, f'"other", {tag}', tag.removeprefix("W/")):
        answer = kept.answer({"if-none-match": asks, "accept-encoding": "gzip"})
        assert (answer.status_code, answer.body, answer.headers["etag"]) == (304, b"", tag)
    other = Kept(b"another text", {"content-type": "text/css"})
    assert other.answer({"if-none-match": tag}).status_code == 200


class Marking:
    """A middleware that changes the headers that it is given, as Gradio's compression does, which is outside of ours."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def changed(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                assert "x-mark" not in headers
                headers["X-Mark"] = "1"
            await send(message)

        await self.app(scope, receive, changed)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_happens_to_one_answer_changes_no_other(coding):
    answer = Route("/{path:path}", lambda _: Response(TEXT, media_type="text/javascript"))
    client = TestClient(FastAPI(routes=[answer], middleware=[Middleware(Marking), Middleware(Assets)]))
    for _ in range(3):
        response = client.get("/assets/a.js", headers={"Accept-Encoding": coding})
        assert response.text == TEXT and response.headers["x-mark"] == "1"
        tag = response.headers["etag"]
        assert client.get("/assets/a.js", headers={"If-None-Match": tag}).status_code == 304
