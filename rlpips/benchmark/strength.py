"""How much of what can be found attacks find, over their steps and schedules, and how much sooner than attacks of other packages."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlpips.attacks.pgd import scheduled
from rlpips.benchmark import ours
from rlpips.benchmark.packages import Package, lpips_package
from rlpips.benchmark.timing import Table
from rlpips.data import images
from rlpips.data.triplets import find_pictures, read_photographs
from rlpips.engine.panel import Panel
from rlpips.evaluate import tables
from rlpips.metrics.lpips import shared_metric
from rlpips.norms import NORMS, coarse_random
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

BUDGETS = [("linf", 1 / 255), ("linf", 4 / 255), ("l2", 1.0), ("l2", 3.0)]
STEPS = (10, 20, 40, 100)
STEPS_OF_PACKAGES = (20, 40, 200)
BEST = (500, 5)  # steps and restarts of APGD
QUICK_BEST = (100, 2)
# name: (schedule, whether it starts at coarse noise)
ATTACKS = {
    "fixed": ("fixed", False), "cosine": ("cosine", False), "apgd": ("apgd", False), "cosine, coarse start": ("cosine", True),
}  # fmt: skip
DEFAULT = "cosine, coarse start"  # of `rlpips.attack`
ENOUGH = 0.9  # of the best distance
_SCALE = 10.0  # of a distance as a logit: cross-entropy in float32 then tells distances apart that differ by 1e-7

Budget = tuple[str, float]  # (norm, eps)


class Course:
    """What an attack has found: after each of its evaluations the largest distance so far of each picture, `best` (T, N), and the
    `seconds` since its beginning; of the processor, on a CPU, as then other programs disturb little."""

    def __init__(self, device: torch.device):
        self._device, self._best, self.seconds = device, [], []
        self._begun = self._now()

    def note(self, distances: Tensor) -> None:
        distances = distances.detach().flatten()
        self._best.append(torch.maximum(distances, self._best[-1]) if self._best else distances)
        self.seconds.append(self._now() - self._begun)

    @property
    def best(self) -> Tensor:
        return torch.stack(self._best)

    def until(self, highest: Tensor) -> float | None:
        """The seconds until the mean share of the `highest` distances (N,) is enough; None if it never is."""
        enough = ((self.best / highest).mean(1) >= ENOUGH).tolist()
        return self.seconds[enough.index(True)] if any(enough) else None

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            return time.perf_counter()
        return time.process_time()


Attack = Callable[[str, Tensor, str, float, int, Course], None]  # (metric, pictures, norm, eps, steps, course)


def sample_pictures(count: int, side: int, device: torch.device, folder: str | Path | None = None) -> Tensor:
    """`count` pictures (count, 3, side, side): the samples of the benchmark, or of a folder, evenly over its names; ValueError if
    it has fewer."""
    if folder is None:
        return ours.sample_pictures(count, (side, side), device)
    paths = find_pictures(folder)
    if len(paths) < count:
        raise ValueError(f"{folder} should have at least {count} pictures; it has {len(paths)}.")
    chosen = [paths[index * len(paths) // count] for index in range(count)]
    resized = [images.resize(picture, (side, side)) for picture in read_photographs(chosen)]
    return torch.cat([images.to_tensor(picture, device) for picture in resized])


def strength_tables(
    pictures: Tensor,
    budgets: Sequence[Budget] = BUDGETS,
    steps: Sequence[int] = STEPS,
    steps_of_packages: Sequence[int] = STEPS_OF_PACKAGES,
    best: tuple[int, int] = BEST,
) -> Iterator[Table]:
    """Attacks on d(x, x + delta) of pictures (N, 3, H, W): the share of the best distance that any of them found, the mean over the
    pictures; and the time to 0.9 of it, of ours and of other packages, as a multiple of ours."""
    packages, missing = other_attacks(pictures.device)
    cells = [
        _cell(pictures, name, *budget, steps, packages, steps_of_packages, best)
        for name, budget in product(PAIR, budgets)
    ]
    columns = [f"{catalog.card(name).title}, {tables.budget(*budget)}" for name, budget in product(PAIR, budgets)]
    height, width = pictures.shape[2:]
    where = f"{len(pictures)} pictures of {height}×{width}"
    left_out = f" Not installed, and left out: {', '.join(missing)}." if missing else ""

    rows = [*product(ATTACKS, steps), *product(packages, steps_of_packages)]
    yield Table(
        f"Strength: {where}",
        f"The share of the best distance that any attack found, among them APGD with {best[0]} steps and {best[1]} restarts; "
        f"a dash where a shorter run of a package had found {ENOUGH} already." + left_out,
        ["steps", "number", *columns],
        [[*row, *(cell.share(row) for cell in cells)] for row in rows],
    )
    mine = [cell.enough(DEFAULT) for cell in cells]
    ours_text = [f"{run[0]} steps, {run[1]:.2g} s" if run else f"never within {max(steps)} steps" for run in mine]
    rows_of_packages = []
    for package in packages:
        texts = [f"never within {max(steps_of_packages)} steps"] * len(cells)
        for index, (cell, run) in enumerate(zip(cells, mine)):
            if theirs := cell.enough(package):
                texts[index] = f"{theirs[1] / run[1]:.1f} times" if run else f"{theirs[1]:.2g} s"
        rows_of_packages.append([package, *texts])
    yield Table(
        f"Time to {ENOUGH} of the best: {where}",
        "Of the shortest run that finds as much: here, by the cosine schedule from a coarse start, and of packages, as a multiple of ours."
        + left_out,
        ["", *columns],
        [["here", *ours_text], *rows_of_packages],
    )


@dataclass(frozen=True)
class _Cell:
    """The `Course`s of all attacks on one metric within one budget, shorter ones first, and the `highest` distances (N,) found."""

    courses: dict[tuple[str, int], Course]
    highest: Tensor

    def share(self, row: tuple[str, int]) -> str:
        course = self.courses.get(row)
        return f"{(course.best[-1] / self.highest).mean().item():.2f}" if course else "–"

    def enough(self, name: str) -> tuple[int, float] | None:
        """(steps, seconds) of the shortest run of an attack that finds enough."""
        for (attack, steps), course in self.courses.items():
            if attack == name and (seconds := course.until(self.highest)) is not None:
                return steps, seconds
        return None


def _cell(
    pictures: Tensor, name: str, norm: str, eps: float, steps: Sequence[int], packages: dict[str, Attack],
    steps_of_packages: Sequence[int], best: tuple[int, int],
) -> _Cell:  # fmt: skip
    courses = {
        (attack, count): our_attack(name, pictures, norm, eps, *ATTACKS[attack], count)
        for attack, count in product(ATTACKS, sorted(steps))
    }
    # Every second one coarse, as the restarts of `rlpips.attack`.
    thorough = [our_attack(name, pictures, norm, eps, "apgd", seed % 2 == 0, best[0], seed) for seed in range(best[1])]
    highest = torch.stack([course.best[-1] for course in [*courses.values(), *thorough]]).amax(0)
    for package, attack in packages.items():
        for count in sorted(steps_of_packages):
            courses[package, count] = course = Course(pictures.device)
            attack(name, pictures, norm, eps, count, course)
            if course.until(highest) is not None:
                break
    return _Cell(courses, torch.stack([highest, *(course.best[-1] for course in courses.values())]).amax(0))


def our_attack(
    name: str, pictures: Tensor, norm: str, eps: float, schedule: str, is_coarse: bool, steps: int, seed: int = 0
) -> Course:
    """The `Course` of one attack of ours on a metric of the catalogue, from noise of single values, or from coarse noise
    (`rlpips.norms.coarse_random`) if `is_coarse`."""
    course, ball = Course(pictures.device), NORMS[norm]
    panel = Panel([shared_metric(name, device=pictures.device)], pictures)

    def objective(x: Tensor) -> tuple[Tensor]:
        distances = panel.per_layer(x).sum((1, 2))
        course.note(distances)
        return (distances,)

    random = partial(coarse_random, ball) if is_coarse else ball.random
    initial = pictures + random(pictures, eps, torch.Generator().manual_seed(seed))
    for _ in scheduled(schedule, pictures, initial, objective, ball, eps, steps):
        pass
    return course


def other_attacks(device: torch.device) -> tuple[dict[str, Attack], list[str]]:
    """(the attacks of the packages that are installed, by name; the names of packages that are not)."""
    try:
        package = lpips_package(PAIR, device=device)
    except ImportError:
        return {}, ["lpips"]
    attacks: dict[str, Attack] = {"a loop over lpips": partial(_loop, package)}
    try:
        import torchattacks  # noqa: F401
    except ImportError:
        return attacks, ["torchattacks"]
    attacks |= {f"torchattacks' {name}": partial(_torchattacks, package, name) for name in ("PGD", "APGD")}
    return attacks, []


def _loop(package: Package, name: str, pictures: Tensor, norm: str, eps: float, steps: int, course: Course) -> None:
    model = package.models[PAIR.index(name)]
    start = ours.random_start(pictures, norm, eps)
    for _, distances, _ in package.iterates(model, pictures, start, norm, eps, steps):
        course.note(distances)


def _torchattacks(
    package: Package, kind: str, name: str, pictures: Tensor, norm: str, eps: float, steps: int, course: Course
) -> None:
    import torchattacks

    classifier = AsClassifier(package.models[PAIR.index(name)], package.measure, pictures, course)
    if kind == "APGD":
        attack = torchattacks.APGD(classifier, norm={"linf": "Linf", "l2": "L2"}[norm], eps=eps, steps=steps)
    else:
        pgd = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}[norm]
        attack = pgd(classifier, eps=eps, alpha=2.5 * eps / steps, steps=steps)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attack(pictures, torch.zeros(len(pictures), dtype=torch.long, device=pictures.device))


class AsClassifier(nn.Module):
    """A metric of a package as a classifier (N, 3, H, W) -> logits (N, 2), zero and a multiple of the distance to `reference`. The
    gradient of the cross-entropy of class 0 is parallel to the distance's, so attacks on that class raise the distance."""

    def __init__(self, model: nn.Module, measure: Callable, reference: Tensor, course: Course):
        super().__init__()
        self.model, self._measure, self._reference, self._course = model, measure, reference, course

    def forward(self, x: Tensor) -> Tensor:
        distances = self._measure(self.model, self._reference, x)[0].flatten()
        self._course.note(distances)
        return F.pad(_SCALE * distances[:, None], (1, 0))
