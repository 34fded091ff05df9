"""Start the R-LPIPS Explorer: `python app.py`, then open the address it prints."""

import ctypes
import gc
import os
import sys
from contextlib import suppress

# What is imported and built stays: to look through it for garbage again and again took a fifth of the start.
gc.disable()
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it calls nobody
# Before torch is: its threads wait for each other by spinning. Spinning briefly is as fast on an idle machine, and two to three
# times faster when the browser, or anything else, wants a core too.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# glibc gives every few threads a heap of their own, and memory freed in one is no use to the others: a server of many threads
# then grows with every run. One heap for all stays as it is, and is no slower here. (-8 is M_ARENA_MAX of malloc.h.)
if sys.platform == "linux":
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(-8, 1)
# torch gives Python's lock back for each operation. To get it again takes up to so long when a visitor's request is at work, and
# an attack has hundreds of operations a step.
sys.setswitchinterval(0.0005)
# Gradio makes a table of its last events anew after each, of up to ten thousand.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")

from rlpips.ui.page import serve  # noqa: E402

if __name__ == "__main__":
    serve()
