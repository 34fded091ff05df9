"""The viewer's model in a browser: messages in any completeness, peaks, frames, and the ruler's texts."""

import json
import math

import numpy as np
import pytest

from rlpips.engine.ruler import Ruler, Scale

METRICS, LANES, LAYERS = ("lpips", "rlpips-linf"), ("lpips", "rlpips-linf", "noise"), 5
META = {"metrics": list(METRICS), "lanes": list(LANES), "layers": [f"conv{k}" for k in range(LAYERS)], "steps": 9}

# Takes the messages one by one; returns the model after the last, and of each whether it was another run.
ACCEPT = """async (messages) => {
  const { accept, newModel } = await import("./model.js");
  const model = newModel();
  const fresh = messages.map((message) => accept(model, message));
  return { ...model, fresh };
}"""

FRAME_AT = """async ([frames, wishes]) => {
  const { frameAt } = await import("./model.js");
  return wishes.map(([lane, step, decodedOnly]) => frameAt({ frames }, lane, step, decodedOnly)?.name ?? null);
}"""

READING = """async ([curve, wishes]) => {
  const { reading } = await import("./model.js");
  return wishes.map((path) => reading({ curve }, ...path));
}"""

RULER = """async ([ruler, wishes]) => {
  const { rulerMark, rulerText } = await import("./ruler.js");
  const model = { ruler };
  return wishes.map(([distortion, metric, distance]) =>
    [rulerText(model, distortion, metric, distance), rulerMark(model, distortion, metric)]);
}"""


def curve(first, steps, seed=0):
    """The entries of steps `first` to `first + steps - 1`, as a message carries them."""
    random = np.random.default_rng(seed)
    return {
        "first": first,
        "distance": random.random((steps, len(LANES), len(METRICS))).tolist(),
        "per_layer": random.random((steps, len(LANES), len(METRICS), LAYERS)).tolist(),
        "linf": random.random((steps, len(LANES))).tolist(),
        "l2": random.random((steps, len(LANES))).tolist(),
    }


def frame(step, lanes=(0, 1), seed=0, **fields):
    random = np.random.default_rng([step, seed])
    return {
        "step": step, "lanes": list(lanes), "map_peak": random.random((len(lanes), len(METRICS), LAYERS)).tolist(),
        "peak": random.random((len(lanes), len(METRICS))).tolist(),
        "distance_8bit": random.random((len(lanes), len(METRICS))).tolist(), "l2_8bit": random.random(len(lanes)).tolist(),
        **fields,
    }  # fmt: skip


def message(piece=None, frames=(), run="a", **fields):
    """What the server sends: curve and ruler are JSON within the JSON."""
    text = {"curve": json.dumps(piece)} if piece else {}
    return {"run": run, "state": "running", **text, "frames": {str(k): f for k, f in enumerate(frames)}, **fields}


def test_pieces_of_a_curve_join_to_the_whole(blank):
    whole = curve(0, 7)
    keys = [key for key in whole if key != "first"]
    cuts = [(0, 1), (1, 4), (4, 7)]
    pieces = [{"first": low, **{key: whole[key][low:high] for key in keys}} for low, high in cuts]
    model = blank.evaluate(ACCEPT, [message(piece, meta=META) for piece in pieces])
    assert model["fresh"] == [True, False, False] and model["state"] == "running"
    for key in keys:
        np.testing.assert_array_equal(model["curve"][key], whole[key])


def test_a_lost_message_leaves_a_hole_that_a_later_one_fills(blank):
    whole = curve(0, 7)
    first, last = curve(0, 2), curve(5, 2)
    model = blank.evaluate(ACCEPT, [message(first, meta=META), message(last)])
    distance = model["curve"]["distance"]
    assert len(distance) == 7 and distance[2:5] == [None] * 3
    assert distance[:2] == first["distance"] and distance[5:] == last["distance"]
    assert model["layerPeak"] == pytest.approx(np.max(first["per_layer"] + last["per_layer"], (0, 1, 3)).tolist())
    model = blank.evaluate(ACCEPT, [message(first, meta=META), message(last), message(whole)])
    assert model["curve"]["distance"] == whole["distance"]


