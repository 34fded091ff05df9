"""The small pictures of measured pairs, at an address of their own: viewer/strips/DIGEST. A message names them by the digest and not as
files: Gradio checks every file of a value anew with each update, and a run of thousands of pairs has hundreds."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips.ui.runtime import files

_NAME = "strip.png"


def put(data: bytes) -> str:
    """Store a PNG; returns its digest. ValueError if there is no room."""
    return files.digest_of(files.put(_NAME, data))


def _answer(request: Request) -> Response:
    if not (path := files.stored(request.path_params["digest"], _NAME)):
        return PlainTextResponse(files.GONE, 404)
    return Response(path.read_bytes(), media_type="image/png", headers={"Cache-Control": "max-age=3600, immutable"})


ROUTE = Route("/viewer/strips/{digest}", _answer)
