"""Adversarial training of R-LPIPS heads: the trunk stays frozen, one weight per channel is learnt against an
attacker.

    python -m rlpips.training --images FOLDER --norm linf --out rlpips-linf_alex.safetensors

Minutes on two CPU cores, seeded: the same command gives the same heads, also after an interruption, from which it
goes on by itself, and with several processes (`torchrun --nproc-per-node 2 -m rlpips.training …`) as with one of as
many threads. Writes the heads and, beside them, a card (.json) that says what they are; `rlpips.evaluate` measures
them.

After Ghazanfari et al., arXiv 2307.15157, who train on BAPPS (Zhang et al., arXiv 1801.03924), with three
differences; `rlpips.study` shows what this and the other choices do:

- The ranking is monotone, logit = s·(log d0 - log d1), so that all that is learnt is learnt by the metric. LPIPS and
  R-LPIPS train with a free ranking network, which is thrown away afterwards; in the study the two come out alike.
- Nobody's judgements are needed: of two strengths of one distortion the milder is nearer, and LPIPS itself
  judges between different distortions, so that the metric stays perceptual. Where there are judgements (`--bapps`),
  they take the place of the former and, without photographs, of the latter, too.
- Attacks cost nearly all the time and updates nearly none, because a distance is linear in the heads. So each round
  attacks a few triplets with the present heads, remembers what the trunk saw of them, and makes many updates on all
  that is remembered. Old attacks kept in mind also stop the weights from running in circles.
"""

import math
from dataclasses import asdict

import torch
import torch.nn.functional as F

from rlpips.attacks.triplets import attack_triplets, push
from rlpips.evaluate.scores import agreement, distances, inflation, score_2afc
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.parallel import is_first
from rlpips.progress import quiet
from rlpips.training.checkpoint import Course
from rlpips.training.data import evidence, log_ratio


class Monotone(torch.nn.Module):
    """The logit that p1 is nearer, from d0 and d1 (N,): s·(log d0 - log d1). It can only follow the distances, so
    all that is learnt is learnt by the metric."""

    def __init__(self, sharpness):
        super().__init__()
        self.sharpness = sharpness

    def forward(self, d0, d1):
        return self.sharpness * log_ratio(d0, d1)


