"""What the bench's scripts make of addresses and rectangles, in a browser without the app."""

_ADDRESS = """async () => {
  const { pairsTexts, pairsView, PAIRS_KEYS } = await import("./pairs_address.js");
  const { format, parse } = await import("./address_text.js");
  const props = { pages: ["duel", "pairs"], keys: { duel: [] } };
  const view = { threshold: 16, usual: 10, sort: { name: "rlpips-linf", down: true }, on: new Set([0, 2]), hard: true };
  const texts = pairsTexts(view);
  const hash = format({ page: "pairs", anchor: "", texts: {}, view: texts, hide: [] });
  const back = parse(hash, props), again = pairsView(back.view, 10);
  const plain = pairsTexts({ ...view, threshold: 10, sort: null, on: new Set([0, 1, 2, 3]), hard: false });
  const bad = parse("#pairs?threshold=99&sort=%3Cb%3E&filter=first,x&step=3", props);
  return { hash, faults: back.faults, texts, again: { ...again, on: [...again.on] }, plain, bad: bad.faults,
    kept: Object.keys(bad.view), duel: parse("#duel?step=3", props).view, none: [...pairsView({}, 10).on].length };
}"""

_BOX = """async () => {
  const { isIn } = await import("./pairs_model.js");
  const metrics = [{ name: "a" }, { name: "b" }], box = { x: [1, 3], y: [10, 12] };
  return [[2, 11], [0, 11], [2, 13], [1, 12]].map(([b_place, a_place]) => isIn({ a_place, b_place }, box, metrics));
}"""


def test_an_address_holds_what_the_bench_shows(blank):
    found = blank.evaluate(_ADDRESS)
    assert found["hash"] == "#pairs?threshold=16&sort=-rlpips-linf&filter=first,neither,hard" and not found["faults"]
    again = found["again"]
    assert again == {"threshold": 16, "sort": {"name": "rlpips-linf", "down": True}, "on": [0, 2], "hard": True}
    assert found["plain"] == {} and found["none"] == 4
    assert len(found["bad"]) == 4 and found["kept"] == []
    assert found["duel"] == {"step": 3}


def test_a_rectangle_holds_the_pairs_within(blank):
    assert blank.evaluate(_BOX) == [True, False, False, True]
