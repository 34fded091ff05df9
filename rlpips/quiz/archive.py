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
from pathlib import Path

import numpy as np
from PIL import Image

from rlpips.quiz.questions import Question, Verdict
from rlpips.zoo import catalog

FORMAT = "rlpips-judge-1"
_MOST_QUESTIONS = 1000
_MOST_BYTES = 2**22  # of one entry, unpacked
_SIDES = (32, 256)


def write(path, answered, heads):
    """Save a list of (`Question`, `Verdict`) to a path, with the sha256 of each metric's heads, {name: digits}."""
    entries, file = [], io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, (question, verdict) in enumerate(answered):
            base = question.pictures[1 + verdict.attacked]
            coded = verdict.pushed - base + np.uint8(128)  # uint8 wraps around
            archive.writestr(f"{index}.webp", _webp(np.concatenate(question.pictures, 1)), zipfile.ZIP_STORED)
            archive.writestr(f"{index}-attacked.webp", _webp(np.concatenate(coded)), zipfile.ZIP_STORED)
            entries.append({
                "size": list(base.shape[:2]), "words": list(question.words), "nearer": question.nearer,
                "eps": verdict.eps, "most": verdict.most, "attacked": verdict.attacked,
                "metrics": list(verdict.metrics), "distance": verdict.distance.tolist(),
                "after": verdict.after.tolist(),
                "smallest": [None if math.isnan(eps) else eps for eps in verdict.smallest.tolist()],
            })  # fmt: skip
        value = {"format": FORMAT, "heads": heads, "questions": entries}
        archive.writestr("questions.json", json.dumps(value, ensure_ascii=False, allow_nan=False))
    Path(path).write_bytes(file.getvalue())


def read(path):
    """([(`Question`, `Verdict`), …], {metric: sha256 of its heads}) of a file that `write` made. ValueError with one
    sentence where it is damaged or is none."""
    try:
        with zipfile.ZipFile(path) as archive:

            def unpack(name):
                entry = archive.getinfo(name)
                _require(entry.file_size <= _MOST_BYTES)
                return archive.read(entry)

            value = json.loads(unpack("questions.json"))
            _require(value["format"] == FORMAT and 1 <= len(value["questions"]) <= _MOST_QUESTIONS)
            answered = [_entry(entry, str(index), unpack) for index, entry in enumerate(value["questions"])]
            heads = {str(name): str(digits) for name, digits in value["heads"].items()}
            _require(all(set(verdict.metrics) <= set(heads) for _, verdict in answered))
            return answered, heads
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever zip, JSON, numpy and Pillow make of damage; their words help nobody here
        raise ValueError(f"{Path(path).name} is no readable file of questions in the format {FORMAT}.") from error


def _entry(value, name, unpack):
    height, width = value["size"]
    _require(all(type(side) is int and _SIDES[0] <= side <= _SIDES[1] for side in (height, width)))
    words, metrics = tuple(value["words"]), tuple(value["metrics"])
    _require(len(words) == 2 and all(isinstance(each, str) and 0 < len(each) <= 100 for each in words))
    _require(metrics and len(set(metrics)) == len(metrics) and set(metrics) <= set(catalog.CATALOG))
    _require(value["nearer"] in (None, 0, 1) and value["attacked"] in (0, 1))
    count, eps, most = len(metrics), float(value["eps"]), float(value["most"])
    _require(0 < eps <= most <= 1)
    distance, after = _numbers(value["distance"], (count, 2)), _numbers(value["after"], (count,))
    smallest = np.array([math.nan if each is None else _numbers(each, ()) for each in value["smallest"]])
    _require(smallest.shape == (count,) and not (smallest > most).any())

    strip = _picture(unpack(f"{name}.webp"), (height, 3 * width))
    pictures = np.stack(np.split(strip, 3, axis=1))
    coded = np.stack(np.split(_picture(unpack(f"{name}-attacked.webp"), (count * height, width)), count))
    change = coded - np.uint8(128)
    _require((np.abs(change.view(np.int8)) <= round(255 * eps)).all())
    pushed = pictures[1 + value["attacked"]] + change
    verdict = Verdict(eps, most, value["attacked"], metrics, distance, after, smallest, pushed)
    return Question(pictures, words, value["nearer"]), verdict


def _require(right):
    if not right:
        raise ValueError("unexpected value")


def _numbers(value, shape):
    array = np.array(value, dtype=object)  # so that numpy makes no numbers out of texts
    _require(array.shape == shape and set(map(type, array.flat)) <= {int, float})
    array = array.astype(float)
    _require(np.isfinite(array).all() and (array >= 0).all())
    return array


def _webp(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=75, method=4)
    return file.getvalue()


def _picture(data, size):
    image = Image.open(io.BytesIO(data), formats=["WEBP"])
    _require(image.size == size[::-1])  # before decoding, so that a hostile file costs nothing
    return np.array(image.convert("RGB"))