def train(settings, material, lpips, progress=quiet, state=None, ranking=None, attack=attack_triplets):
    """Train on `Material`, starting from `lpips`, a metric whose trunk and device are taken; returns the heads,
    L vectors (C_l,), and the seconds it took.

    The best of four stages is kept (see `rank`). The same settings and material give the same heads on the same
    machine. With a path `state` it is written now and then, and continued from. `ranking`, a module (d0, d1) ->
    logit that p1 is nearer, and `attack`, with the arguments of `attack_triplets`, are there for comparisons. Raises
    FloatingPointError if the loss is not finite.
    """
    trunk, same, (e0, e1), between = lpips.trunk, material.same, material.natural, material.between
    channels, device, teacher = trunk.spec.channels, between.device, torch.cat(lpips.heads)
    ranking = (ranking or Monotone(settings.sharpness)).to(device)
    baseline = measure(lpips, lpips, *material.validation, settings.norm, settings.budget, steps=10)

    # Channels that LPIPS gives no weight start with a little, so that they can grow.
    theta = torch.nn.Parameter((teacher + 0.01 * teacher.mean()).log())  # log w
    rates = settings.lr, settings.lr / 10  # a network needs smaller steps than weights that move by factors
    groups = [{"params": part, "lr": lr} for part, lr in zip(([theta], [*ranking.parameters()]), rates)]
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
    generator = torch.Generator().manual_seed(settings.seed)
    modules = {"weights": torch.nn.ParameterDict({"theta": theta}), "ranking": ranking}
    course = Course(
        modules, optimiser, {"best heads": teacher, "generator": generator.get_state()}, {"best": -math.inf}
    )
    # Four tensors for each round remembered: the evidence of both candidates of its attacked triplets, (A, C) each, their
    # judge (A,), and the evidence of pictures moved on their own (B, C).
    memory = []
    about = {"settings": asdict(settings), "data": material.digest()}
    if state and course.resume(state, about):
        progress(f"going on from round {course.step}, which {state.name} has kept", keep=True)
        generator.set_state(course.tensors["generator"])
        rounds = sum(name.startswith("memory.") for name in course.tensors) // 4
        memory = [[course.tensors[f"memory.{n}.{part}"].to(device) for part in range(4)] for n in range(rounds)]
    elif state and state.is_file():
        progress(f"{state.name} is of another training and will be written over", keep=True)
    capacity = max(1, settings.memory // settings.attacked)
    every = max(1, settings.rounds // 4)

    def draw(count):
        return torch.randint(count, (settings.batch,), generator=generator).to(device)

    def believe(d0, d1, judge):  # cross entropy between the judge's fraction for the second candidate and the metric's
        return F.binary_cross_entropy_with_logits(ranking(d0, d1), judge)

    while course.step < settings.rounds:
        for group, lr in zip(optimiser.param_groups, rates):  # cosine, down to a twentieth
            group["lr"] = lr * (0.525 + 0.475 * math.cos(math.pi * course.step / settings.rounds))

        # 1. Attack with the present heads: one candidate of some triplets, and some references themselves.
        metric = PerceptualMetric(trunk, theta.detach().exp().split(channels), "in training")
        rows = torch.randperm(len(same), generator=generator)[: settings.attacked].tolist()
        seed = settings.seed + 1000 + course.step
        options = settings.norm, settings.budget, settings.attack_steps, settings.restarts
        attacked = attack(metric, same[rows], *options, seed=seed)
        reference = same.reference[rows[::2]]
        moved = push(metric, reference, reference, 1.0, *options, torch.Generator().manual_seed(seed))
        seen = evidence(trunk, attacked.reference, attacked.p0, attacked.p1)
        memory = [*memory, [*seen, attacked.judge, *evidence(trunk, reference, moved)]][-capacity:]
        old0, old1, judge, invisible = (torch.cat(part) for part in zip(*memory))

        # 2. Update the heads on clean pairs, on pairs that LPIPS judged, and on all attacks remembered.
        for _ in range(settings.updates):
            n, m, a, b = (draw(len(rows)) for rows in (e0, between[0], old0, invisible))
            w = theta.exp()
            far, other = (rows[m] for rows in between)
            terms = {
                "clean": settings.clean_weight * believe(e0[n] @ w, e1[n] @ w, same.judge[n]),
                "lpips": settings.lpips_weight * believe(far @ w, other @ w, material.opinion[m]),
                "attacked": settings.attacked_weight * believe(old0[a] @ w, old1[a] @ w, judge[a]),
                # an invisible change, however it was found, is nearer than a natural distortion
                "inflation": settings.inflation_weight * believe(invisible[b] @ w, far @ w, torch.zeros(len(b)).to(w)),
                "floor": settings.floor_weight * F.relu((settings.floor / _shares(far, w, channels)).log()).sum(),
            }
            loss = sum(terms.values())
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

        # 3. Now and then measure on triplets that are not trained on, keep the best heads, note how it stands.
        if course.step % every == 0 or course.step == settings.rounds:
            # The ranking leaves the scale free: the mean distance to natural distortions becomes LPIPS's.
            w = theta.detach().exp()
            w = w * ((between @ teacher).mean() / (between @ w).mean())
            stage = PerceptualMetric(trunk, w.split(channels), "stage")
            found = measure(stage, lpips, *material.validation, settings.norm, settings.budget, steps=10)
            if rank(found, baseline) > course.numbers["best"]:
                course.numbers["best"], course.tensors["best heads"] = rank(found, baseline), w
            progress(f"round {course.step}: {_in_words(found, baseline)}", keep=True)
        if state and (course.step % 5 == 0 or course.step == settings.rounds) and is_first():
            remembered = {
                f"memory.{n}.{part}": value for n, parts in enumerate(memory) for part, value in enumerate(parts)
            }
            kept = {"best heads": course.tensors["best heads"], "generator": generator.get_state()}
            course.tensors = {**kept, **remembered}
            course.save(state, about)
    return [head.clone() for head in course.tensors["best heads"].to(device).split(channels)], course.spent


def rank(found, baseline):
    """Which stage is best, a rule made before any was seen: robust on both counts, and no credit for
    robustness that is paid for with agreement below 0.9."""
    relative = found["inflation"] / baseline["inflation"]
    return found["attacked_2afc"] - relative + 3 * min(0.9, found["agreement_with_lpips"])


def measure(metric, lpips, same, mixed, norm, eps, steps=20, restarts=1):
    """A metric's figures on triplets with a judge and on mixed families, as floats: natural and attacked
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


def _shares(rows, w, channels):
    """Each layer's share of the mean distance, (L,)."""
    parts = torch.stack([part.sum() for part in (rows.mean(0) * w).split(channels)])
    return parts / parts.sum()


def _in_words(found, baseline):
    return (
        f"attacked 2AFC {found['attacked_2afc']:.3f} (LPIPS {baseline['attacked_2afc']:.3f}), "
        f"inflation {found['inflation']:.3f} (LPIPS {baseline['inflation']:.3f}), "
        f"agreement with LPIPS {found['agreement_with_lpips']:.3f}"
    )
