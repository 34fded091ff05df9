"""What an attack leaves behind: curves, layers, maps, pictures and a receipt. No torch in here: a page can open on one.

How a trace is written to a file, and read from one that may come from a stranger, is in `rlpips.traces.writer` and `reader`.
"""

import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rlpips.traces import reader, writer
from rlpips.traces.schema import Frame


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole attack. The lane "noise", if any, is last. Norms and pixels are in [0, 1] units unless they are uint8.

    Of attacks on a classifier, each lane is one of them and there is no noise; the four last fields are theirs alone.
    """

    name: str
    lanes: tuple[str, ...]
    metrics: tuple[str, ...]
    layers: tuple[str, ...]
    distance: np.ndarray  # (steps + 1, lanes, metrics), of the float pictures
    per_layer: np.ndarray  # (steps + 1, lanes, metrics, layers)
    linf: np.ndarray  # (steps + 1, lanes)
    l2: np.ndarray  # (steps + 1, lanes)
    frames: tuple[Frame, ...]  # the noise lane has one frame alone, at step 0
    reference: np.ndarray  # (H, W, 3) uint8
    start: np.ndarray  # (H, W, 3) uint8, the picture that was pushed: the candidate, or the reference
    receipt: dict = field(default_factory=dict)  # settings, versions, digests
    ruler: dict | None = None  # `rlpips.engine.ruler.Ruler.to_json`
    state: str = "done"  # or "stopped", when fewer steps were made than planned
    classes: tuple[str, ...] | None = None  # the K names that the classifier can give
    label: int | None = None  # which of them the attacks lead away from
    clean: np.ndarray | None = None  # (K,), softmax of the classifier before any attack
    probabilities: np.ndarray | None = None  # (steps + 1, lanes, K), softmax of the float pictures

    @property
    def adversarial(self):
        """(lanes, H, W, 3) uint8: every lane's last picture, what is shown and saved."""
        return np.stack([self._last(lane, "attacked") for lane in range(len(self.lanes))])

    @property
    def distance_8bit(self):
        """(lanes, metrics): the distances of `adversarial`."""
        return np.stack([self._last(lane, "distance_8bit") for lane in range(len(self.lanes))])

    @property
    def maps(self):
        """(lanes, metrics, h, w): where each metric sees the difference between `adversarial` and the reference."""
        return np.stack([self._last(lane, "maps") for lane in range(len(self.lanes))])

    @property
    def probabilities_8bit(self):
        """(lanes, K): what the classifier makes of `adversarial`."""
        return np.stack([self._last(lane, "probabilities_8bit") for lane in range(len(self.lanes))])

    @property
    def fooled(self):
        """(lanes,) bool: whether the classifier takes `adversarial` for another class than the label."""
        return self.probabilities_8bit.argmax(-1) != self.label

    def _last(self, lane, what):
        frame = max((frame for frame in self.frames if lane in frame.lanes), key=lambda frame: frame.step)
        return getattr(frame, what)[frame.lanes.index(lane)]

    def with_ruler(self, ruler):
        """This trace with a `rlpips.engine.ruler.Ruler` laid beside it."""
        return replace(self, ruler=ruler.to_json())

    def to_json(self, put):
        """Everything as plain JSON; `put(file_name, image_bytes)` stores a picture and returns what stands for it."""
        return writer.to_json(self, put)

    def save(self, path):
        """Write a zip archive to a path, where it appears whole or not at all, or to a binary file."""
        if hasattr(path, "write"):
            writer.write(self, path)
            return
        unfinished = Path(path).with_name(f".{secrets.token_hex(8)}.part")  # on the same disk a move is one act
        try:
            writer.write(self, unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    @staticmethod
    def load(path):
        """Read what `save` wrote. Curves and pictures come back exactly, maps to 8 bits.

        A file that is damaged, or is no trace, is a ValueError that begins "This is not a readable trace".
        """
        fields = reader.read(path)
        frames = tuple(Frame(**frame) for frame in fields.pop("frames"))
        return Trace(**fields, frames=frames)
