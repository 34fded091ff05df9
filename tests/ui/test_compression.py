"""Which answers of the server are compressed here."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rlpips.ui.runtime.compression import Compression


@pytest.mark.parametrize("root", ["", "/demo"])
@pytest.mark.parametrize("path, compressed", [("/", True), ("/config", True), ("/viewer/model.js", False)])
def test_the_page_is_compressed_and_nothing_else(root, path, compressed):
    text = "The same small change, two verdicts. " * 1000
    routes = [Route(path, lambda _: PlainTextResponse(text))]
    client = TestClient(FastAPI(routes=routes, middleware=[Middleware(Compression)]), root_path=root)
    response = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert response.text == text
    assert response.headers.get("content-encoding") == ("gzip" if compressed else None)
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert plain.text == text and "content-encoding" not in plain.headers
