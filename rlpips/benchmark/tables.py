"""The tables of the engine. Sizes are (height, width), times are in ms."""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from rlpips.benchmark import ours
from rlpips.benchmark.accuracy import accuracy
from rlpips.benchmark.floor import build_floor, convolutions, count_macs
from rlpips.benchmark.ours import AttackSteps, Size
from rlpips.benchmark.packages import Package, load_packages
from rlpips.benchmark.timing import Call, Table, in_turns, median_text, ratio_text
from rlpips.zoo.catalog import PAIR

PACKAGE_STEPS = 3  # of the packages' loops, whose steps all cost the same
STEPS_AT_ONCE = 5  # of our steps alone, and of the floor


def engine_table(
    cases: Sequence[tuple[Size, int, str]],
    steps: int = 40,
    rounds: int = 3,
    device: str | torch.device = "cpu",
    precisions: Sequence[str] = ("float32",),
    backbone: str = "alex",
) -> Table:
    """Our engine against loops over other packages; `cases` are (size, batch, norm)."""
    packages, _ = load_packages(PAIR, backbone, device)
    names = [package.name for package in packages]
    rows = []
    for size, batch, norm in cases:
        times = _engine_times(packages, size, batch, norm, steps, rounds, device, precisions, backbone)
        for precision in precisions:
            ours_times = [times["ours", precision], times["steps only", precision]]
            package_times = [times[name, "float32"] for name in names]
            ratios = [ratio_text(theirs, mine) for theirs in package_times for mine in ours_times]
            medians = map(median_text, (*ours_times, *package_times))
            rows.append([_size_text(size), batch, norm, precision, *medians, *ratios])
    compared = [f"{name} / {mine}" for name in names for mine in ("ours", "steps only")]
    return Table(
        "The engine against loops",
        f"Ours: `rlpips.attack_steps`, {steps} steps to the end, keyframes included; steps only: without keyframes, "
        "the noise and the beginning. The packages: two PGD loops, one attack after the other, which also measure the other "
        "metric at every step, as ours does. A batch is one call for all pictures. ms a step of the batch, medians; "
        "ratios are the medians of the rounds' (smallest–largest): above 1, ours is faster.",
        ["size", "batch", "norm", "precision", "ours", "steps only", *names, *compared],
        rows,
    )


def _engine_times(
    packages: Sequence[Package],
    size: Size,
    batch: int,
    norm: str,
    steps: int,
    rounds: int,
    device: str | torch.device,
    precisions: Sequence[str],
    backbone: str,
) -> dict[tuple[str, str], list[float]]:
    """{(contestant, precision): ms a step in each round}."""
    reference = ours.sample_pictures(batch, size, device)
    start = ours.random_start(reference, norm, ours.EPS[norm])
    # What runs a number of steps, and how many it should run.
    contestants: dict[tuple[str, str], tuple[Callable[[int], Any], int]] = {}
    for precision in precisions:
        steps_only = AttackSteps(reference, norm, precision, backbone)
        contestants["ours", precision] = partial(ours.whole_attack, reference, norm, precision, backbone), steps
        contestants["steps only", precision] = steps_only.run, STEPS_AT_ONCE
    for package in packages:
        loops = partial(package.attack, reference, start, norm, ours.EPS[norm])
        contestants[package.name, "float32"] = loops, PACKAGE_STEPS
    calls = {name: partial(run, count) for name, (run, count) in contestants.items()}
    warm_up = {name: partial(run, 1) for name, (run, _) in contestants.items()}
    times = in_turns(calls, rounds, device, warm_up)
    return {name: [time / contestants[name][1] for time in times[name]] for name in contestants}


def floor_table(
    cases: Sequence[tuple[Size, int]],
    rounds: int = 3,
    device: str | torch.device = "cpu",
    precisions: Sequence[str] = ("float32",),
    backbone: str = "alex",
) -> Table:
    """A step of ours against its bare convolutions; `cases` are (size, batch)."""
    rows = []
    for size, batch in cases:
        lanes, reference = batch * len(PAIR), ours.sample_pictures(batch, size, device)
        macs = count_macs(backbone, size, lanes)
        for precision in precisions:
            dtype, step = getattr(torch, precision), AttackSteps(reference, "linf", precision, backbone)
            floor = build_floor(backbone, size, lanes, dtype, device)
            prepared = build_floor(backbone, size, lanes, dtype, device, prepared=True)
            calls = {
                "floor": partial(_repeat, floor),
                "prepared": partial(_repeat, prepared),
                "step": partial(step.run, STEPS_AT_ONCE),
            }
            times = in_turns(calls, 5 * rounds, device)
            times = {name: [time / STEPS_AT_ONCE for time in spent] for name, spent in times.items()}
            gflops = 2 * macs / statistics.median(times["floor"]) / 1e6
            rows.append(
                [
                    _size_text(size),
                    batch,
                    precision,
                    f"{macs / 1e9:.2f}",
                    f"{gflops:.0f}",
                    *(median_text(times[name], 2) for name in calls),
                    ratio_text(times["step"], times["floor"]),
                    ratio_text(times["step"], times["prepared"]),
                ]
            )
    return Table(
        "A floor for a step",
        f"The {len(convolutions(backbone, (256, 256)))} convolutions of the trunk alone, forward and the gradient "
        "with respect to their input, for both lanes of each picture, one after another: each in the fastest implementation "
        "that torch's functions have (memory layout, strides as blocks, kernel turned); that is the floor. "
        "Prepared: the same where weights may be brought into order before, as ours are. The step is ours without "
        "keyframes; step / floor says how much time goes into all else.",
        ["size", "batch", "precision", "GMAC a step", "GFLOP/s", "floor", "prepared", "step", "step / floor", "step / prepared"],
        rows,
    )  # fmt: skip


def _repeat(call: Call) -> None:
    for _ in range(STEPS_AT_ONCE):  # as steps follow steps
        call()


def accuracy_table(
    size: Size, pictures: int = 4, steps: int = 20, device: str | torch.device = "cpu", backbone: str = "alex"
) -> Table:
    """How exact attacks in bfloat16 are."""
    reference, rows = ours.sample_pictures(pictures, size, device), []
    for eps in (0.5, 1, 4, 16):
        result = accuracy(reference, "linf", eps / 255, "bfloat16", steps, backbone=backbone)
        strength = result.strength.flatten().tolist()
        strength_text = f"{statistics.median(strength):.3f} ({min(strength):.3f}–{max(strength):.3f})"
        rows.append([f"{eps:g}/255", "bfloat16", f"{result.noise:.3%}", f"{result.attacked:.3%}", strength_text])
    return Table(
        "How exact bfloat16 is",
        f"PGD (l∞, {steps} steps) on {pictures} pictures at {_size_text(size)}: the largest relative deviation of any "
        "distance of the attack from the metric's own, in float32, of the same picture; and the "
        "strength, the distance reached over that of the float32 attack (median of the lanes, smallest–largest).",
        ["eps", "precision", "noise deviates by", "attacked by", "strength"],
        rows,
    )


def _size_text(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
