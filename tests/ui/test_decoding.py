"""Frames as Python writes them, decoded in a browser: every pixel is the one that Python meant."""

import base64
import json

import browser as b
import numpy as np
import pytest
import torch
from matplotlib import colormaps

import rlpips
from rlpips import Heads
from rlpips.data import images
from rlpips.data.images import png_bytes
from rlpips.engine.ruler import make_ruler
from rlpips.metrics.base import merge_maps
from rlpips.traces.schema import Frame
from rlpips.traces.writer import frame_json

LANES, METRICS, HEIGHT, WIDTH = 3, 2, 23, 37
SIZES = [(5, 7), (2, 3), (6, 4)]  # of the layers' maps; the second metric lacks the first layer

# Decodes the sources and one frame, and returns the bytes of what `pictures` makes of them.
DECODE = """async ([meta, frame, pictures]) => {
  const decode = await import("./decode.js");
  const maps = await import("./maps.js");
  const { decodePng } = await import("./png.js");
  const model = { meta, pixels: {} };
  for (const key of ["reference", "start"]) if (meta[key]) model.pixels[key] = await decodePng(meta[key]);
  frame.decoded = await decode.decodeFrame(frame);
  const plain = (image) => image && ({ ...image, width: image.width, height: image.height,
    data: image.data.BYTES_PER_ELEMENT === 1 ? PACKED(image.data) : Array.from(image.data) });
  return pictures.map(([kind, lane, ...rest]) => {
    if (kind === "sum") return Array.from(maps.summedValues(model, frame, lane, rest[0]).data);
    if (kind === "values") return plain(maps.layerValues(frame, lane, ...rest));
    if (kind === "map") {
      const [metric, layer, ...scale] = rest;
      return plain(maps.heatImage(maps.layerValues(frame, lane, metric, layer), ...scale));
    }
    const attacked = decode.attackedImage(model, frame, lane);
    return plain(kind === "attacked" ? attacked : decode.amplifiedChange(attacked, decode.startPixels(model), ...rest));
  });
}""".replace("PACKED", b.PACKED)


