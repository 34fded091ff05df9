"""Frames as Python writes them, decoded in a browser: every pixel is the one that Python meant."""

import base64

import numpy as np
import pytest
from matplotlib import colormaps

from rlpips.data.images import png_bytes
from rlpips.traces.schema import Frame
from rlpips.traces.writer import frame_json

LANES, METRICS, HEIGHT, WIDTH, MAP_HEIGHT, MAP_WIDTH = 3, 2, 23, 37, 5, 7

# Decodes the sources and one frame, and returns the bytes of what `pictures` makes of them.
DECODE = """async ([meta, frame, pictures]) => {
  const decode = await import("./decode.js");
  const { decodePng } = await import("./png.js");
  const model = { meta, pixels: {} };
  for (const key of ["reference", "start"]) if (meta[key]) model.pixels[key] = await decodePng(meta[key]);
  frame.decoded = await decode.decodeFrame(frame);
  const plain = ({ width, height, data }) => ({ width, height, data: Array.from(data) });
  return pictures.map(([kind, lane, ...rest]) => {
    if (kind === "map value") return decode.mapAt(model, frame, lane, ...rest);
    if (kind === "map") return plain(decode.mapImage(model, frame, lane, ...rest));
    const attacked = decode.attackedImage(model, frame, lane);
    return plain(kind === "attacked" ? attacked : decode.amplifiedChange(attacked, decode.startPixels(model), ...rest));
  });
}"""


