"""Writes traces, as JSON and as zip archives; `rlpips.traces.schema` describes the format."""

import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from rlpips.data import zips
from rlpips.data.images import png_bytes
from rlpips.traces.schema import FORMAT, Eye, Frame, curve_keys, measure_keys, merged_maps
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

Put = Callable[
    [str, bytes], Any
]  # (file name, image bytes) -> what stands for the picture in the JSON, after it is stored


def to_json(
    trace: Any, put: Put, chained: bool = False, stored: Mapping[Frame, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A `Trace` as plain JSON; `put` stores its pictures.

    `chained` codes every perturbation against the frame before, as in a file, and not against `start`. `stored` is the JSON of
    frames whose pictures are stored already, coded against `start`.
    """
    frames: list[dict[str, Any]] = []
    base: dict[tuple[int, ...], np.ndarray] = {}
    for frame in trace.frames:
        known = stored.get(frame) if stored else None
        frames.append(known or frame_json(frame, base.get(frame.lanes, trace.start), put))
        if chained:
            base[frame.lanes] = frame.attacked
    return {
        "format": FORMAT, "state": trace.state, "meta": meta_json(trace, put),
        "curve": curve_json(0, {key: getattr(trace, key) for key in curve_keys(trace)}), "frames": frames, "ruler": trace.ruler,
        **({"eye": _eye_json(trace.eye, put)} if trace.eye else {}),
    }  # fmt: skip


def write(trace: Any, file: str | os.PathLike | BinaryIO) -> None:
    """Save a `Trace` to a path or a binary file: 1 to 2 MB for 256×256 pixels and 20 to 40 steps."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name, image):
            zips.pack(archive, name, image, zipfile.ZIP_STORED)  # a picture is compressed already
            return name

        value = to_json(trace, put, chained=True)
        zips.pack(archive, "trace.json", json.dumps(value, ensure_ascii=False, allow_nan=False))


def add_eye(file: str | os.PathLike, eye: Eye, into: str | os.PathLike) -> None:
    """Copy a saved trace, with all else as it is, and what a model of the eye says put in or replaced."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as new:
        value = json.loads(old.read("trace.json"))
        replaced = {"trace.json", value.get("eye", {}).get("maps")}

        def put(name, image):
            zips.pack(new, name, image, zipfile.ZIP_STORED)
            return name

        for entry in old.infolist():
            if entry.filename not in replaced:
                new.writestr(entry, old.read(entry))
        value["eye"] = _eye_json(eye, put)
        zips.pack(new, "trace.json", json.dumps(value, ensure_ascii=False, allow_nan=False))


def meta_json(trace: Any, put: Put) -> dict[str, Any]:
    """What does not change from step to step of a `Trace` or a `Recorder`, with the titles and colours of metrics and of attacks
    on a classifier."""
    height, width = trace.reference.shape[:2]
    cards: dict[str, Any] = {name: catalog.CATALOG[name] for name in trace.metrics if name in catalog.CATALOG}
    cards |= {lane: ATTACKS[lane] for lane in trace.lanes if lane in ATTACKS}
    receipt, pushed = trace.receipt, not np.array_equal(trace.start, trace.reference)
    return {
        "name": trace.name, "width": width, "height": height, "steps": receipt["steps"],
        "lanes": list(trace.lanes), "metrics": list(trace.metrics), "layers": list(trace.layers),
        "titles": {name: card.title for name, card in cards.items()},
        "colors": {name: card.color for name, card in cards.items()},
        **{key: receipt.get(key) for key in ("objective", "norm", "eps", "schedule", "step_size", "restarts", "seed")},
        "backbone": catalog.trunk_card(receipt["backbone"]).title,
        "device": f"{receipt['device']} {receipt['precision']}",
        "reference": put("reference.png", _source_png(trace.reference)),
        "start": put("start.png", _source_png(trace.start)) if pushed else None,
        "receipt": receipt,
        "trunks": [
            {
                "metrics": list(trunk.metrics), "layers": list(trunk.layers), "channels": list(trunk.channels),
                "heads": put(f"heads-{index}.f32", _float32(trunk.heads)),
            }
            for index, trunk in enumerate(trace.trunks)
        ],
        **({"verdicts": _verdicts_json(trace)} if trace.classes else {}),
    }  # fmt: skip


def _verdicts_json(trace):
    return {"classes": list(trace.classes), "label": trace.label, "clean": _plain(trace.clean)}


def curve_json(first: int, curves: Mapping[str, Any]) -> dict[str, Any]:
    """The curves from step `first` on; `curves` maps the names of `curve_keys` to arrays or lists of arrays."""
    return {"first": first, **{key: _plain(values) for key, values in curves.items()}}


def frame_json(frame: Frame, base: np.ndarray, put: Put) -> dict[str, Any]:
    """One frame: `put` stores its pictures, its numbers stand in place; the perturbation is coded against `base` (H, W, 3) or
    (n, H, W, 3)."""
    stem = f"{frame.step:05d}-{'-'.join(map(str, frame.lanes))}"
    difference = frame.attacked - base + np.uint8(128)  # uint8 arithmetic is mod 256
    peak, tiles = _coded_maps(frame.maps)
    size = [[None if each is None else list(each.shape[1:]) for each in layers] for layers in frame.maps]
    return {
        "step": frame.step, "lanes": list(frame.lanes),
        "perturbation": put(f"perturbation-{stem}.webp", _webp(difference.reshape(-1, *difference.shape[2:]))),
        "maps": put(f"maps-{stem}.png", png_bytes(tiles)), "map_size": size, "map_peak": _plain(peak),
        "peak": _plain(np.stack([merged_maps(frame, row).max((1, 2)) for row in range(len(frame.lanes))])),
        "channels": [put(f"channels-{stem}-{index}.f32", _float32(each)) for index, each in enumerate(frame.channels)],
        **({} if frame.flow is None else _flow_json(frame.flow, stem, put)),
        **{key: _plain(getattr(frame, key)) for key in measure_keys(frame)},
    }  # fmt: skip


def _flow_json(flow, stem, put):
    peak = max(np.abs(flow).max(), np.finfo(np.float32).tiny)
    # Towards zero, so that no arrow gets longer than it was.
    tiles = (128 + np.trunc(127 * flow / peak)).astype(np.uint8).reshape(-1, flow.shape[-1])
    return {
        "flow": put(f"flow-{stem}.png", png_bytes(tiles)),
        "flow_size": list(flow.shape[-2:]),
        "flow_peak": _plain(peak),
    }


def _eye_json(eye: Eye, put: Put) -> dict[str, Any]:
    peak, tiles = _coded_maps(((eye.maps,),))
    return {
        "distance": _plain(eye.distance), "ruler": eye.ruler,
        "maps": put("eye.png", png_bytes(tiles)), "map_size": list(eye.maps.shape[-2:]), "map_peak": _plain(peak[:, 0, 0]),
    }  # fmt: skip


def _coded_maps(maps):
    """(peak (n, metrics, layers), tiles in 8 bits) of the maps of a frame; the peak is 0 where there is no map."""
    there = [(m, k, each) for m, layers in enumerate(maps) for k, each in enumerate(layers) if each is not None]
    count, width = len(there[0][2]), max(each.shape[2] for _, _, each in there)
    peak = np.zeros((count, len(maps), len(maps[0])), np.float32)
    tiles = np.zeros((count, sum(each.shape[1] for _, _, each in there), width), np.uint8)
    top = 0
    for m, k, each in there:
        height, width = each.shape[1:]
        peak[:, m, k] = each.max((1, 2))
        most = np.maximum(peak[:, m, k, None, None], np.finfo(np.float32).tiny)
        tiles[:, top : top + height, :width] = np.rint(255 * np.sqrt(each / most))
        top += height
    return peak, tiles.reshape(-1, tiles.shape[-1])


def _float32(array):
    return np.ascontiguousarray(array, "<f4").tobytes()


def _source_png(pixels):
    return _cached_png(pixels.tobytes(), pixels.shape)


@lru_cache(maxsize=4)
def _cached_png(data, shape):  # a run needs it at its start and twice at its end
    return png_bytes(np.frombuffer(data, np.uint8).reshape(shape))


def _webp(pixels):
    # Lossless. Such noise is a quarter smaller than as PNG, and at these settings five times faster (7 ms at 256×256).
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=20, method=1)
    return buffer.getvalue()


def _plain(array):
    """Nested lists of floats with float32's nine digits; a number that is not finite (the PSNR of equals) becomes None."""
    if np.ndim(array):
        return [_plain(each) for each in array]
    return float(f"{array:.9g}") if math.isfinite(array) else None
