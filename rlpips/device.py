"""Where torch computes, and in which state."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])
_END = object()


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """`device` as a torch device; None picks the GPU where there is one, else the CPU. ValueError for one that does not
    exist."""
    try:
        picked = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be None, "cpu" or "cuda"; got {device!r}.') from error
    if picked.type not in ("cpu", "cuda"):
        raise ValueError(f'device must be None, "cpu" or "cuda"; got {str(picked)!r}.')
    if picked.type == "cuda" and (picked.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"There is no GPU for device {str(picked)!r} here.")
    return picked


@contextmanager
def neutral_state() -> Iterator[None]:
    """Within it torch computes as it does where nobody has switched anything on: no inference mode and no autocast, which change
    numbers and what may be kept, float32 as the default dtype, and the CPU as the default device. Gradients stay off where they are.

    The default dtype is one for all threads: a caller who has changed it gets it back at the end.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        dtype = torch.get_default_dtype()
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def in_neutral_state(function: Function) -> Function:
    """Decorator: the function, or every step of the generator, runs in the `neutral_state`; between steps the caller's state holds."""

    def call(*arguments: Any, **settings: Any) -> Any:
        with neutral_state():
            return function(*arguments, **settings)

    def iterate(*arguments: Any, **settings: Any) -> Iterator[Any]:
        with closing(function(*arguments, **settings)) as steps:
            while True:
                with neutral_state():
                    step = next(steps, _END)
                if step is _END:
                    return
                yield step

    return wraps(function)(iterate if isgeneratorfunction(function) else call)  # type: ignore[return-value]
