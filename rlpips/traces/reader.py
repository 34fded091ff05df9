"""Reads a trace from a file that may come from a stranger. Nothing in the file is trusted: everything is built anew from values
of the type and size that `rlpips.traces.schema` describes."""

import base64
import io
import json
import math
import os
import zipfile
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from rlpips.data import zips
from rlpips.data.images import LARGEST_SIDE, SMALLEST_SIDE
from rlpips.traces.plain import list_of, numbers, require, text, whole
from rlpips.traces.receipt import read_receipt
from rlpips.traces.schema import CURVES, EARLIER, FORMAT, NOISE, Eye, SharedTrunk

# What a file may hold. Our own files stay below: 16 frames, 6 of them where a picture has 1024×1024 pixels; maps of 128 pixels.
_MOST_JSON = 10 * 2**20  # bytes; a duel of 10,000 steps takes 8 million
_MOST_FRAMES = 256
_MOST_DECODED = 256 * 2**20  # bytes of all frames together
_MOST_MAP = 256  # pixels a side
_MOST_CLASSES = 1000  # as many as ImageNet has
_MOST_CHANNELS = 10_000  # of a trunk; SqueezeNet has 2,496
_MOST_RULER = 2**20  # characters of its channels


def read(path: str | os.PathLike | BinaryIO) -> dict[str, Any]:
    """The fields of a saved `Trace` as a dict, its frames as dicts of their fields.

    Curves and pictures come back exactly, maps to 8 bits. Whatever else the file holds is ignored. A file that is damaged, or no
    trace, or asks for more memory than a trace needs, is a ValueError that begins "This is not a readable trace".
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpack = partial(zips.unpack, archive)
            return _trace(json.loads(unpack("trace.json", _MOST_JSON)), unpack)
    except (FileNotFoundError, PermissionError):
        raise
    except zips.Refused as error:
        raise ValueError(f"This is not a readable trace: {error}.") from error
    except Exception as error:  # whatever zip, JSON, numpy and Pillow raise for damage: their messages help nobody here
        raise ValueError("This is not a readable trace: the file is damaged, or no saved trace.") from error


def _trace(value, unpack):
    named = value.get("format") if isinstance(value, dict) else None
    if named == EARLIER:
        value = _as_today(value)
    require(named in (FORMAT, EARLIER), f"its format is not {FORMAT}")
    meta, curve = value["meta"], value["curve"]
    metrics, lanes, layers = (tuple(list_of(meta[key], text)) for key in ("metrics", "lanes", "layers"))
    require(metrics, "it has no metrics")
    receipt = read_receipt(meta["receipt"])
    attacks = tuple(attack["name"] for attack in receipt.get("attacks", ()))
    expected = {"pair": ("pair",), "fool": attacks}.get(receipt["objective"], (*metrics, NOISE))
    distinct = len(set(metrics)) == len(metrics) and len(set(lanes)) == len(lanes)
    require(distinct and lanes == expected, "its lanes do not fit its metrics and objective")
    require(set(receipt.get("weights", ())) <= set(metrics), "its weights are of other metrics")
    require(layers, "it has no layers")
    require(receipt["objective"] != "fool" or len(attacks) == 2, "it does not have two attacks")
    verdicts = _verdicts(meta["verdicts"]) if attacks else {}

    shapes: dict[str, tuple[int, ...]] = {
        "distance": (len(lanes), len(metrics)),
        "linf": (len(lanes),),
        "l2": (len(lanes),),
    }
    shapes["per_layer"] = (*shapes["distance"], len(layers))
    entries = len(curve["linf"])
    require(1 <= entries <= receipt["steps"] + 1, "its curves do not fit its number of steps")
    curves = {key: numbers(curve[key], (entries, *shapes[key])) for key in CURVES}
    classes = len(verdicts.get("classes", ()))
    if classes:
        curves["probabilities"] = _probabilities(curve["probabilities"], (entries, len(lanes), classes))

    sides = height, width = whole(meta["height"]), whole(meta["width"])
    allowed = all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides)
    require(allowed, f"its pictures must have {SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side")
    trunks = tuple(
        list_of(meta["trunks"], partial(_trunk, metrics=metrics, layers=layers, unpack=unpack), len(metrics))
    )
    require(
        len({each for trunk in trunks for each in trunk.metrics}) == sum(len(trunk.metrics) for trunk in trunks),
        "a metric has two trunks",
    )
    channels = [sum(trunk.channels) for trunk in trunks]
    sizes = _check_frames(
        value["frames"], len(lanes), (len(metrics), len(layers)), entries, height * width, sum(channels)
    )
    flow_size = _flow_size(value["frames"]) if receipt.get("norm") == "flow" else None
    reference = _picture(unpack, meta["reference"], (height, width, 3))
    start = reference if meta["start"] is None else _picture(unpack, meta["start"], (height, width, 3))
    frames: list[dict[str, Any]] = []
    base: dict[tuple[int, ...], np.ndarray] = {}
    for saved in value["frames"]:
        which = tuple(saved["lanes"])
        frames.append(_frame(saved, which, base.get(which, start), sizes, channels, classes, unpack))
        base[which] = frames[-1]["attacked"]
        if flow_size:
            frames[-1]["flow"] = _flow(saved, (len(which), 2, *flow_size), unpack)
    require(value["state"] in ("done", "stopped"), "its state is neither done nor stopped")
    return {
        "name": text(meta["name"]), "lanes": lanes, "metrics": metrics, "layers": layers, **curves, "frames": frames,
        "reference": reference, "start": start, "receipt": receipt, "ruler": _ruler(value["ruler"], channels),
        "state": value["state"], "trunks": trunks, **verdicts, "eye": _eye(value.get("eye"), len(lanes), unpack),
    }  # fmt: skip


def _as_today(value):
    """The JSON of a trace of the earlier format, which has one map for each metric and no channels."""
    metrics = len(list_of(value["meta"]["metrics"], text))
    frames = [
        {
            **frame,
            "map_size": [[frame["map_size"]]] * metrics,
            "map_peak": [[[peak] for peak in lane] for lane in frame["map_peak"]],
            "channels": [],
        }
        for frame in value["frames"]
    ]
    return {**value, "meta": {**value["meta"], "trunks": []}, "frames": frames}


def _trunk(value, metrics, layers, unpack):
    some, its_layers = (tuple(list_of(value[key], text)) for key in ("metrics", "layers"))
    channels = tuple(list_of(value["channels"], whole))
    require(some and set(some) <= set(metrics) and len(set(some)) == len(some), "a trunk has other metrics")
    require(
        its_layers and set(its_layers) <= set(layers) and len(channels) == len(its_layers), "a trunk has other layers"
    )
    require(min(channels) > 0 and sum(channels) <= _MOST_CHANNELS, f"a trunk has at most {_MOST_CHANNELS} channels")
    return SharedTrunk(some, its_layers, channels, _floats(unpack, value["heads"], (len(some), sum(channels))))


def _floats(unpack, name, shape):
    """A file of finite float32 numbers."""
    size = 4 * math.prod(shape)
    return _finite(unpack(name, size), shape)


def _finite(data, shape):
    require(len(data) == 4 * math.prod(shape), f"float32 numbers of shape {shape} were expected")
    array = np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)
    require(np.isfinite(array).all(), "finite numbers were expected")
    return array


def _verdicts(value):
    """The fields of a classifier's verdicts that do not change from step to step."""
    classes = tuple(list_of(value["classes"], text, _MOST_CLASSES))
    label = whole(value["label"])
    require(len(classes) > 1 and 0 <= label < len(classes), "its label is none of its classes")
    return {"classes": classes, "label": label, "clean": _probabilities(value["clean"], (len(classes),))}


