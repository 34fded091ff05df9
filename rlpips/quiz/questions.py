"""Questions for the page "You be the judge", as data and as a file. No torch in here: stored questions answer at once.

A file of questions is a zip archive:
    questions.json   everything but the pictures, as `write` builds it
    N.webp           the reference, candidate A and candidate B of question N side by side, lossless
    N-attacked.webp  what the attack on each metric changed in the attacked candidate, one below the other, lossless:
                     (attacked - candidate + 128) mod 256
"""

from dataclasses import dataclass, replace

import numpy as np

from rlpips.zoo import catalog


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
