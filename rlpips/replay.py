"""The same work again and again: on a GPU recorded once, as a CUDA graph, and replayed, which costs one launch in place of a
hundred and fifty. On a CPU it is called as it is.

Not measured: no GPU was at hand when this was written. Its logic is tested on the CPU with a recorder that does what a
graph does: it works on fixed tensors and writes over its last results.
"""

import threading
import warnings
from functools import lru_cache

import torch

ENABLED = True  # False, or an error while recording, leaves everything as it is called
WORTH_RECORDING = 16  # calls; recording costs some, and waits for the device

_ONE_AT_A_TIME = threading.Lock()  # as CUDA demands of all recording in a process


class Replay:
    """`function(x)`, which takes one tensor and returns a tuple of tensors, for `calls` calls with tensors of one shape.

    The function must not wait for the device, and what else it reads must stay where it is in memory. Results are the
    caller's own: the next call does not change them.
    """

    def __init__(self, function, calls):
        self._function = function
        self._worthwhile = calls >= WORTH_RECORDING
        self._recorded = None

    def __call__(self, x):
        if ENABLED and self._worthwhile and self._recorded is None:
            try:
                self._recorded = record(self._function, x)
            except RuntimeError as error:  # too little memory, say
                warnings.warn(f"Running without a CUDA graph, which is slower: {error}", stacklevel=2)
            self._worthwhile = self._recorded is not None
        if not ENABLED or self._recorded is None:
            return self._function(x)
        graph, given, results = self._recorded
        given.copy_(x)
        graph.replay()
        return tuple(result.clone() for result in results)


def record(function, x):
    """(graph, its input, its results), or None where there is nothing to record with."""
    if x.device.type != "cuda":
        return None
    current, side = torch.cuda.current_stream(x.device), _side_stream(x.device)
    given, graph = x.detach().clone(), torch.cuda.CUDAGraph()
    with _ONE_AT_A_TIME, torch.cuda.stream(current):  # which it goes back to, whatever happens
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(2):  # libraries set themselves up in their first calls
                function(given)
        current.wait_stream(side)
        # Other threads of the process may use the device meanwhile.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            results = function(given)
    return graph, given, results


@lru_cache
def _side_stream(device):  # one, as libraries keep memory for every stream that they have seen
    return torch.cuda.Stream(device)
