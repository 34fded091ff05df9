"""What is taken from a trace besides its file: a name for its files, a table of every step, the Python that makes it again, and the papers
that it stands on. No torch: what is recorded can be taken home at once."""

import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rlpips import paths, saving
from rlpips.data import images
from rlpips.traces.ruler import Ruler
from rlpips.traces.schema import NOISE
from rlpips.zoo import catalog, references
from rlpips.zoo.attack_cards import ATTACKS
from rlpips.zoo.catalog import PAIR

_LONGEST = 60  # letters of a picture's name in the name of a file
_RUNS = {"lpa": 5, "apgd": 4}  # of so many steps each, which an attack makes (`rlpips.attacks.by_card.total_steps`)


# ---- a name


def stem(trace: Any) -> str:
    """What the files of a `Trace` are called: picture, attack and seed, "chelsea_linf4_cosine20_seed0". Letters, digits, "_", "-" and "."
    alone, as a picture's name may come from a stranger."""
    receipt, objective = trace.receipt, trace.receipt["objective"]
    others = () if trace.metrics == PAIR else trace.metrics
    if objective == "pair":
        words = ["pair", *others]
    elif objective == "fool":
        words = [str(receipt["classifier"]["name"]), *trace.lanes, f"steps{receipt['steps']}", f"seed{receipt['seed']}"]
    else:
        repeated = f"x{receipt['restarts']}" if receipt["restarts"] > 1 else ""
        words = [
            "toward" if objective == "toward" else "",
            _budget(receipt),
            *others,
            f"{receipt['schedule']}{receipt['steps']}{repeated}",
            f"seed{receipt['seed']}",
        ]
    if receipt["backbone"] != "alex":
        words.append(receipt["backbone"])
    return "_".join(filter(None, map(_safe, [trace.name, *words]))) or "trace"


def _budget(receipt: dict[str, Any]) -> str:
    """ "linf4" for 4/255, "l2-3", "flow-0.5"."""
    if receipt["norm"] == "linf":
        return f"linf{255 * receipt['eps']:.3g}"
    return f"{receipt['norm']}-{receipt['eps']:.3g}"


def _safe(word: str) -> str:
    word = unicodedata.normalize("NFC", word)[:_LONGEST]
    return re.sub(r"[^\w.\-]+|\.{2,}", "-", word).strip("-._")


# ---- a table


def rows(trace: Any) -> Iterator[dict[str, Any]]:
    """A row for each step, lane and metric of a `Trace`: what the metric says of the lane's float picture, what it finds that as far as
    (where the trace has a ruler), and the distance of the 8-bit picture (where the step has one)."""
    ruler = Ruler.from_json(trace.ruler) if trace.ruler else None
    theirs = [[each is not None for each in layers] for layers in trace.frames[0].maps]  # not another metric's
    shown = {(frame.step, lane): (frame, row) for frame in trace.frames for row, lane in enumerate(frame.lanes)}
    for step, lane, column in np.ndindex(trace.distance.shape):
        metric, distance = trace.metrics[column], float(trace.distance[step, lane, column])
        # Noise never moves: its one picture is that of every step.
        frame, row = shown.get((0 if trace.lanes[lane] == NOISE else step, lane), (None, 0))
        known = ruler is not None and metric in ruler.metrics and "jpeg" in ruler.scales and distance >= 0
        yield {
            "step": step,
            "lane": trace.lanes[lane],
            "metric": metric,
            "distance": distance,
            "equivalent": ruler.read(metric, distance) if ruler and known else None,
            "distance_8bit": None if frame is None else frame.distance_8bit[row, column],
            "linf": trace.linf[step, lane],
            "l2": trace.l2[step, lane],
            **{
                f"layer_{name}": trace.per_layer[step, lane, column, k] if theirs[column][k] else None
                for k, name in enumerate(trace.layers)
            },
            **_verdict(trace, step, lane),
        }


def _verdict(trace: Any, step: int, lane: int) -> dict[str, Any]:
    """What the classifier says, if one is attacked."""
    if not trace.classes:
        return {}
    probabilities = trace.probabilities[step, lane]
    return {"verdict": trace.classes[probabilities.argmax()], "label_probability": probabilities[trace.label]}


