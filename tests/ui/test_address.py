"""Addresses without a browser: what is read and what is left out, in Python and in the browser's script; recorded duels; the QR code."""

import json
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rlpips import Trace, paths
from rlpips.attacks.request import AttackRequest
from rlpips.ui.components import languages, masthead
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import (
    classifier,
    classifier_address,
    classifier_examples,
    classifier_text,
    duel,
    duel_address,
    gallery,
    help_texts,
    inspect,
    judge,
    links,
    pairs,
    robustness,
)
from rlpips.ui.runtime import address, work
from rlpips.ui.runtime.address import Choice, Key, Number
from rlpips.zoo import attack_cards

KEYS = duel_address.KEYS
SMALL = (
    Key("norm", "norm", Choice("linf", ("linf", "l2"))),
    Key("eps", "eps", {"linf": Number(4, 0.5, 16), "l2": Number(3, 0.1, 20)}, by="norm"),
    Key("steps", "steps", Number(40, 1, 200, whole=True)),
)
SETTINGS = [
    {},
    {"picture": "chelsea", "eps": 0.5, "seed": 2**53, "a": "mse", "restarts": 3},
    {"objective": "toward", "push": "jpeg", "norm": "l2", "eps": 7.3, "schedule": "apgd", "precision": "float32"},
]


@pytest.mark.parametrize("changes", SETTINGS)
def test_what_is_written_is_read_again_and_defaults_are_left_out(changes):
    texts = address.write(KEYS, duel_address.DEFAULTS | changes)
    assert address.read(KEYS, texts) == (duel_address.DEFAULTS | changes, [])
    assert texts.keys() == changes.keys()


@pytest.mark.parametrize("text, value", [("4", 4), ("0.5", 0.5), ("16", 16), ("4.0", 4), ("16.1", None), ("0.4", None)])
def test_a_number_has_bounds(text, value):
    values, faults = address.read(SMALL, {"eps": text})
    assert values == {"norm": "linf", "eps": value or 4, "steps": 40}
    assert faults == ([] if value else [f"eps is a number from 0.5 to 16, not {text}"])


NONSENSE = [
    "",
    " ",
    "nan",
    "NaN",
    "inf",
    "-4",
    "1e1",
    "0x4",
    "٤",
    "4,5",
    "1_0",
    "<script>",
    "9" * 400,
    "\x00",
    None,
    4,
    ["4"],
    {},
]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_left_out_with_a_sentence(text):
    for key in KEYS:
        values, faults = address.read(KEYS, {key.name: text})
        if text == 4 or text is None:
            continue
        assert values == duel_address.DEFAULTS and len(faults) == 1, key
        sentence = address.sentence(faults)
        assert sentence.startswith(f"Left out of this link: {key.name} is ") and len(sentence) < 300


def test_bounds_and_defaults_go_by_another_key():
    assert address.read(SMALL, {"norm": "l2"})[0]["eps"] == 3
    assert address.read(SMALL, {"norm": "l2", "eps": "20"})[0]["eps"] == 20
    assert address.write(SMALL, {"norm": "l2", "eps": 4, "steps": 40}) == {"norm": "l2", "eps": "4"}
    assert address.for_browser(SMALL)[1] == {
        "name": "eps",
        "control": "eps",
        "by": "norm",
        "press": "",
        "default": {"linf": "4", "l2": "3"},
    }


def test_a_sentence_has_few_faults_and_short_ones():
    assert address.sentence([]) == address.sentence([None, 3]) == ""
    text = address.sentence([f"there is no key {'x' * 10**5}" for _ in range(900)])
    assert len(text) < 1000 and text.endswith("and 895 more.")
    assert address.read(SMALL, {"a\nb": "1"})[1] == ["there is no key a b"]


def test_the_keys_are_those_of_the_controls_and_of_the_library():
    """What an address may say, the library takes."""
    for changes in SETTINGS:
        values = duel_address.DEFAULTS | changes
        AttackRequest(
            SAMPLES[0].path, candidate=SAMPLES[1].path, metrics=(values["a"], values["b"]), backbone=values["backbone"],
            norm=values["norm"], eps=values["eps"] / 255, steps=values["steps"], objective=values["objective"],
            seed=values["seed"], restarts=values["restarts"], schedule=values["schedule"],
        )  # fmt: skip
    assert len({key.name for key in KEYS}) == len(KEYS) == len({key.control for key in KEYS})


