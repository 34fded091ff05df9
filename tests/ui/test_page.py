"""The page in a real browser, the server without a network. Every visit fails on an error in the console."""

import io
import os
import re
import shutil
import signal

import browser as b
import numpy as np
import pytest
import tour
from PIL import Image

from rlpips import Trace, paths
from rlpips.ui.components.samples import SAMPLES
from rlpips.ui.pages import gallery

STEPS = 8
LANES = 2  # attacked ones


def begin(page):
    """Wait for the network to be loaded, and ask for short runs."""
    b.ready(page)
    b.enter(page, "#steps", STEPS)


def reset(page):
    """Back to the recorded duel of the opening, by its address, and to short runs."""
    b.go(page, "#duel")
    page.wait_for_function("""() => {
      const { state, step } = document.querySelector('#viewer .rv').dataset;
      return state === 'recorded' && step === '20' && document.querySelector('#steps input').value === '20'
        && document.querySelector('#eps input').value === '4' && !document.querySelector('#page-duel [inert]');
    }""")
    b.enter(page, "#steps", STEPS)


@pytest.fixture
def page(window, request):
    """The page with the duel that it opens with, and short runs asked for."""
    with window.turn(request, begin, reset) as page:
        yield page


@pytest.fixture
def fresh(chromium, server):
    """A page of one's own, for what the address of the opening does not bring back: files, and what has been loaded."""
    with b.visit(chromium, server.url) as page:
        begin(page)
        yield page


def viewer(page, root="#viewer"):
    """(state, step, steps) as the viewer's root carries them."""
    data = page.evaluate("root => ({ ...document.querySelector(`${root} .rv`).dataset })", root)
    return data["state"], int(data["step"]), int(data["steps"])


# Every picture but the maps, which are all one colour where nothing differs, has dark and light in it.
PAINTED = """(root) => {
  const all = [...document.querySelectorAll(`${root} .rv-picture:not([data-kind=map]) canvas`)];
  return all.length && all.every((canvas) => {
    const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.filter((_, i) => i % 4 < 3);
    return bytes.reduce((a, b) => Math.max(a, b)) - bytes.reduce((a, b) => Math.min(a, b)) > 40;
  });
}"""


def wait_painted(page, root="#viewer"):
    """Wait until no picture is blank."""
    page.wait_for_function(PAINTED, arg=root)


def readings(page, root="#viewer"):
    """The large distances, column by column."""
    return [float(text) for text in page.locator(f"{root} .rv-distance").all_inner_texts()]


