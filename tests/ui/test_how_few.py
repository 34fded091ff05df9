"""How few channels make a distance: the panel's sentence follows the numbers."""

import base64

import numpy as np
import pytest

SAYS = """async ([channels, jpeg, weights]) => {
  const { newFew } = await import("./how_few.js");
  const panel = document.createElement("div");
  panel.innerHTML = "<div class=rv-part-few><p class=rv-few-says></p><svg></svg><table></table></div>";
  const count = channels[0].length;
  const frame = { step: 2, lanes: [0, 1, 2], decoded: { channels: [Float32Array.from(channels.flat())] } };
  const model = { frames: [frame], heads: [Float32Array.from(weights.flat())], run: "a",
    ruler: { distortions: [{ name: "jpeg", title: "JPEG", words: ["JPEG quality 16"], channels: { every: 1, values: [jpeg] } }] },
    meta: { metrics: ["lpips", "rlpips-linf"], lanes: ["lpips", "rlpips-linf", "noise"], layers: ["conv1"], colors: {},
      titles: { lpips: "LPIPS", "rlpips-linf": "R" }, trunks: [{ metrics: ["lpips", "rlpips-linf"], layers: ["conv1"], channels: [count] }] } };
  newFew(panel, model, { step: 2, trunk: 0, yours: [] }).show(0);
  const cells = [...panel.querySelectorAll("tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent));
  return [panel.querySelector("p").textContent, cells];
}"""


@pytest.mark.parametrize(
    "mine, jpeg, words",
    [
        (2, 30, "in fewer channels."),
        (30, 30, "is spread about as widely."),
        (40, 12, "is spread over more channels."),
    ],
)
def test_the_sentence_says_what_the_counts_say(blank, mine, jpeg, words):
    def spread(count):
        return np.where(np.arange(50) < count, 1.0, 0)  # the first `count` of 50 channels, all alike

    channels = [spread(mine), spread(8), spread(50)]
    text = base64.b64encode(spread(jpeg).astype("<f4").tobytes()).decode()
    weights = [np.ones(50), np.full(50, 2.0)]
    says, cells = blank.evaluate(
        SAYS, [[each.tolist() for each in channels], text, [each.tolist() for each in weights]]
    )
    half = -(-mine // 2)
    assert says.startswith(
        f"{half} channel{' makes' if half == 1 else 's make'} half of LPIPS’s distance, {half} of R’s."
    )
    assert f"as JPEG quality 16 it takes {jpeg // 2} and {jpeg // 2}: to LPIPS" in says and says.endswith(words)
    assert cells[0] == ["against LPIPS", *[f"{half} · {-(-9 * mine // 10)}"] * 2] and len(cells) == 4
