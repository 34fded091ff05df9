"""The device: what bounds one run on it, and where it computes: on one thread, or in ZeroGPU's workers.

Nothing here imports torch, which is loaded on a thread of its own after the page is served.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

from rlpips.ui.runtime import settings, zero_gpu

DEADLINE_S = settings.number("RLPIPS_DEADLINE_S", 120.0, 1, 86_400)  # how long one run may hold the device
MAX_STEPS = int(settings.number("RLPIPS_MAX_STEPS", 200, 2, 10_000))
MAX_RESTARTS = 5
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
    """Decorator: the function runs where ZeroGPU lends a device, for `seconds(*arguments)`; without ZeroGPU it is `computing`."""
    return zero_gpu.lend(seconds) if zero_gpu.ON else computing


def stopwatch() -> Callable[[], float]:
    """A stopwatch: call it for the seconds since it was made."""
    begin = time.monotonic()
    return lambda: time.monotonic() - begin