# ---- the Python that makes it again


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
    yield f"# {stem(trace)}: made by rlpips {_safe(receipt.get('rlpips', '?'))} with torch {_torch(receipt)},"
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
    steps = min(each["steps"] // _RUNS.get(ATTACKS[each["name"]].kind, 1) for each in attacks)
    classifier = receipt["classifier"]["name"]
    known = classifier in catalog.CLASSIFIERS
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
    name = _quoted(f"{_safe(trace.name) or 'picture'}.png")
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


# ---- the papers


def papers(trace: Any) -> list[str]:
    """The keys (`rlpips.zoo.references`) of the papers that a `Trace` stands on, and of no others: its metrics, their networks, the attack,
    the classifier, and the model of the eye that was asked."""
    receipt = trace.receipt
    keys = [key for name in trace.metrics for key in _papers_of_metric(name, receipt["backbone"])]
    if receipt["objective"] == "fool":
        for lane in trace.lanes:
            card = ATTACKS[lane]
            keys += _KINDS[card.kind]
            keys += _papers_of_metric(card.metric, "alex") if card.metric else []
            # The unscaled and the scaled sums are those of the code of R-LPIPS's authors.
            keys += ["ghazanfari2023rlpips"] if "sums" in card.norm else []
        classifier = catalog.CLASSIFIERS.get(receipt["classifier"]["name"])
        keys += [classifier.paper] if classifier else []
    elif receipt["objective"] != "pair":
        keys += ["madry2018towards"] if receipt["schedule"] != "apgd" else ["croce2020reliable"]
        keys += ["xiao2018spatially"] if receipt["norm"] == "flow" else []
    keys += ["andersson2020flip"] if trace.eye else []
    return list(dict.fromkeys(keys))


_KINDS = {
    "pgd": ["madry2018towards"],
    "apgd": ["croce2020reliable"],
    "ppgd": ["laidlaw2021perceptual"],
    "lpa": ["laidlaw2021perceptual"],
    "flow": ["xiao2018spatially"],
    "recolour": ["laidlaw2019functional"],
}


def _papers_of_metric(name: str, backbone: str) -> list[str]:
    """Of a metric, of what it is made of, and of the network under it; none for a metric that the catalogue does not have."""
    if name not in catalog.CATALOG:
        return []
    card = catalog.card(name)
    keys = [card.paper, *([catalog.card(card.of).paper] if card.of else [])]
    trunk = card.trunk_of(backbone)
    return [*keys, catalog.trunk_card(trunk).paper] if trunk else keys


def bibtex(trace: Any) -> str:
    """The BibTeX entries of `papers`."""
    return references.bibtex(papers(trace))


# ---- a look at it


def as_html(trace: Any) -> str:
    """A `Trace` in a notebook: what was done, and what every metric says of every lane's last picture."""
    ruler = Ruler.from_json(trace.ruler) if trace.ruler else None

    def cell(metric: str, distance: float) -> str:
        said = f"{distance:.4g}"
        if ruler and metric in ruler.metrics and "jpeg" in ruler.scales:
            said += f"<br><small>{html.escape(ruler.read(metric, distance))}</small>"
        return f"<td>{said}</td>"

    titles = [catalog.CATALOG[name].title if name in catalog.CATALOG else name for name in trace.metrics]
    head = "".join(f"<th>{html.escape(each)}</th>" for each in ["lane", *titles, "l∞", "l2"])
    lines = "".join(
        f"<tr><th>{html.escape(lane)}</th>"
        + "".join(cell(*each) for each in zip(trace.metrics, map(float, trace.distance[-1, k]), strict=True))
        + f"<td>{255 * trace.linf[-1, k]:.3g}/255</td><td>{trace.l2[-1, k]:.3g}</td></tr>"
        for k, lane in enumerate(trace.lanes)
    )
    steps = len(trace.distance) - 1
    state = f", stopped after {steps} steps" if trace.state == "stopped" else ""
    return f"<p><b>{html.escape(stem(trace))}</b>{state}</p><table><tr>{head}</tr>{lines}</table>"


def csv_text(trace: Any) -> str:
    """`rows` as CSV."""
    return saving.csv_text(rows(trace))
