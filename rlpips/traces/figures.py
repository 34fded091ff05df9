"""A trace as a still figure, for slides and papers: `overview(trace).savefig("duel.pdf")`."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from rlpips.traces.schema import NOISE
from rlpips.traces.trace import Trace
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

_LINES: dict[str, dict[str, Any]] = {
    "attacked": {"linewidth": 2},
    "the other attack": {"linestyle": "--"},
    "noise": {"linestyle": ":"},
}


class _Unlisted(NamedTuple):
    """A metric that is not in the catalogue."""

    title: str
    color: str = "#777777"


def overview(trace: Trace, amplify: float | None = None) -> Figure:
    """A matplotlib `Figure` of a `Trace`: for each pushed lane its last picture, the perturbation times `amplify` around
    grey, and where each metric sees a difference (one scale for all); below them every distance over the steps.

    For attacks on a classifier (`rlpips.attacks.side_by_side`) there is a row and a line for each of the two. For a pair
    (`rlpips.engine.compare.compare`) it shows the other picture, the difference to it, and a bar for each metric.
    `amplify` None makes the largest perturbation 100/255.
    """
    cards = [catalog.CATALOG.get(name, _Unlisted(name)) for name in trace.metrics]
    rows = sum(lane != NOISE for lane in trace.lanes)
    pair = trace.lanes == ("pair",)
    delta = trace.adversarial[:rows].astype(int) - trace.start
    amplify = amplify or max(1, round(100 / max(1, np.abs(delta).max())))
    maps = trace.maps[:rows]

    height, width = trace.start.shape[:2]
    columns = 2 + len(cards)
    tall = 2.4 * rows * height / width
    figure = Figure(figsize=(2.4 * columns, tall + 3), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(tall, 3))  # type: ignore[misc]  # an array of two
    first, second = ("the other picture", "difference") if pair else ("attacked, 8 bits", "perturbation")
    titles = [first, f"{second} × {amplify}", *(f"seen by {card.title}" for card in cards)]
    for row, axes in enumerate(above.subplots(rows, columns, squeeze=False)):
        perturbation = np.clip(128 + amplify * delta[row], 0, 255).astype(np.uint8)
        for axis, picture in zip(axes, [trace.adversarial[row], perturbation, *maps[row]], strict=True):
            axis.imshow(picture, cmap="inferno", vmin=0, vmax=maps.max())
            axis.set(xticks=[], yticks=[])
        if row == 0:
            for axis, title in zip(axes, titles, strict=True):
                axis.set_title(title, fontsize=9)
        if trace.classes:
            attack = ATTACKS[trace.lanes[row]]
            axes[0].set_ylabel(attack.title, color=attack.color)
        elif not pair:
            axes[0].set_ylabel(f"against {cards[row].title}", color=cards[row].color)

    axis = below.subplots()
    (_bars if pair else _curves)(axis, trace, cards)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _bars(axis, trace, cards):
    axis.barh([card.title for card in cards], trace.distance[-1, 0], color=[card.color for card in cards])
    axis.invert_yaxis()  # the first on top
    axis.set(xlabel="distance to the reference")


def _curves(axis, trace, cards):
    for column, card in enumerate(cards):
        for lane, name in enumerate(trace.lanes):
            if trace.classes:  # two attacks on a classifier, neither of which pushes a metric
                line, label = "the other attack" if lane else "attacked", ATTACKS[name].title
            else:
                line = label = "noise" if name == NOISE else "attacked" if lane == column else "the other attack"
            style = {"color": card.color, "label": f"{card.title}, {label}", **_LINES[line]}
            axis.semilogy(trace.distance[:, lane, column], **style)
    axis.set(xlabel="step", ylabel="distance to the reference")
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