# ---- recorded duels


def test_every_recorded_duel_is_found_by_its_settings():
    files = gallery.recorded()
    for path in files:
        settings = duel_address.of_recorded(path)
        assert settings, path
        texts = address.write(KEYS, settings)
        again, faults = address.read(KEYS, texts)
        assert not faults and duel_address.recorded(again) == path
        assert duel_address.recorded(again | {"precision": "float32"}) == path
        assert duel_address.recorded(again | {"seed": 1}) is None
    assert duel_address.recorded(duel_address.DEFAULTS) == paths.PRECOMPUTED / gallery.OPENING
    toward = duel_address.of_recorded(paths.PRECOMPUTED / "coffee-toward-linf-8.zip")
    assert (toward["push"], toward["eps"], toward["norm"]) == ("jpeg", 8, "linf")


def test_what_was_pushed_is_told_from_the_pixels():
    reference = SAMPLES[2].picture().pixels
    assert duel_address.pushed(SAMPLES[2].name, None) == "itself"
    for copy in ("blur", "jpeg", "noise", "downscale"):
        assert duel_address.pushed(SAMPLES[2].name, work.distorted(reference, copy, 0.6)) == copy
    assert duel_address.pushed(SAMPLES[2].name, 255 - reference) == duel_address.MINE
    assert duel_address.pushed("somebody's", reference) == duel_address.MINE
    assert duel_address.picture_of(SAMPLES[2].name, reference) == SAMPLES[2].name
    assert duel_address.picture_of(SAMPLES[2].name, 255 - reference) == duel_address.MINE


STRIP = [str(sample.path) for sample in SAMPLES]


def test_a_thumbnail_opens_its_recorded_duel_unless_the_settings_are_the_visitors_own():
    names = [sample.name for sample in SAMPLES]
    coffee = names.index("coffee")
    assert links.picked(coffee, {}, STRIP).name == "coffee-away-l2-3.zip"
    assert (
        links.picked(coffee, {"objective": "toward", "push": "jpeg", "eps": "8"}, STRIP).name
        == "coffee-toward-linf-8.zip"
    )
    chelsea = names.index("chelsea")
    assert (
        links.picked(chelsea, {"picture": "coffee", "norm": "l2", "eps": "3"}, STRIP).name == "chelsea-away-linf-4.zip"
    )
    assert links.picked(chelsea, {"eps": "7"}, STRIP) is None
    assert links.picked(chelsea + 1, {}, ["mine.png", *STRIP]) == links.picked(chelsea, {}, STRIP)
    for place in (-1, 99, 1.0, "0", None, True):
        assert links.picked(place, {}, STRIP) is None
    assert links.picked(0, {}, ["mine.png", *STRIP]) is None


@pytest.fixture
def the_duel(served):
    with gr.Blocks():
        yield duel.build(None)


def test_a_link_opens_a_recorded_duel_and_else_fills_the_controls(the_duel):
    note, told, updates = links.opened("duel", {"picture": "chelsea"}, [], [], the_duel)
    assert note == "" and told == {"texts": {"picture": "chelsea"}, "shown": True, "run": updates[0]["run"]}
    view, status, grid, *fields = updates
    assert (
        view["state"] == "recorded"
        and view["meta"]["name"] == "chelsea"
        and status.startswith("Done: a recorded duel, chelsea")
    )
    assert len(updates) == len(the_duel.outputs) and STRIP[grid.selected_index].endswith("chelsea.png")

    note, told, (view, _, _, *fields) = links.opened(
        "duel", {"norm": "l2", "eps": "0.7", "steps": "x"}, ["zoom cannot be <b>"], [], the_duel
    )
    assert note == "Left out of this link: zoom cannot be <b>; steps is a whole number from 1 to 200, not x."
    assert told == {"texts": {"norm": "l2", "eps": "0.7"}, "shown": False} and view["state"] == "empty"
    values = dict(zip(the_duel.fields, fields, strict=True))
    assert values["norm"] == "l2" and (values["eps"].value, values["eps"].maximum) == (0.7, 20)

    note, _, _ = links.opened("duel", {"picture": "mine"}, None, [], the_duel)
    assert note == "A link holds no picture of your own: choose it again."
    assert links.opened("judge", {}, [], [], the_duel) == ("", {}, the_duel.nothing)


