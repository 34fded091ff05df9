"""Would the server answer a crowd faster in batches? `python tests/measure_batches.py` prints a Markdown table.

    python tests/measure_batches.py [--sizes 64 256] [--batches 1 2 4 8] [--visitors 8] [--steps 20]

Visitors who all wait from the beginning, each with a picture of their own of one size, get what Run gives them: messages
while it runs, the ruler, the complete trace and its saved file. In batches of 1 they are answered as the server does it; in
larger ones `rlpips.attack_steps` pushes several pictures at once, and the rest is done for one after the other. The sizes of
batches take turns. Nothing else should run meanwhile.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

ROUNDS = 2
METRICS = ("lpips", "rlpips-linf")


def answer(pictures, steps, told):
    """Attack all of the pictures, uint8 (N, H, W, 3), at once; calls `told` whenever one more of them is complete."""
    from rlpips import attack_steps
    from rlpips.ui import engine, files, live

    attack = attack_steps(pictures, metrics=METRICS, steps=steps)
    streams = [files.Stream("run", recorder) for recorder in attack.recorders]
    clock, last = engine.clock(), 0
    for made in attack:
        for stream, recorder, step in zip(streams, attack.recorders, made if len(pictures) > 1 else [made]):
            stream.add(step)
            recorder.add(step)
        if clock() - last > live.CROWDED_S:
            last = clock()
            for stream in streams:
                stream.next()
    for recorder, picture in zip(attack.recorders, pictures):
        ruler = engine.ruler(picture, METRICS, "alex", None)
        files.whole("run", "done", recorder.trace(ruler))
        told()


def crowd(pictures, batch, steps):
    """Seconds after which each of the visitors has everything."""
    begun, ends = time.perf_counter(), []
    for first in range(0, len(pictures), batch):
        answer(pictures[first : first + batch], steps, lambda: ends.append(time.perf_counter() - begun))
    return ends


def measure(sizes, batches, visitors, steps):
    rng, rows = np.random.default_rng(0), []
    for size in sizes:
        ends = {batch: [] for batch in batches}
        for batch in batches:
            answer(np.zeros((batch, size, size, 3), np.uint8), 2, lambda: None)  # to warm up
        for _ in range(ROUNDS):
            for batch in batches:
                pictures = rng.integers(0, 256, (visitors, size, size, 3), np.uint8)  # new ones: nothing is remembered
                ends[batch].append(crowd(pictures, batch, steps))
        one = None  # duels a minute with the first batch size
        for batch, taken in ends.items():
            total, middle, first = (
                statistics.median(map(of, taken)) for of in (lambda t: t[-1], statistics.median, lambda t: t[0])
            )
            rate = 60 * visitors / total
            one = one or rate
            rows.append(
                f"| {size} | {batch} | {rate:.0f} | {rate / one:.2f} | {first:.2f} / {middle:.2f} / {total:.2f} |"
            )
    print(f"{visitors} visitors, {steps} steps, median of {ROUNDS}\n")
    print("| pixels a side | batch | duels a minute | times as many | wait of the first / median / last visitor, s |")
    print("| --- | --- | --- | --- | --- |", *rows, sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    said = parser.parse_args()
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as app.py has it
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # where the pictures of messages go
        measure(said.sizes, said.batches, said.visitors, said.steps)


if __name__ == "__main__":
    main()
