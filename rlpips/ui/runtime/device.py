"""The device: what bounds one run on it, the one thread that computes, and GPUs that ZeroGPU lends.

Nothing here imports torch, which is loaded on a thread of its own after the page is served.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from importlib.util import find_spec
from inspect import isgeneratorfunction
from typing import Any

DEADLINE_S = float(os.environ.get("RLPIPS_DEADLINE_S", 120))  # how long one run may hold the device
MAX_STEPS = int(os.environ.get("RLPIPS_MAX_STEPS", 200))
MAX_RESTARTS = 5
# Hugging Face's ZeroGPU lends a GPU to functions that are marked; its package is there only on Spaces.
ON_SPACES = find_spec("spaces") is not None
# Events that Gradio runs at a time: all visitors who wait, and room for what needs no device.
THREADS = 160

# All work runs on one thread. If each step ran on the next of Gradio's threads, torch would keep helper threads for each of
# them, and where there are more helpers than cores they wait for each other asleep: a step then takes 1.5 times as long.
_THREAD = ThreadPoolExecutor(1, "compute")
_END = object()


def computing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the function, or each step of the generator, runs on the thread that computes, whoever calls it."""

    def call(*arguments):
        return _THREAD.submit(function, *arguments).result()

    def iterate(*arguments):
        steps = function(*arguments)
        try:
            while (step := _THREAD.submit(next, steps, _END).result()) is not _END:
                yield step
        finally:
            _THREAD.submit(steps.close)

    return wraps(function)(iterate if isgeneratorfunction(function) else call)


def on_gpu(seconds: Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: on Spaces the function runs where ZeroGPU lends a device, for `seconds(*arguments)`; elsewhere `computing`."""
    if not ON_SPACES:
        return computing
    import spaces

    return spaces.GPU(duration=seconds)


def stopwatch() -> Callable[[], float]:
    """A stopwatch: call it for the seconds since it was made."""
    begin = time.monotonic()
    return lambda: time.monotonic() - begin
