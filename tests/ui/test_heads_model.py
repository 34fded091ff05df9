"""A metric of one's own in the browser: its weights, what they say, its text in an address, and its file."""

import base64

import numpy as np
import pytest

import rlpips
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
  const { aboutOf, headsFile } = await import("./heads_file.js");
  const bytes = headsFile(w, layers, about);
  const back = await aboutOf(new File([bytes], "a.safetensors"));
  const refused = await aboutOf(new File(["nonsense"], "b.txt")).catch((error) => error.message);
  return { text: btoa(String.fromCharCode(...bytes)), back, refused };
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
    assert read["back"] == about and "b.txt is not a file of heads" in read["refused"]
