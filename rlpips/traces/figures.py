"""A trace as a still figure, for slides and papers: `overview(trace).savefig("duel.pdf")`."""

import numpy as np
from matplotlib.figure import Figure

from rlpips.traces.schema import NOISE
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

_LINES = {"own": {"linewidth": 2}, "other": {"linestyle": "--"}, "noise": {"linestyle": ":"}}


def overview(trace, amplify=None):
    """A matplotlib `Figure` of a `Trace`: per pushed lane its last picture, the perturbation times `amplify` around
    grey, where each metric sees the difference (one scale for all), and below them every distance over the steps.

    Of attacks on a classifier (`rlpips.attacks.side_by_side`) the same, a row and a line for each of the two.
    Of a pair (`rlpips.engine.compare.compare`) the other picture, the difference to it, and a bar per metric.
    `amplify` is 100/255 over the largest perturbation unless given.
    """
    cards = [catalog.card(name) for name in trace.metrics]
    shown = [lane for lane in trace.lanes if lane != NOISE]
    pair = shown == ["pair"]
    delta = trace.adversarial[: len(shown)].astype(int) - trace.start
    amplify = amplify or max(1, round(100 / max(1, np.abs(delta).max())))
    maps = trace.maps[: len(shown)]

    height, width = trace.start.shape[:2]
    columns = 2 + len(cards)
    tall = 2.4 * len(shown) * height / width
    figure = Figure(figsize=(2.4 * columns, tall + 3), layout="constrained")
    pictures, below = figure.subfigures(2, 1, height_ratios=(tall, 3))
    first, second = ("the other picture", "difference") if pair else ("attacked, 8 bits", "perturbation")
    titles = [first, f"{second} × {amplify}", *(f"seen by {card.title}" for card in cards)]
    for row, axes in enumerate(pictures.subplots(len(shown), columns, squeeze=False)):
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
                kind, said = "other" if lane else "own", ATTACKS[name].title
            else:
                kind = "noise" if name == NOISE else "own" if lane == column else "other"
                said = {"own": "attacked", "other": "the other attack", "noise": "noise"}[kind]
            label = f"{card.title}, {said}"
            axis.semilogy(trace.distance[:, lane, column], color=card.color, label=label, **_LINES[kind])
    axis.set(xlabel="step", ylabel="distance to the reference")
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
