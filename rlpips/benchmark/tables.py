"""The tables of `python -m rlpips.benchmark`, one function each. Sizes are (height, width), times are ms."""

import statistics
from functools import partial

import torch

from rlpips.benchmark import ours
from rlpips.benchmark.accuracy import accuracy
from rlpips.benchmark.contestants import packages
from rlpips.benchmark.floor import convolutions, floor, macs
from rlpips.benchmark.timing import Table, in_turns, median, ratio
from rlpips.zoo.catalog import PAIR

LOOP_STEPS = 3  # of the packages' loops, whose steps all cost the same
STEPS_AT_ONCE = 5  # of our steps alone


def engine_table(cases, steps=40, rounds=3, device="cpu", precisions=("float32",), backbone="alex"):
    """Table 1; `cases` are (size, batch, norm)."""
    found, _ = packages(PAIR, backbone, device)
    rows = []
    for size, batch, norm in cases:
        times = _race(found, size, batch, norm, steps, rounds, device, precisions, backbone)
        theirs = [times[package.name] for package in found]
        for precision in precisions:
            whole, alone = times["whole", precision], times["alone", precision]
            ratios = [ratio(package, mine) for package in theirs for mine in (whole, alone)]
            rows.append([_size(size), batch, norm, precision, *map(median, (whole, alone, *theirs)), *ratios])
    names = [package.name for package in found]
    compared = [f"{name} / {mine}" for name in names for mine in ("ours", "steps only")]
    return Table(
        "The engine against loops",
        f"Ours: `rlpips.attack_steps`, {steps} steps to the end, keyframes included; steps only: without keyframes, "
        "the noise and the beginning. The packages: two PGD loops, one attack after the other, which read the other "
        "metric off at every step, as ours does. A batch is one call for all. ms a step of the batch, medians; "
        "ratios are the medians of the rounds' (smallest–largest): above 1, ours is faster.",
        ["size", "batch", "norm", "precision", "ours", "steps only", *names, *compared],
        rows,
    )


def _race(found, size, batch, norm, steps, rounds, device, precisions, backbone):
    """ms a step of every contestant in every round: of ("whole", precision), ("alone", precision) and each package."""
    reference = ours.pictures(batch, size, device)
    eps, first = ours.EPS[norm], ours.first_point(reference, norm, ours.EPS[norm])
    contestants = {}  # name: (what makes so many steps, how many)
    for precision in precisions:
        contestants["whole", precision] = partial(_whole, reference, norm, precision, backbone), steps
        contestants["alone", precision] = ours.Steps(reference, norm, precision, backbone).run, STEPS_AT_ONCE
    for package in found:
        contestants[package.name] = partial(_loops, package, reference, first, eps, norm), LOOP_STEPS
    times = in_turns(
        {name: partial(make, count) for name, (make, count) in contestants.items()}, rounds, device,
        warm={name: partial(make, 1) for name, (make, _) in contestants.items()},
    )  # fmt: skip
    return {name: [time / contestants[name][1] for time in spent] for name, spent in times.items()}


def _whole(reference, norm, precision, backbone, steps):
    return ours.whole(reference, ours.EPS[norm], steps, norm, precision, backbone)


def _loops(package, reference, first, eps, norm, steps):
    return package.loops(reference, first, eps, steps, norm)


def floor_table(cases, rounds=3, device="cpu", precisions=("float32",), backbone="alex"):
    """Table 2; `cases` are (size, batch)."""
    rows = []
    for size, batch in cases:
        lanes, reference = batch * len(PAIR), ours.pictures(batch, size, device)
        for precision in precisions:
            dtype, step = getattr(torch, precision), ours.Steps(reference, "linf", precision, backbone)
            plain, prepared = (floor(backbone, size, lanes, dtype, device, prepared=each) for each in (False, True))
            calls = {"plain": partial(_again, plain), "prepared": partial(_again, prepared)}
            times = in_turns({**calls, "step": partial(step.run, STEPS_AT_ONCE)}, 5 * rounds, device)
            times = {name: [each / STEPS_AT_ONCE for each in spent] for name, spent in times.items()}
            count = macs(backbone, size, lanes)
            speed = 2 * count / statistics.median(times["plain"]) / 1e6
            rows.append([
                _size(size), batch, precision, f"{count / 1e9:.2f}", f"{speed:.0f}", median(times["plain"], 2),
                median(times["prepared"], 2), median(times["step"], 2), ratio(times["step"], times["plain"]),
                ratio(times["step"], times["prepared"]),
            ])  # fmt: skip
    return Table(
        "The least that a step can cost",
        f"The {len(convolutions(backbone, (256, 256)))} convolutions of the trunk alone, forward and the gradient "
        "with respect to their input, for both lanes of each picture: back to back, each in the fastest way that "
        "torch's functions have for it (memory format, strides as blocks, kernel turned round); that is the floor. "
        "Prepared: the same where, as in ours, weights may be put in order beforehand. The step is ours without "
        "keyframes; step / floor says how much it spends on all else.",
        ["size", "batch", "precision", "GMAC a step", "GFLOP/s", "floor", "prepared", "step", "step / floor",
         "step / prepared"],
        rows,
    )  # fmt: skip


def _again(call):
    for _ in range(STEPS_AT_ONCE):  # as steps follow steps
        call()


def accuracy_table(size, pictures=4, steps=20, device="cpu", precisions=("bfloat16",), backbone="alex"):
    """Table 3."""
    reference, rows = ours.pictures(pictures, size, device), []
    for precision in precisions:
        for eps in (0.5, 1, 4, 16):
            one = accuracy(reference, "linf", eps / 255, precision, steps, backbone=backbone)
            strength = one.strength.flatten().tolist()
            rows.append([
                f"{eps:g}/255", precision, f"{one.noise:.3%}", f"{one.attacked:.3%}",
                f"{statistics.median(strength):.3f} ({min(strength):.3f}–{max(strength):.3f})",
            ])  # fmt: skip
    return Table(
        "How exact the precisions are",
        f"PGD (l∞, {steps} steps) on {pictures} pictures at {_size(size)}: the largest relative deviation of any "
        "distance that the attack reads off from the metric's own, in float32, of the same picture; and the "
        "strength, the distance reached over that of the float32 attack (median of the lanes, smallest–largest).",
        ["eps", "precision", "noise deviates by", "attacked by", "strength"],
        rows,
    )


def _size(size):
    return f"{size[0]}×{size[1]}"
