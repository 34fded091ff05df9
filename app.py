"""Start the R-LPIPS Explorer: `python app.py`, then open the address it prints."""

import gc
import os

# What is imported and built stays: to look through it for garbage again and again took a fifth of the start.
gc.disable()
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it calls nobody
# Before torch is: its threads wait for each other by spinning. Spinning briefly is as fast on an idle machine, and two to three
# times faster when the browser, or anything else, wants a core too.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from rlpips.ui.page import build, launch  # noqa: E402

if __name__ == "__main__":
    launch(build())
