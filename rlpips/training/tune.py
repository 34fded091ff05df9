"""R-LPIPS tune: adversarial training of the trunk as well as the heads, as in the variants "tune" of the official code
(Ghazanfari et al., arXiv 2307.15157).

    python -m rlpips.training tune --images FOLDER --out rlpips-tune_alex.safetensors

Two stages follow each other. *Align* (FARE, Schlarmann et al., arXiv 2402.12336) needs no labels: it draws the features of attacked and
of clean patches to those that the original trunk gives the clean ones, so that the trunk keeps what it sees and an attack moves it less.
*Joint* trains trunk and heads together on what is measured: triplets with a judge, clean and attacked; triplets of mixed families, which
LPIPS on the original trunk judges; and references that are pushed away, which should stay nearer than a natural distortion.

Features are soft, f / sqrt(|f|² + c²) with c the median length of a layer's features: where the trunk sees next to nothing, unit length
would enlarge what an attack puts there.

Every step draws its pictures and attacks by a seed of its own, in two pieces whose gradients are averaged: the same command gives the same
metric, also after an interruption and in several processes.
"""

import copy
import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.attacks.pgd import Objective, pgd
from rlpips.attacks.schedule import step_sizes
from rlpips.attacks.triplets import draw_candidates
from rlpips.data.distortions import DISTORTIONS
from rlpips.data.triplets import Triplets, random_patch
from rlpips.engine.fast_trunk import FastTrunk
from rlpips.engine.panel import Panel
from rlpips.evaluate.scores import distances
from rlpips.metrics.backbones import Trunk
from rlpips.metrics.lpips import PerceptualMetric
from rlpips.norms import NORMS
from rlpips.parallel import is_first, share
from rlpips.progress import ProgressCallback, quiet
from rlpips.training.checkpoint import TrainingState
from rlpips.training.data import Source, log_ratio
from rlpips.training.heads import measure, rank, summary
from rlpips.training.tune_settings import TuneSettings

_PIECES = 2  # of a step
_STAGES = 4  # of which the best is kept
_SAVE_EVERY = 50  # steps


