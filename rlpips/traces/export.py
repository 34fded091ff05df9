"""What is taken from a trace besides its file: a name for its files, a table of every step, and a look at it. No torch: what is recorded
can be taken home at once. `rlpips.traces.program` and `papers` have the rest."""

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from rlpips import saving
from rlpips.traces.ruler import Ruler
from rlpips.traces.schema import NOISE
from rlpips.zoo import catalog
from rlpips.zoo.catalog import PAIR

_LONGEST = 60  # letters of a picture's name in the name of a file


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
    return "_".join(filter(None, map(safe, [trace.name, *words]))) or "trace"


def _budget(receipt: dict[str, Any]) -> str:
    """ "linf4" for 4/255, "l2-3", "flow-0.5"."""
    if receipt["norm"] == "linf":
        return f"linf{255 * receipt['eps']:.3g}"
    return f"{receipt['norm']}-{receipt['eps']:.3g}"


def safe(word: str) -> str:
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
