"""GPUs that Hugging Face's ZeroGPU lends to one call at a time, in a worker: a process forked for it.

The process that serves the page never has a GPU. There the package `spaces` only imitates one, and on one thread, so networks are
loaded on the CPU; the worker has the real GPU and loads them there.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction, unwrap
from typing import Any

import gradio as gr
import httpx

log = logging.getLogger(__name__)

# Not whether `spaces` is installed: it is on every Space, and a folder may have that name.
ON = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
_NO_SENTENCE = "ZeroGPU worker error"  # the title under which `spaces` gives the class of an unexpected error


def lend(seconds: Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the function, or generator, runs in a worker that has a GPU for `seconds(*arguments)`.

    Arguments and results are pickled. A ValueError of the worker is a ValueError here; that no GPU is lent is one, too.
    """
    import spaces

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return _within(_visitor, spaces.GPU(duration=seconds)(_within(_worker, function)))

    return decorate


def launch(app: gr.Blocks, **options: Any) -> None:
    """`app.launch`, which first reports to ZeroGPU. If nobody answers, the page starts anyway: what is recorded can be explored."""
    try:
        app.launch(**options)
    except httpx.HTTPError as error:
        log.error("ZeroGPU does not answer, and lends no GPU: %s", error)
        unwrap(gr.Blocks.launch)(app, **options)  # without the report that `spaces` has put before it


def _within(surroundings: Callable[[], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, or generator, within a context."""

    def call(*arguments: Any) -> Any:
        with surroundings():
            return function(*arguments)

    def iterate(*arguments: Any) -> Iterator[Any]:
        with surroundings():
            yield from function(*arguments)

    return wraps(function)(iterate if isgeneratorfunction(function) else call)


@contextmanager
def _worker() -> Iterator[None]:
    """In the worker: of all errors, only a `gr.Error` reaches the page with its text."""
    import torch

    torch.set_num_threads(1)  # OpenMP's other threads do not survive a fork, and are waited for
    try:
        yield
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from error


@contextmanager
def _visitor() -> Iterator[None]:
    """In the page's process: sentences of the worker, and of ZeroGPU (a quota is used up), are refusals."""
    try:
        yield
    except gr.Error as error:
        if error.title == _NO_SENTENCE:
            raise RuntimeError(f"ZeroGPU's worker failed: {error.message}") from error
        raise ValueError(str(error.message)) from error
    except httpx.HTTPError as error:
        raise ValueError("ZeroGPU does not answer. Try again in a while; what is recorded can be explored.") from error
