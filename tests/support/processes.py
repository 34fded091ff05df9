"""Run programs in several processes."""

import os
import subprocess
import sys

from rlpips import paths


def run_processes(count, *arguments, cwd=paths.ROOT):
    """Run a Python module or file in `count` processes of one thread each, under torchrun if there are several."""
    start = [sys.executable] if count == 1 else [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}",
    ]  # fmt: skip
    path = os.pathsep.join(filter(None, (str(paths.ROOT), os.environ.get("PYTHONPATH"))))
    result = subprocess.run(
        [*start, *map(str, arguments)], cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    return result