def test_a_saved_trace_sets_the_controls_as_far_as_they_go(tmp_path):
    trace = Trace.load(paths.PRECOMPUTED / "chelsea-away-linf-4.zip")
    trace.save(tmp_path / "mine.zip")
    meta = gallery.message(tmp_path / "mine.zip")["meta"]
    settings, known = gallery.settings_of(tmp_path / "mine.zip", meta)
    assert known and settings == duel_address.DEFAULTS | {"picture": "chelsea"}
    settings, known = gallery.settings_of(
        tmp_path / "mine.zip", {**meta, "steps": 9999, "lanes": ["my_metric"], "metrics": ["my_metric"]}
    )
    assert not known and settings == duel_address.DEFAULTS | {"picture": "chelsea"}
    assert gallery.settings_of(tmp_path / "mine.zip", {**meta, "objective": "pair"}) == (None, False)
    assert np.array_equal(trace.reference, SAMPLES[1].picture().pixels)


# ---- other pages

PAGES = {
    "judge": judge.KEYS,
    "inspect": inspect.KEYS,
    "pairs": pairs.KEYS,
    "robustness": robustness.KEYS,
    "classifier": classifier_address.keys(),
    "gallery": gallery.keys(),
}


@pytest.mark.parametrize("name", PAGES)
def test_nonsense_leaves_the_controls_of_every_page_at_their_defaults(name):
    keys = PAGES[name]
    defaults, faults = address.read(keys, {})
    assert not faults and address.write(keys, defaults) == {}
    page = links.Page(keys, [None], lambda values: [values])
    for text in NONSENSE:
        texts = {key.name: text for key in keys if not (key.rule(defaults).default == "" and text == "")}
        note, told, updates = links.filled(page, texts, ["hide knows no x"])
        assert told == {"texts": {}} or text == 4
        assert note.startswith("Left out of this link: hide knows no x")
        assert updates == [defaults] or text == 4
    assert links.filled(page, None, None) == ("", {}, [gr.skip()])


def test_an_address_lists_metrics_in_their_order():
    for text, wanted in (("mse,lpips", ["mse", "lpips"]), ("lpips,lpips", None), ("lpips,", None)):
        values, faults = address.read(pairs.KEYS, {"metrics": text})
        assert pairs.fill(values) == [wanted or ["lpips", "rlpips-linf", "rlpips-l2"], "alex"]
        assert bool(faults) == (wanted is None) and address.write(pairs.KEYS, values) == (
            {"metrics": text} if wanted else {}
        )


def test_a_room_in_an_address_is_of_its_letters():
    for text, value in (("ACDEF", "ACDEF"), ("acdef", ""), ("ACDE", ""), ("ACDEI", ""), ("ACDEF\n", "")):
        values, faults = address.read(judge.KEYS, {"room": text})
        assert values == {"kind": "both", "room": value} and bool(faults) == (not value)


