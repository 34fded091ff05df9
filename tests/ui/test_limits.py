"""What a request may send: bounds on bodies and uploads, before Gradio sees them."""

import errno
import secrets

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from rlpips.ui.runtime import files, limits

pytestmark = pytest.mark.usefixtures("served")


async def _echo(request):
    """The length of the body, however it comes."""
    if "full" in request.query_params:
        raise OSError(errno.ENOSPC, "No space left on device")
    body = await request.body()
    if request.url.path.endswith("upload"):
        place = files.folder() / secrets.token_hex(8)
        place.mkdir(parents=True)
        (place / "a.png").write_bytes(body)
    return PlainTextResponse(str(len(body)))


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(files, "ROOM", files.Room(200e6))
    routes = [Route(path, _echo, methods=["POST"]) for path in ("/gradio_api/upload", "/gradio_api/queue/join")]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(limits.Limits)]))


def _chunks(count):
    return (b"x" * 100_000 for _ in range(count))


def test_a_body_of_a_megabyte_passes_and_a_larger_one_does_not(client):
    join = "/gradio_api/queue/join"
    assert client.post(join, content=b"x" * 1024**2).text == str(1024**2)
    assert client.post(join, content=_chunks(10)).text == "1000000"  # without a length in its head
    for body in (b"x" * (1024**2 + 1), _chunks(11)):
        answer = client.post(join, content=body)
        assert answer.status_code == 413 and answer.text == "A request may have at most 1 MB."


def _upload(client, *uploads, **fields):
    return client.post("/gradio_api/upload", files=[("files", upload) for upload in uploads], data=fields)


def test_a_pair_of_large_files_passes(client):
    pair = [("a.png", bytes(30_000_000)), ("b.png", bytes(30_000_000))]
    answer = _upload(client, *pair)
    assert answer.status_code == 200 and int(answer.text) > 60_000_000


def test_uploads_are_bounded_in_bytes_files_and_fields(client):
    many = [(f"{n}.png", b"small") for n in range(101)]
    assert _upload(client, *many[:100], note="short").status_code == 413  # the field is one part more
    assert _upload(client, *many[:99], note="short").status_code == 200
    for answer, sentence in (
        (_upload(client, *many), "An upload may have at most 100 files."),
        (_upload(client, ("a.png", bytes(70 * 1024**2))), "This upload has 70 MB. At most 64 MB a file"),
        (_upload(client, many[0], note="x" * 20_000), "An upload holds files, and no long fields."),
        (_upload(client, many[0], filename="x" * 20_000), "An upload holds files, and no long fields."),
    ):
        assert answer.status_code == 413 and answer.text.startswith(sentence)


def test_uploads_that_are_none_are_refused(client):
    head = {"content-type": "multipart/form-data; boundary=abc"}
    for content, headers, status in (
        (b"garbage", {}, 400), (b"garbage", head, 400), (_chunks(1), head, 411), (b"x", {"content-type": "multipart"}, 400),
    ):  # fmt: skip
        assert client.post("/gradio_api/upload", content=content, headers=headers).status_code == status


def test_uploads_leave_room_for_runs(client):
    """Of 200 MB, uploads may take 160; new files are not deleted for them."""
    for _ in range(2):
        assert _upload(client, ("a.png", bytes(30_000_000)), ("b.png", bytes(30_000_000))).status_code == 200
        files.put("a.png", bytes(30_000_000))
    answer = _upload(client, ("a.png", bytes(30_000_000)), ("b.png", bytes(30_000_000)))
    assert answer.status_code == 507 and answer.text == files.FULL
    files.put("b.png", bytes(40_000_000))


def test_a_full_disk_is_a_sentence(client):
    answer = client.post("/gradio_api/queue/join?full", content=b"{}")
    assert answer.status_code == 507 and answer.text == files.FULL
