"""What the viewer makes of a model of the eye: its sentence and its maps, in a browser."""

import base64

import numpy as np
import pytest

from rlpips.data.images import png_bytes

WORDS = [f"JPEG quality {q}" for q in (88, 64, 21, 1)]
SENTENCES = """async ([eye, ruler, cases]) => {
  const { sentence } = await import("./eye_text.js");
  return cases.map(([lanes, lane, seen, distances, steps]) => sentence({
    eye: { ...eye, distance: lanes.map(() => seen) }, ruler,
    meta: { metrics: ["lpips", "rlpips-linf"], lanes, steps, titles: { lpips: "LPIPS", "rlpips-linf": "R-LPIPS" } },
    curve: { distance: new Array(steps + 1) },
    frames: [{ step: 0, lanes: lanes.map((_, k) => k), distance_8bit: lanes.map(() => distances) }],
  }, lane));
}"""
IMAGES = """async (eye) => {
  const { eyeMaps } = await import("./eye_maps.js");
  return (await eyeMaps({ eye })).map(({ width, height, data }) => ({ width, height, data: Array.from(data) }));
}"""


def ruler(*metrics):
    distances = [[0.01 * (row + 1) ** 2 * (column + 1) for column in range(len(metrics))] for row in range(4)]
    return {
        "metrics": list(metrics),
        "distortions": [{"name": "jpeg", "title": "JPEG", "words": WORDS, "distance": distances}],
    }


@pytest.mark.parametrize(
    "case, text",
    [
        (
            (["lpips", "rlpips-linf", "noise"], 0, 0.04, [0.2, 0.18], 40),
            "To a model of the eye (FLIP 0.040) step 40 is about a JPEG of quality 64, to R-LPIPS one of 21, "
            "to LPIPS further than quality 1.",
        ),
        (
            (["lpips", "rlpips-linf", "noise"], 2, 0.005, [0.001, 0.08], 40),
            "To a model of the eye (FLIP 0.0050) the noise is less than a JPEG of quality 88, to LPIPS less than one of 88, "
            "to R-LPIPS one of 64.",
        ),
        (
            (["pair"], 0, 0.5, [0, 0.32], 0),
            "To a model of the eye (FLIP 0.500) this is further than a JPEG of quality 1, to LPIPS no change, "
            "to R-LPIPS one of 1.",
        ),
        (
            (["pair"], 0, 0.09, [None, None], 0),
            "To a model of the eye (FLIP 0.090) this is about a JPEG of quality 21.",
        ),
    ],
)
def test_the_sentence_names_jpeg_qualities_the_nearest_first(blank, case, text):
    eye = {"ruler": ruler("flip")}
    assert blank.evaluate(SENTENCES, [eye, ruler("lpips", "rlpips-linf"), [list(case)]]) == [text]


def test_maps_have_one_scale_for_all_lanes(blank):
    grey = np.zeros((2, 3, 5), np.uint8)
    grey[0, 1, 2] = grey[1, 2, 4] = 255
    data = base64.b64encode(png_bytes(grey.reshape(6, 5))).decode()
    eye = {"maps": {"url": f"data:image/png;base64,{data}"}, "map_size": [3, 5], "map_peak": [0.4, 0.1]}
    maps = [np.array(each["data"]).reshape(3, 5, 4) for each in blank.evaluate(IMAGES, eye)]
    brightness = [each[..., :3].sum(-1) for each in maps]
    assert all((each[..., 3] == 255).all() for each in maps)
    assert np.argmax(brightness[0]) == 7 and np.argmax(brightness[1]) == 14
    assert brightness[0].max() > 2 * brightness[1].max() > 0  # 0.4 against 0.1
    assert (np.delete(brightness[0], 7) == brightness[0][0, 0]).all()
