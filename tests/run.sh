#!/usr/bin/env bash
# Installs what the tests need into the active Python environment and runs them. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
if ! command -v chromium-headless-shell >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    # The browser that the page is driven in: a chromium that has no window, or where there is none the whole.
    apt-get update -qq && { apt-get install -qq -y chromium-headless-shell || apt-get install -qq -y chromium; } >/dev/null ||
        echo "No browser could be installed: the tests of the page take one that is there, or say that there is none." >&2
fi
export GOMP_SPINCOUNT=10000  # as app.py sets it, and for the same reason
# Two processes, as torch fills more cores by itself; files in the order of tests/conftest.py.
python3 -m pytest -q tests -n 2 --dist loadfile --no-loadscope-reorder "$@"
