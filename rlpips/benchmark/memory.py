"""How much memory a call takes, in a process of its own, as a process never gives all of it back."""

import multiprocessing
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch


def growth(make, *arguments, device="cpu"):
    """`make(*arguments)` returns a call: MB by which the memory in use grows at most while it runs, in a fresh
    process; on a GPU those of its tensors. `make` must be importable."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_growth, make, arguments, str(device)).result()


def _growth(make, arguments, device):
    call = make(*arguments)  # loads what it needs
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    before = _forget_peak()
    call()
    return _peak() - before


def _peak():
    """The largest resident set of this process so far, MB."""
    if _STATUS.exists():  # Linux, whose ru_maxrss begins at that of the parent
        return _kilobytes("VmHWM") * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _forget_peak():
    """The resident set now, MB, to which the peak falls where the system allows; else the peak so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _kilobytes("VmRSS") * 1024 / 1e6
    except OSError:
        return _peak()


_STATUS = Path("/proc/self/status")


def _kilobytes(key):
    return next(int(line.split()[1]) for line in _STATUS.read_text().splitlines() if line.startswith(key + ":"))
