"""The questions of "You be the judge", the metrics' verdicts on them, and the score. No torch: stored questions open at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rlpips.zoo import catalog


@dataclass(frozen=True, eq=False)
class Question:
    """A reference and two candidates, A and B; as numbers A is 0 and B is 1."""

    pictures: np.ndarray  # uint8 (3, H, W, 3): the reference, A and B
    distortions: tuple[str, str]  # what was done to A and to B, such as "JPEG quality 7"
    nearer: int | None  # the candidate with the milder distortion; None for two families, where nobody knows

    def swapped(self) -> "Question":
        """The same question with A and B exchanged."""
        first, second = self.distortions
        nearer = None if self.nearer is None else 1 - self.nearer
        return Question(self.pictures[[0, 2, 1]], (second, first), nearer)


@dataclass(frozen=True, eq=False)
class Verdict:
    """How M metrics answer a question, before and after an attack on one candidate that should turn each metric's choice.

    All distances are those of the 8-bit pictures. Every eps is an l_inf radius in [0, 1] pixel units.
    """

    eps: float  # of the attack that is shown
    max_eps: float  # the largest that was tried for `smallest_eps`
    attacked: int  # the candidate that is attacked
    metrics: tuple[str, ...]  # M names
    distance: np.ndarray  # (M, 2): to A and to B
    after: np.ndarray  # (M,): to the attacked candidate, each metric under the attack on itself
    smallest_eps: np.ndarray  # (M,): the smallest eps at which the attack turned the choice; NaN where none did
    pushed: np.ndarray  # uint8 (M, H, W, 3): the attacked candidate, one for each metric

    def swapped(self) -> "Verdict":
        """The verdict on the question with A and B exchanged."""
        return replace(self, attacked=1 - self.attacked, distance=self.distance[:, ::-1])

    def distances(self, after: bool) -> np.ndarray:
        """The distances (M, 2), before or after the attack."""
        distances = self.distance.copy()
        if after:
            distances[:, self.attacked] = self.after
        return distances

    def choices(self, after: bool) -> np.ndarray:
        """The candidate that is nearer for each metric, (M,), before or after the attack."""
        return self.distances(after).argmin(1)


def score_lines(metrics: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of the score: the visitor, the metrics, the metrics under attack; each {"title", "color", "metric"}."""
    lines: list[dict[str, Any]] = [{"title": "You", "color": None, "metric": None}]
    for attacked in (False, True):
        for name in metrics:
            card = catalog.card(name)
            title = f"{card.title} attacked" if attacked else card.title
            lines.append({"title": title, "color": card.color, "metric": name})
    return lines


def points(question: Question, verdict: Verdict, choice: int) -> list[dict[str, Any]]:
    """What the visitor's choice adds to each of the `score_lines`.

    "right" is None where nobody knows which candidate is nearer. "agrees" says whether a metric chooses as the visitor does;
    None for the visitor.
    """
    choices = [choice, *verdict.choices(False).tolist(), *verdict.choices(True).tolist()]
    return [
        {
            **line,
            "right": None if question.nearer is None else each == question.nearer,
            "agrees": each == choice if line["metric"] else None,
        }
        for line, each in zip(score_lines(verdict.metrics), choices, strict=True)
    ]
