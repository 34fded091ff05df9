"""The Python that makes a trace again. No torch."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rlpips import paths
from rlpips.data import images
from rlpips.traces.export import safe, stem
from rlpips.zoo import catalog, classifier_cards
from rlpips.zoo.attack_cards import ATTACKS

RUNS = {"lpa": 5, "apgd": 4}  # of so many steps each, which an attack makes (`rlpips.attacks.by_card.total_steps`)


def python(trace: Any) -> str:
    """A program that makes a `Trace` again with `rlpips`. It finds a picture of this project itself; where it needs one of the user's, it
    says where its file name goes."""
    objective = trace.receipt["objective"]
    make = {"pair": _compare, "fool": _fool}.get(objective, _attack)
    imports, before, call = make(trace)
    ordered = sorted(set(imports), key=lambda line: (line.startswith("from"), line))
    text = "\n".join([*_heading(trace), *ordered, "", *before, *call, ""])
    return re.sub(r"\n{3,}", "\n\n", text)


def _heading(trace: Any) -> Iterator[str]:
    receipt = trace.receipt
    yield f"# {stem(trace)}: made by rlpips {safe(receipt.get('rlpips', '?'))} with torch {_torch(receipt)},"
    yield f"# on {_words(receipt['device'])} in {_words(receipt['precision'])}. Elsewhere the last digits may differ."
    if trace.state == "stopped":
        yield f"# That run was stopped after {len(trace.distance) - 1} of {receipt['steps']} steps; this one goes on to the end."


def _torch(receipt: dict[str, Any]) -> str:
    return re.sub(r"[^\w.+\-]", "", receipt.get("torch", "?"))


def _words(text: str) -> str:
    """A text that stands in a comment: on one line."""
    return re.sub(r"[^\w .()/\-]", " ", text)


def _attack(trace: Any) -> tuple[list[str], list[str], list[str]]:
    receipt = trace.receipt
    imports, before, reference = _reference(trace)
    arguments = [reference]
    if not np.array_equal(trace.start, trace.reference):
        also, load, start = _start(trace)
        imports, before, arguments = [*imports, *also], [*before, *load], [*arguments, f"candidate={start}"]
    own, metrics = _metrics(trace)
    settings = {
        "metrics": metrics,
        "backbone": _quoted(receipt["backbone"]),
        "norm": _quoted(receipt["norm"]),
        "eps": _fraction(receipt["eps"]) if receipt["norm"] == "linf" else repr(receipt["eps"]),
        "steps": str(receipt["steps"]),
        "objective": _quoted(receipt["objective"]),
        **(
            {"step_size": repr(receipt["step_size"])}
            if receipt["schedule"] == "fixed"
            else {"schedule": _quoted(receipt["schedule"])}
        ),
        "seed": str(receipt["seed"]),
        "restarts": str(receipt["restarts"]),
        "precision": _quoted("bfloat16" if receipt["precision"] == "bfloat16" else "float32"),
    }
    call = _call("rlpips.attack", [*arguments, *(f"{name}={value}" for name, value in settings.items())])
    return ["import rlpips", *imports], [*before, *own], [*call, *_end(trace)]


def _fool(trace: Any) -> tuple[list[str], list[str], list[str]]:
    receipt = trace.receipt
    imports, before, reference = _reference(trace)
    attacks = receipt["attacks"]
    steps = min(each["steps"] // RUNS.get(ATTACKS[each["name"]].kind, 1) for each in attacks)
    classifier = receipt["classifier"]["name"]
    known = classifier in classifier_cards.CLASSIFIERS
    if not known:
        before.append(f"classifier = ...  # your own, {_words(classifier)}")
    settings = {
        "label": str(trace.label),
        "classifier": _quoted(classifier) if known else "classifier",
        "attacks": _tuple(_quoted(each["name"]) for each in attacks),
        "bounds": _tuple(repr(each["bound"]) for each in attacks),
        "steps": str(steps),
        "seed": str(receipt["seed"]),
    }
    call = _call("fool", [reference, *(f"{name}={value}" for name, value in settings.items())])
    return ["from rlpips.attacks.side_by_side import fool", *imports], before, [*call, *_end(trace)]


def _compare(trace: Any) -> tuple[list[str], list[str], list[str]]:
    imports, before, reference = _reference(trace)
    if f"from {_READ}" not in imports:
        imports.append(f"from {_READ}")
    before.append('other = read_picture("changed.png")  # the file name of the changed picture goes here')
    own, metrics = _metrics(trace)
    settings = [f"metrics={metrics}", f"backbone={_quoted(trace.receipt['backbone'])}"]
    call = _call("compare", [reference, "other", *settings])
    start = ["import rlpips"] if own else []
    return [*start, "from rlpips.engine.compare import compare", *imports], [*before, *own], [*call, *_end(trace)]


_READ = "rlpips.data.images import read_picture"


def _reference(trace: Any) -> tuple[list[str], list[str], str]:
    """(imports, lines, what stands for it) of the reference."""
    if sample := _sample(trace.name, trace.reference):
        return ["from rlpips import paths"], [], sample
    side = max(trace.reference.shape[:2])
    name = _quoted(f"{safe(trace.name) or 'picture'}.png")
    lines = [
        f"# The file name of your picture goes here. As it was attacked it is also in the trace's file, at most {side} pixels a side:",
        f"# rlpips.Trace.load({_quoted(stem(trace) + '.trace.zip')}).reference",
        f"reference = read_picture({name}, max_side={side})",
    ]
    if not _is_8bit(trace):
        lines.insert(0, "# The attack ran on a picture of more than the 8 bits that the trace holds.")
    return [f"from {_READ}"], lines, "reference"


def _start(trace: Any) -> tuple[list[str], list[str], str]:
    """The same of the picture that is pushed, where it is another one."""
    for name, path in _samples().items():
        if _equal(path, trace.start):
            return ["from rlpips import paths"], [], _place(name)
    name = _quoted(stem(trace) + ".trace.zip")
    lines = ["# The picture that was pushed is in the trace's file:", f"start = rlpips.Trace.load({name}).start"]
    return [], lines, "start"


def _sample(name: str, pixels: np.ndarray) -> str | None:
    """What stands for a picture of this project; None for any other."""
    path = _samples().get(name)
    return _place(name) if path and _equal(path, pixels) else None


def _samples() -> dict[str, Any]:
    return {path.stem: path for folder in (paths.SAMPLES, paths.SAMPLES / "cifar10") for path in folder.glob("*.png")}


def _place(name: str) -> str:
    parts = _samples()[name].relative_to(paths.SAMPLES).parts
    return " / ".join(["paths.SAMPLES", *map(_quoted, parts)])


def _equal(path: Any, pixels: np.ndarray) -> bool:
    try:
        return np.array_equal(images.read_picture(path).pixels, pixels)
    except (ValueError, OSError):
        return False


def _is_8bit(trace: Any) -> bool:
    """Whether the attack ran on the very values that the trace holds, as far as the receipt says."""
    values = (trace.reference.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return trace.receipt.get("reference_sha256", digest) == digest


def _metrics(trace: Any) -> tuple[list[str], str]:
    """(lines that make metrics of the user's own, the tuple of all)."""
    lines: list[str] = []
    names: list[str] = []
    for metric in trace.metrics:
        if metric in catalog.CATALOG:
            names.append(_quoted(metric))
            continue
        names.append(f"own_{len(lines) // 2 + 1}")
        lines.append(
            f'{names[-1]} = rlpips.load_metric("heads.safetensors")  # the file of the heads of your own metric'
        )
        lines.append(f"{names[-1]}.name = {_quoted(metric)}")
    return lines, _tuple(names)


def _call(function: str, arguments: Iterable[str]) -> list[str]:
    return ["", f"trace = {function}(", *(f"    {argument}," for argument in arguments), ")"]


def _end(trace: Any) -> Iterator[str]:
    yield "for lane, distances in zip(trace.lanes, trace.distance[-1]):"
    yield '    print(lane, *(f"{metric} {distance:.4f}" for metric, distance in zip(trace.metrics, distances)))'
    if trace.state != "stopped":
        yield "# It has printed:"
        for lane, distances in zip(trace.lanes, trace.distance[-1], strict=True):
            said = (f"{metric} {value:.4f}" for metric, value in zip(trace.metrics, distances, strict=True))
            yield f"# {_words(' '.join([lane, *said]))}"


def _fraction(eps: float) -> str:
    """An eps of n/255 as it is written."""
    n = round(255 * eps, 6)
    return f"{n:g} / 255" if n / 255 == eps else repr(eps)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())  # no letter that turns a line around


def _tuple(parts: Iterable[str]) -> str:
    some = list(parts)
    return f"({some[0]},)" if len(some) == 1 else f"({', '.join(some)})"
