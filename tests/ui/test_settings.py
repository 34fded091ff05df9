"""Settings that cannot be met end the start with a sentence."""

import os
import socket
import subprocess
import sys

import pytest

from rlpips import paths
from rlpips.ui.runtime import settings


@pytest.mark.parametrize(
    "text, default, sentence",
    [
        ("-5", 1000.0, "TRIED must be a number from 10 to 2,000; got '-5'."),
        ("nan", 1000.0, "TRIED must be a number from 10 to 2,000; got 'nan'."),
        ("inf", 1000.0, "TRIED must be a number from 10 to 2,000; got 'inf'."),
        ("many", 1000.0, "TRIED must be a number from 10 to 2,000; got 'many'."),
        ("12.5", 1000, "TRIED must be a whole number from 10 to 2,000; got '12.5'."),
    ],
)
def test_a_number_that_cannot_be_is_refused(monkeypatch, text, default, sentence):
    monkeypatch.setenv("TRIED", text)
    with pytest.raises(SystemExit) as refused:
        settings.number("TRIED", default, 10, 2000)
    assert str(refused.value) == sentence


def test_a_number_that_is_given_and_one_that_is_not(monkeypatch):
    monkeypatch.setenv("TRIED", "12.5")
    assert settings.number("TRIED", 1000.0, 10, 2000) == 12.5
    for absent in ("", None):
        monkeypatch.setenv("TRIED", absent) if absent is not None else monkeypatch.delenv("TRIED")
        assert settings.number("TRIED", 1000, 10, 2000) == 1000


def test_a_port_that_is_taken_is_refused(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
        with pytest.raises(SystemExit, match=f"Port {port} cannot be used: Address already in use. Choose another one"):
            settings.port()
    assert settings.port() == port


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    settings.check_folder(tmp_path / "new" / "folder")
    assert list(tmp_path.rglob("*")) == [tmp_path / "new", tmp_path / "new" / "folder"]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit, match=r"The folder .*file, cannot be written: File exists. Name another"):
        settings.check_folder(tmp_path / "file")


def test_the_app_says_so_in_a_line_and_ends(tmp_path):
    environment = {**os.environ, "RLPIPS_CACHE_MB": "nan", "GRADIO_TEMP_DIR": str(tmp_path)}
    app = subprocess.run([sys.executable, "app.py"], cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert app.returncode == 1
    assert app.stderr == "RLPIPS_CACHE_MB must be a number from 10 to 10,000,000; got 'nan'.\n"
