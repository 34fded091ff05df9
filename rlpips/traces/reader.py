"""Reads a trace from a file that may come from a stranger. Nothing in the file is trusted: everything is built anew from values
of the type and size that `rlpips.traces.schema` describes."""

import io
import json
import math
import os
import re
import zipfile
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from rlpips.data import zips
from rlpips.data.images import LARGEST_SIDE, SMALLEST_SIDE
from rlpips.traces.schema import CURVES, FORMAT, NOISE
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

# What a file may hold. Our own files stay below: 16 frames, 6 of them where a picture has 1024×1024 pixels; maps of 96 pixels.
_MOST_JSON = 10 * 2**20  # bytes; a duel of 10,000 steps takes 8 million
_MOST_FRAMES = 256
_MOST_DECODED = 256 * 2**20  # bytes of all frames together
_MOST_BOUND = 10_000  # of an attack on a classifier: more than the l2 norm of any picture
_MOST_MAP = 256  # pixels a side
_MOST_CLASSES = 1000  # as many as ImageNet has


def _require(right, otherwise):
    if not right:
        raise zips.Refused(otherwise)


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
    _require(isinstance(value, dict) and value.get("format") == FORMAT, f"its format is not {FORMAT}")
    meta, curve = value["meta"], value["curve"]
    metrics, lanes, layers = (tuple(_list(meta[key], _text)) for key in ("metrics", "lanes", "layers"))
    _require(metrics, "it has no metrics")
    receipt = _receipt(meta["receipt"])
    attacks = tuple(attack["name"] for attack in receipt.get("attacks", ()))
    expected = {"pair": ("pair",), "fool": attacks}.get(receipt["objective"], (*metrics, NOISE))
    distinct = len(set(metrics)) == len(metrics) and len(set(lanes)) == len(lanes)
    _require(distinct and lanes == expected, "its lanes do not fit its metrics and objective")
    _require(set(receipt.get("weights", ())) <= set(metrics), "its weights are of other metrics")
    _require(layers, "it has no layers")
    _require(receipt["objective"] != "fool" or len(attacks) == 2, "it does not have two attacks")
    verdicts = _verdicts(meta["verdicts"]) if attacks else {}

    shapes: dict[str, tuple[int, ...]] = {
        "distance": (len(lanes), len(metrics)),
        "linf": (len(lanes),),
        "l2": (len(lanes),),
    }
    shapes["per_layer"] = (*shapes["distance"], len(layers))
    entries = len(curve["linf"])
    _require(1 <= entries <= receipt["steps"] + 1, "its curves do not fit its number of steps")
    curves = {key: _numbers(curve[key], (entries, *shapes[key])) for key in CURVES}
    classes = len(verdicts.get("classes", ()))
    if classes:
        curves["probabilities"] = _probabilities(curve["probabilities"], (entries, len(lanes), classes))

    sides = height, width = _whole(meta["height"]), _whole(meta["width"])
    allowed = all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides)
    _require(allowed, f"its pictures must have {SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side")
    map_size = _check_frames(value["frames"], len(lanes), len(metrics), entries, height * width)
    flow_size = _flow_size(value["frames"]) if receipt.get("norm") == "flow" else None
    reference = _picture(unpack, meta["reference"], (height, width, 3))
    start = reference if meta["start"] is None else _picture(unpack, meta["start"], (height, width, 3))
    frames: list[dict[str, Any]] = []
    base: dict[tuple[int, ...], np.ndarray] = {}
    for saved in value["frames"]:
        which = tuple(saved["lanes"])
        frames.append(_frame(saved, which, base.get(which, start), (len(metrics), *map_size), classes, unpack))
        base[which] = frames[-1]["attacked"]
        if flow_size:
            frames[-1]["flow"] = _flow(saved, (len(which), 2, *flow_size), unpack)
    _require(value["state"] in ("done", "stopped"), "its state is neither done nor stopped")
    return {
        "name": _text(meta["name"]), "lanes": lanes, "metrics": metrics, "layers": layers, **curves, "frames": frames,
        "reference": reference, "start": start, "receipt": receipt, "ruler": _ruler(value["ruler"]),
        "state": value["state"], **verdicts,
    }  # fmt: skip


def _verdicts(value):
    """The fields of a classifier's verdicts that do not change from step to step."""
    classes = tuple(_list(value["classes"], _text, _MOST_CLASSES))
    label = _whole(value["label"])
    _require(len(classes) > 1 and 0 <= label < len(classes), "its label is none of its classes")
    return {"classes": classes, "label": label, "clean": _probabilities(value["clean"], (len(classes),))}