def test_the_classifiers_page_is_filled_as_its_address_says(served):
    texts = {"recorded": "ship-03-at-l2-lpa-r-lpa", "picture": "cat-01", "steps": "7", "bounds": "own", "bounda": "0.2"}
    hash = "#classifier?" + "&".join(f"{key}={value}" for key, value in texts.items())
    assert address.texts_of(hash) == texts
    for nonsense in (None, 4, "", "#classifier?" + "&" * 3000, "#?" + "a=1&" * 99 + "x", "#x?%E0%A4%A&=&&&eps"):
        assert isinstance(address.texts_of(nonsense), dict)
    settings, faults = address.read(classifier_address.keys(), texts)
    assert faults == [] and (settings["a"], settings["b"], settings["boundb"]) == ("lpa", "r-lpa", 0.168)
    assert address.write(classifier_address.keys(), settings) == texts
    _, grid, files, *_, recorded, model, a, b, bounds, bounda, boundb, steps, seed, message, status = classifier._fill(
        False, hash
    )
    assert files[grid.selected_index].endswith("cat-01.png") and recorded.value.endswith("ship-03-at-l2-lpa-r-lpa.zip")
    assert (model, a, b, bounds, bounda.value, boundb.value, steps, seed) == (
        "at-l2",
        "lpa",
        "r-lpa",
        "own",
        0.2,
        0.168,
        7,
        0,
    )
    assert message == status == gr.skip()  # the answer to the address has them
    again, path, *plain, message, _ = classifier_address.fill(settings)
    assert (
        again.selected_index == grid.selected_index and path == recorded.value and message["meta"]["name"] == "ship-03"
    )
    assert [plain[place] for place in (0, 1, 2, 3, 6, 7)] == [model, a, b, bounds, steps, seed]
    assert (
        "choose it again"
        in links.filled(links.Page(classifier_address.keys(), [], lambda _: []), {"picture": "mine"}, [])[0]
    )


def test_a_recorded_example_comes_with_its_settings(served):
    for caption, path in classifier_examples.examples():
        receipt = Trace.load(path).receipt
        settings, _ = address.read(classifier_address.keys(), {"recorded": Path(path).stem})
        attacks = [settings["a"], settings["b"]]
        bounds = classifier_text.bounds(settings["bounds"], attacks, (settings["bounda"], settings["boundb"]))
        for place, attack in enumerate(receipt["attacks"]):
            bound = bounds[place] if bounds else attack_cards.card(attacks[place]).bound
            assert (attacks[place], bound) == (attack["name"], pytest.approx(attack["bound"])), caption
            shown = classifier_text.bounds("own", attacks, (settings["bounda"], settings["boundb"]))[place]
            assert shown == pytest.approx(attack["bound"], rel=0.01)
        assert (settings["model"], settings["steps"], settings["seed"]) == (
            receipt["classifier"]["name"], receipt["steps"], receipt["seed"],
        )  # fmt: skip
        _, told, updates = links.filled(
            links.Page(classifier_address.keys(), [], classifier_address.fill), {"recorded": Path(path).stem}, []
        )
        assert told["run"] == updates[-2]["run"] and updates[-2]["meta"]["name"] == settings["picture"]
    assert classifier_text.choice_of(("ppgd", "r-ppgd"), (0.2, 0.3)) == "own"


def test_an_entry_of_the_gallery_is_a_recorded_duel():
    assert gallery.entry({"entry": "coffee-away-l2-3"}).name == "coffee-away-l2-3.zip"
    for texts in (None, {}, {"entry": ""}, {"entry": "../judge/questions"}, {"entry": 3}, {"entry": "nothing"}):
        assert gallery.entry(texts) is None


# ---- QR code, help


def test_a_qr_code_is_for_a_link_only():
    client = TestClient(FastAPI(routes=[masthead.ROUTE]))
    link = "https://example.org/#duel?picture=chelsea&eps=5"
    found = client.get("/viewer/qr", params={"link": link})
    assert (
        found.status_code == 200 and found.headers["content-type"] == "image/svg+xml" and found.text.startswith("<svg")
    )
    for bad in ("", "javascript:alert(1)", "https://example.org/" + "x" * 1500):
        assert client.get("/viewer/qr", params={"link": bad}).status_code == 400


def test_every_help_leads_to_a_heading():
    text = (paths.ASSETS / "how_it_works.md").read_text("utf-8")
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    slugs = {"".join(c if c.isalnum() else "-" for c in heading.lower()) for heading in headings}
    for entry in help_texts.for_browser():
        assert entry["more"].removeprefix("#how-") in slugs


# ---- the browser's script

VOCABULARY = {
    "pages": [*links.TABS],
    "keys": {"duel": address.for_browser(KEYS)},
    "languages": languages.for_browser(),
}
PARSE = """async ([hashes, vocabulary]) => {
  const { completed, format, parse, shortened } = await import("./address_text.js");
  return hashes.map((hash) => {
    const found = parse(hash, vocabulary);
    const keys = vocabulary.keys[found.page];
    const texts = keys ? shortened(keys, completed(keys, found.texts)) : {};
    return { ...found, again: format({ ...found, texts, view: {} }) };
  });
}"""


