"""stAdv and ReColorAdv on a classifier: the result is the strongest iterate, and within the budget."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rlpips.attacks import flow, recolour, unseen
from rlpips.attacks.classifier import margins


class Blocks(nn.Module):
    """Four classes from the means of 8×8 blocks and from edges, by random weights."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.randn(4, 3 * 4 * 5 * 2, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        edges = (x[..., 1:] - x[..., :-1]).abs()
        parts = [F.adaptive_avg_pool2d(each, (4, 5)).flatten(1) for each in (x, edges)]
        return 10 * torch.cat(parts, 1) @ self.weights.T


def pictures(count=3):
    coarse = torch.rand(count, 3, 9, 10, generator=torch.Generator().manual_seed(2))
    return F.interpolate(coarse, size=(34, 40), mode="bilinear").clamp(0, 1)


@pytest.mark.parametrize("attack, push", [(unseen.stadv, flow.push), (unseen.recoloradv, recolour.push)])
def test_the_result_is_the_iterate_with_the_highest_margin(attack, push):
    classifier, x = Blocks().eval(), pictures()
    labels, bound = classifier(x).argmax(1), 0.5 if attack is unseen.stadv else 0.06
    iterates = list(attack(classifier, x, labels, bound, steps=6, seed=4))
    assert len(iterates) == 7 and all(each.min() >= 0 and each.max() <= 1 for each in iterates)
    reached = torch.stack([margins(classifier(each), labels) for each in iterates])
    assert (reached[-1] >= reached.amax(0) - 1e-5).all() and (reached[-1] > margins(classifier(x), labels)).all()

    # The same margin, written out, with the label at a time.
    def margin(moved):
        logits = classifier(moved)
        others = [row[torch.arange(4) != label].max() - row[label] for row, label in zip(logits, labels)]
        return (torch.stack(others),)

    pushed = [each[0] for each in push(x, margin, eps=bound, steps=6, seed=4)]
    for mine, theirs in zip(iterates, pushed, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="labels"):
        attack(classifier, x, labels + 4, bound)
    with pytest.raises(ValueError, match="eps"):
        attack(classifier, x, labels, 5.0)
