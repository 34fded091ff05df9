"""Settings that many events of the page share."""

from typing import Any

PRIVATE: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
}  # not a public endpoint, and no spinner over the page
# Work for the device waits in `rlpips.ui.runtime.queue` and not in Gradio's queue, which lets all of it through.
UNLIMITED: dict[str, Any] = {"concurrency_limit": None}
