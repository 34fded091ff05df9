"""All that the steps of an attack read, kept for the next attack on pictures of the same size: on a GPU the recording of a step
(`rlpips.replay`) reads the same memory whichever picture it is about, and features of a reference need not be found twice.
"""

import threading
from collections import OrderedDict
from contextlib import contextmanager

import torch

from rlpips import replay
from rlpips.ascent import Ascent
from rlpips.norms import NORMS
from rlpips.readings import Panel

KEPT = {"cuda": 4}  # rigs that nobody uses; of other devices one, as little but the features is saved there
LARGEST = (
    3 * 256 * 256
)  # numbers of all their pictures together: of AlexNet that is 7 MB of features, and 20 MB of weights

_IDLE, _LOCK = OrderedDict(), threading.Lock()  # (what it is for) -> Rig


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
            own = torch.arange(len(start) // len(self._reference), device=start.device).repeat(len(self._reference))

            def objective(x):
                reading = self.panel.read(x, made.start)
                return sign * reading.shares.sum(-1).gather(1, own[:, None])[:, 0], *reading

            made = self._ascents[key] = Ascent(start, objective, NORMS[norm], eps, step_size, steps)
        return self._ascents[key]


@contextmanager
def lent(metrics, reference, precision):
    """A `Rig` for these metrics and references (N, 3, H, W), for the caller alone while the context lasts: one that an earlier
    attack left, or a new one. The last few are kept, if their pictures are small."""
    key = tuple((metric.name, metric.trunk) for metric in metrics), reference.shape, reference.device, precision
    with _LOCK:
        rig = _IDLE.pop(key, None)
    if rig:
        rig.refer(reference)
    else:
        rig = Rig(metrics, reference, precision)
    try:
        yield rig
    except GeneratorExit:  # stopped; after any other error it is not to be trusted
        _keep(key, rig, reference)
        raise
    _keep(key, rig, reference)


def _keep(key, rig, reference):
    if reference.numel() > LARGEST:
        return
    with _LOCK:
        _IDLE[key] = rig
        like = [other for other in _IDLE if other[2].type == reference.device.type]
        for other in like[: -KEPT.get(reference.device.type, 1)]:
            del _IDLE[other]
