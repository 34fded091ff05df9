"""What several test files share: where weights that are not shipped may be found, and a browser on the running app."""

import os
from pathlib import Path

import browser as b
import pytest

from rlpips import paths

SHARED = paths.ROOT.parent / "shared"


def pytest_collection_modifyitems(items):
    """The files that drive a browser come first: they take longest, and one that began last would leave the other processes idle."""
    slow = {item.path for item in items if "chromium" in item.fixturenames}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def vgg_weights():
    """The folder that holds vgg16_features.safetensors; skips where there is none."""
    for folder in (os.environ.get("RLPIPS_WEIGHTS_DIR"), SHARED / "weights"):
        if folder and (Path(folder) / "vgg16_features.safetensors").is_file():
            os.environ["RLPIPS_WEIGHTS_DIR"] = str(folder)
            return Path(folder)
    pytest.skip("needs vgg16_features.safetensors in RLPIPS_WEIGHTS_DIR or ../shared/weights")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The running app, one for all tests that need it."""
    with b.serve(tmp_path_factory.mktemp("server")) as server:
        yield server
        assert server.refused() == []  # it asked nobody, and so works without a network
        assert "Traceback" not in server.log.read_text("utf-8")


@pytest.fixture(scope="session")
def chromium():
    """The browser; skips, in CI fails, where there is none."""
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    if not b.chromium():
        missing = "needs chromium, under one of the names " + ", ".join(b.NAMES)
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = b.launch(playwright)
        yield chromium
        chromium.close()