def curves(page):
    """The `d` of every curve drawn."""
    return page.eval_on_selector_all("#viewer .rv-curve", "all => all.map((path) => path.getAttribute('d'))")


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def scene(height, width, channels=3, seed=0):
    """A smooth picture with some texture, uint8."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    noise = np.random.default_rng(seed).random((height, width, channels))
    waves = np.stack([x, y, (np.sin(9 * x + 5 * y) + 1) / 2, np.clip(2 * x, 0, 1)][:channels], -1)
    return np.uint8(255 * (0.8 * waves + 0.2 * noise))


def test_opens_on_a_recorded_duel(chromium, server):
    recorded = Trace.load(paths.PRECOMPUTED / gallery.OPENING)
    with b.visit(chromium, server.url) as page:
        page.wait_for_selector("#viewer .rv-columns canvas")
        page.wait_for_selector("#viewer .rv-curve", state="attached")
        assert viewer(page) == ("recorded", 20, 20)
        wait_painted(page)
        assert {(each["height"], each["width"]) for each in b.canvases(page)} >= {(256, 256)}
        assert page.inner_text("#viewer .rv-origin") == "recorded" and "AlexNet" in page.inner_text(
            "#viewer .rv-device"
        )
        assert len(curves(page)) == recorded.distance[0].size and len(set(curves(page))) == recorded.distance[0].size
        assert readings(page) == pytest.approx(recorded.distance[-1, :LANES].ravel(), abs=6e-4)
        cells = page.locator("#viewer .rv-table tbody td").all_inner_texts()
        assert len(cells) > 30 and not any(cell in ("", "–") for cell in cells)
        texts = page.eval_on_selector_all("#viewer canvas", "all => all.map((each) => each.ariaLabel)")
        assert all(texts)  # every picture is described
        size = page.evaluate("[document.querySelector('#viewer .rv-grid').getBoundingClientRect().bottom, innerHeight]")
        assert size[0] <= size[1], "all but what can be opened is one screen at 1440×900"


def test_run_grows_live_and_what_is_downloaded_is_what_was_made(page, tmp_path):
    status = b.run(page)
    assert re.match(rf"Done: {STEPS} steps in \d+\.\d s\. LPIPS \d", status)
    words = page.evaluate("window.statuses")
    assert any(text.startswith("Running") for text in words[:-1])
    steps, states = page.evaluate("[window.steps, window.states]")
    assert states[-2:] == ["running", "done"] and len(set(steps)) > 3 and steps == sorted(steps)
    page.wait_for_function(f"document.querySelector('#viewer .rv-keyframe').textContent.endsWith('step {STEPS}')")
    assert viewer(page) == ("done", STEPS, STEPS) and page.inner_text("#viewer .rv-origin") == "live"

    page.click("#viewer .rv-downloads summary")
    files = {}
    page.wait_for_selector("#viewer .rv-made-there li", state="attached")
    for name in ("Attacked against LPIPS, picture", "Attacked against R-LPIPS l∞, picture", "The whole trace, ZIP"):
        with page.expect_download() as download:
            page.locator(f"#viewer .rv-downloads [aria-label='{name}']").click()
        files[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[name])
    attacked = np.stack([np.array(Image.open(path)) for path in list(files.values())[:LANES]])
    trace = Trace.load(files["The whole trace, ZIP"])
    assert (attacked == trace.adversarial[:LANES]).all()
    sample = np.array(Image.open(SAMPLES[0].path).convert("RGB"))
    change = np.abs(attacked.astype(int) - sample)
    assert (change.max(axis=(1, 2, 3)) == 4).all()  # eps is 4/255
    assert readings(page) == pytest.approx(trace.distance[-1, :LANES].ravel(), abs=6e-4)
    assert trace.receipt["steps"] == STEPS and trace.receipt["seed"] == 0


def test_scrubber_moves_everything_without_the_server(fresh):
    page = fresh
    frames = len(Trace.load(paths.PRECOMPUTED / gallery.OPENING).frames)
    loaded = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/perturbation-')).length"
    assert page.evaluate(loaded) == 1  # the one on show
    page.hover("#viewer .rv-step")  # the visitor comes near
    page.wait_for_function(f"{loaded} >= {frames}")
    before, asked = b.canvases(page), []
    page.on("request", lambda request: request.url.startswith("http") and asked.append(request.url))

    b.watch(page)
    bar = page.locator("#viewer [data-scrubber]").bounding_box()
    middle, right = bar["y"] + bar["height"] / 2, bar["x"] + bar["width"] - 9
    page.mouse.move(right, middle)
    page.mouse.down()
    page.mouse.move(bar["x"] + 9, middle, steps=80)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#viewer .rv-step').textContent === 'step 0 of 20'")
    assert viewer(page)[1] == 0
    shown = page.evaluate("window.steps")
    assert shown == sorted(shown, reverse=True) and len(shown) >= 18
    assert [each["digest"] for each in b.canvases(page)] != [each["digest"] for each in before]

    for key, step in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", 20),
        ("ArrowLeft", 19),
        ("Home", 0),
    ):
        page.press("#viewer [data-scrubber]", key)
        page.wait_for_function(f"document.querySelector('#viewer .rv-step').textContent === 'step {step} of 20'")

    page.click("#viewer .rv-play")
    page.wait_for_function("Number(document.querySelector('#viewer .rv').dataset.step) > 3")
    page.click("#viewer [aria-label=Pause]")
    assert 3 < viewer(page)[1] <= 20
    page.press("#viewer [data-scrubber]", "End")
    page.wait_for_function("document.querySelector('#viewer .rv-step').textContent === 'step 20 of 20'")
    assert b.canvases(page) == before
    assert asked == []


def test_stop_keeps_what_is_there(page):
    b.enter(page, "#steps", 200)
    b.watch(page)
    assert page.is_enabled("#run") and page.is_disabled("#stop")
    page.click("#run")
    b.stop(
        page,
        "#stop",
        "window.states.includes('running') && window.steps.at(-1) >= 20 && document.querySelector('#run').disabled",
    )
    page.wait_for_selector("#run:enabled:focus")
    assert page.is_disabled("#stop")
    status = b.wait_for_status(page, "Stopped")
    state, step, steps = viewer(page)
    assert state == "stopped" and 9 <= step < 200 and steps == 200
    assert status.startswith(f"Stopped: {step} steps in")
    wait_painted(page)
    assert all(text.endswith(f"step {step}") for text in page.locator("#viewer .rv-keyframe").all_inner_texts())
    assert page.inner_text("#viewer .rv-numbers h3") == f"Numbers at step {step}"
    assert page.inner_text("#viewer .rv-says").startswith(f"After {step} of 200 steps within l∞ 4/255")
    assert len(curves(page)) == 6 and min(readings(page)) > 0
    b.enter(page, "#steps", STEPS)
    b.run(page)
    assert viewer(page) == ("done", STEPS, STEPS)


MOVES = "#viewer [data-kind=perturbation] >> nth=0"


def test_pixels_are_moved_within_a_budget_and_the_moves_are_shown(page):
    b.choose(page, "#norm", "flow")
    page.wait_for_function("document.querySelector('#eps input[type=number]').value === '0.5'")
    assert "eps, pixels" in page.inner_text("#eps")
    b.enter(page, "#eps", 0.75)
    page.wait_for_function("document.querySelector('#budget').innerText.includes('at most 0.75 px')")
    assert re.match(rf"Done: {STEPS} steps", b.run(page))
    page.wait_for_function("document.querySelector('#viewer [data-kind=perturbation] canvas').width === 640")
    wait_painted(page)
    page.wait_for_function(f"document.querySelector('#viewer .rv-keyframe').textContent.endsWith('step {STEPS}')")
    described = f"{MOVES} >> canvas"
    assert re.fullmatch(
        r"Attacked against LPIPS: where things are moved after step 8, as arrows and colours; 0\.\d+ pixels on average, at most 0\.7\d+",
        page.get_attribute(described, "aria-label"),
    )
    page.wait_for_function(
        "[...document.querySelectorAll('#viewer .rv-table tr')].find((row) => row.textContent.startsWith('moved'))"
        "?.textContent.includes('–') === false"
    )
    longest = page.locator("#viewer .rv-table tr", has_text="moved").locator("td").all_inner_texts()
    assert len(longest) == 3 and all(re.fullmatch(r"0\.7\d · 0\.\d\d", cell) for cell in longest)
    assert (
        page.locator("#viewer .rv-wheel").first.is_visible()
        and not page.locator("#viewer .rv-factor").first.is_visible()
    )

    at_the_end = b.canvases(page)
    page.press("#viewer [data-scrubber]", "Home")
    page.wait_for_function("document.querySelector('#viewer .rv-keyframe').textContent.endsWith('step 0')")
    assert all(one["digest"] != other["digest"] for one, other in zip(b.canvases(page)[2:3], at_the_end[2:3]))

    page.focus(f"{MOVES} >> .rv-moves")
    page.keyboard.press("ArrowDown")  # as every native choice
    page.wait_for_function("document.querySelector('#viewer [data-kind=perturbation] canvas').width !== 640")
    assert "amplified" in page.get_attribute(described, "aria-label")
    assert (
        page.locator("#viewer .rv-factor").first.is_visible()
        and not page.locator("#viewer .rv-wheel").first.is_visible()
    )
    b.choose(page, "#norm", "l∞")
    page.wait_for_function("document.querySelector('#budget').innerText.startsWith('4/255')")
    b.run(page)
    page.wait_for_function("!document.querySelector('#viewer .rv-moves')")


def test_the_tab_key_passes_the_norm_and_eps_stays(page):
    b.enter(page, "#eps", 6)
    page.focus("#norm input")
    page.keyboard.press("Tab")
    tour.settle(page)
    assert page.input_value("#eps input[type=number]") == "6"
    b.choose(page, "#norm", "l2")
    page.wait_for_function("document.querySelector('#eps input[type=number]').value !== '6'")
    b.choose(page, "#norm", "l∞")
    page.wait_for_function("document.querySelector('#eps input[type=number]').value === '4'")


def test_opening_more_changes_nothing(page):
    """Its number fields are filled when they are shown, and an empty one with 0."""
    page.click("#more button")
    page.wait_for_selector("#step-size input")
    assert b.run(page).startswith(f"Done: {STEPS} steps")
    page.click("#viewer .rv-receipt summary")
    assert re.search(r"schedule\W+cosine", page.inner_text("#viewer .rv-receipt"))


def test_without_the_server_the_status_says_so(chromium, tmp_path):
    with b.serve(tmp_path) as server, b.visit(chromium, server.url, offline_after=True) as page:
        b.ready(page)
        b.enter(page, "#steps", 200)
        b.watch(page)
        page.click("#run")
        page.wait_for_function("window.steps.at(-1) >= 3")
        os.kill(server.pid, signal.SIGKILL)
        assert "the server does not answer" in b.wait_for_status(page, "Stopped")
        page.wait_for_selector("#run:enabled")
        assert viewer(page)[0] == "stopped"
        wait_painted(page)


def test_uploads_good_and_bad(fresh, tmp_path):
    page = fresh
    good = tmp_path / "my 50% #1.png"
    good.write_bytes(png(scene(60, 90, channels=4)))
    b.watch(page)
    b.upload(page, "#upload", good)
    assert "Transparency was laid on white." in b.wait_for_status(page, "Loading done: your picture")
    assert "Transparency was laid on white." in b.run(page)
    page.wait_for_function("document.querySelector('#viewer .rv-columns canvas').width === 90")
    assert b.canvases(page)[0]["height"] == 60
    page.wait_for_function(f"document.querySelector('#viewer .rv-keyframe').textContent.endsWith('step {STEPS}')")
    wait_painted(page)
    page.click("#viewer .rv-downloads summary")
    with page.expect_download() as download:
        page.locator("#viewer .rv-downloads [aria-label='The whole trace, ZIP']").click()
    assert download.value.suggested_filename.startswith("my-50-1_linf4_")
    download.value.save_as(tmp_path / "mine.zip")
    assert Trace.load(tmp_path / "mine.zip").reference.shape == (60, 90, 3)

    whole = png(scene(64, 48))
    bad = {
        "truncated.png": (whole[: len(whole) // 2], "damaged"),
        "words.png": (b"Dear reader, this is no picture.\n" * 40, "not a picture"),
        "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"/>', "SVG"),
        "dot.png": (png(scene(1, 1)), "1×1"),
        "empty.png": (b"", "empty"),
    }
    for name, (data, why) in bad.items():
        (tmp_path / name).write_bytes(data)
        b.watch(page)
        b.upload(page, "#upload", tmp_path / name)
        refusal = b.wait_for_status(page, f"Refused: {name}")
        assert why in refusal and refusal.endswith(".") and "/" not in refusal
    page.eval_on_selector_all(".toast-close", "all => all.forEach((button) => button.click())")
    page.wait_for_selector(".toast-body", state="detached")
    page.click("#run")  # the picture that was refused is not silently replaced by another one
    page.wait_for_selector(".toast-body")
    assert page.inner_text("#status").strip() == refusal
    assert viewer(page) == ("done", STEPS, STEPS) and b.canvases(page)[0]["width"] == 90

    page.locator("#samples button.thumbnail-item").nth(1).click()
    page.wait_for_selector("#samples .thumbnail-item.selected")
    b.run(page)
    page.wait_for_function("document.querySelector('#viewer .rv-columns canvas').width !== 90")
    assert viewer(page) == ("done", STEPS, STEPS)


TEXTS = [
    "#masthead p", "#status div", "#budget", "[role=tab]", "#viewer .rv-distance", "#viewer .rv-words", "#viewer .rv-reading h3",
    "#viewer figcaption span", "#viewer .rv-legend li", "#viewer .rv-table th", "#viewer .rv-table td", "#viewer .rv-badge",
    "#viewer .rv-step", "#viewer .rv-probe", "#viewer .rv-bars b", "#run", "#stop",
]  # fmt: skip
STROKES = "[...document.querySelectorAll('#viewer .rv-curve')].map((path) => getComputedStyle(path).stroke)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_readable(chromium, server, scheme):
    with b.visit(chromium, server.url, color_scheme=scheme) as page:
        b.ready(page)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        levels = [int(level) for level in re.findall(r"\d+", ground)[:3]]
        assert max(levels) < 60 if scheme == "dark" else min(levels) > 200, ground
        contrast = b.contrast(page, TEXTS)
        assert len(contrast) > 60
        faint = {place: round(value, 2) for place, value in contrast.items() if value < 4.5}
        assert not faint, faint
        before = page.evaluate(STROKES)
        page.evaluate("document.body.classList.toggle('dark')")  # what a change of the system's setting comes to
        page.wait_for_function(f"({STROKES}).every((color, i) => color !== {before}[i])")
        assert len(page.evaluate(STROKES)) == len(before) == 6


def test_gallery_opens_recorded_and_saved_duels(fresh, tmp_path):
    page = fresh
    paths = gallery.recorded()
    b.tab(page, "Gallery")
    cards = page.locator("#recorded button.thumbnail-item")
    cards.first.wait_for()
    assert cards.count() == len(paths) >= 8
    chosen = next(i for i, path in enumerate(paths) if "toward" in path.name)
    trace = Trace.load(paths[chosen])
    b.watch(page)
    cards.nth(chosen).click()
    assert trace.name.replace("_", " ") in b.wait_for_status(page, "Done")
    page.wait_for_selector("#viewer .rv-columns canvas", state="visible")  # the Duel tab came up
    assert viewer(page) == ("recorded", 20, 20)
    page.wait_for_function(f"document.querySelector('#viewer canvas').width === {trace.reference.shape[1]}")
    page.wait_for_function(f"Math.abs(parseFloat(document.querySelector('#viewer .rv-distance').textContent)"
                           f" - {trace.distance[-1, 0, 0]}) < 6e-3")  # fmt: skip
    wait_painted(page)
    assert page.locator("#viewer .rv-against").count()  # pulled: there is a picture before

    saved, damaged = tmp_path / "mine.zip", tmp_path / "damaged.zip"
    shutil.copy(paths[0], saved)
    damaged.write_bytes(paths[0].read_bytes()[:5000])
    other = Trace.load(saved)
    b.tab(page, "Gallery")
    b.upload(page, "#saved-trace", damaged)
    page.get_by_text("This is not a readable trace").first.wait_for()
    assert page.locator("#recorded").is_visible() and viewer(page) == ("recorded", 20, 20)
    b.watch(page)
    if page.locator("#saved-trace button[aria-label=Clear]").count():
        page.click("#saved-trace button[aria-label=Clear]")
    page.set_input_files("#saved-trace input[type=file]", str(saved))
    assert other.name.replace("_", " ") in b.wait_for_status(page, "Done: a saved trace")
    page.wait_for_selector("#viewer .rv-columns canvas", state="visible")
    page.wait_for_function("!document.querySelector('#viewer .rv-against')")
    assert readings(page) == pytest.approx(other.distance[-1, :LANES].ravel(), abs=6e-4)


def test_inspect_a_pair(page, tmp_path):
    def told(word):
        page.wait_for_function("word => document.querySelector('#pair-status').innerText.includes(word)", arg=word)

    trace = Trace.load(paths.PAIR)
    b.tab(page, "Inspect a pair")
    for state, says in (("recorded", "Done: a recorded example"), ("done", "Done: measured")):
        told(says)
        page.wait_for_selector("#pair-viewer .rv-columns canvas")
        page.wait_for_function("state => document.querySelector('#pair-viewer .rv').dataset.state === state", arg=state)
        wait_painted(page, "#pair-viewer")
        assert readings(page, "#pair-viewer") == pytest.approx(trace.distance_8bit[0], abs=6e-4)
        page.click("#compare")  # the example's pictures stand in the fields

    first, second = tmp_path / "original.png", tmp_path / "smaller.png"
    first.write_bytes(png(scene(80, 120)))
    second.write_bytes(png(scene(40, 60)))
    b.upload(page, "#pair-first", first)
    b.upload(page, "#pair-second", second)
    page.click("#compare")
    told("differ in size (120×80 and 60×40)")
    assert page.inner_text("#pair-resize") == "Resize 60×40 to 120×80 and compare"
    page.wait_for_selector("#pair-viewer .rv-columns", state="hidden")  # no number of other pictures beside these
    assert "Choose two pictures" in page.inner_text("#pair-viewer")
    page.click("#pair-resize")
    told("The changed picture was resized to 120×80.")
    page.wait_for_function("document.querySelector('#pair-viewer canvas').width === 120")
    page.wait_for_selector("#pair-resize", state="hidden")
    wait_painted(page, "#pair-viewer")
    assert len(readings(page, "#pair-viewer")) == 3

    # A result that comes after another file was chosen is not shown beside it.
    first.write_bytes(png(scene(500, 700)))
    second.write_bytes(png(scene(500, 700)))
    b.upload(page, "#pair-first", first)
    b.upload(page, "#pair-second", second)
    b.watch(page, "pair-")
    page.click("#compare")
    b.wait_for_status(page, "Running")
    page.click("#pair-second button[aria-label=Clear]")
    b.wait_for_status(page, "Done")
    told("Choose an original and a changed picture")
    assert "Choose two pictures" in page.inner_text("#pair-viewer")


def test_two_pictures_are_attacked_or_compared(fresh, tmp_path):
    page = fresh
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    one.write_bytes(png(scene(64, 96)))
    two.write_bytes(png(scene(64, 96, seed=1)))
    assert not page.is_visible("#pair-ask")
    b.upload(page, "#upload", one, two)
    b.watch(page)
    page.click("#pair-attack")
    assert b.wait_for_status(page, "Done").startswith(f"Done: {STEPS} steps")
    assert page.locator("#viewer .rv-against").count() == LANES  # the second picture was pushed
    page.click("#pair-compare")
    page.wait_for_selector("#page-inspect-button[aria-selected=true]")
    page.wait_for_function("document.querySelector('#pair-status')?.innerText.startsWith('Done: measured')")
    wait_painted(page, "#pair-viewer")
    assert min(readings(page, "#pair-viewer")) > 0


def test_the_curves_are_read_at_the_cursor(page):
    box = page.locator("#viewer .rv-chart").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.wait_for_selector("#viewer .rv-readout", state="visible")
    pointed = page.inner_text("#viewer .rv-readout").splitlines()
    assert re.fullmatch(r"step \d+", pointed[0]) and len(pointed) == 3
    assert (
        pointed[1].startswith("LPIPS 0.") and "JPEG" in pointed[2] and viewer(page)[1] == 20
    )  # pointing moves nothing
    page.mouse.move(5, 5)
    page.wait_for_selector("#viewer .rv-readout", state="hidden")
    page.press("#viewer .rv-chart", "ArrowLeft")
    page.wait_for_function("document.querySelector('#viewer .rv').dataset.step === '19'")
    page.wait_for_selector("#viewer .rv-readout", state="visible")
    value = page.get_attribute("#viewer .rv-chart", "aria-valuetext")
    assert value == "; ".join(page.inner_text("#viewer .rv-readout").splitlines()) and value.startswith(
        "step 19; LPIPS 0."
    )
    assert page.locator("#viewer .rv-chart text").get_by_text("JPEG").count() == 0  # the legend says it, once
    assert page.locator("#viewer .rv-legend").get_by_text("JPEG").count() == 1


def test_how_it_works_is_rendered_here(page):
    b.tab(page, "How it works")
    page.wait_for_selector(".prose-page .katex-display")
    assert page.locator(".prose-page .katex").count() > 10 and page.locator(".katex-error").count() == 0
    assert page.locator(".prose-page table").count() == 3
    text = page.locator("div.prose.prose-page").inner_text()
    assert "$" not in text and "[[" not in text


def test_the_other_objective_and_norm(page):
    choose, run = b.choose, b.run
    page.get_by_label("pull toward").check()
    page.wait_for_function("document.querySelector('#candidate input').value === 'a blurred copy'")
    choose(page, "#norm", "l2")
    page.wait_for_function("document.querySelector('#eps').innerText.includes('l2 norm')")
    page.wait_for_function("document.querySelector('#budget').innerText.startsWith('l2 norm 4 on [0, 1], 8 on')")
    run(page)
    assert viewer(page) == ("done", STEPS, STEPS) and page.locator("#viewer .rv-against").count() == LANES
    rows = page.locator("#viewer .rv-table tbody tr").all_inner_texts()
    assert sum(row.replace("\t", " ").strip().find("change") >= 0 for row in rows) == 2
    before, now = (page.locator("#viewer .rv-table tbody tr").nth(i).locator("td").first.inner_text() for i in (1, 2))
    assert float(now) < float(before)  # pulled nearer
    l2 = next(row for row in rows if row.startswith("l2"))
    assert float(re.search(r"8 bits\s+([\d.]+)", l2)[1]) <= 4.001


def test_keyboard_reaches_the_scrubber_and_the_wipe(page):
    def tab_to(selector):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"Tab does not reach {selector}")

    page.focus("#run")
    tab_to("#viewer .rv-handle")
    before = page.evaluate("Number(document.activeElement.ariaValueNow)")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"Number(document.activeElement.ariaValueNow) > {before}")
    tab_to("#viewer [data-scrubber]")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.querySelector('#viewer .rv').dataset.step === '19'")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"  # one sees where one is
