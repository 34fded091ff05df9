"""A metric of one's own in the browser: its weights, what they say, its text in an address, and its file."""

import base64

import numpy as np
import pytest
import torch

import rlpips
from rlpips.metrics.base import merge_maps
from rlpips.metrics.heads import Heads

WEIGHTS = """async ([recipe, a, b, layers, q]) => {
  const { cumulative, howMany, mixedWeights, products } = await import("./heads.js");
  const w = mixedWeights(recipe, a, b, layers), shares = cumulative(products(w, q));
  return { w: [...w], shares: [...shares], half: howMany(shares, 0.5), most: howMany(shares, 0.9) };
}"""
TEXT = """async ([texts, layers]) => {
  const { recipeFrom, recipeText } = await import("./heads.js");
  return texts.map((text) => recipeFrom(text, layers)).map((recipe) => recipe && [recipe, recipeText(recipe)]);
}"""
FILE = """async ([w, layers, about]) => {
  const { headsFile, readHeads } = await import("./heads_file.js");
  const bytes = headsFile(w, layers, about);
  return { text: btoa(String.fromCharCode(...bytes)), back: await readHeads(new File([bytes], "a.safetensors")) };
}"""
REFUSED = """async ([w, layers, about]) => {
  const { headsFile, readHeads } = await import("./heads_file.js");
  const bytes = w === null ? ["nonsense"] : [headsFile(w.map(Number), layers, about)];
  return readHeads(new File(bytes, "b.txt")).then(() => "", (error) => error.message);
}"""
SIZES = (64, 192, 384, 256, 256)
LAYERS = [
    {"name": f"conv{index + 1}", "first": sum(SIZES[:index]), "count": count} for index, count in enumerate(SIZES)
]


def test_weights_are_those_of_the_library(blank):
    lpips, robust = Heads.of("lpips"), Heads.of("rlpips-linf")
    gains, silenced = [1, 0.5, 0, 2, 1.25], [3, 489, 1151]
    recipe = {"share": 0.35, "gains": gains, "silenced": silenced}
    q = np.random.default_rng(0).random(1152) ** 4
    read = blank.evaluate(WEIGHTS, [recipe, lpips.vector.tolist(), robust.vector.tolist(), LAYERS, q.tolist()])
    heads = Heads.mix(lpips, robust, 0.35).scale_layers(gains).silence(silenced)
    np.testing.assert_allclose(read["w"], heads.vector, rtol=1e-5, atol=1e-9)
    parts = np.sort(heads.vector * q)[::-1].cumsum() / (heads.vector * q).sum()
    np.testing.assert_allclose(read["shares"], parts, rtol=1e-5)
    assert read["half"] == np.searchsorted(parts, 0.5) + 1 and read["most"] == np.searchsorted(parts, 0.9) + 1


@pytest.mark.parametrize(
    "text, recipe",
    [
        ("0", {"share": 0, "gains": [1] * 5, "silenced": []}),
        ("0.35;1,0.5,0,2,4;489,3", {"share": 0.35, "gains": [1, 0.5, 0, 2, 4], "silenced": [489, 3]}),
        ("1;;7,7", {"share": 1, "gains": [1] * 5, "silenced": [7]}),
        *((text, None) for text in ("", "2", "-1", "x", "0;1,1", "0;1,1,1,1,9", "0;;1152", "0;;1.5", "0;;;", "0;,,,,")),
    ],
)
def test_a_recipe_as_text(blank, text, recipe):
    (read,) = blank.evaluate(TEXT, [[text], LAYERS])
    assert (read and read[0]) == recipe
    if recipe:
        assert blank.evaluate(TEXT, [[read[1]], LAYERS]) == [read]


def test_a_file_is_read_by_the_library(blank, tmp_path):
    weights = np.random.default_rng(1).random(1152).astype(np.float32)
    term = {"share": 1.0, "gains": [1.0] * 5, "silenced": [4, 9]}
    about = {"backbone": "alex", "trunk": None, "mixture": [{"metric": "lpips", **term}]}
    read = blank.evaluate(FILE, [weights.tolist(), LAYERS, about])
    path = tmp_path / "mine.safetensors"
    path.write_bytes(base64.b64decode(read["text"]))
    heads = Heads.load(path)
    np.testing.assert_array_equal(heads.vector, weights)
    assert heads.recipe[0].silenced == (4, 9) and rlpips.load_metric(str(path)).name == "mine"
    assert read["back"]["about"] == about
    np.testing.assert_array_equal(read["back"]["weights"], weights)


@pytest.mark.parametrize(
    "weights, about, message",
    [
        (None, None, "b.txt is not a file of heads that this page or Heads.save wrote."),
        (["0"] * 1152, "x", "b.txt is not a file of heads"),
        (["0"] * 1152, {}, "b.txt is not a file of heads"),
        *(
            (["0"] * 300 + [weight] + ["0"] * 851, {"mixture": []}, "at least 0 and at most 10,000; those of layer 2")
            for weight in ("NaN", "-1", "Infinity", "20000")
        ),
    ],
)
def test_hostile_files_get_a_sentence(blank, weights, about, message):
    assert message in blank.evaluate(REFUSED, [weights, LAYERS, about])


CHALLENGE = """async ([known, mine]) => {
  const { challenge } = await import("./score.js");
  return challenge(known, mine ?? undefined);
}"""


