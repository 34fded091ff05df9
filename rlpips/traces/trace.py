"""The trace of an attack: curves, layers, maps, pictures and a receipt."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rlpips import saving
from rlpips.traces import export, papers, program, reader, writer
from rlpips.traces.schema import Eye, Frame, SharedTrunk, merged_maps


@dataclass(frozen=True, eq=False)
class Trace:
    """A whole attack. The lane "noise", if any, is last. Norms and pixels are in [0, 1] units unless they are uint8.

    In a trace of attacks on a classifier each lane is one attack, and there is no noise. Only such traces have `classes`,
    `label`, `clean` and `probabilities`.
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
    trunks: tuple[SharedTrunk, ...] = ()  # of its metrics of LPIPS's kind

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
        """(lanes, metrics, h, w): where each metric sees a difference between `adversarial` and the reference, all its layers' maps
        enlarged to the finest one's size and summed."""
        return np.stack([merged_maps(*self.at(lane)) for lane in range(len(self.lanes))])

    @property
    def keyframes(self) -> tuple[int, ...]:
        """The steps that have pictures, maps and channels."""
        return tuple(sorted({frame.step for frame in self.frames}))

    @property
    def per_channel(self) -> np.ndarray:
        """(keyframes, lanes, C): the mean squared difference of every channel, weights not applied, of `trunks[0]`; see
        `channels_of` for the others."""
        if not self.trunks:
            raise ValueError("No metric of this trace compares the channels of a network.")
        return self.channels_of(self.trunks[0].metrics[0])

    def channels_of(self, metric: str) -> np.ndarray:
        """(keyframes, lanes, C): the same of the trunk of a metric. Times its weights, `SharedTrunk.heads`, and summed they are its
        distances in 8 bits. ValueError for a metric without a trunk."""
        for index, trunk in enumerate(self.trunks):
            if metric in trunk.metrics:
                rows = [[self.at(lane, step) for lane in range(len(self.lanes))] for step in self.keyframes]
                return np.stack([[frame.channels[index][row] for frame, row in lanes] for lanes in rows])
        raise ValueError(f"{metric!r} is no metric of this trace that compares the channels of a network.")

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
        frame, row = self.at(lane)
        return getattr(frame, field_name)[row]

    def at(self, lane: int, step: int | None = None) -> tuple[Frame, int]:
        """(frame, row in it): the last frame of a lane, up to a step. The noise never moves, and has one at step 0 alone."""
        frames = (frame for frame in self.frames if lane in frame.lanes and (step is None or frame.step <= step))
        frame = max(frames, key=lambda frame: frame.step)
        return frame, frame.lanes.index(lane)

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
        """Write a zip archive to a path, where it appears whole or not at all, or to a binary file. A folder gets a file called after
        `stem`, chelsea_linf4_cosine20_seed0.trace.zip."""
        if not isinstance(path, str | os.PathLike):
            writer.write(self, path)
            return
        with saving.beside(self.named(path, ".trace.zip")) as part:
            writer.write(self, part)

    @property
    def stem(self) -> str:
        """What its files are called, after picture, attack and seed: "chelsea_linf4_cosine20_seed0"."""
        return export.stem(self)

    def to_csv(self, path: str | os.PathLike | None = None) -> str | Path:
        """Write one line for each step, lane and metric, in UTF-8, or return the text: the distance of the float picture, what the metric
        finds that as far as, the distance of the 8-bit picture where the step has one, l_inf and l2 in [0, 1] units, and the layers'
        shares. A path that is a folder gets a file called after `stem`."""
        return self._put(export.csv_text(self), path, ".csv")

    def to_python(self, path: str | os.PathLike | None = None) -> str | Path:
        """Write a program that makes this trace again, or return it. It says where the file name of a picture of one's own goes."""
        return self._put(program.python(self), path, ".py")

    def to_bibtex(self, path: str | os.PathLike | None = None) -> str | Path:
        """Write the BibTeX entries of the papers that this trace stands on, and of no others, or return them."""
        return self._put(papers.bibtex(self), path, ".bib")

    def _repr_html_(self) -> str:
        return export.as_html(self)

    def _put(self, text: str, path: str | os.PathLike | None, ending: str) -> str | Path:
        if path is None:
            return text
        path = self.named(path, ending)
        saving.write(path, text)
        return path

    def named(self, path: str | os.PathLike, ending: str) -> Path:
        """`path`, or in a folder a file called after `stem`: chelsea_linf4_cosine20_seed0.csv."""
        path = Path(path)
        return path / (self.stem + ending) if path.is_dir() else path

    @staticmethod
    def load(path: str | os.PathLike | BinaryIO) -> "Trace":
        """Read what `save` wrote. Curves and pictures come back exactly, maps to 8 bits.

        A file that is damaged, or no trace, is a ValueError that begins "This is not a readable trace".
        """
        fields = reader.read(path)
        frames = tuple(Frame(**frame) for frame in fields.pop("frames"))
        return Trace(**fields, frames=frames)