def data_url(name, data):
    kind = name.rsplit(".", 1)[1]
    return {"url": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"}


def pixels(image):
    """(H, W, 3); every pixel is opaque."""
    rgba = np.array(image["data"], np.uint8).reshape(image["height"], image["width"], 4)
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.fixture
def frame(random):
    """The lanes 0, 2 and 3 of a step, far from the start picture, so that differences wrap around modulo 256."""
    measures = {key: np.zeros(LANES) for key in ("linf_8bit", "l2_8bit", "psnr", "ssim")}
    return Frame(
        step=4, lanes=(0, 2, 3), attacked=random.integers(0, 256, (LANES, HEIGHT, WIDTH, 3), np.uint8),
        maps=random.random((LANES, METRICS, MAP_HEIGHT, MAP_WIDTH), np.float32) ** 3 * np.float32(0.7),
        distance_8bit=np.zeros((LANES, METRICS)), **measures,
    )  # fmt: skip


def meta(reference, start=None):
    sources = {"reference": data_url("reference.png", png_bytes(reference))}
    if start is not None:
        sources["start"] = data_url("start.png", png_bytes(start))
    return {"metrics": ["lpips", "rlpips-linf"], "width": WIDTH, "height": HEIGHT, **sources}


@pytest.mark.parametrize("apart", [False, True], ids=["from the reference", "from another start"])
def test_attacked_pictures_and_changes(blank, random, frame, apart):
    reference, other = random.integers(0, 256, (2, HEIGHT, WIDTH, 3), np.uint8)
    start = other if apart else reference
    factors = (1, 2, 24)
    pictures = [(kind, lane) for kind in ("attacked",) for lane in frame.lanes]
    pictures += [("change", lane, factor) for lane in frame.lanes for factor in factors]
    images = blank.evaluate(
        DECODE, [meta(reference, other if apart else None), frame_json(frame, start, data_url), pictures]
    )
    for image, (_, lane, *factor) in zip(images, pictures, strict=True):
        attacked = frame.attacked[frame.lanes.index(lane)]
        if factor:
            change = attacked.astype(int) - start.astype(int)
            attacked = np.clip(128 + factor[0] * change, 0, 255)
        np.testing.assert_array_equal(pixels(image), attacked)


def test_maps(blank, random, frame):
    """The byte keeps the root of the value; the picture has inferno's colour of the value on the common scale."""
    reference = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    top = float(frame.maps.max())
    cells = [(lane, metric) for lane in frame.lanes for metric in range(METRICS)]
    corners = [(0, 0), (WIDTH - 1, HEIGHT - 1), (11, 19), (36, 2)]
    pictures = [("map", *cell, scale) for cell in cells for scale in (top, top / 2)]
    pictures += [("map value", *cell, *corner) for cell in cells for corner in corners]
    answers = blank.evaluate(DECODE, [meta(reference), frame_json(frame, reference, data_url), pictures])
    inferno = np.rint(255 * colormaps["inferno"](np.linspace(0, 1, 256))[:, :3])
    for answer, (kind, lane, metric, *rest) in zip(answers, pictures, strict=True):
        values = frame.maps[frame.lanes.index(lane), metric].astype(float)
        peak = values.max()
        coded = peak * (np.rint(255 * np.sqrt(values / peak)) / 255) ** 2
        if kind == "map":
            shares = np.minimum(1, coded / rest[0])
            np.testing.assert_allclose(pixels(answer), inferno[np.rint(255 * shares).astype(int)], atol=8)
            assert answer["width"] == MAP_WIDTH and answer["height"] == MAP_HEIGHT
        else:
            x, y = rest
            row, column = y * MAP_HEIGHT // HEIGHT, x * MAP_WIDTH // WIDTH
            assert answer == pytest.approx(coded[row, column], rel=1e-6)
            assert answer == pytest.approx(values[row, column], abs=peak / 255)


MOVES = """async ([meta, frame, lanes]) => {
  const decode = await import("./decode.js");
  const { flowImage, moveSizes } = await import("./flow.js");
  const { decodePng } = await import("./png.js");
  const model = { meta, pixels: { reference: await decodePng(meta.reference) } };
  frame.decoded = await decode.decodeFrame(frame);
  return lanes.map((lane) => {
    const attacked = decode.attackedImage(model, frame, lane);
    const { width, height, data } = flowImage(model, frame, lane, attacked, model.pixels.reference);
    return [moveSizes(frame, lane), { width, height, data: Array.from(data) }];
  });
}"""


def test_moves(blank, random, frame):
    """Lane 0 is moved in every direction, lane 2 to the right alone, lane 3 not at all, and it is the start picture."""
    reference = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    flow = random.uniform(-0.35, 0.35, (LANES, 2, 4, 6)).astype(np.float32)
    flow[1], flow[1, 0], flow[2] = 0, -0.5, 0  # colours are looked up on the left, so things go to the right
    attacked = frame.attacked.copy()
    attacked[1], attacked[2] = 255 - reference, reference
    moved = Frame(**{**vars(frame), "flow": flow, "attacked": attacked})
    about = {**meta(reference), "norm": "flow", "eps": 0.5}
    answers = blank.evaluate(MOVES, [about, frame_json(moved, reference, data_url), list(frame.lanes)])
    for (sizes, image), arrows in zip(answers, flow, strict=True):
        lengths = np.hypot(*arrows)
        assert sizes["most"] == pytest.approx(lengths.max(), abs=0.01)
        assert sizes["mean"] == pytest.approx(lengths.mean(), abs=0.01)
        assert image["width"] == 640 and image["height"] == round(640 * HEIGHT / WIDTH)
    every, right, none = (pixels(image).astype(int) for _, image in answers)
    assert np.ptp(every, axis=2).max() > 150  # colourful
    assert (np.ptp(none, axis=2) <= 1).all()  # grey
    colorful = right[np.ptp(right, axis=2) > 150]
    assert len(colorful) > 1000 and (colorful.argmax(1) == 0).all()  # red, the colour of the right


def test_a_map_of_nothing_is_black(blank, random, frame):
    """No difference anywhere, and so a scale of 0: no division by it."""
    reference = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    equal = Frame(**{**vars(frame), "maps": np.zeros_like(frame.maps)})
    (image,) = blank.evaluate(DECODE, [meta(reference), frame_json(equal, reference, data_url), [("map", 0, 1, 0.0)]])
    np.testing.assert_array_equal(pixels(image), np.broadcast_to([0, 0, 4], (MAP_HEIGHT, MAP_WIDTH, 3)))
