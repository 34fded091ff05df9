"""All that the steps of an attack read, kept for the next attack on pictures of the same size: on a GPU the recording of a step
(`rlpips.replay`) reads the same memory whichever picture it is about, and features of a reference need not be found twice.
"""

from contextlib import contextmanager

import torch

from rlpips import replay
from rlpips.ascent import Ascent
from rlpips.norms import NORMS
from rlpips.readings import Panel

IDLE = {}  # what it is for -> a `Rig` that nobody uses, the latest last; every access is one operation, and needs no lock
KEPT = {"cuda": 4}  # so many of a device, and one of others, where there is nothing but the features to save
# No larger ones are kept: so many numbers in all pictures together, and in the weights of a trunk, which VGG has three times of.
# With AlexNet a rig then holds 25 MB in bfloat16 and 40 MB in float32.
LARGEST, LARGEST_TRUNK = 3 * 256 * 256, 5_000_000


class Rig:
    """Metrics reading K lanes for each of N references, and what pushes those lanes: see `lent`."""

    def __init__(self, metrics, reference, precision):
        # Its own, as the caller may write over theirs.
        self._reference = reference.clone()
        self.panel = Panel(metrics, self._reference, precision)
        self._ascents = {}

    def refer(self, reference):
        """Read other references of the same size from now on."""
        if not torch.equal(reference, self._reference):
            self._reference.copy_(reference)
            self.panel.renew()

    def ascent(self, start, norm, sign, eps, step_size, steps):
        """The `Ascent` of lanes from `start` (N·K, 3, H, W) in balls of a norm: raises (`sign` 1) or lowers (-1) the distance of
        lane k by metric k. It hands on a `Reading`'s tensors."""
        key = norm, sign, steps >= replay.WORTH_RECORDING
        if key in self._ascents:
            self._ascents[key].aim(start, eps, step_size)
        else:
            panel, count = self.panel, len(self._reference)
            start = start.contiguous(memory_format=torch.channels_last)
            own = torch.arange(len(start) // count, device=start.device).repeat(count)

            def objective(x):
                reading = panel.read(x, start)
                return sign * reading.shares.sum(-1).gather(1, own[:, None])[:, 0], *reading

            self._ascents[key] = Ascent(start, objective, NORMS[norm], eps, step_size, steps)
        return self._ascents[key]


@contextmanager
def lent(metrics, reference, precision):
    """A `Rig` for these metrics and references (N, 3, H, W), for the caller alone while the context lasts: one that an earlier
    attack left, or a new one."""
    read_by = tuple((metric.name, metric.trunk, metric.trunk.version) for metric in metrics)
    key = read_by, reference.shape, reference.device, precision, torch.backends.cudnn.allow_tf32
    rig = IDLE.pop(key, None)
    if rig:
        rig.refer(reference)
    else:
        rig = Rig(metrics, reference, precision)
    try:
        yield rig
    except GeneratorExit:  # stopped; after any other error it is not to be trusted
        _keep(key, rig)
        raise
    _keep(key, rig)


def _keep(key, rig):
    read_by, shape, device, *_ = key
    weights = max(sum(each.numel() for each in trunk.parameters()) for _, trunk, _ in read_by)
    if shape.numel() > LARGEST or weights > LARGEST_TRUNK:
        return
    IDLE[key] = rig
    like = [other for other in list(IDLE) if other[2].type == device.type]
    for other in like[: -KEPT.get(device.type, 1)]:
        IDLE.pop(other, None)
