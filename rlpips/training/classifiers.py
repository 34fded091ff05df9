"""Training of the small classifiers of CIFAR-10, without a defence or against an attacker.

    python -m rlpips.classifiers NAME --out FOLDER [--images FOLDER] [--resume]

Tens of minutes on one CPU core that multiplies bfloat16, seeded: what a step draws depends on the seed and the step alone, so
that a training which was interrupted gives what it would have given. Writes the weights, `classifier_NAME.safetensors`, and
beside them a card (.json) that says what they are and how often they are right.

The defences are adversarial training: every picture of a batch is replaced by one that an attack makes of it with the
present weights. "at-linf" and "at-l2" attack by PGD in pixels (Madry et al., arXiv 1706.06083); "pat-self" and "pat-alexnet" are
perceptual adversarial training, Fast-LPA within a feature distance of the classifier itself or of LPIPS (Laidlaw, Singla
and Feizi, arXiv 2006.12655). As there, pictures that are classified wrongly are attacked by no perceptual attack.

All of it is scaled down, to a network and a number of steps that two CPU cores manage, in three ways: one-cycle learning rates
in few epochs (Wong, Rice and Kolter, Fast is better than free, arXiv 2001.03994), few steps of every attack, and weights
averaged over the last steps, which helps robustness (Gowal et al., arXiv 2010.03593).
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F

from rlpips.attacks.balls import MetricBall, SelfBall
from rlpips.attacks.lpa import fast_lpa
from rlpips.attacks.pgd import ascend, inside
from rlpips.classifiers import cifar10
from rlpips.classifiers.models import small_resnet
from rlpips.device import pick_device
from rlpips.engine.bfloat16 import pick_precision
from rlpips.metrics.lpips import load_metric
from rlpips.norms import NORMS
from rlpips.progress import Progress, quiet
from rlpips.training.checkpoint import Course
from rlpips.zoo import cards

BATCH = 128
PEAK, MOMENTUM, DECAY = 0.2, 0.9, 5e-4  # of SGD with Nesterov's momentum; the rate at its highest, after a quarter
AVERAGE = 0.995  # of the averaged weights that a step keeps, once there have been enough
PAD = 4  # pixels by which a crop is shifted at most
KEEP_EVERY = 100  # steps between two states on the disk
PGD_STEPS, PGD_PICTURES = 10, 500  # of the yardstick on the card
YARDSTICKS = {"linf": 8 / 255, "l2": 1.0}
SELF_BOUND = 0.5  # as the paper trains
# The paper trains with 1.0 on AlexNet without weights. With those of LPIPS, natural distortions of CIFAR-10 are 0.31 times as
# far (the median; 0.25 for shifts, 0.30 for JPEG, 0.32 for noise, 0.36 for blur), so that 0.3 is as much to the eye.
LPIPS_BOUND = 0.3


@dataclass(frozen=True)
class Recipe:
    """How one classifier is trained.

    `arm(classifier)` returns the attack: (x (N, 3, 32, 32) in [0, 1], y (N,), seed) -> what stands in for x; None without a
    defence. `only_right`: pictures that are classified wrongly stay as they are.
    """

    epochs: int
    says: str  # for the card
    arm: Callable | None = None
    only_right: bool = False


def _in_pixels(norm, eps, steps, step_size):
    def arm(classifier):
        return lambda x, y, seed: pgd_in_pixels(classifier, x, y, norm, eps, steps, step_size, seed)

    return arm


def _in_features(ball_of, steps):
    def arm(classifier):
        ball = ball_of(classifier)

        def attack(x, y, seed):
            for adversarial in fast_lpa(classifier, x, y, ball, steps=steps, seed=seed):
                pass
            return adversarial

        return attack

    return arm


def _lpips_ball(classifier):
    return MetricBall(load_metric("lpips", "alex", classifier.mean.device), LPIPS_BOUND)


RECIPES = {
    "undefended": Recipe(8, "clean pictures"),
    "at-linf": Recipe(
        6, "PGD, l_inf eps 8/255, 2 steps of 6/255 from a random start", _in_pixels("linf", 8 / 255, 2, 6 / 255)
    ),
    "at-l2": Recipe(6, "PGD, l2 eps 1.0, 2 steps of 0.75 from a random start", _in_pixels("l2", 1.0, 2, 0.75)),
    "pat-self": Recipe(
        4,
        f"Fast-LPA, 3 steps, bound {SELF_BOUND} on the feature distance of the classifier itself",
        _in_features(lambda classifier: SelfBall(classifier, SELF_BOUND), 3),
        only_right=True,
    ),
    "pat-alexnet": Recipe(
        4,
        f"Fast-LPA, 3 steps, bound {LPIPS_BOUND} on the square root of LPIPS (AlexNet) at 64×64",
        _in_features(_lpips_ball, 3),
        only_right=True,
    ),
}


def pgd_in_pixels(classifier, x, y, norm, eps, steps, step_size, seed=0):
    """PGD on the cross entropy from one random start a picture, (N, 3, H, W) in [0, 1] -> the last iterate, which costs no pass
    of its own; eps and step_size in [0, 1] pixel units."""
    ball = NORMS[norm]

    def objective(x):
        return (F.cross_entropy(classifier(x), y, reduction="none"),)

    iterate = inside(ball.random(x, eps, torch.Generator().manual_seed(seed)), x, ball, eps)
    for _ in range(steps):
        (iterate,) = ascend(iterate, x, objective, ball, eps, step_size)
    return iterate


def train(name, pictures, epochs=None, seed=0, device="cpu", precision=None, state=None, resume=False, progress=quiet):
    """Train the classifier of that name on `Pictures`; returns it, its weights averaged, and the seconds of CPU
    time that it took.

    `epochs` are the recipe's unless given. `precision` of the passes is "bfloat16" (autocast) or "float32", None for what
    `rlpips.engine.bfloat16.pick_precision` picks. With a path `state` it is written now and then, and with `resume` continued
    from, if it is there. Raises FloatingPointError if the loss is not finite.
    """
    recipe, device = RECIPES[name], pick_device(device)
    precision = pick_precision(precision, device)
    epochs = recipe.epochs if epochs is None else epochs
    torch.manual_seed(seed)
    model = small_resnet(name).to(device, memory_format=torch.channels_last)
    averaged = small_resnet(name).to(device, memory_format=torch.channels_last)
    averaged.load_state_dict(model.state_dict())
    optimiser = torch.optim.SGD(model.parameters(), PEAK, momentum=MOMENTUM, weight_decay=DECAY, nesterov=True)
    course = Course({"model": model.train(), "averaged": averaged.eval()}, optimiser, clock=time.process_time)
    per_epoch = len(pictures) // BATCH
    total = epochs * per_epoch
    if total < 1:
        raise ValueError(f"A training needs at least {BATCH} pictures and one epoch; got {len(pictures)} and {epochs}.")
    about = {"name": name, "epochs": epochs, "pictures": len(pictures), "seed": seed, "precision": precision}
    if resume and state and course.resume(state, about):
        progress(f"going on from step {course.step} of {total}, which {state.name} has kept", keep=True)
    elif resume and state and state.is_file():
        raise ValueError(f"{state} is of another training; begin anew without --resume.")
    attack = recipe.arm(model) if recipe.arm else None
    padded = F.pad(pictures.x.to(device), [PAD] * 4)
    labels = pictures.y.to(device)

    for step in range(course.step, total):
        epoch, place = divmod(step, per_epoch)
        if place == 0 or step == course.step:
            order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + epoch))
        rows = order[place * BATCH : (place + 1) * BATCH].to(device)
        drawn = (1 + seed) * 10_000_000 + step * BATCH  # picture n of an attacked batch draws from this plus n
        x, y = crop(padded[rows], torch.Generator().manual_seed(drawn)), labels[rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            if attack:
                with frozen(model):
                    x = _attacked(model, attack, x, y, drawn, recipe.only_right)
            logits = model(x)
            loss = F.cross_entropy(logits, y)
        optimiser.param_groups[0]["lr"] = PEAK * min((step + 1) / (total / 4), (total - step) / (total * 3 / 4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.step += 1
        share = 1 - min(AVERAGE, course.step / (course.step + 10))
        for average, value in zip(numbers(averaged), numbers(model)):
            average.lerp_(value, share)
        if course.step % KEEP_EVERY == 0 or course.step == total:
            if not loss.isfinite():
                raise FloatingPointError(f"The loss is not finite in step {course.step}; no weights were saved.")
            right = (logits.argmax(1) == y).float().mean().item()
            progress(
                f"step {course.step}/{total} (epoch {1 + step // per_epoch}/{epochs}): loss {loss.item():.3f}, "
                f"{right:.0%} of the batch right",
                course.step,
                total,
                keep=course.step % (5 * KEEP_EVERY) == 0 or course.step == total,
            )
            if state:
                course.save(state, about)
    return averaged.eval().requires_grad_(False), course.spent


def crop(padded, generator):
    """Random crops of padded pictures (N, 3, 40, 40) uint8, half of them mirrored -> (N, 3, 32, 32) float in [0, 1],
    channels last."""
    count, size = len(padded), padded.shape[-1] - 2 * PAD
    top, left = torch.randint(2 * PAD + 1, (2, count, 1), generator=generator)
    across = torch.arange(size).expand(count, -1)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    down, across = top + across, left + torch.where(mirrored, size - 1 - across, across)
    row, down, across = (
        each.to(padded.device) for each in (torch.arange(count)[:, None, None], down[:, :, None], across[:, None])
    )
    return (padded.permute(0, 2, 3, 1)[row, down, across].float() / 255).permute(0, 3, 1, 2)


def _attacked(model, attack, x, y, seed, only_right):
    if not only_right:
        return attack(x, y, seed)
    with torch.no_grad():
        right = (model(x).argmax(1) == y).nonzero()[:, 0]
    return x.index_copy(0, right, attack(x[right], y[right], seed)) if len(right) else x


@contextmanager
def frozen(model):
    """In eval mode and without gradients of its weights, as an attack wants it."""
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        model.train().requires_grad_(True)


def numbers(module):
    """All that a module has learnt, parameters and running statistics, but no counters."""
    return [value for value in module.state_dict().values() if value.is_floating_point()]


def accuracy(classifier, pictures):
    """The fraction of `Pictures` that is classified rightly, in float32."""
    return _right(classifier, pictures, lambda x, y, n: x)


def accuracy_under_pgd(classifier, pictures, norm, eps, steps=PGD_STEPS, seed=0):
    """The fraction that is still classified rightly after PGD from a random start, steps of 2.5 eps / steps, in float32."""
    step_size = 2.5 * eps / steps
    return _right(
        classifier, pictures, lambda x, y, n: pgd_in_pixels(classifier, x, y, norm, eps, steps, step_size, seed + n)
    )


def _right(classifier, pictures, change):
    device, right = classifier.mean.device, 0
    for n, (x, y) in enumerate(zip(pictures.x.split(BATCH), pictures.y.split(BATCH))):
        x, y = x.to(device) / 255, y.to(device)
        changed = change(x, y, n)
        with torch.no_grad():
            right += (classifier(changed).argmax(1) == y).sum().item()
    return right / len(pictures)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.classifiers", description="Train a classifier of CIFAR-10.", allow_abbrev=False
    )
    parser.add_argument("name", choices=RECIPES, metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--out", required=True, type=Path, help="folder for the weights and their card")
    parser.add_argument(
        "--images", help="folder with {train,test}/<class>/*.jpg, or torchvision's; else torchvision's is downloaded"
    )
    parser.add_argument("--data", help="what the pictures are, for the card")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--subset", type=int, help="how many pictures to train on, drawn by the seed; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the state that an interrupted training has kept"
    )
    chosen = parser.parse_args(arguments)
    state = chosen.out / f"classifier_{chosen.name}.state.safetensors"
    try:
        if not chosen.out.is_dir():
            raise ValueError(f"--out must be a folder that is there; got {chosen.out}.")
        device, progress = pick_device(chosen.device), Progress()
        pictures = cifar10.read("train", chosen.images).subset(chosen.subset, chosen.seed)
        test = cifar10.read("test", chosen.images)  # now, so that it is missed before the training
        precision = pick_precision(None, device)
        options = chosen.epochs, chosen.seed, device, precision, state, chosen.resume, progress
        classifier, seconds = train(chosen.name, pictures, *options)
        raw = pack(classifier)
        progress("measuring what is shipped, on the test pictures", keep=True)
        shipped = small_resnet(chosen.name)
        shipped.load_state_dict(unpack(raw))
        shipped = shipped.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        card = {
            "file": f"classifier_{chosen.name}.safetensors",
            "sha256": hashlib.sha256(raw).hexdigest(),
            "name": chosen.name,
            **_trained(chosen, pictures, precision, device, seconds),
            "results": measure(shipped, test),
            "limits": LIMITS,
        }
        file = chosen.out / card["file"]
        file.write_bytes(raw)
        file.with_suffix(".json").write_text(cards.format_json(card), "utf-8")
        state.unlink(missing_ok=True)
        progress(f"{file}: {card['results']}", keep=True)
    except ValueError as error:
        sys.exit(_say(error, 2))
    except FloatingPointError as error:
        sys.exit(_say(error, 1))
    except KeyboardInterrupt:
        sys.exit(_say("Interrupted; the same command with --resume goes on from the last state that was kept.", 130))


def pack(classifier):
    """What a classifier has learnt as the bytes of a safetensors file, rounded to float16."""
    learnt = {name: value for name, value in classifier.state_dict().items() if value.is_floating_point()}
    return safetensors.torch.save({name: value.cpu().half().contiguous() for name, value in learnt.items()})


def unpack(raw):
    """What `pack` has packed, in float32, for `load_state_dict`."""
    return {name: value.float() for name, value in safetensors.torch.load(raw).items()}


def measure(classifier, test):
    """Accuracy on all test pictures, and under 10 steps of PGD on some of them, for the card."""
    some = test.subset(min(PGD_PICTURES, len(test)))
    found = {"clean": {"accuracy": round(accuracy(classifier, test), 4), "pictures": len(test)}}
    for norm, eps in YARDSTICKS.items():
        right = accuracy_under_pgd(classifier, some, norm, eps)
        found[f"pgd-{norm}"] = {"accuracy": round(right, 4), "pictures": len(some), "eps": eps, "steps": PGD_STEPS}
    return found


def _say(error, code):
    print(error, file=sys.stderr)
    return code


def _trained(chosen, pictures, precision, device, seconds):
    """How it was made, and the command that repeats it, with FOLDER for the user's own paths."""
    recipe = RECIPES[chosen.name]
    epochs = recipe.epochs if chosen.epochs is None else chosen.epochs
    words = [f"python -m rlpips.classifiers {chosen.name} --out FOLDER"] + ["--images FOLDER"] * bool(chosen.images)
    for option in ("epochs", "subset", "seed", "device"):
        if (value := getattr(chosen, option)) not in (None, 0, "cpu"):
            words.append(f"--{option} {value}")
    return {
        "trained": recipe.says,
        "data": chosen.data or "CIFAR-10",
        "pictures": len(pictures),
        "epochs": epochs,
        "steps": epochs * (len(pictures) // BATCH),
        "batch": BATCH,
        "seed": chosen.seed,
        "cpu_seconds": round(seconds),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, threads: {torch.get_num_threads()}",
        "precision": precision,
        "torch": torch.__version__,
        "command": " ".join(words),
    }


LIMITS = (
    "Scaled down to what two CPU cores train in minutes, a network of 308,650 parameters and a few epochs: published "
    "classifiers, with networks a hundred times as large and ten times as many epochs, are right far more often. The robust "
    "accuracies are of PGD, a weak attack, and on a few hundred pictures."
)


if __name__ == "__main__":
    main()
