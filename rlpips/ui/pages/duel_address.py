"""The address of the Duel page: a key for every control, and the settings of a trace, so that a recorded one is found by them."""

import json
import logging
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rlpips import paths
from rlpips.attacks.request import MAX_SEED
from rlpips.data import images
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import duel_controls
from rlpips.ui.runtime import address, device, work
from rlpips.ui.runtime.address import Choice, Key, Number
from rlpips.zoo.catalog import PAIR

log = logging.getLogger(__name__)

MINE = "mine"  # a picture of the visitor's own, which no address holds
Settings = dict[str, Any]  # a value for every key


def _names(choices: list[tuple[str, Any]]) -> tuple[str, ...]:
    return tuple(str(name) for _, name in choices)


_CANDIDATES = _names(duel_controls.CANDIDATES)
# In the order in which the page takes them; "picture" is no field but the selected thumbnail.
KEYS = (
    Key("picture", "samples", Choice("astronaut", (*(sample.name for sample in SAMPLES), MINE))),
    Key("objective", "objective", Choice("away", _names(duel_controls.OBJECTIVES))),
    Key("norm", "norm", Choice("linf", _names(duel_controls.THREATS))),
    Key(
        "push", "candidate",
        {"away": Choice("itself", _CANDIDATES), "toward": Choice("blur", [name for name in _CANDIDATES if name != "itself"])},
        by="objective",
    ),
    Key(
        "eps", "eps",
        {norm: Number(each.default, each.low, each.high) for norm, each in duel_controls.BUDGETS.items()},
        by="norm",
    ),
    Key("steps", "steps", Number(duel_controls.STEPS, 1, device.MAX_STEPS, whole=True)),
    Key("a", "metric-0", Choice(PAIR[0], _names(duel_controls.METRICS))),
    Key("b", "metric-1", Choice(PAIR[1], _names(duel_controls.METRICS))),
    Key("backbone", "backbone", Choice("alex", _names(duel_controls.DUEL_BACKBONES))),
    Key("seed", "seed", Number(0, 0, MAX_SEED, whole=True)),
    Key("schedule", "schedule", Choice("cosine", _names(duel_controls.SCHEDULES))),
    Key("stepsize", "step-size", Number(0, 0, 1000)),
    Key("restarts", "restarts", Number(1, 1, device.MAX_RESTARTS, whole=True)),
    Key("side", "size", Choice("256", _names(duel_controls.SIZES))),
    Key("precision", "precision", Choice("auto", _names(duel_controls.PRECISIONS))),
)  # fmt: skip
DEFAULTS: Settings = address.read(KEYS, {})[0]


def of_trace(meta: Mapping[str, Any], picture: str, pushed: str) -> tuple[Settings, list[str]]:
    """(the settings that made a trace, what of them the page has no control for), from the trace's JSON."""
    metrics = [lane for lane in meta["lanes"] if lane in meta["metrics"]]
    unit = 255 if meta["norm"] == "linf" else 1
    receipt = meta.get("receipt") or {}
    values = {
        "picture": picture, "objective": meta["objective"], "norm": meta["norm"], "push": pushed,
        "eps": _number(meta["eps"] * unit), "steps": meta["steps"], "a": metrics[0], "b": metrics[-1],
        "backbone": receipt.get("backbone", "alex"), "seed": meta["seed"], "schedule": meta["schedule"],
        "stepsize": _number((meta["step_size"] or 0) * unit), "restarts": meta["restarts"],
    }  # fmt: skip
    return address.read(KEYS, {name: str(value) for name, value in values.items()})


def _number(value: float) -> str:
    """Without the last digits, which division by 255 changes."""
    return f"{value:.9g}"


def recorded(settings: Settings) -> Path | None:
    """The recorded duel that was made with these settings; None if there is none. One in float32 stands for any precision."""
    wanted = {**settings, "precision": "auto", "side": "256"}  # samples are not scaled
    return next((path for path in _files() if _may_be(path, wanted) and of_recorded(path) == wanted), None)


def is_recorded() -> bool:
    """Whether the page opens with the settings of the recorded duel that it shows; a host may allow fewer steps."""
    return recorded(DEFAULTS) is not None


def recorded_of(picture: str, objective: str) -> Path | None:
    """The first recorded duel of a sample, of this objective if there is one."""
    found = [path for path in _files() if (_basic(path) or {}).get("picture") == picture]
    return next((path for path in found if (_basic(path) or {})["objective"] == objective), next(iter(found), None))


def is_untouched(settings: Settings) -> bool:
    """Whether these are the settings that the page opens with, or those of a recorded duel, of any picture: nobody's own are lost
    with them."""
    return any(
        _may_be(path, settings | {"picture": picture}) and of_recorded(path) == settings | {"picture": picture}
        for path in _files()
        if (picture := (_basic(path) or {}).get("picture"))
    ) or settings == DEFAULTS | {"picture": settings["picture"]}


def _files() -> list[Path]:
    return sorted(paths.PRECOMPUTED.glob("*.zip"))


def _may_be(path: Path, wanted: Settings) -> bool:
    """Whether all is as wanted but "push", which is not known without the network's library: it takes seconds to load."""
    basic = _basic(path)
    return basic is not None and basic | {"push": wanted["push"]} == wanted


@lru_cache(maxsize=64)
def _basic(path: Path) -> Settings | None:
    """The settings of a recorded duel but "push"; None for a file that is none, or whose settings the page cannot set."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read("trace.json"))["meta"]
        if meta["objective"] not in ("away", "toward") or meta["name"] not in {sample.name for sample in SAMPLES}:
            return None
        settings, faults = of_trace(meta, meta["name"], "blur")
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError) as error:
        log.error("No address opens %s: %s", path.name, error)
        return None
    return None if faults else settings


@lru_cache(maxsize=64)
def of_recorded(path: Path) -> Settings | None:
    """The settings of a recorded duel; None for a file that is none, or whose settings the page cannot set."""
    if (settings := _basic(path)) is None:
        return None
    with zipfile.ZipFile(path) as archive:
        start = json.loads(archive.read("trace.json"))["meta"]["start"]
        pixels = np.array(Image.open(BytesIO(archive.read(start))).convert("RGB")) if start else None
    return settings | {"push": pushed(settings["picture"], pixels)}


def picture_of(name: str, pixels: np.ndarray) -> str:
    """The sample that a trace's reference, uint8 (H, W, 3), is; else `MINE`."""
    for sample in SAMPLES:
        if sample.name == name and np.array_equal(sample.picture().pixels, pixels):
            return name
    return MINE


def pushed(picture: str, start: np.ndarray | None) -> str:
    """What was pushed, as the control has it, from the picture that the attack started at, uint8 (H, W, 3), None for the reference.

    Copies are made anew and compared, not by every bit: another machine may round another way.
    """
    if start is None:
        return "itself"
    samples = {sample.name: sample for sample in SAMPLES}
    if picture not in samples:
        return MINE
    reference = samples[picture].picture().pixels
    for _, copy in duel_controls.COPIES:
        if _alike(work.distorted(reference, copy, duel_controls.COPY_SEVERITY), start):
            return copy
    for name, sample in samples.items():
        if _alike(images.resize(sample.picture().pixels, start.shape[:2]), start):
            return name
    return MINE


def _alike(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and np.abs(first.astype(int) - second).mean() < 0.5
