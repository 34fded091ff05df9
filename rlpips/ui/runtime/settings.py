"""The settings of a server: environment variables. One that cannot be met ends the start with a sentence."""

import math
import os
import socket
import tempfile
from pathlib import Path

PORT = 7860  # where nothing else is said


def number(name: str, default: float, low: float, high: float) -> float:
    """The number in an environment variable, from `low` to `high`; it must be whole if the default is an `int`.

    SystemExit with a sentence for anything else.
    """
    text = os.environ.get(name) or str(default)
    kind = type(default)
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        whole = "whole " if kind is int else ""
        raise SystemExit(f"{name} must be a {whole}number from {low:,} to {high:,}; got {text!r}.")
    return value


def port() -> int:
    """The port to serve at. SystemExit with a sentence if it is taken: another one would surprise whoever opens the first."""
    wanted = int(number("GRADIO_SERVER_PORT", PORT, 1, 65535))
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is free
        try:
            free.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise SystemExit(
                f"Port {wanted} cannot be used: {error.strerror}. Choose another one, as in: "
                f"GRADIO_SERVER_PORT={wanted + 1} python app.py"
            ) from error
    return wanted


def check_folder(folder: Path) -> None:
    """SystemExit with a sentence if no file can be written into the folder, which is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SystemExit(
            f"The folder for uploads and the pictures of runs, {folder}, cannot be written: {error.strerror}. Name another "
            "one in the environment variable GRADIO_TEMP_DIR."
        ) from error
