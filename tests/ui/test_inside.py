"""The opened metric: a metric of one's own is attacked and scored, hostile requests are refused; and the panel in the browser."""

import json

import browser as b
import gradio as gr
import numpy as np
import pytest
from visitors import VISITOR

import rlpips
from rlpips import Heads, Trace, paths
from rlpips.evaluate import sample_score
from rlpips.ui.pages import duel, gallery, inside
from rlpips.ui.runtime import files, session
from rlpips.ui.runtime.loading import warm_up

pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture(scope="module")
def recorded():
    return rlpips.attack(paths.SAMPLES / "coffee.png", eps=3 / 255, steps=2, seed=4)


@pytest.fixture
def request_text(recorded, tmp_path):
    """A function that makes the text of a request, with changes."""
    recorded.save(tmp_path / "a.zip")
    file = files.put("trace.zip", (tmp_path / "a.zip").read_bytes())
    recipe = {
        "trace": file["path"], "metrics": ["lpips", "rlpips-linf"], "backbone": "alex", "share": 0.25, "gains": [1, 1, 0.5, 1, 2],
        "silenced": [489],
    }  # fmt: skip
    return lambda **changes: json.dumps({**recipe, **changes})


def test_ones_own_metric_is_attacked_as_the_recording_was(recorded, request_text):
    warm_up().wait()
    *_, last = session.completed(inside.attack_updates(VISITOR, request_text(), duel._verdict))
    assert last.text.startswith("Done: 2 steps") and "yours 0." in last.text
    trace = Trace.load(last.content["files"]["trace"]["path"])
    assert trace.lanes == ("lpips", "rlpips-linf", "yours", "noise")
    keys = ("norm", "eps", "steps", "seed", "schedule", "objective")
    assert {key: trace.receipt[key] for key in keys} == {key: recorded.receipt[key] for key in keys}
    heads = Heads.mix("lpips", "rlpips-linf", 0.25).scale_layers([1, 1, 0.5, 1, 2]).silence([489])
    (trunk,) = trace.trunks
    np.testing.assert_allclose(trunk.heads[2], heads.vector, rtol=1e-6)
    # Who attacks the metric itself gets further than who attacked another.
    assert trace.distance[-1, 2, 2] > trace.distance[-1, :2, 2].max()


def test_two_metrics_of_ones_own_are_attacked_side_by_side(request_text):
    warm_up().wait()
    before = {"share": 0, "gains": [1] * 5, "silenced": [489, 3]}
    *_, last = session.completed(inside.attack_updates(VISITOR, request_text(before=before), duel._verdict))
    assert "yours before 0." in last.text and "yours 0." in last.text
    trace = Trace.load(last.content["files"]["trace"]["path"])
    assert trace.lanes == ("lpips", "rlpips-linf", "yours before", "yours", "noise")
    np.testing.assert_array_equal(trace.trunks[0].heads[2], Heads.of("lpips").silence([489, 3]).vector)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"trace": "/etc/passwd"}, "no longer there"),
        ({"trace": None}, "no longer there"),
        ({"share": 2}, "share must be a number from 0 to 1"),
        ({"share": float("nan")}, "share must be"),
        ({"gains": [1]}, "gains must be 5 numbers"),
        ({"gains": [-1] * 5}, "each gain must be"),
        ({"gains": [0] * 5}, "all of these are 0"),
        ({"silenced": [1152]}, "each channel must be"),
        ({"metrics": ["lpips", "nobody"]}, "Unknown metric"),
        ({"metrics": ["lpips", "mse"]}, "no network"),
        ({"metrics": ["lpips", "rlpips-tune"]}, "trunk is the same"),
        ({"metrics": ["lpips"]}, "not the recipe"),
        ({"silenced": "x"}, "not the recipe"),
        ({"silenced": [float("inf")]}, "not the recipe"),
        ({"before": {"share": 0}}, "not the recipe"),
        ({"before": {"share": 0, "gains": [-1] * 5, "silenced": []}}, "each gain must be"),
    ],
)
def test_what_is_no_metric_is_refused(request_text, monkeypatch, changes, message):
    warm_up().wait()
    monkeypatch.setattr(gr, "Warning", lambda text: None)
    *_, last = session.guarded(inside.attack_updates(VISITOR, request_text(**changes), duel._verdict))
    assert last.text.startswith("Refused: ") and message in last.text


def test_a_score_comes_with_its_progress(request_text, monkeypatch):
    warm_up().wait()
    monkeypatch.setattr(sample_score, "STEPS", 1)
    monkeypatch.setattr(
        "rlpips.evaluate.sample_score.score",
        lambda metric, judges, pictures, judged, score=sample_score.score: score(metric, judges, pictures[:1], 8, 12),
    )
    *before, last = inside.score_updates(VISITOR, request_text())
    assert [update.progress for update in before if update.progress][-1] == (100, 100)
    assert last.text.startswith("Done: scored in") and set(last.content) == {"agreement", "judges", "attacked"}
    assert set(last.content["judges"]) == {"R-LPIPS l∞"}