def tune(
    settings: TuneSettings,
    learning: Source,
    choosing: Source,
    lpips: PerceptualMetric,
    heads: list[Tensor],
    progress: ProgressCallback = quiet,
    state: Path | None = None,
) -> tuple[Trunk, list[Tensor], float]:
    """Tune trunk and heads; returns the best of four stages by `rlpips.training.heads.rank`, and the seconds that it took.

    learning, choosing  where pictures come from, to train on and to choose the best stage; both need photographs
    lpips               the judge, on the original trunk, which is where the training starts
    heads               where the heads start, L vectors (C_l,)
    state               a file for the state of the training, written now and then and continued from if it is there

    The trunk is rounded to float16, as it is stored. FloatingPointError if the loss is not finite.
    """
    training = _Training(settings, learning, choosing, lpips, heads, progress)
    student, optimiser = training.student, training.optimiser
    best: dict[str, Tensor] = {"rank": torch.tensor(-math.inf, dtype=torch.float64), **training.stage()}
    course = TrainingState({"student": student, "heads": training.log_w}, optimiser, best)
    about = {"settings": asdict(settings), "data": training.digest}
    if state and course.resume(state, about):
        progress(f"continuing after step {course.step}, from {state.name}", keep=True)
        best = course.tensors
    elif state and state.is_file():
        progress(f"{state.name} is of another training and will be overwritten", keep=True)

    total = settings.align_steps + settings.steps
    while course.step < total:
        loss = training.step(course.step)
        course.step += 1
        progress(f"step {course.step}/{total}: loss {loss:.3f}", course.step, total)
        done = course.step - settings.align_steps
        is_stage = done > 0 and (done % max(1, settings.steps // _STAGES) == 0 or course.step == total)
        if course.step == settings.align_steps or is_stage:
            stage = training.stage()
            figures = measure(
                training.metric(stage), lpips, *training.validation, settings.norm, settings.budget, steps=10
            )
            score = torch.tensor(rank(figures, training.baseline), dtype=torch.float64)
            if is_stage and score > best["rank"]:
                best = {"rank": score, **stage}
            progress(f"step {course.step}: {summary(figures, training.baseline)}", keep=True)
        if state and (course.step % _SAVE_EVERY == 0 or course.step in (settings.align_steps, total)) and is_first():
            course.tensors = best
            course.save(state, about)
    metric = training.metric(best)
    return metric.trunk, metric.heads, course.seconds


class _Training:
    """What a tuning trains, on what, and how a step is made."""

    def __init__(
        self,
        settings: TuneSettings,
        learning: Source,
        choosing: Source,
        lpips: PerceptualMetric,
        heads: list[Tensor],
        progress: ProgressCallback,
    ):
        self.settings, self.photographs, self.device = settings, learning.photographs, lpips.trunk.scale.device
        self.norm, self.channels = NORMS[settings.norm], lpips.trunk.spec.channels
        progress("making triplets")

        def draw(source: Source, count: int, mixed: int, seed: int, gap: float = 0.1) -> tuple[Triplets, Triplets]:
            same, other = source.triplets(count, mixed, settings.size, seed, gap)
            return same.to(self.device), other.to(self.device)

        self.same, self.mixed = draw(learning, settings.triplets, settings.triplets, settings.seed, settings.gap)
        self.validation = draw(choosing, settings.validation, 4 * settings.validation, settings.seed + 2)
        self.to_mixed = torch.cat(distances(lpips, self.validation[1])).mean()  # the scale of LPIPS
        self.opinion = torch.sigmoid(settings.sharpness * log_ratio(*distances(lpips, self.mixed)))
        self.baseline = measure(lpips, lpips, *self.validation, settings.norm, settings.budget, steps=10)
        self.digest = hashlib.sha256(self.same.p1.cpu().numpy().tobytes()).hexdigest()

        # The teacher and the student begin as one network, softened.
        lengths = settings.softness * median_lengths(lpips.trunk, self.same.reference[:200])
        self.teacher = Trunk(settings.backbone, _weights(lpips.trunk), lengths).to(self.device)
        self.student = copy.deepcopy(self.teacher)
        for trunk in (self.teacher, self.student):
            trunk.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.student.features.requires_grad_(True)
        # As log w, which keeps w > 0. Channels without weight start with a little, so that they can grow.
        start = torch.cat(heads)
        self.log_w = nn.ParameterList([nn.Parameter((start + 0.01 * start.mean()).log().to(self.device))])
        self.groups = list(self.student.features.parameters()), list(self.log_w)
        self.optimiser = torch.optim.Adam([{"params": group} for group in self.groups], betas=(0.9, 0.99))

    def step(self, index: int) -> float:
        """Make a step of the training; returns the loss. FloatingPointError if it is not finite."""
        settings = self.settings
        align = index < settings.align_steps
        done = index if align else index - settings.align_steps
        share_done = done / (settings.align_steps if align else settings.steps)
        # A short rise, then a cosine to a thirtieth.
        factor = min(1, (done + 1) / 20) * (0.515 + 0.485 * math.cos(math.pi * share_done))
        rates = (settings.align_lr, 0.0) if align else (settings.lr, settings.head_lr)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        parameters = [each for group in self.groups[: 1 if align else 2] for each in group]

        def work(piece: int) -> Tensor:
            """The loss and its gradient, one vector."""
            generator = torch.Generator().manual_seed((settings.seed * 2**20 + index) * _PIECES + piece)
            loss = self._align(generator) if align else self._joint(generator)
            gradients = torch.autograd.grad(loss, parameters)
            return torch.cat([loss.detach()[None], *(gradient.flatten() for gradient in gradients)])

        loss, *gradients = torch.stack(share(work, range(_PIECES))).mean(0).split([1, *(p.numel() for p in parameters)])
        if not loss.isfinite():
            raise FloatingPointError(f"The loss is not finite in step {index + 1}; nothing was saved.")
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss.item()

    def _align(self, generator: torch.Generator) -> Tensor:
        """Half of the patches are distorted, as a metric sees distorted pictures, too."""
        settings = self.settings
        chosen = torch.randint(len(self.photographs), (settings.align_batch,), generator=generator).tolist()
        x = torch.cat([random_patch(self.photographs[i], settings.size, generator) for i in chosen])
        families = list(DISTORTIONS.values())
        for rows in torch.arange(settings.align_batch // 2).split(3):
            family = families[int(torch.randint(len(families), (), generator=generator))]
            x[rows] = family(x[rows], torch.rand(len(rows), generator=generator), generator)
        x = x.to(self.device)
        with torch.no_grad():
            target = self.teacher(x)

        def far(pictures: Tensor) -> Tensor:
            pairs = zip(self.student(pictures), target, strict=True)
            return sum((a - b).square().sum(1).mean((1, 2)) for a, b in pairs)  # type: ignore[return-value]

        def objective(pictures: Tensor) -> tuple[Tensor]:
            return (far(pictures),)

        attacked = self._attack(objective, x, settings.align_attack_steps, generator)
        return (far(attacked) + far(x)).mean()

    def _joint(self, generator: torch.Generator) -> Tensor:
        settings, count = self.settings, self.settings.batch
        rows = torch.randint(len(self.same), (2, count), generator=generator)
        same, mixed = (_flipped(part[at.tolist()], generator) for part, at in zip((self.same, self.mixed), rows))
        opinion = self.opinion[rows[1].to(self.device)]
        half = count // 2

        # One candidate of each triplet is attacked, and the references of some.
        p0_is_attacked, sign = draw_candidates(same.judge, generator)
        first = p0_is_attacked.view(-1, 1, 1, 1)
        panel = Panel([self._metric()], torch.cat([same.reference, mixed.reference[:half]]))
        signs = torch.cat([sign, sign.new_ones(half)])

        def objective(pictures: Tensor) -> tuple[Tensor]:
            return (signs * panel.per_layer(pictures).sum((1, 2)),)

        start = torch.cat([torch.where(first, same.p0, same.p1), mixed.reference[:half]])
        attacked = self._attack(objective, start, settings.attack_steps, generator)

        features = self.student(
            torch.cat([same.reference, same.p0, same.p1, mixed.reference, mixed.p0, mixed.p1, attacked])
        )
        reference, p0, p1, other, m0, m1, moved, pushed = zip(
            *(layer.split([*[count] * 7, half]) for layer in features), strict=True
        )
        w = self.log_w[0].exp().split(self.channels)
        d0, d1, d_moved = (_by_layer(reference, part, w).sum(1) for part in (p0, p1, moved))
        natural = _by_layer(other, m0, w)
        e0, e1 = natural.sum(1), _by_layer(other, m1, w).sum(1)
        inflated = _by_layer([layer[:half] for layer in other], pushed, w).sum(1)
        shares = natural.sum(0) / natural.sum()

        def ranking_loss(a: Tensor, b: Tensor, judge: Tensor) -> Tensor:
            return F.binary_cross_entropy_with_logits(settings.sharpness * log_ratio(a, b), judge)

        attacked_pair = torch.where(p0_is_attacked, d_moved, d0), torch.where(p0_is_attacked, d1, d_moved)
        return (
            settings.clean_weight * ranking_loss(d0, d1, same.judge)
            + settings.attacked_weight * ranking_loss(*attacked_pair, same.judge)
            + settings.lpips_weight * ranking_loss(e0, e1, opinion)
            + settings.inflation_weight * ranking_loss(inflated, e0[:half], torch.zeros_like(inflated))
            + settings.floor_weight * F.relu((settings.floor / shares).log()).sum()
        )

    def _attack(self, objective: Objective, start: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """Where PGD from a random point of the ball finds the highest value."""
        ball, eps = self.norm, self.settings.budget
        initial = start + ball.random(start, eps, generator)
        attack: Iterator[tuple[Tensor, ...]] = pgd(
            start, initial, objective, ball, eps, step_sizes("cosine", eps, steps)
        )
        *_, (best,) = attack
        return best

    def _metric(self) -> PerceptualMetric:
        return PerceptualMetric(self.student, self.log_w[0].detach().exp().split(self.channels), "in training")

    @torch.no_grad()
    def stage(self) -> dict[str, Tensor]:
        """The present metric as it is stored: the trunk in float16, and heads of LPIPS's scale."""
        tensors = {key: value.half() for key, value in _weights(self.student).items()}
        tensors |= {"softness": self.student.softness, "heads": self.log_w[0].exp()}
        mean = torch.cat(distances(self.metric(tensors), self.validation[1])).mean()
        return {**tensors, "heads": tensors["heads"] * (self.to_mixed / mean)}

    def metric(self, stage: dict[str, Tensor]) -> PerceptualMetric:
        """The metric of a `stage`."""
        state = {key: value.float() for key, value in stage.items() if key.startswith("features.")}
        trunk = Trunk(self.settings.backbone, state, stage["softness"]).to(self.device)
        return PerceptualMetric(trunk, stage["heads"].split(self.channels), "tuned")


@torch.no_grad()
def median_lengths(trunk: Trunk, x: Tensor) -> Tensor:
    """The median length of a trunk's features at a position of pictures (N, 3, H, W), layer by layer, (L,)."""
    lengths = [[layer.norm(dim=1).flatten() for layer in FastTrunk(trunk).features(part)] for part in x.split(50)]
    return torch.stack([torch.cat(layer).median() for layer in zip(*lengths, strict=True)])


def _weights(trunk: Trunk) -> dict[str, Tensor]:
    return {
        key: value.detach().clone().contiguous()
        for key, value in trunk.state_dict().items()
        if key.startswith("features.")
    }


def _by_layer(x, y, w) -> Tensor:
    """The distance's parts (N, L) of L features (N, C_l, h, w) each, under weights w, L vectors (C_l,)."""
    return torch.stack([(a - b).square().mean((2, 3)) @ each for a, b, each in zip(x, y, w, strict=True)], 1)


def _flipped(triplets: Triplets, generator: torch.Generator) -> Triplets:
    """The triplets, mirrored or not, which is as good as more photographs."""
    if torch.rand((), generator=generator) < 0.5:
        return triplets
    mirrored = {name: getattr(triplets, name).flip(-1) for name in ("reference", "p0", "p1")}
    return replace(triplets, **mirrored)