def _probabilities(value, shape):
    """Probabilities that add up to one over the last dimension."""
    probabilities = numbers(value, shape)
    add_up = (probabilities >= 0).all() and np.allclose(probabilities.sum(-1), 1, atol=1e-3)
    require(add_up, "probabilities were expected that add up to one")
    return probabilities


def _check_frames(frames, lanes, maps, entries, pixels, channels):
    """Refuse impossible or too many frames before any is decoded; returns the sizes of their maps, [metric][layer]. `maps` is how
    many there are, (metrics, layers); an earlier trace has one for each metric."""
    counted = isinstance(frames, list) and 1 <= len(frames) <= _MOST_FRAMES
    require(counted, f"it must have 1 to {_MOST_FRAMES} frames")
    sizes = [[_map_size(each) for each in layers] for layers in frames[0]["map_size"]]
    kept = (len(sizes), *{len(layers) for layers in sizes})
    require(kept in (maps, (maps[0], 1)), "its maps do not fit its metrics and layers")
    require(all(any(layers) for layers in sizes), "its maps do not fit its metrics and layers")
    require(all(frame["map_size"] == frames[0]["map_size"] for frame in frames), "its maps differ in size")
    shown = [(whole(frame["step"]), whole(lane)) for frame in frames for lane in frame["lanes"]]
    require(all(frame["lanes"] for frame in frames) and len(set(shown)) == len(shown), "a frame shows nothing new")
    require(all(0 <= step < entries for step, _ in shown), "a frame is of a step that is not there")
    require(all(0 <= lane < lanes for _, lane in shown), "a frame names a lane that is not there")
    require({(0, lane) for lane in range(lanes)} <= set(shown), "it does not show every lane at step 0")
    bytes_of_one = 3 * pixels + 4 * channels + 4 * sum(h * w for layers in sizes for h, w in filter(None, layers))
    require(len(shown) * bytes_of_one <= _MOST_DECODED, "it unpacks to more than any trace")
    return sizes


def _map_size(value):
    if value is None:
        return None
    height, width = map(whole, value)
    require(min(height, width) >= 1 and max(height, width) <= _MOST_MAP, "its maps are too large")
    return height, width


