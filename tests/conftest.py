"""What several test files share: where weights and pictures that are not shipped may be found."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def vgg_weights():
    """The folder that holds vgg16_features.safetensors; skips where there is none."""
    for folder in (os.environ.get("RLPIPS_WEIGHTS_DIR"), SHARED / "weights"):
        if folder and (Path(folder) / "vgg16_features.safetensors").is_file():
            os.environ["RLPIPS_WEIGHTS_DIR"] = str(folder)
            return Path(folder)
    pytest.skip("needs vgg16_features.safetensors in RLPIPS_WEIGHTS_DIR or ../shared/weights")
