"""Start the R-LPIPS Explorer: `python app.py`, then open the address it prints."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it calls nobody

from rlpips.ui.page import build, launch  # noqa: E402

if __name__ == "__main__":
    launch(build())
