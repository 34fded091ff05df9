"""A trace as a still figure, for slides and papers: `overview(trace).savefig("duel.pdf")`."""

import numpy as np
from matplotlib.figure import Figure

from rlpips import catalog

_LINES = {"own": {"linewidth": 2}, "other": {"linestyle": "--"}, "noise": {"linestyle": ":"}}


def overview(trace, amplify=None):
    """A matplotlib `Figure` of a `Trace`: per pushed lane its last picture, the perturbation times `amplify` around grey,
    where each metric sees the difference (one scale for all), and below them every distance over the steps.

    `amplify` is 100/255 over the largest perturbation unless given.
    """
    cards = [catalog.card(name) for name in trace.metrics]
    lanes = len(trace.metrics)
    delta = trace.adversarial[:lanes].astype(int) - trace.start
    amplify = amplify or max(1, round(100 / max(1, np.abs(delta).max())))
    frame = max((frame for frame in trace.frames if 0 in frame.lanes), key=lambda frame: frame.step)
    top = frame.maps.max()

    height, width = trace.start.shape[:2]
    columns = 2 + len(cards)
    figure = Figure(figsize=(2.4 * columns, 2.4 * lanes * height / width + 3), layout="constrained")
    pictures, below = figure.subfigures(2, 1, height_ratios=(lanes * height / width * 2.4, 3))
    for row, axes in enumerate(pictures.subplots(lanes, columns, squeeze=False)):
        shown = [trace.adversarial[row], np.clip(128 + amplify * delta[row], 0, 255).astype(np.uint8)]
        titles = ["attacked, 8 bits", f"perturbation × {amplify}", *(f"seen by {card.title}" for card in cards)]
        for axis, picture, title in zip(axes, [*shown, *frame.maps[row]], titles, strict=True):
            axis.imshow(picture, cmap="inferno", vmin=0, vmax=top)
            axis.set(xticks=[], yticks=[])
            if row == 0:
                axis.set_title(title, fontsize=9)
        axes[0].set_ylabel(f"against {cards[row].title}", color=cards[row].color)

    axis = below.subplots()
    for column, card in enumerate(cards):
        for lane in range(len(trace.lanes)):
            kind = "noise" if lane >= lanes else "own" if lane == column else "other"
            said = {"own": "attacked", "other": "the other attack", "noise": "noise"}[kind]
            label = f"{card.title}, {said}"
            axis.semilogy(trace.distance[:, lane, column], color=card.color, label=label, **_LINES[kind])
    axis.set(xlabel="step", ylabel="distance to the reference")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