@pytest.mark.parametrize(
    "agreement, attacked, low, words",
    [
        (0.95, 0.9, 0.8, "Yours is further right and further up than R-LPIPS l∞."),
        (0.95, 0.8, 0.7, "this may be chance."),
        (0.95, 0.5, 0.4, "further right than R-LPIPS l∞, but not further up."),
        (0.8, 0.9, 0.8, "further up than R-LPIPS l∞, but not further right."),
        (0.8, 0.5, 0.4, "neither further right nor further up"),
    ],
)
def test_the_challenge_says_what_was_reached(blank, agreement, attacked, low, words):
    def score(agreement, attacked, low):
        return {"agreement": {"value": agreement}, "attacked": {"value": attacked, "low": low}}

    known = [{"title": "LPIPS", **score(1, 0.5, 0.4)}, {"title": "R-LPIPS l∞", **score(0.88, 0.77, 0.7)}]
    assert words in blank.evaluate(CHALLENGE, [known, score(agreement, attacked, low)])
    assert blank.evaluate(CHALLENGE, [known, None]).endswith("than R-LPIPS l∞?")


OWN = """async ([recipe, maps, weights, squared, frame]) => {
  const { newOwnMaps } = await import("./own_maps.js");
  const { newCache } = await import("./cache.js");
  const layers = maps[0].map((_, l) => `conv${l + 1}`), channels = squared.map((layer) => layer.length);
  const heads = [Float32Array.from(weights.flat())];
  const model = { heads, meta: { width: 9, height: 7, layers, metrics: ["lpips", "rlpips-linf"], lanes: ["lpips", "noise"],
    trunks: [{ metrics: ["lpips", "rlpips-linf"], layers, channels }] } };
  // As a frame has them: grey tiles of one lane, one below the other.
  const width = Math.max(...maps.flat().map((map) => map[0].length)), tiles = [];
  for (const map of maps.flat()) for (const row of map) tiles.push(...row, ...Array(width - row.length).fill(0));
  const size = maps.map((layers) => layers.map((map) => [map.length, map[0].length]));
  Object.assign(frame, { lanes: [0], map_size: size, map_peak: [maps.map((layers) => layers.map(() => 1))],
    decoded: { id: 1, maps: tiles, mapsWidth: width } });
  // The squared differences of a layer are channels x positions.
  const firsts = channels.map((_, l) => channels.slice(0, l).reduce((a, b) => a + b, 0));
  const known = { layerMap: (l, lane, w) => ({ width: 2, height: 1,
    data: Float32Array.from([0, 1], (i) => squared[l].reduce((sum, values, c) => sum + w[firsts[l] + c] * values[i], 0)) }) };
  const view = { trunk: 0, recipe };
  const at = (there) => newOwnMaps(model, view, null, () => there, newCache(1e6));
  const plain = (map) => map && { ...map, data: [...map.data] };
  return { layers: layers.map((_, l) => plain(at(known).values(frame, 0, l))), sum: plain(at(known).values(frame, 0)),
    missing: at(undefined).values(frame, 0), noise: recipe.silenced.length ? at(known).values(frame, 1, 0) : null };
}"""


def test_the_map_of_a_mixture_is_the_mixture_of_the_maps(blank):
    rng = np.random.default_rng(3)
    sizes, gains = [(5, 6), (2, 3)], [1.5, 0.25]
    tiles = [[rng.integers(0, 256, size).tolist() for size in sizes] for _ in range(2)]
    weights, frame = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], {"step": 3}
    squared = [rng.random((2, 2)).tolist(), rng.random((1, 2)).tolist()]
    recipe = {"share": 0.3, "gains": gains, "silenced": []}
    read = blank.evaluate(OWN, [recipe, tiles, weights, squared, frame])
    maps = [[np.square(np.array(tile) / 255) for tile in layers] for layers in tiles]
    expected = [gain * (0.7 * a + 0.3 * b) for gain, a, b in zip(gains, *maps)]
    for values, layer in zip(read["layers"], expected, strict=True):
        np.testing.assert_allclose(values["data"], layer.ravel(), rtol=1e-5, atol=1e-7)
        assert (values["height"], values["width"]) == layer.shape and values["top"] == pytest.approx(layer.max())
    whole = sum(merge_maps([torch.tensor(layer)[None, None]], (7, 9)).numpy().reshape(7, 9) for layer in expected)
    np.testing.assert_allclose(np.reshape(read["sum"]["data"], (7, 9)), whole, rtol=1e-4, atol=1e-6)
    assert read["missing"] is not None  # the maps of a mixture need nothing from the server

    silent = blank.evaluate(OWN, [{**recipe, "silenced": [0]}, tiles, weights, squared, frame])
    mixed = 0.7 * np.array(weights[0]) + 0.3 * np.array(weights[1])
    expected = [1.5 * mixed[1] * np.array(squared[0][1]), 0.25 * mixed[2] * np.array(squared[1][0])]
    for values, layer in zip(silent["layers"], expected, strict=True):
        np.testing.assert_allclose(values["data"], layer, rtol=1e-5)
    nothing = blank.evaluate(OWN, [{**recipe, "silenced": [2]}, tiles, weights, squared, frame])["layers"][1]
    assert nothing["data"] == [0, 0] and nothing["top"] == 0
    assert silent["missing"] is None and silent["noise"] is None
