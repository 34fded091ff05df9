import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from rlpips.ui.packed import Packed

brotli = pytest.importorskip("brotli")
SCRIPT = "const many = 1;\n" * 500
PAGE = "<p>the whole configuration</p>" * 500


@pytest.fixture
def served():
    """(client, the paths that the app itself was asked for)."""
    asked = []

    def answer(make):
        def respond(request):
            asked.append(request.url.path)
            return make(request)

        return respond

    routes = [
        Route("/", answer(lambda _: HTMLResponse(PAGE))),
        Route("/assets/index-D1.js", answer(lambda _: Response(SCRIPT, media_type="text/javascript"))),
        Route("/assets/{gone}", answer(lambda _: PlainTextResponse("no such file", 404))),
        Route("/changing.js", answer(lambda _: Response(str(len(asked)), media_type="text/javascript"))),
    ]
    return TestClient(Packed(Starlette(routes=routes))), asked


@pytest.mark.parametrize("encoding", ["br", "gzip", "identity"])
def test_a_script_is_read_and_packed_once_and_may_be_kept_by_the_browser(served, encoding):
    client, asked = served
    answers = [client.get("/assets/index-D1.js", headers={"accept-encoding": encoding}) for _ in range(3)]
    assert {answer.text for answer in answers} == {SCRIPT} and asked == ["/assets/index-D1.js"]
    assert answers[0].headers.get("content-encoding", "identity") == encoding
    assert "immutable" in answers[2].headers["cache-control"]


def test_each_encoding_gets_its_own(served):
    client, asked = served
    raw = []
    for encoding in ("br", "identity", "br"):
        with client.stream("GET", "/assets/index-D1.js", headers={"accept-encoding": encoding}) as answer:
            raw.append(b"".join(answer.iter_raw()))
    assert brotli.decompress(raw[0]).decode() == raw[1].decode() == SCRIPT and raw[2] == raw[0]
    assert len(asked) == 2


def test_what_is_not_there_is_not_kept(served):
    client, asked = served
    for _ in range(2):
        answer = client.get("/assets/gone.js")
        assert answer.status_code == 404 and "cache-control" not in answer.headers
    assert len(asked) == 2


def test_the_page_is_packed_and_what_may_change_is_asked_for_each_time(served):
    client, _ = served
    with client.stream("GET", "/", headers={"accept-encoding": "gzip"}) as answer:
        assert gzip.decompress(b"".join(answer.iter_raw())).decode() == PAGE
    assert client.get("/changing.js").text != client.get("/changing.js").text
    assert client.head("/assets/index-D1.js").content == b""


THEME = '{"theme_hash":"a1","root":"http://testserver"}'


@pytest.fixture
def opened():
    """(client whose first visitor's Gradio is at work, the page before that, how often the page was made)."""
    page = (
        f'<html><head><script>{THEME}</script><script src="./assets/index-D1.js"></script></head><body></body></html>'
    )
    made = []

    def make(request):
        made.append(request)
        return HTMLResponse(page)

    files = {"index-D1.js": "", "chunk-D2.js": "", "chunk-D3.css": "p { color: red }", "later-D4.js": ""}
    routes = [Route(f"/assets/{name}", lambda _, text=text: PlainTextResponse(text)) for name, text in files.items()]
    routes += [Route("/theme.css", lambda _: PlainTextResponse("b { color: blue }")), Route("/", make)]
    routes += [Route("/gradio_api/queue/join", lambda _: PlainTextResponse(""), methods=["POST"])]
    client = TestClient(Packed(Starlette(routes=routes), head="<script>early()</script>"))
    first = client.get("/").text
    for name in list(files)[:3]:
        client.get(f"/assets/{name}")
    client.post("/gradio_api/queue/join")
    client.get("/assets/later-D4.js")  # of another tab
    assert first == page.replace("<head>", "<head><script>early()</script>")
    return client, first, made


def test_from_the_second_visitor_on_the_page_names_scripts_and_holds_styles_that_the_opening_needs(opened):
    client, first, _ = opened
    added = '<link rel="modulepreload" crossorigin href="./assets/chunk-D2.js">'
    added += '<link rel="stylesheet" disabled href="./assets/chunk-D3.css"><style>p { color: red }</style>'
    added += '<link rel="stylesheet" disabled href="http://testserver/theme.css?v=a1"><style>b { color: blue }</style>'
    assert client.get("/").text == first.replace("</head>", f"{added}</head>")


def test_the_page_is_made_once_for_each_way_of_asking_for_it(opened):
    client, _, made = opened
    made.clear()
    for headers in ({}, {"host": "other"}, {"accept-encoding": "identity"}, {}, {"host": "other"}, {"cookie": "a=1"}):
        client.get("/", headers=headers)
    assert len(made) == 3
    for number in range(20):  # whoever makes names up pushes out what others asked for, and no more than that
        client.get("/", headers={"host": f"host-{number}"})
    made.clear()
    client.get("/", headers={"host": "host-19"})
    assert not made
    client.get("/")
    assert len(made) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/assets/%22%3E%3Cscript%3Ealert(1)%3C/script%3E/../../index-D1.js",
        "/assets/a/../index-D1.js",
        "/assets/a%20b.js",
    ],
)
def test_an_address_that_spells_a_file_in_its_own_way_is_neither_kept_nor_named_in_the_page(path):
    async def app(scope, receive, send):
        body = b"<head></head>" if scope["path"] == "/" else SCRIPT.encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": body})

    async def ask(method, path, encoding=b"gzip"):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": unquote(path), "headers": [(b"accept-encoding", encoding)]}
        await packed(scope, None, send)
        return b"".join(message.get("body", b"") for message in sent)

    def run(coroutine):  # in a thread of its own: browser tests leave a loop running in this one
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, coroutine).result()

    packed = Packed(app, head="<meta>")
    run(ask("GET", path))
    run(ask("GET", "/assets/index-D1.js"))
    run(ask("GET", "/assets/index-D1.js", b"gzip, made-up"))
    run(ask("GET", "/x/queue/join"))
    assert b"modulepreload" not in run(ask("GET", "/", b""))  # somebody asking is not Gradio at work
    run(ask("POST", "/gradio_api/queue/join"))
    page = run(ask("GET", "/", b"")).decode()
    assert page == '<head><meta><link rel="modulepreload" crossorigin href="./assets/index-D1.js"></head>'
    assert len(packed._kept) == 1