def _probabilities(value, shape):
    """Probabilities that add up to one over the last dimension."""
    probabilities = _numbers(value, shape)
    add_up = (probabilities >= 0).all() and np.allclose(probabilities.sum(-1), 1, atol=1e-3)
    _require(add_up, "probabilities were expected that add up to one")
    return probabilities


def _check_frames(frames, lanes, metrics, entries, pixels):
    """Refuse impossible or too many frames before any is decoded; returns the size of their maps."""
    counted = isinstance(frames, list) and 1 <= len(frames) <= _MOST_FRAMES
    _require(counted, f"it must have 1 to {_MOST_FRAMES} frames")
    sizes = {tuple(map(_whole, frame["map_size"])) for frame in frames}
    _require(len(sizes) == 1, "its maps differ in size")
    ((height, width),) = sizes
    _require(min(height, width) >= 1 and max(height, width) <= _MOST_MAP, "its maps are too large")
    shown = [(_whole(frame["step"]), _whole(lane)) for frame in frames for lane in frame["lanes"]]
    _require(all(frame["lanes"] for frame in frames) and len(set(shown)) == len(shown), "a frame shows nothing new")
    _require(all(0 <= step < entries for step, _ in shown), "a frame is of a step that is not there")
    _require(all(0 <= lane < lanes for _, lane in shown), "a frame names a lane that is not there")
    _require({(0, lane) for lane in range(lanes)} <= set(shown), "it does not show every lane at step 0")
    bytes_of_one = 3 * pixels + 4 * metrics * height * width
    _require(len(shown) * bytes_of_one <= _MOST_DECODED, "it unpacks to more than any trace")
    return height, width


def _flow_size(frames):
    """The size (h, w) of all flows; refuses impossible or too many of them before any is decoded."""
    sizes = {tuple(map(_whole, frame["flow_size"])) for frame in frames}
    _require(len(sizes) == 1, "its flows differ in size")
    ((height, width),) = sizes
    _require(min(height, width) >= 1 and max(height, width) <= LARGEST_SIDE, "its flows are too large")
    count = sum(len(frame["lanes"]) for frame in frames)
    _require(8 * count * height * width <= _MOST_DECODED, "it unpacks to more than any trace")
    return height, width


def _flow(saved, shape, unpack):
    peak = _numbers(saved["flow_peak"], ())
    _require(0 <= peak <= LARGEST_SIDE, "its flows lead out of the picture")
    grey = _picture(unpack, saved["flow"], (math.prod(shape[:-1]), shape[-1])).reshape(shape)
    return peak * (grey.astype(np.float32) - 128) / 127


def _frame(saved, lanes, base, maps, classes, unpack):
    count, (metrics, height, width) = len(lanes), maps
    coded = _picture(unpack, saved["perturbation"], (count * base.shape[-3], *base.shape[-2:]))
    grey = _picture(unpack, saved["maps"], (count * metrics * height, width)).reshape(count, *maps)
    peak = _numbers(saved["map_peak"], (count, metrics))
    _require((peak >= 0).all(), "its maps fall below zero")
    psnr = [math.inf if each is None else each for each in saved["psnr"]]  # of equals
    return {
        "step": saved["step"], "lanes": lanes,
        "attacked": base + coded.reshape(count, *base.shape[-3:]) - np.uint8(128),
        "maps": peak[..., None, None] * np.square(grey.astype(np.float32) / 255),
        "distance_8bit": _numbers(saved["distance_8bit"], (count, metrics)),
        "psnr": _numbers(psnr, (count,), endless=True),
        **{key: _numbers(saved[key], (count,)) for key in ("linf_8bit", "l2_8bit", "ssim")},
        "probabilities_8bit": _probabilities(saved["probabilities_8bit"], (count, classes)) if classes else None,
    }  # fmt: skip


def _picture(unpack, name, shape):
    data = unpack(name, 2**16 + 2 * math.prod(shape))
    image = Image.open(io.BytesIO(data), formats=["PNG", "WEBP"])
    # Checked before decoding, so that a hostile file costs nothing.
    _require(image.size == (shape[1], shape[0]), f"a picture of {shape[1]}×{shape[0]} was expected")
    return np.array(image.convert("RGB" if len(shape) == 3 else "L"))


