"""The languages of the page: English, which it is written in, and one folder of catalogues for each other one.

assets/text/zh/ has the texts in Chinese. Its language.json says what the language is called, and every other file there is
a catalogue, {English: translation}, see assets/viewer/phrases.js and translate.js.
"""

import json
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips import paths

ENGLISH = {"code": "en", "name": "English", "short": "EN", "lang": "en"}
_NAMES = "language.json"


def folders() -> dict[str, Path]:
    """{code of a language: the folder of its catalogues}."""
    return {file.parent.name: file.parent for file in sorted(paths.TEXT.glob(f"*/{_NAMES}"))}


def for_browser() -> list[dict[str, str]]:
    """The languages as assets/viewer/language.js takes them: code, name, a short name for narrow windows, and lang,
    the tag of the page."""
    others = [{"code": code, **json.loads((folder / _NAMES).read_text("utf-8"))} for code, folder in folders().items()]
    return [ENGLISH, *others]


def texts(code: str) -> dict[str, str]:
    """{English: translation} of all catalogues of a language. ValueError if two of them differ about a text."""
    every: dict[str, str] = {}
    for file in sorted(folders()[code].glob("*.json")):
        if file.name == _NAMES:
            continue
        for key, value in json.loads(file.read_text("utf-8")).items():
            if every.setdefault(key, value) != value:
                raise ValueError(f"{file.name} translates {key!r} as {value!r}, another catalogue as {every[key]!r}.")
    return every


@cache
def _json(code: str) -> bytes:
    return json.dumps(texts(code), ensure_ascii=False, separators=(",", ":")).encode()


async def _texts(request: Request) -> Response:
    code = request.path_params["code"]
    if code not in folders():
        return PlainTextResponse("There is no such language.", 404)
    return Response(_json(code), media_type="application/json", headers={"Cache-Control": "no-cache"})


ROUTE = Route("/text/{code}", _texts)