def test_a_restart_shortens_the_curve_and_drops_the_frames_beyond(blank):
    sent = [
        message(curve(0, 8), [frame(0), frame(4), frame(7)], meta=META),
        message(curve(3, 2, seed=1), [frame(4, seed=1)]),
    ]
    model = blank.evaluate(ACCEPT, sent)
    assert model["curve"]["distance"] == [*curve(0, 8)["distance"][:3], *curve(3, 2, seed=1)["distance"]]
    assert [f["step"] for f in model["frames"]] == [0, 4]
    assert model["frames"][1]["map_peak"] == frame(4, seed=1)["map_peak"]


def test_another_run_forgets_the_last_one(blank):
    sent = [
        message(curve(0, 8), [frame(0)], meta=META, ruler=json.dumps({"metrics": [], "distortions": []})),
        message(None, (), run="b", state=None),
    ]
    model = blank.evaluate(ACCEPT, sent)
    assert model["fresh"] == [True, True] and model["run"] == "b" and model["state"] == "empty"
    assert model["curve"]["distance"] == [] and model["frames"] == []
    assert model["meta"] is None and model["ruler"] is None


def test_what_comes_late_of_a_run_that_another_has_replaced_changes_nothing(blank):
    ruler = json.dumps({"metrics": [], "distortions": []})
    sent = [message(curve(0, 2), meta=META), message(curve(0, 1), run="b", meta=META)]
    late = message(curve(0, 8), [frame(0)], ruler=ruler, state="done")
    model = blank.evaluate(ACCEPT, [*sent, late])
    assert model["fresh"] == [True, True, False] and model["run"] == "b" and model["state"] == "running"
    assert len(model["curve"]["distance"]) == 1 and model["ruler"] is None and model["frames"] == []


def test_peaks_are_the_largest_of_all_steps_lanes_and_frames(blank):
    piece, frames = curve(0, 6), [frame(0, (0, 1, 2)), frame(3), frame(5, (1,))]
    model = blank.evaluate(ACCEPT, [message(piece, frames, meta=META)])
    assert model["layerPeak"] == pytest.approx(np.max(piece["per_layer"], (0, 1, 3)).tolist())
    assert model["mapPeak"] == pytest.approx(np.max(np.concatenate([f["peak"] for f in frames]), 0).tolist())
    for peaks, expected in zip(model["layerMapPeak"], np.max(np.concatenate([f["map_peak"] for f in frames]), 0)):
        assert peaks == pytest.approx(expected.tolist())


def test_frames_are_sorted_and_a_repeated_one_keeps_what_is_decoded(blank):
    model = blank.evaluate(
        """async ([sent, again, changed]) => {
          const { accept, newModel } = await import("./model.js");
          const model = newModel();
          accept(model, sent);
          for (const frame of model.frames) Object.assign(frame, { decoded: frame.step + 1, requested: true });
          const steps = model.frames.map((frame) => frame.step);
          const rows = [again, changed].map((next) => {
            accept(model, next);
            return model.frames.map((frame) => [frame.file, frame.decoded ?? null, Boolean(frame.requested)]);
          });
          return { steps, rows };
        }""",
        [
            message(curve(0, 9), [frame(7, file="x"), frame(0, file="y")], meta=META),
            message(None, [frame(0, file="z"), frame(7, file="w")]),
            message(None, [frame(7, seed=1, file="v")]),
        ],
    )
    assert model["steps"] == [0, 7]
    assert model["rows"] == [[["z", 1, True], ["w", 8, True]], [["z", 1, True], ["v", None, False]]]


