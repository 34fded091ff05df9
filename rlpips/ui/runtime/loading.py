"""Loads networks on a thread of its own, behind the page."""

import logging
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache

from rlpips.ui.runtime import device, zero_gpu
from rlpips.zoo import catalog

log = logging.getLogger(__name__)


class Loading:
    """Loads metrics on a thread of its own."""

    def __init__(self, metrics: Sequence[str], backbone: str):
        """ValueError for an unknown metric or backbone, before the first download."""
        for name in metrics:
            catalog.check(name, backbone)
        self._text = f"Loading {catalog.trunk_card(backbone).title}…"
        self._seconds = device.stopwatch()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._load, args=(metrics, backbone), daemon=True)
        self._thread.start()

    def texts(self, pause: float = 0.15) -> Iterator[str]:
        """Yields how far it is, every `pause` seconds, until all is loaded. Raises what went wrong.

        ValueError past the deadline: the thread goes on, but a visitor does not wait for a long download.
        """
        while self._is_loading(pause):
            if self._seconds() > device.DEADLINE_S:
                raise ValueError(f"{self._text.removesuffix('…')} takes long and goes on. Press Run again in a while.")
            yield self._text
        self.wait()

    def wait(self) -> None:
        """Return when all is loaded. Raises what went wrong."""
        self._thread.join()
        if self._error:
            raise self._error

    def _is_loading(self, pause: float) -> bool:
        self._thread.join(pause)
        return self._thread.is_alive()

    def _load(self, metrics: Sequence[str], backbone: str) -> None:
        try:
            from rlpips.metrics.lpips import shared_metric

            where = "cpu" if zero_gpu.ON else None  # a download is done, then, before a GPU is lent
            for name in metrics:
                shared_metric(name, backbone, where, progress=self._progress)
        except Exception as error:
            # The host reads it here, a visitor where it is raised again.
            log.error("%s was not loaded: %s", backbone, error, exc_info=not isinstance(error, ValueError))
            self._error = error

    def _progress(self, file: str, done: int, total: int | None) -> None:
        self._text = f"Loading {file}: {done / 1e6:.0f}" + (f" of {total / 1e6:.0f} MB" if total else " MB")


@lru_cache(maxsize=1)
def warm_up() -> Loading:
    """Begin to load what the first run will need, once."""
    return Loading(("lpips", "rlpips-linf", "rlpips-l2"), "alex")


def describe_device() -> str:
    """ "CPU bfloat16" or "CPU float32", "ZeroGPU", or the GPU's name; call it after `warm_up` is done."""
    if zero_gpu.ON:
        return "ZeroGPU"
    from rlpips.device import pick_device
    from rlpips.engine.bfloat16 import pick_precision
    from rlpips.engine.provenance import surroundings

    where = pick_device()
    facts = surroundings(where, pick_precision(None, where, (256, 256)))
    return f"{facts['device']} {facts['precision']}"
