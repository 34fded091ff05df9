"""How an attacker turns the choice between two candidates: one of each triplet is moved within a ball of pixels, against the metric
that will be asked."""

from dataclasses import replace

import torch

from rlpips.attacks.pgd import pgd
from rlpips.engine.panel import Panel
from rlpips.norms import NORMS
from rlpips.parallel import share

_ATTACKED = 24  # pictures attacked at once: enough to fill a CPU at 64 pixels, few enough to deal to processes


def attack_triplets(metric, triplets, norm="linf", eps=4 / 255, steps=20, restarts=1, seed=0):
    """The same triplets with one candidate of each, chosen by the toss of a coin, moved inside its ball so as
    to turn the choice: the one that the judges find nearer is pushed away from the reference, the one they
    find farther is pulled towards it. White box: the metric that will be asked is the one attacked. The
    reference and the other candidate stay as they are. PGD from a random start, step 2.5 eps / steps, keeping
    the best point met."""
    if triplets.judge.isnan().any():
        raise ValueError("An attack turns the judges' choice, and these triplets have no judge.")
    generator = torch.Generator().manual_seed(seed)
    first, sign = toss(triplets.judge, generator)
    where = first.view(-1, 1, 1, 1)
    start = torch.where(where, triplets.p0, triplets.p1)
    pushed = push(metric, triplets.reference, start, sign, norm, eps, steps, restarts, generator)
    return replace(triplets, p0=torch.where(where, pushed, triplets.p0), p1=torch.where(where, triplets.p1, pushed))


def toss(judge, generator):
    """Which candidate of each triplet is attacked, and which way, given the judges' fractions (N,): whether it is p0,
    and +1 for away from the reference, -1 for towards it."""
    first = (torch.rand(len(judge), generator=generator) < 0.5).to(judge.device)
    return first, torch.where(first == (judge < 0.5), 1.0, -1.0)


def push(metric, reference, start, sign, norm, eps, steps, restarts, generator):
    """The points in the balls around `start` (N, 3, H, W) at which sign·d(reference, point) was found
    largest; sign is +1 (away) or -1 (towards), a number or (N,). Where several processes run, each attacks some
    of the pictures and all get all of them."""
    ball = NORMS[norm]
    signs = torch.as_tensor(sign, dtype=torch.float32).expand(len(start)).to(start.device)
    pieces = torch.arange(len(start)).split(_ATTACKED)
    seeds = torch.randint(2**53, (len(pieces),), generator=generator).tolist()  # whoever works the piece

    def work(piece):
        at, seed = piece
        centre, panel, own = start[at], Panel([metric], reference[at]), torch.Generator().manual_seed(seed)
        way = signs[at]

        def objective(x):
            values = way * panel.per_layer(x).sum((1, 2))
            return values, values.detach()

        with torch.no_grad():
            best, highest = centre, objective(centre)[0]  # a short attack can do worse than none
        for _ in range(restarts):
            initial = centre + ball.random(centre, eps, own)
            for x, values in pgd(centre, initial, objective, ball, eps, steps, 2.5 * eps / steps):
                better = values > highest
                best = torch.where(better.view(-1, 1, 1, 1), x.detach(), best)
                highest = torch.where(better, values, highest)
        return best

    # Laid out alike wherever they were made: a network rounds differently where channels lie last.
    return torch.cat(share(work, list(zip(pieces, seeds)))).contiguous()
