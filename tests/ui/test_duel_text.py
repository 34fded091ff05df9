"""What the page says of a duel in sentences, and at the cursor of its curves: made from the numbers, and never more than they say."""

import json

import pytest

STEPS, METRICS = 3, ("lpips", "rlpips-linf")
TITLES = {"lpips": "LPIPS", "rlpips-linf": "R-LPIPS l∞", "yours": "yours"}
RULER = {
    "metrics": list(METRICS),
    "distortions": [
        {"name": "jpeg", "title": "JPEG", "words": ["JPEG quality 90", "JPEG quality 5"], "distance": [[0.01, 0.02], [0.3, 0.2]]}
    ],
}  # fmt: skip

SAY = """async ([cases]) => {
  const { accept, newModel } = await import("./model.js");
  const { duelText, readoutLines } = await import("./duel_text.js");
  return cases.map(([message, step]) => {
    const model = newModel();
    accept(model, message);
    return [duelText(model, step, "jpeg"), readoutLines(model, step, "jpeg").map(({ m, text }) => `${m} ${text}`)];
  });
}"""


def message(known=STEPS, metrics=METRICS, ruler=RULER, lanes=None, distance=None, **meta):
    """A run of which `known` steps are there; in lane l metric m finds (step + 1)·(l + 1)/10 at first, and 1/100 in noise."""
    lanes = lanes or (*metrics, "noise")
    table = [[[0.01 if lane == "noise" else (step + 1) * (k + 1) / 10 for _ in metrics] for k, lane in enumerate(lanes)]
             for step in range(known + 1)]  # fmt: skip
    curve = {"first": 0, "distance": distance or table}
    meta = {
        "metrics": list(metrics), "lanes": list(lanes), "titles": TITLES, "steps": STEPS, "norm": "linf", "eps": 4 / 255,
        "objective": "away", "colors": {}, **meta,
    }  # fmt: skip
    return {"run": "a", "state": "done", "meta": meta, "curve": json.dumps(curve), "ruler": ruler and json.dumps(ruler)}


def said(blank, *cases):
    """[(the sentences, the readout's lines)] of (message, step)."""
    return blank.evaluate(SAY, [list(cases)])


def test_the_sentence_of_every_kind_of_run(blank):
    both = "LPIPS to 0.400, further than any JPEG tried (quality 5); R-LPIPS l∞ to 0.800, further than any JPEG tried (quality 5)."
    noise = "Noise of the same budget brings them to 0.010 and 0.010."
    found = said(
        blank, (message(), 3), (message(norm="l2", eps=3.0), 3), (message(norm="flow", eps=0.5), 3), (message(), 0),
        (message(objective="toward"), 1), (message(state="stopped"), 1),
    )  # fmt: skip
    texts = [sentences for sentences, _ in found]
    assert texts[0] == [f"After 3 steps within l∞ 4/255 the attack has brought {both}", noise]
    assert texts[1][0] == f"After 3 steps within an l2 norm of 3 the attack has brought {both}"
    assert texts[2] == [
        f"After 3 steps within moves of 0.5 px the attack has brought {both}",
        "Random moves within the same budget bring them to 0.010 and 0.010.",
    ]
    assert texts[3] == [
        "Before the first step: LPIPS 0.100, as far as JPEG quality 5; R-LPIPS l∞ 0.200, as far as JPEG quality 5."
    ]
    assert texts[4][0] == (
        "After 1 of 3 steps within l∞ 4/255 the attack has brought LPIPS from 0.100 to 0.200, as far as JPEG quality 5; "
        "R-LPIPS l∞ from 0.200 to 0.400, further than any JPEG tried (quality 5)."
    )
    assert texts[5][0].startswith("After 1 of 3 steps within")


@pytest.mark.parametrize(
    "changes, step, expected",
    [
        ({"ruler": None}, 3, ["After 3 steps within l∞ 4/255 the attack has brought LPIPS to 0.400; R-LPIPS l∞ to 0.800.",
                              "Noise of the same budget brings them to 0.010 and 0.010."]),
        ({"steps": 1, "known": 1, "ruler": None, "lanes": METRICS}, 1,
         ["After 1 step within l∞ 4/255 the attack has brought LPIPS to 0.200; R-LPIPS l∞ to 0.400."]),
        ({"metrics": (*METRICS, "yours"), "ruler": None}, 2,
         ["After 2 of 3 steps within l∞ 4/255 the attack has brought LPIPS to 0.300; R-LPIPS l∞ to 0.600; yours to 0.900.",
          "Noise of the same budget brings them to 0.010, 0.010 and 0.010."]),
        # A number that is missing is not made up.
        ({"ruler": None, "distance": [[[0.1, 0.1]] * 3, [[None, 0.2], [0.3, 0.4], [0.01, 0.02]]]}, 1,
         ["After 1 of 3 steps within l∞ 4/255 the attack has brought R-LPIPS l∞ to 0.400.",
          "Noise of the same budget brings it to 0.020."]),
        ({"steps": 0, "objective": "pair", "lanes": ("pair",)}, 0, []),
        ({}, 7, []),
    ],
)  # fmt: skip
def test_it_says_no_more_than_what_is_known(blank, changes, step, expected):
    ((sentences, _),) = said(blank, (message(**changes), step))
    assert sentences == expected


def test_the_readout_has_both_distances_and_how_far_they_are(blank):
    fooling = message(
        verdicts={"classes": ["cat"], "label": 0, "clean": [1]}, lanes=("ppgd", "r-ppgd"), ruler=None,
        receipt={"attacks": [{"title": "PPGD"}, {"title": "R-PPGD"}]},
    )  # fmt: skip
    (_, duel), (_, two) = said(blank, (message(), 1), (fooling, 0))
    assert duel == [
        "0 LPIPS 0.200, as far as JPEG quality 5",
        "1 R-LPIPS l∞ 0.400, further than any JPEG tried (quality 5)",
    ]
    assert two == [
        "0 PPGD: LPIPS 0.100",
        "1 PPGD: R-LPIPS l∞ 0.100",
        "0 R-PPGD: LPIPS 0.200",
        "1 R-PPGD: R-LPIPS l∞ 0.200",
    ]
