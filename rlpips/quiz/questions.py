"""Questions for the page "You be the judge", as data and as a file. No torch in here: stored questions answer at once.

A file of questions is a zip archive:
    questions.json   everything but the pictures, as `write` builds it
    N.webp           the reference, candidate A and candidate B of question N side by side, lossless
    N-attacked.webp  what the attack on each metric changed in the attacked candidate, one below the other, lossless:
                     (attacked - candidate + 128) mod 256
"""

import io
import json
import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from rlpips.zoo import catalog

FORMAT = "rlpips-judge-1"
METRICS = ("lpips", "rlpips-linf")  # that are asked, on AlexNet
_MOST_QUESTIONS = 1000
_MOST_BYTES = 2**22  # of one entry, unpacked
_SIDES = (32, 256)


@dataclass(frozen=True, eq=False)
class Question:
    """A reference and two candidates, A and B, that are 0 and 1 wherever a number stands for them.

    pictures: uint8 (3, H, W, 3), the reference first. words: what was done to A and to B, "JPEG quality 7". nearer: the
    candidate that is nearer by construction, the milder one of one distortion; None where nobody knows.
    """

    pictures: np.ndarray
    words: tuple[str, str]
    nearer: int | None

    def swapped(self):
        """The same question with A and B exchanged."""
        nearer = None if self.nearer is None else 1 - self.nearer
        return Question(self.pictures[[0, 2, 1]], self.words[::-1], nearer)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What M metrics say about a question, before and after one candidate is attacked to turn their own choice.

    eps: of that attack, l_inf in [0, 1] pixel units. attacked: which candidate. metrics: M names. distance: (M, 2), to
    A and to B. after: (M,), to the attacked candidate when the metric itself is attacked. smallest: (M,), the smallest
    eps at which the attack was found to turn the choice; NaN where it was not up to the largest tried, most. pushed:
    uint8 (M, H, W, 3), the attacked candidates. All distances are those of the 8-bit pictures.
    """

    eps: float
    most: float
    attacked: int
    metrics: tuple[str, ...]
    distance: np.ndarray
    after: np.ndarray
    smallest: np.ndarray
    pushed: np.ndarray

    def swapped(self):
        """The verdict on the question with A and B exchanged."""
        return replace(self, attacked=1 - self.attacked, distance=self.distance[:, ::-1])

    def distances(self, after):
        """(M, 2), before or after the attack."""
        distance = self.distance.copy()
        if after:
            distance[:, self.attacked] = self.after
        return distance

    def choices(self, after):
        """(M,), the candidate each metric finds nearer."""
        return self.distances(after).argmin(1)


def rows(metrics):
    """The lines of the score: the visitor, the metrics, the metrics attacked; each {"title", "color", "metric"}."""
    lines = [{"title": "You", "color": None, "metric": None}]
    for attacked in (False, True):
        for name in metrics:
            card = catalog.card(name)
            title = f"{card.title} attacked" if attacked else card.title
            lines.append({"title": title, "color": card.color, "metric": name})
    return lines


def points(question, verdict, chosen):
    """What one answer adds to the score, line by line as `rows` has them: "right" is None where nobody knows which
    candidate is nearer; "agrees" is whether the choice is the visitor's, None for the visitor."""
    choices = [chosen, *verdict.choices(False).tolist(), *verdict.choices(True).tolist()]
    return [
        {
            **line,
            "right": None if question.nearer is None else choice == question.nearer,
            "agrees": choice == chosen if line["metric"] else None,
        }
        for line, choice in zip(rows(verdict.metrics), choices, strict=True)
    ]


# ---- files


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
