"""Settings that many events of the page share."""

from typing import Any

PRIVATE: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
}  # not a public endpoint, and no spinner over the page
