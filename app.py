"""Start the R-LPIPS Explorer: `python app.py`, then open the address it prints."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it calls nobody
# Before torch is: threads that wait for each other by spinning make a step ten times slower when the browser, or anything
# else, wants a core too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from rlpips.ui.page import build, launch  # noqa: E402

if __name__ == "__main__":
    launch(build())
