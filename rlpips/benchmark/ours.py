"""Our engine as a contestant: whole, as everybody uses it, and its steps alone."""

import torch

import rlpips
from rlpips import paths
from rlpips.attacks.pgd import pgd
from rlpips.data import images
from rlpips.engine.panel import Panel
from rlpips.norms import NORMS
from rlpips.zoo.catalog import PAIR

EPS = {"linf": 4 / 255, "l2": 1.0}


def pictures(count, size, device="cpu"):
    """`count` different pictures (count, 3, height, width) in [0, 1]: the sample pictures, and from the ninth on
    mirrored."""
    files = sorted(paths.SAMPLES.glob("*.png"))
    made = []
    for index in range(count):
        flipped, file = divmod(index, len(files))
        pixels = images.to_tensor(images.resize(images.read_picture(files[file]).pixels, size), device)
        made.append(pixels.flip([(), (3,), (2,), (2, 3)][flipped]))
    return torch.cat(made)


def first_point(reference, norm, eps):
    """A random start in the ball of each picture (N, 3, H, W), the same whoever is measured."""
    ball = NORMS[norm]
    generator = torch.Generator().manual_seed(0)
    return (reference + ball.project(ball.random(reference, eps, generator), eps)).clamp(0, 1)


def whole(reference, eps, steps, norm, precision, backbone="alex"):
    """The attack as everybody uses it, consumed to its end, with the pictures and maps of its
    keyframes; its last `Step`, or for N > 1 pictures a list of N."""
    for step in rlpips.attack_steps(
        reference, metrics=PAIR, backbone=backbone, norm=norm, eps=eps, steps=steps, precision=precision,
        device=reference.device,
    ):  # fmt: skip
        pass
    return step


class Steps:
    """The attack without its beginning, its keyframes and its noise: what a step costs, with the distances read off."""

    def __init__(self, reference, norm, precision, backbone="alex", eps=None):
        self.reference, self.eps, self.norm = reference, eps or EPS[norm], NORMS[norm]
        self.metrics = [rlpips.load_metric(name, backbone, reference.device) for name in PAIR]
        self.panel = Panel(self.metrics, reference, precision)
        self.start = reference.repeat_interleave(len(PAIR), 0).contiguous(memory_format=torch.channels_last)  # (N·M, …)
        self.first = first_point(reference, norm, self.eps).repeat_interleave(len(PAIR), 0)
        self.own = torch.arange(len(PAIR), device=reference.device).repeat(len(reference))
        self._endless = self.iterates(10**9, 2.5 * self.eps / 40)

    def iterates(self, steps, size=None):
        """`rlpips.attacks.pgd.pgd`: steps + 1 times an iterate (N·M, 3, H, W), its shares (N·M, M, L) and its two norms
        (N·M,)."""
        return pgd(self.start, self.first, self._objective, self.norm, self.eps, steps, size or 2.5 * self.eps / steps)

    def run(self, steps):
        """The next `steps` steps: each a reading, its gradient, and the way to the next point of the ball."""
        for _ in range(steps):
            next(self._endless)

    def _objective(self, x):
        reading = self.panel.read(x, self.start)
        return reading.per_layer.sum(-1).gather(1, self.own[:, None])[:, 0], *reading
