"""Draws the questions: a patch of a photograph, and two natural distortions of it that a person can tell apart."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rlpips.data.distortions import DISTORTIONS
from rlpips.data.images import to_uint8
from rlpips.data.triplets import Triplets, make_triplets
from rlpips.engine.panel import in_8_bits
from rlpips.quiz.questions import Question

SIZE = 120  # pixels a side: larger than the patches that metrics are trained on, so that people see enough
_VISIBLE = 6 / 255  # the least root mean square of the difference of two pictures
_SEVERITY_GAP = (0.12, 0.4)  # the least (within one family) and the largest difference of the two severities
_MAX_EMPTY_BATCHES = 50


def draw_triplets(
    photographs: Sequence[np.ndarray], mixed: bool = False, seed: int = 0, size: int = SIZE
) -> Iterator[Triplets]:
    """An endless iterator of random triplets of uint8 photographs (H, W, 3), each a `Triplets` of length 1 in 8 bits.

    `mixed` takes two families of distortions, so that nobody knows which candidate is nearer. Triplets that a person could
    not judge, or too easily, are left out: where any two of the three pictures differ by a root mean square below 6/255, or
    the severities by more than 0.4, or within one family by less than 0.12. No metric takes part in the selection. ValueError
    if nothing is left, as for a black picture with two families, where the candidates look the same.
    """
    generator = torch.Generator().manual_seed(seed)
    count = max(4, len(photographs))
    empty = 0  # batches in a row without a triplet to ask
    while empty < _MAX_EMPTY_BATCHES:
        batch_seed = int(torch.randint(2**53, (), generator=generator))
        batch = make_triplets(photographs, count, mixed, size, batch_seed, gap=_SEVERITY_GAP[0])
        reference, p0, p1 = (in_8_bits(each) for each in (batch.reference, batch.p0, batch.p1))
        batch = replace(batch, reference=reference, p0=p0, p1=p1)
        fair = _fair(batch).nonzero()[:, 0].tolist()
        empty = 0 if fair else empty + 1
        for index in fair:
            yield batch[[index]]
    raise ValueError("Too little can be told apart in this picture; choose one with more to see, or one distortion.")


def _fair(triplets: Triplets) -> Tensor:
    """Whether a person can judge each triplet, but must look, (N,)."""
    pictures = (triplets.reference, triplets.p0, triplets.p1)
    differences = [(a - b).square().mean((1, 2, 3)).sqrt() for a, b in zip(pictures, pictures[1:] + pictures[:1])]
    gap = (triplets.severity[:, 0] - triplets.severity[:, 1]).abs()
    return (torch.stack(differences).amin(0) >= _VISIBLE) & (gap <= _SEVERITY_GAP[1])


def make_questions(triplets: Triplets) -> list[Question]:
    """The `Question` of each of N triplets from `draw_triplets` or `make_triplets`, in 8 bits."""
    pictures = np.stack([to_uint8(each) for each in (triplets.reference, triplets.p0, triplets.p1)], 1)
    questions = []
    for index, family in enumerate(triplets.family):
        names, severity = family.split("/"), triplets.severity[index].tolist()
        first, second = (DISTORTIONS[name].describe(s) for name, s in zip((names[0], names[-1]), severity))
        judge = triplets.judge[index]
        questions.append(Question(pictures[index], (first, second), None if judge.isnan() else int(judge)))
    return questions