def _ruler(value):
    """The JSON of `rlpips.engine.ruler.Ruler.to_json`, built anew."""
    if value is None:
        return None
    metrics = _list(value["metrics"], _text)
    scales = []
    for scale in value["distortions"]:
        words = _list(scale["words"], _text)
        distance = _numbers(scale["distance"], (len(words), len(metrics)), np.float64).tolist()
        names = {key: _text(scale[key]) for key in ("name", "title")}
        scales.append({**names, "words": words, "distance": distance})
    _require(metrics and len(scales) <= 100 and all(scale["words"] for scale in scales), "its ruler is not one of ours")
    return {"metrics": metrics, "distortions": scales}


def _receipt(value):
    """The known entries, each of its type."""
    receipt = {key: _RECEIPT[key](entry) for key, entry in value.items() if key in _RECEIPT and entry is not None}
    objective = receipt.get("objective", "")
    if objective in ("away", "toward"):
        receipt.setdefault("schedule", "fixed")  # the only one that there was
    _require("objective" not in receipt or objective in _NEEDED, "its objective is unknown")
    needed = ["objective", "steps", "backbone", "device", "precision", *_NEEDED.get(objective, ())]
    missing = [key for key in needed if key not in receipt]
    _require(not missing, f"its receipt lacks {', '.join(missing)}")
    _require(objective not in ("away", "toward") or receipt["norm"] in ("linf", "l2", "flow"), "its norm is unknown")
    _require((receipt["steps"] == 0) == (objective == "pair"), "its number of steps does not fit its objective")
    _require(bool(receipt.get("attacks")) == (objective == "fool"), "its attacks do not fit its objective")
    _require(receipt["backbone"] in catalog.TRUNKS, "its backbone is unknown")
    return receipt


def _text(value, most=200):
    # A lone surrogate is no character: it can be neither shown nor saved.
    written = isinstance(value, str) and len(value) <= most and not re.search("[\ud800-\udfff]", value)
    _require(written, f"a text of at most {most} characters was expected")
    return value


def _list(value, entry, most=100):
    _require(isinstance(value, list) and len(value) <= most, f"a list of at most {most} entries was expected")
    return [entry(each) for each in value]


def _whole(value):
    _require(type(value) is int and abs(value) <= 2**53, "a whole number was expected")
    return value


def _real(value):
    return _numbers(value, (), np.float64).item()


def _numbers(value, shape, dtype=np.float32, endless=False):
    """An array of finite numbers; `endless` also accepts infinite ones."""
    array = np.array(value, dtype=object)  # as objects, because numpy would turn texts into numbers
    _require(array.shape == shape, f"numbers of shape {shape} were expected")
    _require(set(map(type, array.flat)) <= {int, float}, "a value that is no number stands among its numbers")
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    _require(np.isfinite(array).all() or (endless and not np.isnan(array).any()), "its numbers are not finite")
    return array


def _digests(value):
    return {metric: _text(digest) for metric, digest in value.items()}


def _attack(value):
    """The settings of one attack on a classifier; its title, metric and unit come from its card, not from the file."""
    name, bound = _text(value["name"]), _real(value["bound"])
    _require(name in ATTACKS, "its attacks are not known here")
    card = ATTACKS[name]
    _require(0 < bound <= _MOST_BOUND, f"a bound above zero, and at most {_MOST_BOUND}, was expected")
    return {
        "name": name, "title": card.title, "metric": card.metric, "bound": bound, "unit": card.unit,
        "steps": _whole(value["steps"]),
    }  # fmt: skip


_NEEDED = {
    **dict.fromkeys(("away", "toward"), ("norm", "eps", "restarts", "seed")),
    "pair": (),
    "fool": ("attacks", "classifier", "restarts", "seed"),
}


_RECEIPT = {
    **dict.fromkeys(("objective", "norm", "schedule", "backbone", "device", "precision", "rlpips", "torch"), _text),
    **dict.fromkeys(("reference_sha256", "start_sha256"), _text),
    **dict.fromkeys(("steps", "restarts", "seed"), _whole),
    **dict.fromkeys(("eps", "step_size"), _real),
    "weights": _digests,
    "classifier": lambda value: {key: _text(value[key]) for key in ("name", "title", "sha256")},
    "label_from": _text,
    "attacks": lambda value: _list(value, _attack),
    "restart_kept": lambda value: _list(value, _whole),
    "notes": lambda value: _list(value, lambda note: _text(note, 1000)),
}  # fmt: skip