def test_the_score_of_lpips_agrees_with_itself():
    lpips, pictures = rlpips.load_metric("lpips"), [np.random.default_rng(0).integers(0, 256, (96, 120, 3), np.uint8)]
    steps = list(sample_score.score(lpips, {"LPIPS": lpips}, pictures, triplets=6, mixed=10))
    assert steps[0][1]["agreement"]["value"] == 1 and steps[-1][0] == 1
    assert 0 <= steps[-1][1]["attacked"]["value"] <= 1


def test_what_somebody_else_chose_is_a_judge_of_the_same_triplets_alone():
    lpips, mse = rlpips.load_metric("lpips"), rlpips.load_metric("mse")
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, high, (96, 120, 3), np.uint8) for high in (256, 3)]  # one is nearly black
    judged = sample_score.judgements(lambda reference, candidate: -mse(reference, candidate), pictures[:1], 10)
    assert judged["choices"] == judged["pixels"] and set(judged["choices"]) <= {"0", "1"}

    def agreement(pictures):
        figures = next(sample_score.score(mse, {"LPIPS": lpips}, pictures, triplets=6, mixed=10, judged=judged))[1]
        return figures["judges"].get(judged["title"])

    assert agreement(pictures[:1])["value"] == 1 and agreement(pictures[1:]) is None


def test_the_known_scores_are_there():
    known = {score["title"]: score for score in json.loads(inside.known_scores())}
    assert known["LPIPS"]["agreement"]["value"] == 1
    assert known["R-LPIPS l∞"]["attacked"]["value"] > known["LPIPS"]["attacked"]["value"]


def test_the_recorded_duel_is_opened(chromium, server):
    trace = Trace.load(paths.PRECOMPUTED / gallery.OPENING)
    heads, channels = trace.trunks[0].heads, trace.per_channel[-1]
    with b.visit(chromium, f"{server.url}#duel?inside=1", 1280, 720) as page:
        page.wait_for_selector("#viewer .rv-activations canvas >> nth=0")
        parts = heads[0] * channels[0]
        heaviest = int(parts.argmax())
        layer = int(np.searchsorted(np.cumsum(trace.trunks[0].channels), heaviest, "right"))
        place = heaviest - sum(trace.trunks[0].channels[:layer])
        first = page.locator("#viewer .rv-channels tbody tr").first
        first.get_by_text(f"conv{layer + 1} · {place}").wait_for()
        assert f"{100 * parts[heaviest] / parts.sum():.0f}" in first.inner_text()

        # A metric half-way, its third layer muted: in the same moment its distance stands there.
        page.locator("#viewer .rv-recipe input[type=range]").nth(0).fill("0.5")
        page.locator("#viewer .rv-gains input[type=range]").nth(2).fill("0")
        mixed = Heads.mix("lpips", "rlpips-linf", 0.5).scale_layers([1, 1, 0, 1, 1])
        expected = float(mixed.vector @ channels[0])
        page.wait_for_function(
            """value => Math.abs(document.querySelectorAll('#viewer .rv-yours-numbers tbody td b')[2].textContent - value)
              < 6e-4""",
            arg=expected,
        )
        page.wait_for_function("location.hash.includes('yours=0.5')")
        # In the grid of all layers it has a column, whose figures have room.
        page.locator("#viewer [data-layer=grid]").click()
        page.wait_for_selector("#viewer .rv-grid-of-layers.rv-three figcaption")
        beyond = "[...document.querySelectorAll('#viewer .rv-three figcaption')].map((node) => node.scrollWidth - node.clientWidth)"
        assert max(page.evaluate(beyond)) <= 0
        page.keyboard.press("0")
        page.locator("#viewer .rv-undo").click()
        page.locator("#viewer .rv-start-over").click()
        page.wait_for_function("!location.hash.includes('yours')")

        # A position; and a silent channel.
        page.locator("#viewer .rv-picture[data-kind=map] .rv-frame").first.click(position={"x": 60, "y": 50})
        page.wait_for_selector("#viewer .rv-place-layers li >> nth=4")
        curves = page.locator("#viewer thead .rv-is-curve")  # there are none of a position
        assert not curves.is_visible()
        page.locator("#viewer .rv-unplace").click()
        curves.wait_for()
        page.locator("#viewer .rv-is-silence input").first.check()
        page.wait_for_selector("#viewer .rv-chip")
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_press_counts_while_the_viewer_is_drawn(chromium, server):
    with b.visit(chromium, server.url) as page:
        b.ready(page)
        page.evaluate("""() => {
          const scrubber = document.querySelector('#viewer [data-scrubber]');
          (function move() {
            scrubber.value = scrubber.value === '20' ? '19' : '20';
            scrubber.dispatchEvent(new Event('input', { bubbles: true }));
            requestAnimationFrame(move);
          })();
        }""")
        for is_open in (True, False) * 4:
            page.click("#inside > summary")
            page.wait_for_timeout(200)
            assert page.evaluate("document.querySelector('#inside').open") == is_open
