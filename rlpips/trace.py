"""What an attack leaves behind: curves, layers, maps, pictures and a receipt. No torch in here: a page can open on one.

A trace is saved as a zip archive that anybody can read without this library:
    trace.json   everything but the pictures, as `Trace.to_json` builds it; a picture stands there as its file name
    *.png        reference, start (where it is not the reference) and the maps of each frame
    *.webp       the perturbation of each frame, lossless
The pictures of a frame hold its lanes one below the other. A perturbation is RGB: (attacked - base + 128) mod 256, so
that attacked = (base + byte - 128) mod 256 exactly; base is the attacked picture of the same lanes' frame before, as
little changes from one to the next, and for the first frame it is start. A map is grey, one tile per lane and metric,
with the value peak · (byte / 255)².
"""

import io
import json
import math
import zipfile
import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from rlpips import catalog
from rlpips.images import png_bytes

NOISE = "noise"  # the lane that is never pushed
FORMAT = "rlpips-trace-1"
_MEASURES = ("distance_8bit", "linf_8bit", "l2_8bit", "psnr", "ssim")
_CURVES = ("distance", "per_layer", "linf", "l2")
_MOST_BYTES = 200_000_000  # unpacked; a trace of a 1024×1024 picture is far below


@dataclass(frozen=True)
class Frame:
    """The n lanes of one step as they are shown: rounded to 8 bits, and measured as such, against M metrics."""

    step: int
    lanes: tuple[int, ...]  # which lanes, (n,)
    attacked: np.ndarray  # (n, H, W, 3) uint8
    maps: np.ndarray  # (n, M, h, w) float32, where each metric sees the difference to the reference
    distance_8bit: np.ndarray  # (n, M)
    linf_8bit: np.ndarray  # (n,), of attacked - start, in [0, 1] pixel units
    l2_8bit: np.ndarray  # (n,)
    psnr: np.ndarray  # (n,) dB, against start
    ssim: np.ndarray  # (n,), against start


@dataclass(frozen=True)
class Step:
    """One iterate of an attack: every lane under every metric, of the float picture."""

    index: int
    restart: int
    distance: np.ndarray  # (lanes, metrics)
    per_layer: np.ndarray  # (lanes, metrics, layers)
    linf: np.ndarray  # (lanes,), norm of the perturbation reached, in [0, 1] pixel units
    l2: np.ndarray  # (lanes,)
    frames: tuple[Frame, ...]  # at keyframes: the pushed lanes, and at step 0 the noise; else none


@dataclass(frozen=True)
class Trace:
    """A whole attack. The lane "noise", if any, is last. Norms and pixels are in [0, 1] units unless they are uint8."""

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
    ruler: dict | None = None  # `rlpips.distortions.Ruler.to_json`
    state: str = "done"  # or "stopped", when fewer steps were made than planned

    @property
    def adversarial(self):
        """(lanes, H, W, 3) uint8: every lane's last picture, what is shown and saved."""
        return np.stack([self._last(lane, "attacked") for lane in range(len(self.lanes))])

    @property
    def distance_8bit(self):
        """(lanes, metrics): the distances of `adversarial`."""
        return np.stack([self._last(lane, "distance_8bit") for lane in range(len(self.lanes))])

    def _last(self, lane, what):
        frame = max((frame for frame in self.frames if lane in frame.lanes), key=lambda frame: frame.step)
        return getattr(frame, what)[frame.lanes.index(lane)]

    def with_ruler(self, ruler):
        """This trace with a `rlpips.distortions.Ruler` laid beside it."""
        return replace(self, ruler=ruler.to_json())

    def to_json(self, put, chained=False):
        """Everything as plain JSON; `put(file_name, image_bytes)` stores a picture and returns what stands for it.

        `chained` codes every perturbation against the frame before, as files are written, not against `start`.
        """
        curves = {key: getattr(self, key) for key in _CURVES}
        pictures, base = [], {}
        for frame in self.frames:
            pictures.append(frame_json(frame, base.get(frame.lanes, self.start), put))
            if chained:
                base[frame.lanes] = frame.attacked
        return {
            "format": FORMAT, "state": self.state, "meta": self.meta_json(put),
            "curve": curve_json(0, curves), "frames": pictures, "ruler": self.ruler,
        }  # fmt: skip

    def meta_json(self, put):
        """What does not change from step to step."""
        return meta_json(
            self.name, self.lanes, self.metrics, self.layers, self.reference, self.start, self.receipt, put
        )

    def save(self, path):
        """Write the zip archive described above to a path or a binary file: about 1.5 MB for 256×256 and 40 steps."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

            def put(name, image):
                archive.writestr(name, image, zipfile.ZIP_STORED)  # it is compressed already
                return name

            archive.writestr("trace.json", json.dumps(self.to_json(put, chained=True), ensure_ascii=False, allow_nan=False))

    @staticmethod
    def load(path):
        """Read what `save` wrote. Curves and pictures come back exactly, maps to 8 bits.

        A file that is damaged, or is no trace, is a ValueError that says so.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                    raise ValueError("it unpacks to more than any trace")
                return _from_json(json.loads(archive.read("trace.json")), archive.read)
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError("This is not a readable trace: the file is damaged, or not a zip archive.") from error
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, OSError, ArithmeticError) as error:
            raise ValueError(f"This is not a readable trace: {error}.") from error


