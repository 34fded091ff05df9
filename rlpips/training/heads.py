"""Adversarial training of R-LPIPS heads: the trunk is frozen, and one weight per channel learns against an attacker.

    python -m rlpips.training --images FOLDER --norm linf --out rlpips-linf_alex.safetensors

takes minutes on two CPU cores. It is seeded: the same command gives the same heads, also after an interruption, from which it
continues by itself, and in several processes (`torchrun --nproc-per-node 2 -m rlpips.training …`). It writes the heads and,
beside them, a card (.json) that says what they are. `rlpips.evaluate` measures them.

The method is that of Ghazanfari et al., arXiv 2307.15157, who train on BAPPS (Zhang et al., arXiv 1801.03924), with three
differences. `rlpips.study` measures what these and the other choices change.

- The ranking is monotone, logit = s·(log d0 - log d1), so that only the metric can learn. LPIPS and R-LPIPS train with a free
  ranking network and drop it afterwards; in the study both rankings give similar heads.
- No human judgements are needed. Of two strengths of one distortion the milder is nearer, and between different distortions
  LPIPS itself judges, which keeps the metric perceptual. Human judgements (`--bapps`) replace the first rule and, without
  photographs, the second, too.
- Attacks take nearly all the time and updates very little, because a distance is linear in the heads. So each round attacks a
  few triplets with the present heads, stores what the trunk sees in them, and makes many updates on all stored attacks. Older
  attacks also keep the weights from running in circles.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.attacks.triplets import attack_triplets, push
from rlpips.data.triplets import Triplets
from rlpips.evaluate.scores import agreement, distances, inflation, score_2afc
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import is_first
from rlpips.progress import ProgressCallback, quiet
from rlpips.training.checkpoint import TrainingState
from rlpips.training.data import TrainingData, channel_differences, log_ratio
from rlpips.training.settings import Settings


class MonotoneRanking(torch.nn.Module):
    """The logit that p1 is nearer, s·(log d0 - log d1), from distances d0 and d1 (N,). It has nothing to learn itself."""

    def __init__(self, sharpness: float):
        super().__init__()
        self.sharpness = sharpness

    def forward(self, d0: Tensor, d1: Tensor) -> Tensor:
        return self.sharpness * log_ratio(d0, d1)


def train(
    settings: Settings,
    data: TrainingData,
    lpips: PerceptualMetric,
    progress: ProgressCallback = quiet,
    state: Path | None = None,
    ranking: torch.nn.Module | None = None,
    attack: Callable[..., Triplets] = attack_triplets,
) -> tuple[list[Tensor], float]:
    """Train heads; returns the best of four stages (see `rank`), L vectors (C_l,), and the seconds that it took.

    lpips    where the training starts, and the teacher; its trunk and device are used
    state    a file for the state of the training, written every few rounds and continued from if it is there
    ranking  a module (d0, d1) -> logit that p1 is nearer; None for a `MonotoneRanking`
    attack   takes the arguments of `attack_triplets`

    The same settings and data give the same heads on the same machine. FloatingPointError if the loss is not finite.
    """
    trunk, triplets, (clean0, clean1), mixed = lpips.trunk, data.triplets, data.clean, data.mixed
    device = mixed.device
    channels, teacher = trunk.spec.channels, torch.cat(lpips.heads)
    generator = torch.Generator().manual_seed(settings.seed)
    baseline = measure(lpips, lpips, *data.validation, settings.norm, settings.budget, steps=10)

    # The weights w are learnt as log w. Channels to which LPIPS gives no weight start with a little, so that they can grow.
    log_w = torch.nn.Parameter((teacher + 0.01 * teacher.mean()).log())
    ranking = (ranking or MonotoneRanking(settings.sharpness)).to(device)
    rates = settings.lr, settings.lr / 10  # a network needs smaller steps than weights that change by factors
    groups = [{"params": [log_w], "lr": rates[0]}, {"params": list(ranking.parameters()), "lr": rates[1]}]
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))

    # Channel differences of attacked triplets, to p0 and to p1, with their judge, and of references that were pushed away.
    memory = {"p0": mixed[0, :0], "p1": mixed[0, :0], "judge": mixed[0, :0, 0], "pushed": mixed[0, :0]}
    best = {"best heads": teacher, "best rank": torch.tensor(-math.inf, dtype=torch.float64)}
    course = TrainingState(
        {"weights": torch.nn.ParameterDict({"theta": log_w}), "ranking": ranking},
        optimiser,
        {**memory, **best, "generator": generator.get_state()},
    )
    about = {"settings": asdict(settings), "data": data.digest()}
    if state and course.resume(state, about):
        progress(f"continuing after round {course.step}, from {state.name}", keep=True)
        memory, best = ({name: course.tensors[name] for name in part} for part in (memory, best))
        generator.set_state(course.tensors["generator"])
    elif state and state.is_file():
        progress(f"{state.name} is of another training and will be overwritten", keep=True)

    def draw(rows: Tensor) -> Tensor:
        """The indices of a random batch of the rows."""
        return torch.randint(len(rows), (settings.batch,), generator=generator).to(device)

    def ranking_loss(d0: Tensor, d1: Tensor, judge: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(ranking(d0, d1), judge)

    while course.step < settings.rounds:
        # Cosine, down to a twentieth.
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * (0.525 + 0.475 * math.cos(math.pi * course.step / settings.rounds))

        # 1. Attack with the present heads: one candidate of some triplets, and the references of half of them.
        metric = PerceptualMetric(trunk, log_w.detach().exp().split(channels), "in training")
        rows = torch.randperm(len(triplets), generator=generator)[: settings.attacked].tolist()
        seed = settings.seed + 1000 + course.step
        options = settings.norm, settings.budget, settings.attack_steps, settings.restarts
        attacked = attack(metric, triplets[rows], *options, seed=seed, schedule="fixed")
        reference = triplets.reference[rows[::2]]
        draws = torch.Generator().manual_seed(seed)
        pushed = push(metric, reference, reference, 1.0, *options, draws, schedule="fixed")
        p0, p1 = channel_differences(trunk, attacked.reference, attacked.p0, attacked.p1)
        attacks = {"p0": p0, "p1": p1, "judge": attacked.judge}
        attacks["pushed"] = channel_differences(trunk, reference, pushed)[0]
        rounds = max(1, settings.memory // settings.attacked)
        memory = {name: torch.cat([memory[name], new])[-rounds * len(new) :] for name, new in attacks.items()}

        # 2. Update the heads, on clean pairs, on pairs that LPIPS judged, and on all attacks in memory.
        for _ in range(settings.updates):
            a, b, c, d = (draw(rows) for rows in (clean0, mixed[0], memory["p0"], memory["pushed"]))
            w = log_w.exp()
            natural, other = (part[b] for part in mixed)
            terms = {
                "clean": settings.clean_weight * ranking_loss(clean0[a] @ w, clean1[a] @ w, triplets.judge[a]),
                "lpips": settings.lpips_weight * ranking_loss(natural @ w, other @ w, data.mixed_judge[b]),
                "attacked": settings.attacked_weight
                * ranking_loss(memory["p0"][c] @ w, memory["p1"][c] @ w, memory["judge"][c]),
                # A pushed reference, which hardly looks different, should be nearer than a natural distortion.
                "inflation": settings.inflation_weight
                * ranking_loss(memory["pushed"][d] @ w, natural @ w, torch.zeros_like(data.mixed_judge[b])),
                "floor": settings.floor_weight
                * F.relu((settings.floor / layer_shares(natural, w, channels)).log()).sum(),
            }
            loss = sum(terms.values(), torch.zeros((), device=device))
            if not loss.isfinite():
                parts = ", ".join(f"{name} {value.item():.3g}" for name, value in terms.items())
                raise FloatingPointError(
                    f"The loss is not finite in round {course.step + 1} ({parts}); no heads were saved."
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        course.step += 1
        progress(f"round {course.step}/{settings.rounds}: loss {loss.item():.3f}", course.step, settings.rounds)
        is_last = course.step == settings.rounds

        # 3. Four times in all, measure the heads on triplets that they are not trained on, and keep the best.
        if course.step % max(1, settings.rounds // 4) == 0 or is_last:
            # The ranking loss leaves the scale free, so the mean distance to natural distortions is made that of LPIPS.
            w = log_w.detach().exp()
            w = w * ((mixed @ teacher).mean() / (mixed @ w).mean())
            stage = PerceptualMetric(trunk, w.split(channels), "stage")
            figures = measure(stage, lpips, *data.validation, settings.norm, settings.budget, steps=10)
            score = rank(figures, baseline)
            if score > best["best rank"]:
                best = {"best heads": w, "best rank": torch.tensor(score, dtype=torch.float64)}
            progress(f"round {course.step}: {summary(figures, baseline)}", keep=True)
        if state and (course.step % 5 == 0 or is_last) and is_first():
            course.tensors = {**memory, **best, "generator": generator.get_state()}
            course.save(state, about)
    return [head.clone() for head in best["best heads"].split(channels)], course.seconds


def rank(figures: Mapping[str, Any], baseline: Mapping[str, Any]) -> float:
    """How good a stage of the training is, by its figures and those of LPIPS (see `measure`); higher is better.

    The rule was fixed before any result was seen: a stage should be robust by both figures, and robustness gives no credit
    where it costs agreement with LPIPS below 0.9.
    """
    relative_inflation = figures["inflation"] / baseline["inflation"]
    return figures["attacked_2afc"] - relative_inflation + 3 * min(0.9, figures["agreement_with_lpips"])


def measure(
    metric: PerceptualMetric,
    lpips: PerceptualMetric,
    same: Triplets,
    mixed: Triplets,
    norm: str,
    eps: float,
    steps: int = 20,
    restarts: int = 1,
) -> dict[str, Any]:
    """A metric's figures, ready for JSON: its 2AFC score without and under attack, on triplets with a judge (`same`); and its
    inflation, its agreement with LPIPS and each layer's share of the mean natural distance, on triplets of mixed families."""
    attacked = attack_triplets(metric, same, norm, eps, steps, restarts, schedule="fixed")
    shares = torch.cat([metric.per_layer(batch.reference, batch.p0) for batch in mixed.batches()]).mean(0)
    return {
        "natural_2afc": score_2afc(*distances(metric, same), same.judge).mean().item(),
        "attacked_2afc": score_2afc(*distances(metric, attacked), same.judge).mean().item(),
        "inflation": inflation(metric, mixed[: len(same)], norm, eps, steps, restarts, schedule="fixed"),
        "agreement_with_lpips": agreement(metric, lpips, mixed),
        "share_of_layers": dict(zip(metric.layers, (shares / shares.sum()).tolist(), strict=True)),
    }


def layer_shares(differences: Tensor, w: Tensor, channels: Sequence[int]) -> Tensor:
    """Each layer's share of the mean distance, (L,), from channel differences (N, C) and weights (C,)."""
    layers = torch.stack([layer.sum() for layer in (differences.mean(0) * w).split(list(channels))])
    return layers / layers.sum()


def summary(figures: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    return (
        f"attacked 2AFC {figures['attacked_2afc']:.3f} (LPIPS {baseline['attacked_2afc']:.3f}), "
        f"inflation {figures['inflation']:.3f} (LPIPS {baseline['inflation']:.3f}), "
        f"agreement with LPIPS {figures['agreement_with_lpips']:.3f}"
    )
