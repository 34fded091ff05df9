"""Adversarial training of R-LPIPS heads: the trunk stays frozen, one weight per channel is learnt against an
attacker.

    python -m rlpips.training --images FOLDER --norm linf --out rlpips-linf_alex.safetensors

Minutes on two CPU cores, seeded. Writes the heads and, beside them, a card (.json) with the data, the
settings and what was measured on photographs that were held out. After Ghazanfari et al., arXiv 2307.15157,
with three differences:

- The ranking is monotone, logit = s·(log d0 - log d1). A free ranking network, as LPIPS and R-LPIPS train
  with, learns to recognise the attack instead of making the metric robust.
- Nobody's judgements are needed: of two strengths of one distortion the milder is nearer, and LPIPS itself
  judges between different distortions, so that the metric stays perceptual.
- A distance is linear in the heads: a pair of pictures is the vector of its mean squared differences per
  channel (`evidence`), and its distance the dot product with the heads. Attacks cost nearly all the time and
  updates nearly none, so each round attacks a few triplets with the present heads, remembers their evidence,
  and makes many updates on all that is remembered. Old attacks kept in mind also stop the weights from
  running in circles.
"""

import argparse
import hashlib
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F

from rlpips.backbones import load_trunk
from rlpips.metrics import PerceptualMetric, load_metric
from rlpips.twoafc import (
    agreement,
    attack_triplets,
    distances,
    find_pictures,
    inflation,
    make_triplets,
    push,
    read_photographs,
    score_2afc,
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    norm: str = "linf"
    eps: float = 0.0  # in [0, 1] pixel units; 0 takes EPS[norm]
    backbone: str = "alex"
    size: int = 64  # pixels a side of a patch, as in BAPPS; heads learnt on patches hold on whole pictures
    triplets: int = 3000  # of one family, and as many of mixed families
    rounds: int = 120
    attacked: int = 48  # triplets attacked a round, and half as many references
    attack_steps: int = 8  # fewer than in the evaluation: what it misses today is attacked again tomorrow
    updates: int = 20  # updates of the heads a round; they cost a matrix product each
    batch: int = 256
    memory: int = 4000  # attacked triplets remembered; older ones were made against heads that no longer exist
    lr: float = 0.03  # of Adam, on log w, which keeps w > 0 and lets weights move by factors
    sharpness: float = 5.0  # s: candidates whose distances differ by half (2^0.5) are told apart with 0.85 certainty
    attacked_weight: float = 4.0
    inflation_weight: float = 1.0
    lpips_weight: float = 5.0
    floor: float = 0.025  # share of the natural distance that no layer may fall below: else conv1 takes everything
    floor_weight: float = 1.0
    validation: int = 96  # triplets by which the best of four stages is chosen, and 4 times as many of mixed families
    report: int = 240  # triplets that the card reports on, and 4 times as many of mixed families
    seed: int = 0


# An l2 ball of 1.0 at 64×64 is a root mean square of 2.3/255, about half of what the l_inf ball of 4/255
# allows.
EPS = {"linf": 4 / 255, "l2": 1.0}

LIMITS = (
    "Trained on synthetic distortions, with LPIPS as the judge between families, not on human judgements; these are "
    "not the weights of the R-LPIPS paper. Robust against the attack and the budget named, less so against larger ones."
)


@torch.no_grad()
def evidence(trunk, reference, candidate):
    """The mean squared difference of the trunk's features in every channel, (N, C_0 + … + C_L-1), of (N, 3,
    H, W) in [0, 1]; a metric on this trunk is this times its heads."""
    rows = [
        torch.cat([(a - b).square().mean((2, 3)) for a, b in zip(trunk(x), trunk(y), strict=True)], 1)
        for x, y in zip(reference.split(64), candidate.split(64), strict=True)
    ]
    return torch.cat(rows)


def split_photographs(paths):
    """Training, choosing and reporting: of the sorted names every fifth is held out, by turns to choose the
    best heads and to report on them."""
    train = [path for index, path in enumerate(paths) if index % 5]
    return train, paths[5::10], paths[0::10]


def train(settings, photographs, choosing, device="cpu", progress=lambda words, keep=False: None):
    """Train on uint8 photographs (H, W, 3); returns the heads, L vectors (C_l,).

    `choosing`: photographs, not trained on, by which the best of the stages is kept (see `rank`). The same
    settings and photographs give the same heads on the same machine. Raises FloatingPointError if the loss is
    not finite.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    trunk = load_trunk(settings.backbone, device)
    channels = trunk.spec.channels
    lpips = load_metric("lpips", settings.backbone, device)
    teacher = torch.cat(lpips.heads)
    eps = settings.eps or EPS[settings.norm]

    # The natural pairs are looked at once: their evidence stays the same whatever the heads are.
    progress("looking at natural pairs")
    same = make_triplets(photographs, settings.triplets, False, settings.size, settings.seed).to(device)
    mixed = make_triplets(photographs, settings.triplets, True, settings.size, settings.seed + 1).to(device)
    natural, between = ([evidence(trunk, t.reference, p) for p in (t.p0, t.p1)] for t in (same, mixed))
    opinion = torch.sigmoid(settings.sharpness * _log_ratio(between, teacher))  # LPIPS, as a soft judge
    validation = [
        make_triplets(choosing, count, mix, settings.size, settings.seed + 2).to(device)
        for count, mix in ((settings.validation, False), (4 * settings.validation, True))
    ]
    baseline = measure(lpips, lpips, *validation, settings.norm, eps, steps=10)

    # Channels that LPIPS gives no weight start with a little, so that they can grow.
    theta = (teacher + 0.01 * teacher.mean()).log().requires_grad_()
    optimiser = torch.optim.Adam([theta], lr=settings.lr, betas=(0.9, 0.99))
    memory, stages = [], []
    capacity = max(1, settings.memory // settings.attacked)
    every = max(1, settings.rounds // 4)

    for turn in range(settings.rounds):
        for group in optimiser.param_groups:  # cosine, down to a twentieth
            group["lr"] = settings.lr * (0.525 + 0.475 * math.cos(math.pi * turn / settings.rounds))

        # 1. Attack with the present heads: one candidate of some triplets, and some references themselves.
        metric = PerceptualMetric(trunk, theta.detach().exp().split(channels), "in training")
        rows = torch.randperm(len(same), generator=generator)[: settings.attacked].tolist()
        seed = settings.seed + 1000 + turn
        options = settings.norm, eps, settings.attack_steps
        attacked = attack_triplets(metric, same[rows], *options, seed=seed)
        reference = same.reference[rows[::2]]
        draw = torch.Generator().manual_seed(seed)
        moved = push(metric, reference, reference, 1.0, *options, restarts=1, generator=draw)
        pair = [evidence(trunk, attacked.reference, p) for p in (attacked.p0, attacked.p1)]
        memory = [*memory, (*pair, attacked.judge, evidence(trunk, reference, moved))][-capacity:]
        old0, old1, judge, invisible = (torch.cat(part) for part in zip(*memory))

        # 2. Update the heads on clean pairs, on pairs that LPIPS judged, and on all attacks remembered.
        for _ in range(settings.updates):
            n, m, a, b = (
                torch.randint(count, (settings.batch,), generator=generator).to(device)
                for count in (len(same), len(mixed), len(judge), len(invisible))
            )
            w = theta.exp()
            terms = {
                "clean": _ranking([p[n] for p in natural], same.judge[n], w, settings),
                "lpips": settings.lpips_weight * _ranking([p[m] for p in between], opinion[m], w, settings),
                "attacked": settings.attacked_weight * _ranking([old0[a], old1[a]], judge[a], w, settings),
                # an invisible change, however it was found, is nearer than a natural distortion
                "inflation": settings.inflation_weight
                * _ranking([invisible[b], between[0][m]], torch.zeros_like(opinion[m]), w, settings),
                "floor": settings.floor_weight
                * F.relu((settings.floor / _shares(between[0][m], w, channels)).log()).sum(),
            }
            loss = sum(terms.values())
            if not loss.isfinite():
                parts = ", ".join(f"{name} {value.item():.3g}" for name, value in terms.items())
                raise FloatingPointError(f"The loss is not finite in round {turn + 1} ({parts}); nothing was saved.")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        progress(f"round {turn + 1}/{settings.rounds}: loss {loss.item():.3f}")

        # 3. Now and then measure on photographs that are not trained on, and keep the heads.
        if (turn + 1) % every == 0 or turn + 1 == settings.rounds:
            heads = _scaled(theta.detach().exp(), teacher, between).split(channels)
            found = measure(PerceptualMetric(trunk, heads, "stage"), lpips, *validation, settings.norm, eps, steps=10)
            stages.append((rank(found, baseline), heads))
            progress(f"round {turn + 1}: {_in_words(found, baseline)}", keep=True)
    return max(stages, key=lambda stage: stage[0])[1]


def rank(found, baseline):
    """Which stage is best, a rule made before any was seen: robust on both counts, and no credit for
    robustness that is paid for with agreement below 0.9."""
    relative = found["inflation"] / baseline["inflation"]
    return found["attacked_2afc"] - relative + 3 * min(0.9, found["agreement_with_lpips"])


def measure(metric, lpips, same, mixed, norm, eps, steps=20, restarts=1):
    """A metric's figures on triplets of one family and of mixed families, as floats: natural and attacked
    2AFC score, inflation, agreement with LPIPS, and each layer's share of the mean natural distance."""
    attacked = attack_triplets(metric, same, norm, eps, steps, restarts)
    shares = torch.cat([metric.per_layer(batch.reference, batch.p0) for batch in mixed.batches()]).mean(0)
    return {
        "natural_2afc": score_2afc(*distances(metric, same), same.judge).mean().item(),
        "attacked_2afc": score_2afc(*distances(metric, attacked), same.judge).mean().item(),
        "inflation": inflation(metric, mixed[: len(same)], norm, eps, steps, restarts),
        "agreement_with_lpips": agreement(metric, lpips, mixed),
        "share_of_layers": dict(zip(metric.layers, (shares / shares.sum()).tolist())),
    }


def _log_ratio(pair, w):
    # Below 1e-8 two pictures are the same, and the logarithm would only tell rounding errors apart.
    return (pair[0] @ w + 1e-8).log() - (pair[1] @ w + 1e-8).log()


def _ranking(pair, judge, w, settings):
    """Cross entropy between the judge's fraction for the second candidate and the metric's."""
    return F.binary_cross_entropy_with_logits(settings.sharpness * _log_ratio(pair, w), judge)


def _shares(rows, w, channels):
    """Each layer's share of the mean distance, (L,)."""
    parts = torch.stack([part.sum() for part in (rows.mean(0) * w).split(channels)])
    return parts / parts.sum()


def _scaled(w, teacher, pair):
    """The ranking leaves the scale free: the mean distance to natural distortions becomes LPIPS's."""
    rows = torch.cat(pair)
    return w * ((rows @ teacher).mean() / (rows @ w).mean())


def _in_words(found, baseline):
    return (
        f"attacked 2AFC {found['attacked_2afc']:.3f} (LPIPS {baseline['attacked_2afc']:.3f}), "
        f"inflation {found['inflation']:.3f} (LPIPS {baseline['inflation']:.3f}), "
        f"agreement with LPIPS {found['agreement_with_lpips']:.3f}"
    )


class _Progress:
    """One line on the terminal that is written over, with the time gone by; `keep` ends the line."""

    def __init__(self):
        self.start = time.monotonic()

    def __call__(self, words, keep=False):
        gone = int(time.monotonic() - self.start)
        sys.stderr.write(f"\r\033[K{gone // 60}:{gone % 60:02} {words}" + ("\n" if keep else ""))
        sys.stderr.flush()


def card_of(settings, heads, photographs, device="cpu", progress=lambda words, keep=False: None):
    """Measure heads beside LPIPS on photographs that had no part in the training, as the card reports it."""
    eps = settings.eps or EPS[settings.norm]
    lpips = load_metric("lpips", settings.backbone, device)
    trained = PerceptualMetric(lpips.trunk, heads, "trained")
    same, mixed = (
        make_triplets(photographs, count, mix, settings.size, settings.seed + 3).to(device)
        for count, mix in ((settings.report, False), (4 * settings.report, True))
    )
    found = []
    for metric in (trained, lpips):
        progress(f"attacking held-out photographs: {metric.name}")
        found.append(measure(metric, lpips, same, mixed, settings.norm, eps, steps=20, restarts=2))
    progress(f"held out: {_in_words(*found)}", keep=True)
    how = (
        f"{len(same)} triplets of one family and {len(mixed)} of mixed families, {settings.size}-pixel patches; "
        f"attacks: PGD, 20 steps, 2 restarts, {settings.norm} eps {eps:.5g} in [0, 1] pixel units"
    )
    return {"how": how, "heads": found[0], "lpips": found[1]}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m rlpips.training", description="Train R-LPIPS heads.")
    parser.add_argument("--images", required=True, help="folder of photographs; every fifth is held out")
    parser.add_argument("--out", required=True, type=Path, help="the heads (.safetensors); a card (.json) beside them")
    parser.add_argument("--data", default="a folder of photographs", help="what the photographs are, for the card")
    parser.add_argument("--device", default="cpu")
    for field in fields(Settings):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    chosen = vars(parser.parse_args(arguments))
    folder, out, data, device = (chosen.pop(name) for name in ("images", "out", "data", "device"))
    settings, progress = Settings(**chosen), _Progress()

    parts = [read_photographs(paths) for paths in split_photographs(find_pictures(folder))]
    heads = train(settings, *parts[:2], device, progress)
    measured = card_of(settings, heads, parts[2], device, progress)

    state = {str(layer): head for layer, head in enumerate(heads)}
    raw = safetensors.torch.save(state, {"title": f"R-LPIPS heads, {settings.norm}, {settings.backbone}"})
    out.write_bytes(raw)
    card = {
        "file": out.name,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "data": data,
        "photographs": dict(zip(("trained on", "held out to choose", "held out to report"), map(len, parts))),
        "settings": {**asdict(settings), "eps": settings.eps or EPS[settings.norm]},
        "seconds": round(time.monotonic() - progress.start),
        "measured": measured,
        "limits": LIMITS,
    }
    text = json.dumps(card, indent=1, ensure_ascii=False)
    out.with_suffix(".json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
