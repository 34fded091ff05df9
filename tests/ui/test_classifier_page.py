"""The page "Fool a classifier": what it asks for and says, its table, and the page in a real browser."""

import html
import json
import logging
import re
import zipfile
from pathlib import Path

import browser as b
import gradio as gr
import numpy as np
import pytest
from PIL import Image
from visitors import VISITOR

from rlpips import Trace, paths
from rlpips.ui.pages import classifier, classifier_address, classifier_examples, classifier_table, classifier_text
from rlpips.zoo import attack_cards, cards, classifier_cards

ROOT = "#fool-viewer"
SAMPLES = classifier_examples.samples()
EXAMPLES = list(classifier_examples.examples())


def controls(**changes):
    values = {
        "selected": SAMPLES[0], "mine": None, "upload": None, "classifier": classifier_text.available()[0], "first": "ppgd",
        "second": "r-ppgd", "bounds": "paper", "first_bound": 0.5, "second_bound": 0.5, "steps": 3, "seed": 0,
    }  # fmt: skip
    return classifier.Controls(**{**values, **changes})


# ---- what is asked for


def test_samples_know_their_class_and_other_pictures_do_not(tmp_path):
    assert {label for path in SAMPLES if (label := classifier_examples.label_of(path)) is not None} == set(range(10))
    assert all(Image.open(path).size == (32, 32) for path in SAMPLES)
    Image.new("RGB", (40, 32)).save(tmp_path / "cat-01.png")
    assert classifier_examples.label_of(tmp_path / "cat-01.png") is None  # its name alone does not make it a sample


def test_a_request_as_the_attacks_take_it(tmp_path):
    request, name, notes = classifier.read(VISITOR, controls(selected=SAMPLES[-1], steps=4.0, seed=7))
    assert request.label == 9 and name.startswith("truck") and notes == []
    assert (request.picture == np.array(Image.open(SAMPLES[-1]).convert("RGB"))).all()
    assert request.attacks == ("ppgd", "r-ppgd") and request.bounds is None and (request.steps, request.seed) == (4, 7)
    visitor = {"first": "pgd-linf", "bounds": "own", "first_bound": 8, "second_bound": 0.25}
    assert classifier.read(VISITOR, controls(**visitor))[0].bounds == pytest.approx((8 / 255, 0.25))
    # Run pressed before the grid has caught up with an upload.
    Image.new("RGB", (50, 40), (9, 8, 7)).save(tmp_path / "mine.png")
    request, name, _ = classifier.read(VISITOR, controls(upload=str(tmp_path / "mine.png")))
    assert name == "mine" and request.picture.shape == (40, 50, 3) and request.label is None


def test_matched_bounds_are_the_stored_ones(monkeypatch):
    monkeypatch.setattr(attack_cards, "matched_bounds", lambda: {"lpips": 0.5, "rlpips-linf": 0.6})
    assert classifier_text.bounds("matched", ("r-lpa", "pgd-l2"), (None, None)) == (
        0.6,
        attack_cards.ATTACKS["pgd-l2"].bound,
    )
    assert "R-PPGD: R-LPIPS l∞ ≤ 0.36 = 0.6²" in classifier_text.allowed("matched", "ppgd", "r-ppgd", None, None)
    monkeypatch.undo()
    monkeypatch.setattr(cards, "read_results", dict)
    with pytest.raises(ValueError, match="not measured yet"):
        classifier_text.bounds("matched", ("ppgd", "r-ppgd"), (0.5, 0.5))