def data_url(name, data):
    kind = name.rsplit(".", 1)[1]
    return {"url": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"}


def pixels(image):
    """(H, W, 3); every pixel is opaque."""
    rgba = b.unpacked(image["data"]).reshape(image["height"], image["width"], 4)
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
        maps=tuple(
            tuple(None if (m, k) == (1, 0) else random.random((LANES, *size), np.float32) ** 3 * np.float32(0.7 + k)
                  for k, size in enumerate(SIZES))
            for m in range(METRICS)
        ),
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


def coded(values):
    """As 8 bits keep them: the byte is the root of the share of the largest."""
    return values.max() * (np.rint(255 * np.sqrt(values / values.max())) / 255) ** 2


def shade(shares):
    """inferno's colours."""
    inferno = np.rint(255 * colormaps["inferno"](np.linspace(0, 1, 256))[:, :3])
    return inferno[np.rint(255 * np.clip(shares, 0, 1)).astype(int)]


def test_maps(blank, random, frame):
    """Each layer's values come back to 8 bits; pictures have inferno's colour of a value on a linear or logarithmic scale."""
    reference = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    cells = [(lane, m, k) for lane in frame.lanes for m in range(METRICS) for k in range(3)]
    pictures = [("values", *cell) for cell in cells]
    drawn = [cell for cell in cells if frame.maps[cell[1]][cell[2]] is not None]
    pictures += [("map", *cell, 0.6, log) for cell in drawn for log in (False, True)]
    answers = blank.evaluate(DECODE, [meta(reference), frame_json(frame, reference, data_url), pictures])
    for answer, (kind, lane, m, k, *rest) in zip(answers, pictures, strict=True):
        maps = frame.maps[m][k]
        if maps is None:
            assert answer is None
            continue
        values = maps[frame.lanes.index(lane)].astype(float)
        assert (answer["height"], answer["width"]) == values.shape
        if kind == "values":
            np.testing.assert_allclose(np.reshape(answer["data"], values.shape), coded(values), rtol=1e-5, atol=1e-7)
            assert answer["top"] == pytest.approx(values.max())
            continue
        with np.errstate(divide="ignore"):
            shares = 1 + np.log10(coded(values) / 0.6) / 3 if rest[1] else coded(values) / 0.6
        np.testing.assert_allclose(pixels(answer), shade(shares), atol=8)


def test_the_sum_is_every_layer_enlarged_as_torch_does_it(blank, random, frame):
    reference = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    pictures = [("sum", lane, metric) for lane in frame.lanes for metric in range(METRICS)]
    answers = blank.evaluate(DECODE, [meta(reference), frame_json(frame, reference, data_url), pictures])
    for answer, (_, lane, metric) in zip(answers, pictures, strict=True):
        row = frame.lanes.index(lane)
        maps = [torch.tensor(coded(each[row]))[None, None] for each in frame.maps[metric] if each is not None]
        expected = merge_maps(maps, (HEIGHT, WIDTH))[0, 0].numpy()
        np.testing.assert_allclose(np.reshape(answer, expected.shape), expected, rtol=1e-4, atol=1e-6)


MOVES = """async ([meta, frame, lanes]) => {
  const decode = await import("./decode.js");
  const { flowImage, moveSizes } = await import("./flow.js");
  const { decodePng } = await import("./png.js");
  const model = { meta, pixels: { reference: await decodePng(meta.reference) } };
  frame.decoded = await decode.decodeFrame(frame);
  return lanes.map((lane) => {
    const attacked = decode.attackedImage(model, frame, lane);
    const { width, height, data } = flowImage(model, frame, lane, attacked, model.pixels.reference);
    return [moveSizes(frame, lane), { width, height, data: PACKED(data) }];
  });
}""".replace("PACKED", b.PACKED)


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
    nothing = tuple(tuple(np.zeros((LANES, *size), np.float32) for size in SIZES) for _ in range(METRICS))
    equal = Frame(**{**vars(frame), "maps": nothing})
    pictures = [("map", 0, 1, 1, 0.0, log) for log in (False, True)]
    for image in blank.evaluate(DECODE, [meta(reference), frame_json(equal, reference, data_url), pictures]):
        np.testing.assert_array_equal(pixels(image), np.broadcast_to([0, 0, 4], (*SIZES[1], 3)))


# Shows a whole trace; returns what the browser computes of its last frame.
OPEN = """async ([value, mixtures]) => {
  const { accept, frameAt, newModel } = await import("./model.js");
  const { decodeFrame } = await import("./decode.js");
  const { summedValues } = await import("./maps.js");
  const c = await import("./channels.js");
  const model = newModel();
  accept(model, value);
  for (const frame of model.frames) frame.decoded = await decodeFrame(frame);
  model.heads = await c.loadHeads(model);
  const metrics = model.meta.metrics.map((_, m) => m);
  const places = metrics.map((m) => c.placeOf(model, m));
  const distances = model.meta.lanes.map((_, lane) => metrics.map((m) => {
    const frame = frameAt(model, lane, 99);
    return places[m] && c.distanceUnder(c.weightsOf(model, m), c.channelsOf(model, frame, lane, places[m].trunk));
  }));
  const [a, b] = [0, 1].map((m) => c.weightsOf(model, m));
  const mixed = mixtures.map((share) => a.map((w, i) => (1 - share) * w + share * b[i]));
  const frame = frameAt(model, 0, 99);
  return {
    distances, places, jpeg: [a, b, ...mixed].map((weights) => c.jpegUnder(model, weights)),
    mixed: mixed.map((weights) => c.distanceUnder(weights, c.channelsOf(model, frame, 0))),
    maps: [0, 1].map((m) => Array.from(summedValues(model, frame, 0, m).data)),
  };
}"""


def test_the_browser_computes_the_distances_of_any_weights(blank):
    """Against the library: the metrics' own distances, mixtures, JPEG's table under both, and the summed map to a grey level."""
    picture = images.to_tensor("assets/samples/coffee.png")[..., 40:136, 30:158]
    names = ("lpips", "rlpips-linf", "mse", "rlpips-tune")
    trace = rlpips.attack(picture, metrics=names, steps=3)
    metrics = [rlpips.load_metric(name) for name in names]
    ruler = make_ruler(images.to_tensor(trace.reference), metrics, distortions=("jpeg", "noise"))
    value = trace.with_ruler(ruler).to_json(data_url)
    value |= {"run": "a", **{key: json.dumps(value[key]) for key in ("curve", "ruler")}}
    answer = blank.evaluate(OPEN, [value, [0.3, 0.8]])
    assert answer["places"] == [{"trunk": 0, "row": 0}, {"trunk": 0, "row": 1}, None, {"trunk": 1, "row": 0}]
    known = [0, 1, 3]
    distances = np.array([[row[m] for m in known] for row in answer["distances"]])
    np.testing.assert_allclose(distances, trace.distance_8bit[:, known], rtol=1e-5)
    reference, shown = images.to_tensor(trace.reference), images.to_tensor(trace.adversarial[:1])
    mixtures = [rlpips.load_metric(Heads.mix("lpips", "rlpips-linf", share)) for share in (0.3, 0.8)]
    np.testing.assert_allclose(answer["mixed"], [metric(reference, shown).item() for metric in mixtures], rtol=1e-3)
    np.testing.assert_allclose(answer["jpeg"][:2], ruler.scales["jpeg"].distance[:, :2].T, rtol=1e-3)
    expected = make_ruler(reference, mixtures, distortions=("jpeg",)).scales["jpeg"].distance
    np.testing.assert_allclose(answer["jpeg"][2:], expected.T, rtol=1e-3)
    for metric, seen in zip(metrics, answer["maps"]):
        truth = metric.distance_map(reference, shown)[0].numpy()
        assert np.abs(np.reshape(seen, truth.shape) - truth).max() <= truth.max() / 255
