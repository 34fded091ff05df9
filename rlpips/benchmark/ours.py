"""Our engine as a contestant: the whole attack, as users call it, and its steps alone."""

import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

import rlpips
from rlpips import paths
from rlpips.attacks.pgd import pgd
from rlpips.attacks.schedule import step_sizes
from rlpips.data import images
from rlpips.engine.panel import Panel
from rlpips.metrics.lpips import shared_metric
from rlpips.norms import NORMS
from rlpips.zoo.catalog import PAIR

EPS = {"linf": 4 / 255, "l2": 1.0}
Size = tuple[int, int]  # (height, width)


def sample_pictures(count: int, size: Size, device: str | torch.device = "cpu") -> Tensor:
    """`count` different pictures (count, 3, height, width) in [0, 1]: the sample pictures, then the same ones mirrored."""
    files = sorted(paths.SAMPLES.glob("*.png"))
    pictures = []
    for index in range(count):
        mirrored, file = divmod(index, len(files))
        picture = images.to_tensor(images.resize(images.read_picture(files[file]).pixels, size), device)
        pictures.append(picture.flip(((), (3,), (2,), (2, 3))[mirrored]))
    return torch.cat(pictures)


def random_start(reference: Tensor, norm: str, eps: float) -> Tensor:
    """A random point in the ball of each picture (N, 3, H, W), the same for all contestants."""
    ball = NORMS[norm]
    generator = torch.Generator().manual_seed(0)
    return (reference + ball.project(ball.random(reference, eps, generator), eps)).clamp(0, 1)


def whole_attack(reference: Tensor, norm: str, precision: str, backbone: str, steps: int) -> None:
    """The attack as users call it, to its end, with the pictures and maps of its keyframes."""
    for _ in rlpips.attack_steps(
        reference,
        metrics=PAIR,
        backbone=backbone,
        norm=norm,
        eps=EPS[norm],
        steps=steps,
        precision=precision,
        device=reference.device,
    ):
        pass


class AttackSteps:
    """The steps of an attack without its preparation, its keyframes and its noise lane: each step measures the distances, and
    moves every lane along its gradient.

    There is one lane for each of the M metrics of `PAIR` and each of the N pictures (N, 3, H, W).
    """

    def __init__(self, reference: Tensor, norm: str, precision: str, backbone: str = "alex", eps: float | None = None):
        self.metrics = [shared_metric(name, backbone, reference.device) for name in PAIR]
        self._norm, self._eps = NORMS[norm], eps or EPS[norm]
        self._panel = Panel(self.metrics, reference, precision)
        # (N·M, 3, H, W): the lanes of one picture stand together.
        self._start = reference.repeat_interleave(len(PAIR), 0).contiguous(memory_format=torch.channels_last)
        self._initial = random_start(reference, norm, self._eps).repeat_interleave(len(PAIR), 0)
        self._attacked = torch.arange(len(PAIR), device=reference.device).repeat(len(reference))  # each lane's metric
        self._endless = self._iterates(itertools.repeat(2.5 * self._eps / 40))

    def run(self, steps: int) -> None:
        """The next `steps` steps of an attack that never ends."""
        for _ in range(steps):
            next(self._endless)

    def iterates(self, steps: int) -> Iterator[tuple[Tensor, ...]]:
        """An attack from the beginning: steps + 1 times an iterate (N·M, 3, H, W), its distances per layer (N·M, M, L), and its
        two norms (N·M,)."""
        return self._iterates(step_sizes("fixed", self._eps, steps))

    def _iterates(self, sizes: Iterable[float]) -> Iterator[tuple[Tensor, ...]]:
        return pgd(self._start, self._initial, self._objective, self._norm, self._eps, sizes)

    def _objective(self, x: Tensor) -> tuple[Tensor, ...]:
        reading = self._panel.read(x, self._start)
        distance = reading.per_layer.sum(-1)  # (N·M, M)
        return distance.gather(1, self._attacked[:, None])[:, 0], *reading