def test_an_address_holds_a_language(blank):
    chinese, both, none, bad = blank.evaluate(
        PARSE, [["#judge?lang=zh", "#duel?lang=en&hide=run&eps=5", "#duel?lang=", "#duel?lang=<b>"], VOCABULARY]
    )
    assert chinese["lang"] == "zh" and chinese["again"] == "#judge?lang=zh" and chinese["faults"] == []
    assert both["again"] == "#duel?eps=5&hide=run&lang=en"
    assert none["faults"] == ["lang knows no empty"] and bad["faults"] == ["lang knows no <b>"] and bad["lang"] == ""


def test_the_browser_reads_and_writes_addresses(blank):
    hashes = [
        "", "#duel?picture=chelsea&eps=4&steps=9&step=12&wipe=20&zoom=4,31,62&left=noise&projector&alone=1,3", "#robustness", "#how-the-attack",
        "#duel?objective=toward&push=blur&norm=l2&hide=controls,eps,nothing", "#nowhere?eps=5", "#judge?eps=5", "#" + "x" * 3000,
        "#duel?step=-1&step=1e3&zoom=99,1,1&scale=mine&__proto__=1&constructor=2&wipe=&amplify=5&log=1&ruler=<b>&projector=constructor",
        "#<script>alert(1)</script>", "#duel?%E0%A4%A&=&&&eps", "#duel?picture=chelsea#x",
        "#duel?more=1&inside=1&lane=noise&network=2&sort=weight,rlpips-linf&channel=conv3.233&place=12,7",
        "#duel?more=2&lane=<b>&network=0&sort=product&channel=233&place=1.5,2", "#judge?more=1",
    ]  # fmt: skip
    none, full, page, heading, toward, nowhere, judge, long, bad, script, broken, _, inside, outside, folded = (
        blank.evaluate(PARSE, [hashes, VOCABULARY])
    )
    assert none["page"] == "duel" and none["again"] == "#duel" and none["faults"] == []
    assert full["faults"] == []
    assert full["view"] == {
        "step": 12, "wipe": 20, "zoom": [4, 31, 62], "left": "noise", "projector": "pictures", "alone": [1, 3],
    }  # fmt: skip
    assert full["again"] == "#duel?picture=chelsea&steps=9"
    assert page["again"] == "#robustness" and (heading["page"], heading["anchor"]) == ("how", "the-attack")
    assert heading["again"] == "#how-the-attack"
    assert toward["again"] == "#duel?objective=toward&norm=l2&hide=controls,eps" and toward["faults"] == [
        "hide knows no nothing"
    ]
    assert nowhere["faults"] == ["there is no page nowhere"] and judge["faults"] == ["there is no key eps"]
    assert (
        len(long["faults"]) == 1
        and "2000" in long["faults"][0]
        and script["page"] == "duel"
        and len(script["faults"]) == 1
    )
    assert bad["view"] == {} and len(bad["faults"]) == 9 and {"__proto__", "constructor"} >= bad["texts"].keys()
    assert broken["page"] == "duel"
    assert inside["faults"] == [] and inside["again"] == "#duel?more=1" and inside["view"] == {
        "inside": "1", "lane": "noise", "network": 2, "sort": "weight,rlpips-linf", "channel": "conv3.233", "place": [12, 7],
    }  # fmt: skip
    assert outside["view"] == {} and len(outside["faults"]) == 6
    assert folded["faults"] == ["there is no key more"]


def test_an_event_of_a_stranger_changes_nothing_it_must_not(the_duel):
    for event in (
        {},
        {"page": 3, "texts": 7, "faults": 9},
        {"page": "duel", "texts": {"picture": {"a": 1}}, "faults": [{}]},
    ):
        event = SimpleNamespace(**event)
        page, texts, faults = (getattr(event, name, None) for name in ("page", "texts", "faults"))
        note, told, updates = links.opened(page, texts, faults, [], the_duel)
        assert json.dumps([note, told]) and len(updates) == len(the_duel.outputs)
