"""How the page's JavaScript is served."""

import os

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rlpips import paths
from rlpips.ui.components import modules


@pytest.mark.parametrize("root, address", [("", "/viewer/"), ("/demo", "/viewer/"), ("/demo", "/demo/viewer/")])
def test_modules_are_served_behind_any_proxy(root, address):
    """A proxy may remove the root path from the address or leave it there."""
    client = TestClient(FastAPI(routes=modules.ROUTES), root_path=root)
    response = client.get(f"{address}viewer.js")
    assert response.status_code == 200 and "javascript" in response.headers["content-type"]
    assert response.content == (paths.VIEWER / "viewer.js").read_bytes()
    assert client.get(f"{address}missing.js").status_code == 404
    for name in ("..%2FCREDITS.md", "..", "..%5CCREDITS.md", "a" * 300):
        assert client.get(f"{address}{name}").status_code == 404


def test_the_browser_asks_whether_a_module_is_still_the_same():
    client = TestClient(FastAPI(routes=modules.ROUTES))
    first = client.get("/viewer/model.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/viewer/model.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and again.headers["cache-control"] == "no-cache" and not again.content


def test_the_page_opens_with_the_modules_that_it_needs():
    assert {"address.js", "narrow.js", "viewer.js", "curves.js", "heat.js"} <= {
        *modules.needed("address.js", "viewer.js")
    }
    assert not {"chart.js", "pairs.js", "judge.js", "translate.js"} & {*modules.needed("address.js", "viewer.js")}
    assert modules.needed("cards.js", "plot.js") == ["cards.js", "dom.js", "plot.js"]


def test_a_changed_module_is_served_anew(tmp_path):
    client = TestClient(FastAPI(routes=[modules.route("own", tmp_path)]))
    file = tmp_path / "own.js"
    tags = set()
    for seconds, text in ((1, "export const a = 1;"), (2, "export const a = 2;")):
        file.write_text(text)
        os.utime(file, (seconds, seconds))
        response = client.get("/own/own.js")
        assert response.text == text
        tags.add(response.headers["etag"])
    assert len(tags) == 2
    file.unlink()
    assert client.get("/own/own.js").status_code == 404