def _flow_size(frames):
    """The size (h, w) of all flows; refuses impossible or too many of them before any is decoded."""
    sizes = {tuple(map(whole, frame["flow_size"])) for frame in frames}
    require(len(sizes) == 1, "its flows differ in size")
    ((height, width),) = sizes
    require(min(height, width) >= 1 and max(height, width) <= LARGEST_SIDE, "its flows are too large")
    count = sum(len(frame["lanes"]) for frame in frames)
    require(8 * count * height * width <= _MOST_DECODED, "it unpacks to more than any trace")
    return height, width


def _flow(saved, shape, unpack):
    peak = numbers(saved["flow_peak"], ())
    require(0 <= peak <= LARGEST_SIDE, "its flows lead out of the picture")
    grey = _picture(unpack, saved["flow"], (math.prod(shape[:-1]), shape[-1])).reshape(shape)
    return peak * (grey.astype(np.float32) - 128) / 127


def _frame(saved, lanes, base, sizes, channels, classes, unpack):
    count, metrics = len(lanes), len(sizes)
    coded = _picture(unpack, saved["perturbation"], (count * base.shape[-3], *base.shape[-2:]))
    peak = numbers(saved["map_peak"], (count, metrics, len(sizes[0])))
    require((peak >= 0).all(), "its maps fall below zero")
    psnr = [math.inf if each is None else each for each in saved["psnr"]]  # of equals
    vectors = saved["channels"]
    require(isinstance(vectors, list) and len(vectors) == len(channels), "its channels do not fit its trunks")
    return {
        "step": saved["step"], "lanes": lanes,
        "attacked": base + coded.reshape(count, *base.shape[-3:]) - np.uint8(128),
        "maps": _maps(partial(_picture, unpack, saved["maps"]), peak, sizes),
        "channels": tuple(_floats(unpack, name, (count, size)) for name, size in zip(vectors, channels)),
        "distance_8bit": numbers(saved["distance_8bit"], (count, metrics)),
        "psnr": numbers(psnr, (count,), endless=True),
        **{key: numbers(saved[key], (count,)) for key in ("linf_8bit", "l2_8bit", "ssim")},
        "probabilities_8bit": _probabilities(saved["probabilities_8bit"], (count, classes)) if classes else None,
    }  # fmt: skip


def _maps(picture, peak, sizes):
    """The maps of a frame, [metric][layer] (n, h, w), from their tiles."""
    there = [each for layers in sizes for each in layers if each]
    grey = picture((len(peak) * sum(height for height, _ in there), max(width for _, width in there)))
    maps = [[each and np.empty((len(peak), *each), np.float32) for each in layers] for layers in sizes]
    top = 0
    for lane, m, k in np.ndindex(peak.shape):
        if sizes[m][k]:
            height, width = sizes[m][k]
            tile = grey[top : top + height, :width].astype(np.float32)
            maps[m][k][lane] = peak[lane, m, k] * np.square(tile / 255)
            top += height
    return tuple(map(tuple, maps))


def _picture(unpack, name, shape):
    data = unpack(name, 2**16 + 2 * math.prod(shape))
    image = Image.open(io.BytesIO(data), formats=["PNG", "WEBP"])
    # Checked before decoding, so that a hostile file costs nothing.
    require(image.size == (shape[1], shape[0]), f"a picture of {shape[1]}×{shape[0]} was expected")
    return np.array(image.convert("RGB" if len(shape) == 3 else "L"))


def _ruler(value, channels):
    """The JSON of `rlpips.engine.ruler.Ruler.to_json`, built anew; `channels` are the numbers of channels of the trunks."""
    if value is None:
        return None
    metrics = list_of(value["metrics"], text)
    scales = []
    for scale in value["distortions"]:
        words = list_of(scale["words"], text)
        distance = numbers(scale["distance"], (len(words), len(metrics)), np.float64).tolist()
        names = {key: text(scale[key]) for key in ("name", "title")}
        scales.append({**names, "words": words, "distance": distance})
        if scale.get("channels") is not None:
            scales[-1]["channels"] = _channels_of_scale(scale["channels"], len(words), channels)
    require(metrics and len(scales) <= 100 and all(scale["words"] for scale in scales), "its ruler is not one of ours")
    return {"metrics": metrics, "distortions": scales}


def _eye(value, lanes, unpack):
    if value is None:
        return None
    size = _map_size(value["map_size"])
    require(size, "its model of the eye has no maps")
    height, width = size
    grey = _picture(unpack, value["maps"], (lanes * height, width)).reshape(lanes, height, width)
    distance, peak = (numbers(value[key], (lanes,)) for key in ("distance", "map_peak"))
    require(distance.min() >= 0 and peak.min() >= 0, "its model of the eye falls below zero")
    ruler = _ruler(value["ruler"], [])
    require(ruler, "its model of the eye has no ruler")
    return Eye(distance, peak[:, None, None] * np.square(grey.astype(np.float32) / 255), ruler)


def _channels_of_scale(value, words, channels):
    every, texts = whole(value["every"]), list_of(value["values"], partial(text, most=_MOST_RULER))
    require(every >= 1 and (words - 1) % every == 0 and len(texts) == len(channels), "its ruler is not one of ours")
    for each, count in zip(texts, channels):
        _finite(base64.b64decode(each, validate=True), ((words - 1) // every + 1, count))
    return {"every": every, "values": texts}
