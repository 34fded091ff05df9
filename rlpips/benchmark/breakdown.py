"""Where the time of a step goes: the whole attack under torch's profiler, every operation laid to the part that it
serves."""

import contextlib
import inspect
import statistics
import time
from unittest import mock

from torch.profiler import ProfilerActivity, profile, record_function

import rlpips
from rlpips import attacks, readings, replay
from rlpips.backbones import Trunk
from rlpips.benchmark.ours import METRICS
from rlpips.benchmark.timing import synchronise
from rlpips.convolutions import Convolution, Prepared
from rlpips.differences import Differences

BALL = "the ball: step and projection"
NORMALISE = "the picture: normalised, cut into blocks, and back"
FORWARD = "convolutions, forward"
BACKWARD = "convolutions, backward"
LOW = "differences to the reference in bfloat16 and back"
RELU = "ReLU and pooling, forward and backward"
SHARES = "shares: unit length, difference, weights; forward"
SHARES_BACKWARD = "shares, backward"
READING = "reading off: norms, numbers to numpy"
FRAME_PASS = "keyframes: the 8-bit pictures' forward pass and maps"
FRAME_QUALITY = "keyframes: PSNR and SSIM"
FRAME_REST = "keyframes: maps made smaller, 8-bit pictures, norms"
BETWEEN = "between the operations: Python, autograd's bookkeeping"
PARTS = (FORWARD, BACKWARD, LOW, RELU, SHARES, SHARES_BACKWARD, NORMALISE, BALL, READING, FRAME_PASS, FRAME_QUALITY,
         FRAME_REST, BETWEEN)  # fmt: skip

# Functions that run under the name of their part while they are measured.
_NAMED = (
    (Prepared, "linear", FORWARD), (Prepared, "backward", BACKWARD),
    (Differences, "forward", LOW), (Differences, "backward", LOW),
    (Trunk, "_centred", NORMALISE), (Convolution, "lay", NORMALISE), (Convolution, "unlay", NORMALISE),
    (readings.Panel, "read", READING), (attacks, "to_steps", READING), (readings.Panel, "frame", FRAME_REST),
    (readings.Panel, "maps", FRAME_PASS), (readings, "psnr", FRAME_QUALITY), (readings, "ssim", FRAME_QUALITY),
)  # fmt: skip
_FRAMES = (FRAME_PASS, FRAME_QUALITY, FRAME_REST)
# What the profiler calls operations, and their parts; the innermost that is found here counts.
_OPERATIONS = {
    "aten::relu_": RELU, "aten::threshold_backward": RELU, "aten::max_pool2d_with_indices": RELU,
    "aten::max_pool2d_with_indices_backward": RELU, "_Shares": SHARES, "_SharesBackward": SHARES_BACKWARD,
    **{part: part for part in PARTS},
}  # fmt: skip
_OPERATION = ("aten::", "mkldnn::")


def breakdown(reference, eps, steps, norm, precision, backbone="alex", rounds=3):
    """({part: ms a step}, which sum to the second, ms a step) of the whole attack after its first step, keyframes
    included.

    The profiler slows what it watches: the parts are measured under it and scaled to what the step takes without,
    the median of `rounds` runs. On a GPU what counts is the time of the kernels, launched one by one (see
    `rlpips.replay`).
    """

    def run(watched):
        made = rlpips.attack_steps(
            reference, metrics=METRICS, backbone=backbone, norm=norm, eps=eps, steps=steps, precision=precision,
            device=reference.device,
        )  # fmt: skip
        next(made)  # what is done once: the reference's features, the noise
        synchronise(reference.device)
        with watched as watch:
            begun = time.perf_counter()
            for _ in made:
                pass
            synchronise(reference.device)
            return 1000 * (time.perf_counter() - begun) / steps, watch

    cuda = reference.device.type == "cuda"
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if cuda else [ProfilerActivity.CPU]
    with mock.patch.object(replay, "ENABLED", False):
        step = statistics.median(run(contextlib.nullcontext())[0] for _ in range(rounds))
        with _named():
            watched_step, watch = run(profile(activities=activities))
    parts = dict.fromkeys(PARTS, 0.0)
    for event in watch.events():
        spent = event.self_device_time_total if cuda else event.self_cpu_time_total
        parts[_part(event)] += spent / 1000 / steps * step / watched_step
    parts[BETWEEN] += step - sum(parts.values())
    return parts, step


def _part(event):
    """The part that an operation serves, by its name and by the names of those that called it; what calls
    operations spends its own time between them."""
    part = None if event.name.startswith(_OPERATION) else BETWEEN
    while event:
        found = _OPERATIONS.get(event.name)
        if found in _FRAMES and part != BETWEEN:
            return found
        part, event = part or found, event.cpu_parent
    return part or BALL


@contextlib.contextmanager
def _named():
    with contextlib.ExitStack() as stack:
        for owner, name, part in _NAMED:
            stack.enter_context(mock.patch.object(owner, name, _under(part, getattr(owner, name))))
        yield


def _under(part, function):
    def named(*arguments):
        with record_function(part):
            made = function(*arguments)
            return list(made) if inspect.isgenerator(made) else made

    return named
