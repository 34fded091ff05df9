"""The page's JavaScript: ES modules in assets/viewer, served as they are. A component loads one by `js_on_load`."""

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from rlpips import paths

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


class _Files(StaticFiles):
    """Has the browser ask whether a file is still the same: after an upgrade it must not mix old modules with new ones."""

    def file_response(self, *args, **kwargs):
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


# For `launch(head=…, app_kwargs=…)`. Without the head the browser learns of a module only from the one that imports it.
HEAD = "\n".join(f'<link rel="modulepreload" href="viewer/{file.name}">' for file in sorted(paths.VIEWER.glob("*.js")))
SERVE = {"routes": [Mount("/viewer", _Files(directory=paths.VIEWER))]}
