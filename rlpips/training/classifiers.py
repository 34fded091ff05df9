"""Training of the small classifiers of CIFAR-10 by the recipes of `rlpips.training.classifier_recipes`.

    python -m rlpips.classifiers NAME --out FOLDER [--images FOLDER] [--resume]

takes tens of minutes on one CPU core that multiplies bfloat16. It is seeded: what a step draws depends on the seed and the step
alone, so an interrupted training continues to the same weights.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.classifiers.cifar10 import Pictures
from rlpips.classifiers.models import Classifier, small_resnet
from rlpips.device import pick_device
from rlpips.engine.bfloat16 import pick_precision
from rlpips.progress import ProgressCallback, quiet
from rlpips.training.checkpoint import TrainingState
from rlpips.training.classifier_recipes import RECIPES, Attack

BATCH = 128
PEAK, MOMENTUM, DECAY = 0.2, 0.9, 5e-4  # of SGD with Nesterov's momentum; the rate peaks after a quarter of the steps
AVERAGE = 0.995  # the share of the averaged weights that a step keeps, after the first steps, which keep less
PAD = 4  # the most pixels by which a crop is shifted
SAVE_EVERY = 100  # steps


def train(
    name: str,
    pictures: Pictures,
    epochs: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = "cpu",
    precision: str | None = None,
    state: Path | None = None,
    resume: bool = False,
    progress: ProgressCallback = quiet,
) -> tuple[Classifier, float]:
    """Train the classifier with that recipe; returns it, with averaged weights, and the seconds of CPU time that it took.

    epochs     None for the recipe's
    precision  "bfloat16" (autocast), "float32", or None for what `rlpips.engine.bfloat16.pick_precision` picks
    state      a file for the state of the training, written every `SAVE_EVERY` steps
    resume     continue from that file, if it is there

    ValueError for too few pictures, or for a state of another training; FloatingPointError if the loss is not finite.
    """
    recipe, device = RECIPES[name], pick_device(device)
    precision = pick_precision(precision, device)
    epochs = recipe.epochs if epochs is None else epochs
    steps_per_epoch = len(pictures) // BATCH
    steps = epochs * steps_per_epoch
    if steps < 1:
        raise ValueError(f"A training needs at least {BATCH} pictures and one epoch; got {len(pictures)} and {epochs}.")

    torch.manual_seed(seed)
    model = small_resnet(name).to(device).to(memory_format=torch.channels_last)
    averaged = small_resnet(name).to(device).to(memory_format=torch.channels_last)
    averaged.load_state_dict(model.state_dict())
    optimiser = torch.optim.SGD(model.parameters(), PEAK, momentum=MOMENTUM, weight_decay=DECAY, nesterov=True)
    course = TrainingState({"model": model.train(), "averaged": averaged.eval()}, optimiser, clock=time.process_time)
    about = {"name": name, "epochs": epochs, "pictures": len(pictures), "seed": seed, "precision": precision}
    if resume and state and course.resume(state, about):
        progress(f"continuing after step {course.step} of {steps}, from {state.name}", keep=True)
    elif resume and state and state.is_file():
        raise ValueError(f"{state} is of another training; start again without --resume.")
    attack = recipe.make_attack(model) if recipe.make_attack else None
    padded, labels = F.pad(pictures.x.to(device), [PAD] * 4), pictures.y.to(device)

    for step in range(course.step, steps):
        epoch, batch = divmod(step, steps_per_epoch)
        if batch == 0 or step == course.step:
            order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + epoch))
        rows = order[batch * BATCH : (batch + 1) * BATCH].to(device)
        step_seed = (1 + seed) * 10_000_000 + step * BATCH  # picture n of an attacked batch draws from this plus n
        x, y = crop(padded[rows], torch.Generator().manual_seed(step_seed)), labels[rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            if attack:
                with frozen(model):
                    x = _attack(model, attack, x, y, step_seed, recipe.only_correct)
            logits = model(x)
            loss = F.cross_entropy(logits, y)
        optimiser.param_groups[0]["lr"] = PEAK * min((step + 1) / (steps / 4), (steps - step) / (steps * 3 / 4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.step += 1
        new_share = 1 - min(AVERAGE, course.step / (course.step + 10))
        for average, value in zip(_learnt(averaged).values(), _learnt(model).values(), strict=True):
            average.lerp_(value, new_share)
        is_last = course.step == steps
        if course.step % SAVE_EVERY == 0 or is_last:
            if not loss.isfinite():
                raise FloatingPointError(f"The loss is not finite in step {course.step}; no weights were saved.")
            correct = (logits.argmax(1) == y).float().mean().item()
            progress(
                f"step {course.step}/{steps} (epoch {1 + epoch}/{epochs}): loss {loss.item():.3f}, "
                f"{correct:.0%} of the batch correct",
                course.step,
                steps,
                keep=course.step % (5 * SAVE_EVERY) == 0 or is_last,
            )
            if state:
                course.save(state, about)
    return averaged.requires_grad_(False), course.seconds


def crop(padded: Tensor, generator: torch.Generator) -> Tensor:
    """Random crops of padded pictures (N, 3, 40, 40) uint8, half of them mirrored -> (N, 3, 32, 32) float in [0, 1], channels
    last in memory."""
    count, size = len(padded), padded.shape[-1] - 2 * PAD
    top, left = torch.randint(2 * PAD + 1, (2, count, 1), generator=generator)
    columns = torch.arange(size).expand(count, -1)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    y, x = top + columns, left + torch.where(mirrored, size - 1 - columns, columns)  # (N, 32) each
    picture, y, x = (
        index.to(padded.device) for index in (torch.arange(count)[:, None, None], y[:, :, None], x[:, None])
    )
    return (padded.permute(0, 2, 3, 1)[picture, y, x].float() / 255).permute(0, 3, 1, 2)


def _attack(model: Classifier, attack: Attack, x: Tensor, y: Tensor, seed: int, only_correct: bool) -> Tensor:
    """The pictures after the attack."""
    if not only_correct:
        return attack(x, y, seed)
    with torch.no_grad():
        correct = (model(x).argmax(1) == y).nonzero()[:, 0]
    return x.index_copy(0, correct, attack(x[correct], y[correct], seed)) if len(correct) else x


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Eval mode, without gradients of the weights, for an attack during the training."""
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        model.train().requires_grad_(True)


def _learnt(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and running statistics of a module, without its counters."""
    return {name: value for name, value in module.state_dict().items() if value.is_floating_point()}


def pack(classifier: Classifier) -> bytes:
    """The weights of a classifier as a safetensors file, rounded to float16."""
    return safetensors.torch.save(
        {name: value.cpu().half().contiguous() for name, value in _learnt(classifier).items()}
    )


def unpack(raw: bytes) -> dict[str, Tensor]:
    """The weights in such a file, in float32, for `load_state_dict`."""
    return {name: value.float() for name, value in safetensors.torch.load(raw).items()}