class Recorder:
    """Makes a `Trace` of the steps it is given, in order; of several restarts each lane keeps its best.

    A restart counts once it has as many steps as the first, so a stopped run falls back on what is complete.
    """

    def __init__(self, name, lanes, metrics, layers, reference, start, sign, receipt):
        self.name, self.lanes, self.metrics, self.layers = name, lanes, metrics, layers
        self.reference, self.start, self.sign, self.receipt = reference, start, sign, receipt
        self._restarts = []  # per restart the list of its steps

    @property
    def begun(self):
        """Whether there is a step yet."""
        return bool(self._restarts)

    def add(self, step):
        """Take the next `Step`."""
        if step.index == 0:
            self._restarts.append([])
        self._restarts[-1].append(step)

    def meta_json(self, put):
        """As `Trace.meta_json`, before there is a trace."""
        return meta_json(
            self.name, self.lanes, self.metrics, self.layers, self.reference, self.start, self.receipt, put
        )

    def trace(self, ruler=None):
        """The trace of what was added; ValueError before the first step."""
        if not self.begun:
            raise ValueError("There is no trace before the first step.")
        planned = self.receipt["steps"] + 1
        whole = [steps for steps in self._restarts if len(steps) == len(self._restarts[0])]
        chosen = [max(whole, key=lambda steps: self._reached(steps, lane)) for lane in range(len(self.lanes))]
        curves = {
            key: np.stack(
                [np.stack([getattr(step, key)[lane] for step in steps]) for lane, steps in enumerate(chosen)], axis=1
            )
            for key in _CURVES
        }
        complete = len(whole) == self.receipt["restarts"] and len(whole[0]) == planned
        return Trace(
            name=self.name, lanes=self.lanes, metrics=self.metrics, layers=self.layers, **curves,
            frames=tuple(self._frames(chosen)), reference=self.reference, start=self.start,
            receipt={**self.receipt, "restart_kept": [steps[0].restart for steps in chosen[: len(self.metrics)]]},
            ruler=ruler, state="done" if complete else "stopped",
        )  # fmt: skip

    def _reached(self, steps, lane):
        if lane >= len(self.metrics):
            return -steps[0].restart  # the noise is the same in every restart
        return self.sign * steps[-1].distance[lane, lane]

    def _frames(self, chosen):
        """The frames of the restarts chosen, put together anew where lanes come from different ones."""
        for place, step in enumerate(chosen[0]):
            for index, frame in enumerate(step.frames):
                sources = [chosen[lane][place].frames[index] for lane in frame.lanes]
                rows = {
                    key: np.stack([getattr(source, key)[row] for row, source in enumerate(sources)])
                    for key in ("attacked", "maps", *_MEASURES)
                }
                yield replace(frame, **rows)


def _webp(pixels):
    # Lossless; for such noise a quarter smaller than PNG, and at these settings five times faster (7 ms at 256×256).
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=20, method=1)
    return buffer.getvalue()


def _plain(array):
    """Nested lists of Python floats with float32's nine digits; what is not finite (the PSNR of equals) becomes None."""
    if np.ndim(array):
        return [_plain(each) for each in array]
    return float(f"{array:.9g}") if math.isfinite(array) else None


def meta_json(name, lanes, metrics, layers, reference, start, receipt, put):
    """What does not change from step to step, with the titles and colours that the metrics go by."""
    height, width = reference.shape[:2]
    cards = {metric: catalog.card(metric) for metric in metrics}
    return {
        "name": name, "width": width, "height": height, "steps": receipt["steps"],
        "lanes": list(lanes), "metrics": list(metrics), "layers": list(layers),
        "titles": {metric: card.title for metric, card in cards.items()},
        "colors": {metric: card.color for metric, card in cards.items()},
        **{key: receipt.get(key) for key in ("objective", "norm", "eps", "step_size", "restarts", "seed")},
        "backbone": catalog.trunk_card(receipt["backbone"]).title,
        "device": f"{receipt['device']} {receipt['precision']}",
        "reference": put("reference.png", png_bytes(reference)),
        "start": None if np.array_equal(start, reference) else put("start.png", png_bytes(start)),
        "receipt": receipt,
    }  # fmt: skip


