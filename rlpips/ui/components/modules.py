"""The page's JavaScript: ES modules in assets/viewer, served as they are. A component loads one by `js_on_load`."""

import mimetypes
import re
import secrets
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rlpips import paths
from rlpips.ui.runtime.kept import Kept

_LOAD = """const root = (window.gradio_config?.root || "").replace(/[/]$/, "");
const address = (path) => new URL(`${root || "."}/${path}`, document.baseURI).href;
import(address("viewer/%s")).then(({ mount }) => mount({ element, props, watch, trigger, address }));
// events: %s"""


def load(module: str, events: tuple[str, ...] = ()) -> str:
    """The `js_on_load` of a `gr.HTML` whose script is a module of assets/viewer: it calls the module's `mount`.

    Args:
        module: file name, such as "viewer.js".
        events: names of the events that the module triggers. Gradio has a listener for each name in this text.
    """
    return _LOAD % (module, ", ".join(f'"{event}"' for event in events))


def route(name: str, folder: Path) -> Route:
    """Serves the files of a folder as NAME/FILE.

    The browser asks whether its copy is still the same: after an upgrade it must not mix old and new modules. A route for each file and
    no mount: Starlette's mounts miss the file behind a proxy that removes the root path.
    """

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if not _NAME.fullmatch(name) or not (path := folder / name).is_file():
            return PlainTextResponse("There is no such file.", 404)
        return _kept(path, path.stat().st_mtime_ns).answer(request.headers)

    return Route(f"/{name}/{{name}}", file)


@lru_cache(maxsize=1000)
def _kept(path: Path, changed: int) -> Kept:
    return kept(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "text/plain")


def kept(text: bytes, kind: str) -> Kept:
    """A text of ours, of a MIME type, as `route` serves it."""
    return Kept(text, {"content-type": f"{kind}; charset=utf-8", "cache-control": "no-cache"})


_NAME = re.compile(r"[\w-][\w.-]{0,99}")  # within the folder, on any system
_START = secrets.token_hex(8)


async def _server(_: Request) -> Response:
    """A name for this start of the server: a page sees by it whether its run is still there."""
    return PlainTextResponse(_START, headers={"Cache-Control": "no-store"})


_FIRST = ("address.js", "viewer.js")  # what the page opens with; others come when their page does
_IMPORT = re.compile(r'^(?:import|.* from) "\./([\w.]+)";$', re.MULTILINE)


def needed(*modules: str) -> list[str]:
    """The file names of modules of assets/viewer and of all that they import, one after the other, in order."""
    names, left = set(), [*modules]
    while left:
        module = left.pop()
        if module not in names:
            names.add(module)
            left += _IMPORT.findall((paths.VIEWER / module).read_text("utf-8"))
    return sorted(names)


# For `launch`. Without the head the browser learns of a module only from the one that imports it.
HEAD = "\n".join(f'<link rel="modulepreload" href="viewer/{name}">' for name in needed(*_FIRST))
ROUTES = [Route("/viewer/server", _server), route("viewer", paths.VIEWER)]
