"""What the story fetches when somebody asks for it: its files, the recorded duels that its scenes show, and how to write one."""

import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips import paths
from rlpips.ui.components import modules
from rlpips.ui.pages import gallery

_FRESH = {"Cache-Control": "no-cache"}  # after an upgrade old and new ones must not mix


def duels() -> dict[str, Path]:
    """The recorded duels that a scene can show, by name: those of the gallery, and those made for the story."""
    found = [*paths.PRECOMPUTED.glob("*.zip"), *paths.PRECOMPUTED_STORY.glob("*.zip")]
    return {path.stem: path for path in sorted(found)}


def _names(_: Request) -> Response:
    return Response(json.dumps([*duels()]), media_type="application/json", headers=_FRESH)


def _duel(request: Request) -> Response:
    """The viewer's message that shows a recorded duel. It is made once: a class costs no more than one visitor."""
    path = duels().get(request.path_params["name"])
    if path is None:
        return PlainTextResponse("There is no recorded duel of this name.", 404)
    try:
        message = gallery.message(path)
    except (ValueError, OSError) as error:
        return PlainTextResponse(f"This recorded duel cannot be read: {error}", 500)
    return Response(json.dumps(message), media_type="application/json", headers=_FRESH)


def _format(_: Request) -> Response:
    return Response((paths.DOCS / "story.md").read_text("utf-8"), media_type="text/plain; charset=utf-8")


ROUTES = [
    Route("/story/recorded", _names),
    Route("/story/recorded/{name}", _duel),
    Route("/story/format", _format),
    modules.route("story", paths.STORY),
]
