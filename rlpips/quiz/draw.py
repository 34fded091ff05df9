"""Draws the questions: a patch of a photograph, and two natural distortions of it that a person can tell apart."""

import numpy as np
import torch

from rlpips.data.distortions import DISTORTIONS
from rlpips.data.images import to_uint8
from rlpips.data.triplets import Triplets, make_triplets
from rlpips.engine.panel import in_8_bits
from rlpips.quiz.questions import Question

SIZE = 120  # pixels a side: larger than the patches that metrics are trained on, for people to see something


# What is fair to ask: root mean squares of pixel differences, and differences of severity.
_VISIBLE = 6 / 255


_LIKE, _UNLIKE = 0.12, 0.4


def draw(photographs, mixed=False, seed=0, size=SIZE):
    """An endless iterator of random triplets of uint8 photographs (H, W, 3), each a `Triplets` of length 1 in 8 bits.
    `mixed`: two families of distortions, so that nobody knows which candidate is nearer.

    Left out is what a person could not judge or need not: where any two of the three pictures differ by a root mean
    square below 6/255, where the severities differ by more than 0.4, or in one family by less than 0.12. No metric has
    a say in it. ValueError where nothing is left, as of a black picture, in which two families cannot be told apart.
    """
    generator = torch.Generator().manual_seed(seed)
    count = max(4, len(photographs))
    barren = 0  # batches in a row in which there was nothing to ask
    while barren < 50:
        one_seed = torch.randint(2**53, (), generator=generator).item()
        drawn = make_triplets(photographs, count, mixed, size, one_seed, gap=_LIKE)
        drawn = Triplets(
            *map(in_8_bits, (drawn.reference, drawn.p0, drawn.p1)), drawn.judge, drawn.family, drawn.severity
        )
        fair = _fair(drawn).nonzero()[:, 0].tolist()
        barren = 0 if fair else barren + 1
        for index in fair:
            yield drawn[[index]]
    raise ValueError("Too little can be told apart in this picture; choose one with more to see, or one distortion.")


def _fair(drawn):
    """(N,): whether a person can and must look."""
    pictures = (drawn.reference, drawn.p0, drawn.p1)
    apart = [(a - b).square().mean((1, 2, 3)).sqrt() for a, b in zip(pictures, pictures[1:] + pictures[:1])]
    return (torch.stack(apart).amin(0) >= _VISIBLE) & ((drawn.severity[:, 0] - drawn.severity[:, 1]).abs() <= _UNLIKE)


def questions(triplets):
    """The `Question` of each of N triplets that `draw` or `make_triplets` made, in 8 bits."""
    pictures = np.stack([to_uint8(each) for each in (triplets.reference, triplets.p0, triplets.p1)], 1)
    found = []
    for shown, families, severity, judge in zip(pictures, triplets.family, triplets.severity, triplets.judge):
        names = families.split("/")
        words = tuple(DISTORTIONS[name].describe(s) for name, s in zip((names[0], names[-1]), severity.tolist()))
        found.append(Question(shown, words, None if judge.isnan() else int(judge)))
    return found