@pytest.mark.parametrize(
    "said, message",
    [
        ({"second": "ppgd"}, "two different attacks"),
        ({"steps": 61}, "from 1 to 60"),
        ({"steps": None}, "The field Steps is empty"),
        ({"seed": None}, "The field Seed is empty"),
        ({"bounds": "own", "second_bound": None}, "must be numbers"),
        ({"classifier": None}, "Choose a classifier"),
        ({"selected": None}, "Choose a picture"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(said, message):
    with pytest.raises(ValueError, match=message):
        classifier.read(VISITOR, controls(**said))


def test_a_recorded_example_is_only_one_of_ours(tmp_path):
    (tmp_path / "other.zip").write_bytes(b"")
    for path in (
        None,
        str(tmp_path / "other.zip"),
        str(paths.PRECOMPUTED_CLASSIFIER / ".." / "astronaut-away-linf-4.zip"),
    ):
        assert all(value == gr.skip() for value in classifier_examples.show(path))


def test_a_damaged_example_is_an_error_in_the_log_and_without_examples_the_page_says_so(tmp_path, monkeypatch, caplog):
    damaged = tmp_path / "a.zip"
    damaged.write_bytes(b"no zip")
    monkeypatch.setattr(paths, "PRECOMPUTED_CLASSIFIER", tmp_path)
    values = classifier._fill(False)
    assert "The recorded examples are missing or cannot be read" in values[-1]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and "a.zip" in record.getMessage()
    _, status = classifier_examples.show(str(damaged))
    assert status.startswith("Refused: This is not a readable trace") and len(caplog.records) == 2


@pytest.mark.parametrize("asked", [None, 4, [], {"path": "x"}, "\ud800", "#classifier?recorded=<script>"])
def test_an_address_that_is_none_fills_the_page_as_it_opens(asked):
    opening, values = classifier._fill(False), classifier._fill(False, asked)
    assert len(values) == len(opening) and values[0] is True and values[2] == opening[2]


# ---- the stored results


def interval(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def report():
    """Two classifiers and four attacks, made up."""
    cost = {"lpips": 0.21, "rlpips-linf": 0.2, "linf": 0.03, "l2": 0.9, "ssim": 0.93}
    plan = [("none", None), ("apgd-linf", 8 / 255), ("ppgd", 0.5), ("r-ppgd", 0.5), ("r-ppgd", 0.6)]
    rows = [
        {"attack": name, "bound": bound, "accuracy": interval(0.9 - index / 10), "cost": cost if bound else None,
         "torch": "2.0"}
        for index, (name, bound) in enumerate(plan)
    ]  # fmt: skip
    settings = {"paper": {"lpips": 0.5, "rlpips-linf": 0.5}, "matched": {"lpips": 0.5, "rlpips-linf": 0.6}}
    finding = {
        "setting": "paper",
        "attack": "r-ppgd",
        "than": "ppgd",
        "difference": {"value": -0.12, "low": -0.2, "high": -0.05},
    }
    matches = [
        {
            "metric": "lpips",
            "bound": 0.5,
            "other": "rlpips-linf",
            "matched": 0.6,
            "low": 0.4,
            "high": 0.7,
            "reached": 8,
            "of": 9,
        }
    ]
    return {
        "how": {"command": "python -m …", "data": "the test part of CIFAR-10", "pictures": 200,
                "attacks": {"apgd-linf": {"steps": 20, "targets": 3}, "ppgd": {"steps": 20, "cg_steps": 5},
                            "lpa": {"steps": 20, "searches": 5}}},
        "bounds": {"settings": settings, "matches": matches, "pictures": 48},
        "classifiers": {"undefended": {"rows": rows}, "pat-self": {"rows": rows[:4]}},
        "findings": [{**finding, "classifier": "pat-self", "verdict": "held"},
                     {**finding, "classifier": "undefended", "verdict": "undecided"}],
    }  # fmt: skip


def test_the_table_shows_every_row_under_its_bound_and_a_gap_where_nothing_was_measured():
    page = classifier_table.page(report())
    first, third, second = re.findall(r"<tbody>(.*?)</tbody>", page)
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr.*?</tr>", first)]
    assert rows[0][:3] == ["without", "an", "attack"] and rows[0].count("90") == 2 and rows[0].count("85–95") == 2
    assert sum(row[0] in ("PPGD", "R-PPGD") for row in rows) == 4  # PPGD's bound is the same in both settings
    assert rows[-1][0] == "R-PPGD" and rows[-1][-1] == "–" and "50" in rows[-1]
    assert second.count("0.210 · 0.200 · 0.90 · 0.930") == 4 + 5  # with PPGD and its twin
    cells = re.findall("<td>(.*?)</td>", third)
    assert [re.sub("<.*?>", " ", cell).split() for cell in cells] == [
        ["−12", "−20", "to", "−5", "undecided"], ["−12", "−20", "to", "−5", "stronger"],
    ]  # fmt: skip
    assert (
        "Of the 2 comparisons here, 0 say nothing" in page
        and "stronger 1 times and weaker 0 times, and 1 are undecided" in page
    )
    assert "200 pictures" in page
    assert classifier_cards.CLASSIFIERS["pat-self"].training in html.unescape(page)


def test_every_attack_has_its_section_and_the_authors_ball_its_explanation():
    made_up = report()
    rows = made_up["classifiers"]["undefended"]["rows"]
    for name in ("r-lpa-authors", "recolour", "stadv", "apgd-l2", "r-ppgd-sums"):
        rows.append({**rows[1], "attack": name, "bound": attack_cards.ATTACKS[name].bound})
    pair = {"least": 1e-8, "mean": 5e-8, "most": 1.24e-7}
    root = {"least": 0.8, "mean": 0.96, "most": 1.1}
    made_up["bounds"]["authors"] = {
        norm: dict.fromkeys(("unrelated", "negative"), values)
        for norm, values in (("scaled sums", pair), ("sums", {**root, "mean": 7.9}), ("features", root))
    }
    page = classifier_table.page(made_up)
    first = re.findall(r"<tbody>(.*?)</tbody>", page)[0]
    titles = [re.sub(r"<[^>]+>", "", row) for row in re.findall(r"<tr.*?><th.*?</th>", first)]
    at = [next(index for index, title in enumerate(titles) if title.startswith(start)) for start in (
        "APGD l2", "unseen threats", "ReColorAdv", "stAdv", "the papers' bound", "comparable bounds", "the quantities",
        html.escape("R-LPA, authors' code"), "R-PPGD, unscaled sums",
    )]  # fmt: skip
    assert at == sorted(at) and titles[at[3]] == "stAdv ≤ 0.8 px"
    text = re.sub(r"<[^>]+>", "", page).replace("\u00a0", " ")
    assert "unrelated ones are at most 1.2 · 10−7 apart here" in text and "0.96 apart" in text and "7.9 apart" in text
    assert "That ball bounds nothing" in text and "It is not known whether this code made the tables" in text


def test_what_every_attack_may_do_is_said():
    said = {
        name: classifier_text.allowed("paper", name, "ppgd", None, None).split("<br>")[0]
        for name in attack_cards.ATTACKS
    }
    assert len(set(said.values())) == len(said)
    assert said["apgd-linf"] == "APGD l∞: 8/255 a value" and said["stadv"] == "stAdv: pixels move by 0.8 at most"
    assert "anything goes" in said["r-ppgd-authors"] and "sums of features, 0.5 apart" in said["r-lpa-sums"]


def test_without_results_the_page_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "classifiers.json")
    paths.RESULTS.write_text("{}")
    assert "has not been measured yet" in classifier_text.experiment() and classifier_text.results() == {}
    paths.RESULTS.write_text("{")
    assert (
        "classifiers.json in assets/weights is damaged" in classifier_text.experiment()
        and classifier_text.results() == {}
    )
    paths.RESULTS.unlink()
    assert "classifiers.json is missing" in classifier_text.experiment() and classifier_text.results() == {}


# ---- in a browser


def opened(page):
    page.wait_for_selector("#viewer .rv-columns canvas")
    b.tab(page, "Fool a classifier")
    page.wait_for_selector(f"{ROOT} .rv[data-state=recorded] .rv-classes")
    page.wait_for_function("document.querySelectorAll('#fool-samples img').length > 9")


def reset(page):
    """Back to the recorded example and the settings of the opening, by its address; by another one first, so that a change is seen."""
    for address, steps in (("#classifier?steps=7", 7), ("#classifier", Trace.load(EXAMPLES[0][1]).receipt["steps"])):
        page.evaluate("address => { location.hash = address; }", address)
        page.wait_for_function(
            "steps => document.querySelector('#fool-steps input').value === steps && !document.querySelector('#page-classifier [inert]')",
            arg=str(steps),
        )
    page.wait_for_selector(f"{ROOT} .rv[data-state=recorded] .rv-classes")


@pytest.fixture
def page(window, request):
    with window.turn(request, opened, reset) as page:
        yield page


@pytest.fixture
def fresh(chromium, server):
    """A page of one's own, for what the address of the opening does not bring back: files, and what has been loaded."""
    with b.visit(chromium, server.url) as page:
        opened(page)
        yield page


def told(page, word):
    """Wait for a status that begins so; returns it."""
    page.wait_for_function(
        "word => document.querySelector('#fool-status [role=status]').innerText.startsWith(word)", arg=word
    )
    return page.inner_text("#fool-status [role=status]")


def run(page, until="Done"):
    b.watch(page, "fool-")
    page.click("#fool-run")
    return b.wait_for_status(page, until)


def state(page):
    data = page.evaluate("root => ({ ...document.querySelector(`${root} .rv`).dataset })", ROOT)
    return data["state"], int(data["step"]), int(data["steps"])


def shown_shares(page):
    """What the bars say, (lanes, classes), in percent as written; "< 1 %" is 0 and "> 99 %" 100."""
    texts = page.locator(f"{ROOT} .rv-classes b").all_inner_texts()
    values = [{"<": 0, ">": 100}.get(text[0]) for text in texts]
    values = [int(text.split()[0]) if value is None else value for text, value in zip(texts, values)]
    return np.array(values).reshape(2, -1)


def check_shares(page, trace, step):
    """Bars, verdict and the outcome in words are those of the trace."""
    np.testing.assert_allclose(shown_shares(page), 100 * trace.probabilities[step], atol=0.51)
    for lane, shares in enumerate(trace.probabilities[step]):
        turned = int(shares.argmax()) != trace.label
        assert page.locator(f"{ROOT} .rv-verdict").nth(lane).get_attribute("data-fooled") == str(turned).lower()
        assert trace.classes[shares.argmax()] in page.locator(f"{ROOT} .rv-turn b").nth(lane).inner_text()
        outcome = page.locator(f"{ROOT} .rv-outcome").nth(lane).inner_text()
        right = trace.clean.argmax() == trace.label
        assert outcome.startswith(("Fooled" if turned else "Not fooled") if right else "Wrong before")


def test_opens_on_a_recorded_example_only_when_its_tab_is_chosen(chromium, server):
    with b.visit(chromium, server.url) as page:
        b.ready(page)
        assert page.locator("#fool-viewer, #fool-run").count() == 0  # nothing of it is there yet
        opened(page)
        trace = Trace.load(EXAMPLES[0][1])
        steps = trace.receipt["steps"]
        assert state(page) == ("recorded", steps, steps) and page.inner_text(f"{ROOT} .rv-origin") == "recorded"
        assert told(page, "Done: a recorded example.")
        check_shares(page, trace, steps)
        alts = page.eval_on_selector_all("#fool-samples img", "all => all.map((each) => each.alt)")
        assert set(alts) == set(classifier_cards.CIFAR10_CLASSES) and len(alts) == len(SAMPLES)
        page.wait_for_function(f"[...document.querySelectorAll('{ROOT} canvas')].every((each) => each.ariaLabel)")
        sizes = {(each["width"], each["height"]) for each in b.canvases(page, ROOT)}
        assert (32, 32) in sizes
        rendering = f"getComputedStyle(document.querySelector('{ROOT} .rv-clip canvas')).imageRendering"
        assert page.evaluate(rendering) == "pixelated"
        assert page.inner_text(f"{ROOT} .rv-says").count("calls") == 2
        # Coming back changes nothing.
        b.enter(page, "#fool-steps", 4)
        b.tab(page, "Duel")
        b.tab(page, "Fool a classifier")
        assert page.input_value("#fool-steps input") == "4" and state(page) == ("recorded", steps, steps)


def test_the_scrubber_moves_verdicts_too_without_the_server(fresh):
    page = fresh
    trace = Trace.load(EXAMPLES[0][1])
    page.hover(f"{ROOT} .rv-step")
    loaded = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/perturbation-')).length"
    page.wait_for_function(f"{loaded} >= {len(trace.frames) + 1}")  # and one of the Duel's
    asked = []
    page.on("request", lambda request: request.url.startswith("http") and asked.append(request.url))
    page.focus(f"{ROOT} [data-scrubber]")
    before = b.canvases(page, ROOT)
    for key, step in (("Home", 0), ("ArrowRight", 1), ("End", trace.receipt["steps"])):
        page.keyboard.press(key)
        page.wait_for_function(
            "([root, text]) => document.querySelector(`${root} .rv-step`).textContent.startsWith(text)",
            arg=[ROOT, f"step {step} of"],
        )
        check_shares(page, trace, step)
        if not step:
            assert [each["digest"] for each in b.canvases(page, ROOT)] != [each["digest"] for each in before]
    assert asked == []


def test_a_run_grows_and_its_trace_can_be_taken_home(page, tmp_path):
    b.enter(page, "#fool-steps", 3)
    page.locator("#fool-samples .thumbnail-item").nth(4).click()  # and Run at once
    status = run(page)
    assert re.match(r"Done: 3 steps in \d+\.\d s\. PPGD: .*R-PPGD: ", status)
    page.wait_for_selector(f"{ROOT} .rv[data-state=done]")
    page.click(f"{ROOT} .rv-downloads summary")
    with page.expect_download() as download:
        page.locator(f"{ROOT} .rv-downloads [aria-label='The whole trace, ZIP']").click()
    download.value.save_as(tmp_path / "trace.zip")
    trace = Trace.load(tmp_path / "trace.zip")
    assert trace.lanes == ("ppgd", "r-ppgd") and trace.receipt["seed"] == 0
    assert (trace.reference == np.array(Image.open(SAMPLES[4]).convert("RGB"))).all()
    check_shares(page, trace, 3)
    # The bounds are lines in the chart, and the root of a distance is within its own.
    assert page.locator(f"{ROOT} .rv-mark-line").count() == 2
    assert (np.sqrt(trace.distance[-1].diagonal()) <= 0.5 * 1.001).all()


def test_stop_keeps_what_is_there(page):
    b.enter(page, "#fool-steps", classifier_address.MAX_STEPS)
    b.watch(page, "fool-")
    page.click("#fool-run")
    # The first step seen may be of the run before.
    b.stop(page, "#fool-stop", "window.steps.length > 2 && window.steps.at(-1) > 0")
    status = told(page, "Stopped")
    steps = int(re.match(r"Stopped: (\d+) step", status)[1])
    page.wait_for_selector(f"{ROOT} .rv[data-state=stopped]")
    assert 1 <= steps < classifier_address.MAX_STEPS and state(page)[1] == steps
    page.locator(f"{ROOT} .rv-origin").get_by_text("live, stopped", exact=True).wait_for()


def test_a_bad_upload_is_refused_and_the_page_keeps_its_state(fresh, tmp_path):
    page = fresh
    before = state(page), page.inner_text(f"{ROOT} .rv-says")
    (tmp_path / "words.png").write_bytes(b"Dear reader, this is no picture.\n" * 40)
    b.upload(page, "#fool-upload", tmp_path / "words.png")
    assert "words.png" in told(page, "Refused")
    assert "words.png" in run(page, "Refused")  # does not silently attack another picture
    assert (state(page), page.inner_text(f"{ROOT} .rv-says")) == before

    y, x = np.mgrid[0:70, 0:90]
    Image.fromarray(np.uint8(np.stack([2 * x, 3 * y, (x * y) % 256], -1))).save(tmp_path / "mine.png")
    b.upload(page, "#fool-upload", tmp_path / "mine.png")
    told(page, "Loading done: your picture is chosen.")
    b.enter(page, "#fool-steps", 2)
    status = run(page)
    assert "middle square" in status and "own verdict" in status
    assert state(page) == ("done", 2, 2)


def test_another_recorded_example(page):
    for caption, path in EXAMPLES[::-1][:2]:
        b.choose(page, "#fool-recorded", caption)
        trace = Trace.load(path)
        said = page.locator(f"{ROOT} .rv-lane").first
        page.wait_for_function(
            "([root, text]) => document.querySelector(`${root} canvas`).ariaLabel.startsWith(text)",
            arg=[ROOT, trace.name],
        )
        assert said.input_value() == "0" and state(page)[0] == "recorded"
        check_shares(page, trace, len(trace.distance) - 1)
        page.wait_for_function(
            "([steps, name]) => document.querySelector('#fool-steps input').value === steps "
            "&& location.hash === `#classifier?recorded=${name}`",
            arg=[str(trace.receipt["steps"]), Path(path).stem],
        )
        assert page.locator("#fool-classifier input:checked").input_value() == trace.receipt["classifier"]["name"]
        assert (
            page.locator("#fool-samples .thumbnail-item.selected .caption-label").inner_text()
            == trace.name.split("-")[0]
        )
        for place, attack in enumerate(trace.receipt["attacks"]):
            assert page.input_value(f"#fool-attack-{place} input") == attack["title"]
        assert page.inner_text("#fool-changed") == ""
    b.enter(page, "#fool-steps", 2)
    page.wait_for_function("document.querySelector('#fool-changed').innerText.startsWith('Settings changed')")
    run(page)
    page.wait_for_function("!document.querySelector('#fool-changed').innerText.trim()")
    assert page.input_value("#fool-recorded input") == ""  # what is on show is none of them
    page.go_back()
    page.wait_for_selector(f"{ROOT} .rv[data-state=recorded]")


TEXTS = [
    "#fool-viewer .rv-turn", "#fool-viewer .rv-turn b", "#fool-viewer .rv-outcome", "#fool-viewer .rv-classes span",
    "#fool-viewer .rv-classes b", "#fool-viewer .rv-spark figcaption", "#fool-viewer .rv-says", "#fool-table :is(p, th, td b, small)",
    "#fool-status [role=status]", "#fool-classifier label span", "#fool-allowed", "#fool-trained",
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_readable_and_a_phone_does_not_scroll_sideways(chromium, server, scheme):
    with b.visit(chromium, server.url, width=390, height=844, has_touch=True, color_scheme=scheme) as page:
        opened(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        contrast = b.contrast(page, TEXTS)
        assert len(contrast) >= len(TEXTS)
        faint = {place: round(value, 2) for place, value in contrast.items() if value < 4.5}
        assert not faint, faint
        page.locator("#fool-samples .thumbnail-item").nth(1).tap()


def test_every_example_has_a_caption_of_its_own():
    assert EXAMPLES and len({caption for caption, _ in EXAMPLES}) == len(EXAMPLES)
    for _, path in EXAMPLES:
        with zipfile.ZipFile(path) as archive:
            assert json.loads(archive.read("trace.json"))["meta"]["verdicts"]["classes"] == list(
                classifier_cards.CIFAR10_CLASSES
            )
