"""What every change keeps to: format, lint, types and spelling. Each check is a command that a contributor can run too."""

import subprocess
import sys

import pytest

from rlpips import paths

CHECKS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "spelling": ["codespell_lib", "."],
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_check_passes(name, tmp_path):
    module, *arguments = CHECKS[name]
    cache = ["--cache-dir", str(tmp_path)] if module == "mypy" else []
    command = [sys.executable, "-m", module, *arguments, *cache]
    check = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert check.returncode == 0, f"python -m {' '.join([module, *arguments])}\n{check.stdout}{check.stderr}"