def curve_json(first, curves):
    """The readings from step `first` on; `curves` maps distance, per_layer, linf and l2 to arrays or lists of arrays."""
    return {"first": first, **{key: _plain(curves[key]) for key in _CURVES}}


def frame_json(frame, base, put):
    """One frame: its pictures handed to `put`, its numbers in place. `base` is what the perturbation is coded against."""
    stem = f"{frame.step:05d}-{'-'.join(map(str, frame.lanes))}"
    difference = frame.attacked - base + np.uint8(128)  # uint8 arithmetic is mod 256
    peak = frame.maps.max((-1, -2))  # (n, M)
    share = frame.maps / np.maximum(peak, np.finfo(np.float32).tiny)[..., None, None]
    tiles = np.rint(255 * np.sqrt(share)).astype(np.uint8).reshape(-1, share.shape[-1])
    return {
        "step": frame.step, "lanes": list(frame.lanes),
        "perturbation": put(f"perturbation-{stem}.webp", _webp(difference.reshape(-1, *difference.shape[2:]))),
        "maps": put(f"maps-{stem}.png", png_bytes(tiles)), "map_size": list(share.shape[-2:]), "map_peak": _plain(peak),
        **{key: _plain(getattr(frame, key)) for key in _MEASURES},
    }  # fmt: skip


def _from_json(value, read):
    """The inverse of `Trace.to_json`; `read(file_name)` returns a picture's bytes."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    missing = {"steps", "backbone", "device", "precision"} - set(value["meta"]["receipt"])
    if missing:
        raise ValueError(f"its receipt lacks {', '.join(sorted(missing))}")
    meta, height, width = value["meta"], int(value["meta"]["height"]), int(value["meta"]["width"])
    lanes, metrics, layers = (tuple(map(str, meta[key])) for key in ("lanes", "metrics", "layers"))
    sizes = {"distance": (len(lanes), len(metrics)), "linf": (len(lanes),), "l2": (len(lanes),)}
    sizes["per_layer"] = (*sizes["distance"], len(layers))
    curves = {key: _numbers(value["curve"][key], (None, *sizes[key])) for key in _CURVES}
    if not len(curves["linf"]) or len({len(curve) for curve in curves.values()}) > 1:
        raise ValueError("its curves are not equally long")
    reference = _picture(read(meta["reference"]), (height, width, 3))
    start = _picture(read(meta["start"]), (height, width, 3)) if meta["start"] else reference
    frames, base = [], {}
    for each in value["frames"]:
        which = tuple(each["lanes"])
        if not which or not all(isinstance(lane, int) and 0 <= lane < len(lanes) for lane in which):
            raise ValueError("a frame names a lane that is not there")
        frames.append(_frame(each, which, base.get(which, start), start.shape, len(metrics), read))
        base[which] = frames[-1].attacked
    if {lane for frame in frames for lane in frame.lanes} != set(range(len(lanes))):
        raise ValueError("it does not show every lane")
    return Trace(
        name=str(meta["name"]), lanes=lanes, metrics=metrics, layers=layers, **curves, frames=tuple(frames),
        reference=reference, start=start, receipt=dict(meta["receipt"]), ruler=value["ruler"], state=str(value["state"]),
    )  # fmt: skip


def _frame(value, lanes, base, size, metrics, read):
    count, (height, width) = len(lanes), map(int, value["map_size"])
    coded = _picture(read(value["perturbation"]), (count * size[0], *size[1:])).reshape(count, *size)
    grey = _picture(read(value["maps"]), (count * metrics * height, width)).reshape(count, metrics, height, width)
    peak = _numbers(value["map_peak"], (count, metrics))
    measures = {key: _numbers(value[key], (count, metrics)[: 1 + (key == "distance_8bit")]) for key in _MEASURES}
    maps = peak[..., None, None] * np.square(grey.astype(np.float32) / 255)
    return Frame(int(value["step"]), lanes, base + coded - np.uint8(128), maps, **measures)


def _numbers(value, shape):
    array = np.array(value, dtype=object)
    array = np.where(array == None, np.inf, array).astype(np.float32)  # noqa: E711 (elementwise)
    if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape)):
        raise ValueError(f"an array of shape {shape} was expected; got {array.shape}")
    return array


def _picture(data, shape):
    image = Image.open(io.BytesIO(data), formats=["PNG", "WEBP"])
    if image.size != (shape[1], shape[0]):  # before decoding, so that a hostile file costs nothing
        raise ValueError(f"a picture of {shape[1]}×{shape[0]} was expected; got {image.size[0]}×{image.size[1]}")
    return np.array(image.convert("RGB" if len(shape) == 3 else "L"))
