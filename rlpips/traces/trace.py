"""The trace of an attack: curves, layers, maps, pictures and a receipt."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from rlpips import saving
from rlpips.traces import reader, writer
from rlpips.traces.schema import Eye, Frame


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole attack. The lane "noise", if any, is last. Norms and pixels are in [0, 1] units unless they are uint8.

    In a trace of attacks on a classifier each lane is one attack, and there is no noise. Only such traces have the four fields from
    `classes` on.
    """

    name: str
    lanes: tuple[str, ...]
    metrics: tuple[str, ...]
    layers: tuple[str, ...]
    distance: np.ndarray  # (steps + 1, lanes, metrics), of the float pictures
    per_layer: np.ndarray  # (steps + 1, lanes, metrics, layers)
    linf: np.ndarray  # (steps + 1, lanes)
    l2: np.ndarray  # (steps + 1, lanes)
    frames: tuple[Frame, ...]  # the noise lane has a single frame, at step 0
    reference: np.ndarray  # (H, W, 3) uint8
    start: np.ndarray  # (H, W, 3) uint8, the picture that was pushed: the candidate, or the reference
    receipt: dict[str, Any] = field(default_factory=dict)  # settings, versions, digests
    ruler: dict[str, Any] | None = None  # `rlpips.engine.ruler.Ruler.to_json`
    state: str = "done"  # or "stopped", if there are fewer steps than planned
    classes: tuple[str, ...] | None = None  # the K names of the classifier's classes
    label: int | None = None  # the class that the attacks lead away from
    clean: np.ndarray | None = None  # (K,), softmax of the classifier before any attack
    probabilities: np.ndarray | None = None  # (steps + 1, lanes, K), softmax of the float pictures
    eye: Eye | None = None  # what a model of the eye says about `adversarial`, if it was asked

    @property
    def adversarial(self) -> np.ndarray:
        """(lanes, H, W, 3) uint8: every lane's last picture, as it is shown and saved."""
        return np.stack([self._last(lane, "attacked") for lane in range(len(self.lanes))])

    @property
    def distance_8bit(self) -> np.ndarray:
        """(lanes, metrics): the distances of `adversarial`."""
        return np.stack([self._last(lane, "distance_8bit") for lane in range(len(self.lanes))])

    @property
    def maps(self) -> np.ndarray:
        """(lanes, metrics, h, w): where each metric sees a difference between `adversarial` and the reference."""
        return np.stack([self._last(lane, "maps") for lane in range(len(self.lanes))])

    @property
    def flow(self) -> np.ndarray:
        """(lanes, 2, h, w): how far right and down, in pixels, `adversarial` is moved at each node of its grid
        (`rlpips.attacks.flow`). Only traces of the norm "flow" have it."""
        return np.stack([self._last(lane, "flow") for lane in range(len(self.lanes))])

    @property
    def probabilities_8bit(self) -> np.ndarray:
        """(lanes, K): the classifier's softmax for `adversarial`."""
        return np.stack([self._last(lane, "probabilities_8bit") for lane in range(len(self.lanes))])

    @property
    def fooled(self) -> np.ndarray:
        """(lanes,) bool: whether the classifier gives `adversarial` another class than the label."""
        return self.probabilities_8bit.argmax(-1) != self.label

    def _last(self, lane: int, field_name: str) -> np.ndarray:
        frame = max((frame for frame in self.frames if lane in frame.lanes), key=lambda frame: frame.step)
        return getattr(frame, field_name)[frame.lanes.index(lane)]

    def with_ruler(self, ruler: Any) -> "Trace":
        """This trace with a `rlpips.engine.ruler.Ruler` for its reference."""
        return replace(self, ruler=ruler.to_json())

    def to_json(
        self, put: Callable[[str, bytes], Any], stored: Mapping[Frame, dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Everything as plain JSON; `put(file_name, image_bytes)` stores a picture and returns what stands for it. `stored` is the
        JSON of frames that need not be stored again."""
        return writer.to_json(self, put, stored=stored)

    def save(self, path: str | os.PathLike | BinaryIO) -> None:
        """Write a zip archive to a path, where it appears whole or not at all, or to a binary file."""
        if not isinstance(path, str | os.PathLike):
            writer.write(self, path)
            return
        with saving.beside(path) as part:
            writer.write(self, part)

    @staticmethod
    def load(path: str | os.PathLike | BinaryIO) -> "Trace":
        """Read what `save` wrote. Curves and pictures come back exactly, maps to 8 bits.

        A file that is damaged, or no trace, is a ValueError that begins "This is not a readable trace".
        """
        fields = reader.read(path)
        frames = tuple(Frame(**frame) for frame in fields.pop("frames"))
        return Trace(**fields, frames=frames)