def test_frame_at(blank):
    frames = [
        {"name": "start", "step": 0, "lanes": [0, 1, 2], "decoded": None},
        {"name": "three", "step": 3, "lanes": [0, 1], "decoded": {}},
        {"name": "five", "step": 5, "lanes": [1], "decoded": None},
        {"name": "eight", "step": 8, "lanes": [0, 1], "decoded": {}},
    ]

    def truth(lane, step, decoded):
        fitting = [f for f in frames if lane in f["lanes"] and (f["decoded"] is not None or not decoded)]
        before = [f["name"] for f in fitting if f["step"] <= step]
        return before[-1] if before else fitting[0]["name"] if decoded and fitting else None

    wishes = [(lane, step, decoded) for lane in range(4) for step in range(10) for decoded in (False, True)]
    assert blank.evaluate(FRAME_AT, [frames, wishes]) == [truth(*wish) for wish in wishes]


def test_a_missing_reading_is_null(blank):
    values = {"distance": [[[0.5, None]], None], "l2": [[0.25]]}
    wishes = [("distance", 0, 0, 0), ("distance", 0, 0, 1), ("distance", 1, 0, 0), ("distance", 9, 0, 0), ("l2", 0, 0)]
    assert blank.evaluate(READING, [values, wishes]) == [0.5, None, None, None, 0.25]


def test_the_ruler_reads_as_the_one_in_python(blank):
    tables = {
        "jpeg": ("JPEG", [f"JPEG quality {q}" for q in (88, 50, 7, 1)], [[0.01, 0.02], [0.1, 0.05], [0.4, 0.2], [0.9, 0.3]]),
        "grey": ("colour loss", ["colour loss 10 %", "half the colour", "colour loss 100 %"], [[0.0, 0.0], [0.0, 0.1], [0.2, 0.3]]),
    }  # fmt: skip
    scales = {name: Scale(name, title, tuple(words), np.array(d)) for name, (title, words, d) in tables.items()}
    ruler = Ruler(METRICS, scales)
    distances = [0.0, 1e-6, 0.005, 0.01, 0.02, 0.03, 0.1, 0.19, 0.21, 0.4, 0.9, 0.91, 5.0]
    wishes = [(name, metric, distance) for name in tables for metric in METRICS for distance in distances]
    answers = blank.evaluate(RULER, [ruler.to_json(), wishes])
    for (name, metric, distance), (text, mark) in zip(wishes, answers, strict=True):
        assert text["long"] == ruler.read(metric, distance, name)
        assert text["short"] in ("beyond all", "below all") or text["long"].endswith(text["short"])
        at = math.floor(0.65 * (len(scales[name].words) - 1) + 0.5)
        assert mark == {"text": scales[name].words[at], "distance": scales[name].distance[at, METRICS.index(metric)]}


def test_without_a_ruler_there_is_nothing_to_read(blank):
    ruler = Ruler(METRICS, {}).to_json()
    nothing = [{"long": "", "short": "–"}, None]
    assert blank.evaluate(RULER, [None, [("jpeg", "lpips", 0.1)]]) == [nothing]
    assert blank.evaluate(RULER, [ruler, [("jpeg", "lpips", 0.1), ("jpeg", "lpips", None)]]) == [nothing] * 2


LAYERS_TO_CHOOSE = """async ([sizes, keys]) => {
  const { layerOfKey } = await import("./layers.js");
  const { VIEW_KEYS } = await import("./view_address.js");
  const model = { frames: [{ map_size: sizes }], meta: { layers: ["conv1", "conv2"] } };
  return [keys.map((key) => layerOfKey(model, { key, target: document.body }) ?? null), VIEW_KEYS.layer.to(2, model).layer];
}"""


def test_a_trace_of_an_earlier_format_has_no_single_layer_to_choose(blank):
    today, earlier = [[[9, 9], [4, 4]]] * 2, [[[9, 9]]] * 2
    assert blank.evaluate(LAYERS_TO_CHOOSE, [today, ["0", "2", "3"]]) == [["all", 1, None], 1]
    assert blank.evaluate(LAYERS_TO_CHOOSE, [earlier, ["0", "2", "3"]]) == [["all", None, None], "all"]
