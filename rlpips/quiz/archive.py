"""Stored questions as a file, a zip archive:

questions.json   everything but the pictures, as `write` builds it
N.webp           the reference, candidate A and candidate B of question N side by side, lossless
N-attacked.webp  what the attack on each metric changed in the attacked candidate, one below the other, lossless:
                 (attacked - candidate + 128) mod 256
"""

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rlpips import saving
from rlpips.data import zips
from rlpips.quiz.questions import Question, Verdict
from rlpips.zoo import catalog

FORMAT = "rlpips-judge-1"
_MAX_QUESTIONS = 1000
_MAX_BYTES = 2**22  # of one entry, unpacked
_SIDES = (32, 256)  # the least and the largest, in pixels


def write(path: str | Path, answered: Iterable[tuple[Question, Verdict]], heads: Mapping[str, str]) -> None:
    """Save questions with their verdicts to a path, where the file appears whole or not at all. `heads` is
    {metric: sha256 of its heads}."""
    entries = []
    with saving.beside(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, (question, verdict) in enumerate(answered):
            candidate = question.pictures[1 + verdict.attacked]
            change = verdict.pushed - candidate + np.uint8(128)  # uint8 wraps around
            zips.pack(archive, f"{index}.webp", _encode(np.concatenate(question.pictures, 1)), zipfile.ZIP_STORED)
            zips.pack(archive, f"{index}-attacked.webp", _encode(np.concatenate(change)), zipfile.ZIP_STORED)
            entries.append({
                "size": list(candidate.shape[:2]), "words": list(question.distortions), "nearer": question.nearer,
                "eps": verdict.eps, "most": verdict.max_eps, "attacked": verdict.attacked,
                "metrics": list(verdict.metrics), "distance": verdict.distance.tolist(),
                "after": verdict.after.tolist(),
                "smallest": [None if math.isnan(eps) else eps for eps in verdict.smallest_eps.tolist()],
            })  # fmt: skip
        value = {"format": FORMAT, "heads": dict(heads), "questions": entries}
        zips.pack(archive, "questions.json", json.dumps(value, ensure_ascii=False, allow_nan=False))


def read(path: str | Path) -> tuple[list[tuple[Question, Verdict]], dict[str, str]]:
    """The questions with their verdicts, and {metric: sha256 of its heads}, from a file that `write` saved. FileNotFoundError
    where there is no file; ValueError with a sentence for the user where it is damaged or another file."""
    try:
        with zipfile.ZipFile(path) as archive:

            def unpack(name: str) -> bytes:
                return zips.unpack(archive, name, _MAX_BYTES)

            value = json.loads(unpack("questions.json"))
            _require(value["format"] == FORMAT and 1 <= len(value["questions"]) <= _MAX_QUESTIONS)
            answered = [_read_entry(entry, str(index), unpack) for index, entry in enumerate(value["questions"])]
            heads = {str(name): str(digest) for name, digest in value["heads"].items()}
            _require(all(set(verdict.metrics) <= set(heads) for _, verdict in answered))
            return answered, heads
    except FileNotFoundError:
        raise
    except Exception as error:  # damage raises many errors in zip, JSON, numpy and Pillow, and their texts help no user
        raise ValueError(f"{Path(path).name} is no readable file of questions in the format {FORMAT}.") from error


def _read_entry(value: Any, name: str, unpack: Callable[[str], bytes]) -> tuple[Question, Verdict]:
    """One question with its verdict; every value is checked, because the file may come from a stranger."""
    height, width = value["size"]
    _require(all(type(side) is int and _SIDES[0] <= side <= _SIDES[1] for side in (height, width)))
    first, second = value["words"]
    _require(all(isinstance(text, str) and 0 < len(text) <= 100 for text in (first, second)))
    metrics = tuple(value["metrics"])
    _require(metrics and len(set(metrics)) == len(metrics) and set(metrics) <= set(catalog.CATALOG))
    _require(value["nearer"] in (None, 0, 1) and value["attacked"] in (0, 1))
    count, eps, max_eps = len(metrics), float(value["eps"]), float(value["most"])
    _require(0 < eps <= max_eps <= 1)
    distance, after = _numbers(value["distance"], (count, 2)), _numbers(value["after"], (count,))
    smallest_eps = np.array([math.nan if each is None else _numbers(each, ()) for each in value["smallest"]])
    _require(smallest_eps.shape == (count,) and not (smallest_eps > max_eps).any())

    strip = _decode(unpack(f"{name}.webp"), (height, 3 * width))
    pictures = np.stack(np.split(strip, 3, axis=1))
    column = _decode(unpack(f"{name}-attacked.webp"), (count * height, width))
    change = np.stack(np.split(column, count)) - np.uint8(128)
    _require((np.abs(change.view(np.int8)) <= round(255 * eps)).all())
    pushed = pictures[1 + value["attacked"]] + change
    verdict = Verdict(eps, max_eps, value["attacked"], metrics, distance, after, smallest_eps, pushed)
    return Question(pictures, (first, second), value["nearer"]), verdict


def _require(condition: Any) -> None:
    if not condition:
        raise ValueError("unexpected value")


def _numbers(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Finite numbers >= 0 of this shape, as float."""
    array = np.array(value, dtype=object)  # so that numpy does not convert strings to numbers
    _require(array.shape == shape and set(map(type, array.flat)) <= {int, float})
    array = array.astype(float)
    _require(np.isfinite(array).all() and (array >= 0).all())
    return array


def _encode(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=75, method=4)
    return file.getvalue()


def _decode(data: bytes, size: tuple[int, int]) -> np.ndarray:
    image = Image.open(io.BytesIO(data), formats=["WEBP"])
    _require(image.size == size[::-1])  # before decoding, so that a hostile file costs nothing
    return np.array(image.convert("RGB"))
