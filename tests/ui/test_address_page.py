"""Addresses in a real browser: links, back and forward, reload, nonsense, what is left out, Spaces, keyboard. Every visit fails on an
error in the console."""

import re
from contextlib import contextmanager

import browser as b

HASH = "location.hash"


def at(page, address):
    """Wait until the page has the address."""
    page.wait_for_function("address => location.hash === address", arg=address)


def shows(page, state, eps, changed=""):
    """Wait for the viewer's state, the control for eps, and the line that asks to press Run."""
    page.wait_for_function(
        """([state, eps, changed]) => document.querySelector('#viewer .rv').dataset.state === state
          && document.querySelector('#eps input').value === eps
          && document.querySelector('#changed').innerText.trim() === changed""",
        arg=[state, eps, changed],
    )


@contextmanager
def opened(chromium, server, address, **options):
    with b.visit(chromium, server.url + address, **options) as page:
        page.wait_for_selector("#viewer .rv-columns canvas", state="attached")
        yield page


def test_a_link_made_here_opens_there(chromium, server):
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(chromium, server, "", permissions=permissions) as page:
        b.ready(page)
        page.locator("#samples .thumbnail-item").nth(1).click()
        at(page, "#duel?picture=chelsea")  # its recorded duel
        shows(page, "recorded", "4")
        page.press("#viewer [data-scrubber]", "Home")
        page.press("#viewer [data-scrubber]", "ArrowRight")
        page.select_option("#viewer .rv-scale", "common")
        page.select_option("#viewer .rv-ruler", "blur")
        page.focus("#viewer .rv-handle")
        page.keyboard.press("ArrowRight")
        at(page, "#duel?picture=chelsea&step=1&scale=common&ruler=blur&wipe=52")
        page.click("#more button")
        page.click("#inside > summary")
        page.select_option("#viewer .rv-inside-lane", index=1)
        page.select_option("#viewer .rv-sort", label="weight in LPIPS")
        page.locator("#viewer .rv-channel-name").nth(2).click()
        page.press("#viewer .rv-frame >> nth=0", "Enter")
        page.wait_for_function("location.hash.includes('place=')")
        channel = page.locator("#viewer .rv-chosen .rv-channel-name").inner_text()
        at(
            page,
            f"#duel?picture=chelsea&more=1&step=1&scale=common&inside=1&lane=rlpips-linf&sort=weight,lpips"
            f"&channel={channel.replace(' · ', '.')}&place=170,128&ruler=blur&wipe=52",
        )
        page.click("#copy-link")
        page.wait_for_function("document.querySelector('#copy-link').innerText === 'Link copied'")
        link = page.evaluate("navigator.clipboard.readText()")
        page.click("#qr")
        page.wait_for_function("document.querySelector('#qr-dialog img').naturalWidth > 0")
        assert page.locator("#qr-dialog img").bounding_box()["height"] > 500
        assert page.inner_text("#qr-dialog .qr-link") == link
    with opened(chromium, server, link.removeprefix(server.url)) as page:
        shows(page, "recorded", "4")
        page.wait_for_function("document.querySelector('#viewer .rv-step').textContent === 'step 1 of 20'")
        page.wait_for_function("document.querySelector('#viewer .rv-handle').ariaValueNow === '52'")
        assert page.input_value("#viewer .rv-scale") == "common" and page.input_value("#viewer .rv-ruler") == "blur"
        assert "chelsea" in page.get_attribute("#viewer .rv-columns canvas", "aria-label")
        page.wait_for_selector("#more .label-wrap.open")
        assert page.locator("#viewer .rv-chosen .rv-channel-name").inner_text() == channel
        assert page.input_value("#inside .rv-inside-lane") == "1"
        assert page.input_value("#inside .rv-sort") == "weight 0"
        assert page.is_visible("#viewer .rv-unplace")
        page.evaluate("location.hash = '#duel?picture=chelsea'")
        page.wait_for_selector("#more .label-wrap:not(.open)")
        assert page.locator("#samples .thumbnail-item").nth(1).evaluate("each => each.matches('.selected')")


def test_back_forward_reload_and_what_is_not_recorded(chromium, server):
    with opened(chromium, server, "") as page:
        b.ready(page)
        b.enter(page, "#eps", 5)
        at(page, "#duel?eps=5")
        shows(page, "recorded", "5", "Settings changed – press Run.")
        b.tab(page, "Robustness")
        at(page, "#robustness")
        page.go_back()
        at(page, "#duel?eps=5")
        page.wait_for_selector("#page-duel-button[aria-selected=true]")
        shows(page, "recorded", "5", "Settings changed – press Run.")
        page.evaluate("location.hash = '#duel?eps=5&seed=3'")
        at(page, "#duel?eps=5&seed=3")
        page.go_back()
        # Nobody can type until the server has set the controls.
        page.wait_for_function(
            "document.querySelector('#seed input').value === '0' && !document.querySelector('#page-duel [inert]')"
        )
        shows(page, "empty", "5", "Press Run to see this duel.")
        b.enter(page, "#eps", 4)
        at(page, "#duel")
        shows(page, "empty", "4", "Press Run to see this duel.")
        page.locator("#samples .thumbnail-item").nth(3).click()
        at(page, "#duel?picture=coffee&norm=l2&eps=3")
        shows(page, "recorded", "3")
        page.go_back()
        shows(page, "recorded", "4")
        page.go_forward()
        shows(page, "recorded", "3")
        b.enter(page, "#steps", 2)
        at(page, "#duel?picture=coffee&norm=l2&eps=3&steps=2")
        assert b.run(page).startswith("Done: 2 steps")
        shows(page, "done", "3")
        page.select_option("#viewer .rv-scale", "common")
        at(page, "#duel?picture=coffee&norm=l2&eps=3&steps=2&scale=common")
        link = page.evaluate(HASH)
    with opened(chromium, server, link) as page:
        shows(page, "empty", "3", "Press Run to see this duel.")
        assert page.inner_text("#viewer .rv-empty").startswith("This duel is not recorded")
        b.run(page)
        shows(page, "done", "3")
        at(page, link)  # the view, too


NONSENSE = {
    "#duel?eps=<img src=x onerror=alert(1)>&steps=1e9&seed=NaN&foo=1&step=-1": "eps is a number from 0.5 to 16",
    "#nowhere": "there is no page nowhere",
    "#duel?" + "x" * 4000: "more than 2000 characters",
}


TAB = "#pages [role=tab][aria-selected=true]"
GO = """addresses => addresses.forEach((address, place) => setTimeout(() => { location.hash = address; }, 5 * place))"""
ANSWERED = "!document.querySelector('#page-duel .controls > [inert]')"


def settled(page, tab, address):
    """Wait until the server has answered all; then the page is at the address, and stays there."""
    page.wait_for_function(
        "([tab, address]) => location.hash === address && document.querySelector(tab)", arg=[TAB, address]
    )
    for _ in range(2):
        page.wait_for_timeout(200)
        page.wait_for_function(ANSWERED)
    assert page.get_attribute(TAB, "data-tab-id") == tab and page.evaluate(HASH) == address


def test_whoever_goes_on_while_an_address_is_opened_is_not_taken_back(chromium, server):
    with opened(chromium, server, "") as page:
        b.ready(page)
        for address in (
            "robustness?norm=l2",
            "classifier?eps=3",
            "gallery?recorded=astronaut-away-linf-4",
            "duel?eps=8",
        ):
            entries = page.evaluate("history.length")
            page.evaluate(GO, [address, "how-the-attack"])
            page.wait_for_function("document.activeElement.innerText === 'The attack'")
            settled(page, "how", "#how-the-attack")
            assert page.evaluate("history.length") == entries + 2
        page.go_back()
        at(page, "#duel?eps=8")
        shows(page, "empty", "8", "Press Run to see this duel.")
        page.go_forward()
        settled(page, "how", "#how-the-attack")
        page.evaluate(GO, ["inspect?pair=example"])
        page.locator("#pages [role=tab]", has_text="How it works").click()  # by hand
        settled(page, "how", "#how")
        page.go_back()
        at(page, "#inspect?pair=example")
        page.wait_for_selector("#pair-viewer .rv[data-state=recorded], #pair-viewer .rv[data-state=done]")


def test_in_a_narrow_window_addresses_open_pages_whose_tabs_are_in_the_menu(chromium, server):
    with opened(chromium, server, "", width=390, height=844) as page:
        b.ready(page)
        for address in ("how", "duel", "how", "gallery", "robustness?norm=l2", "duel?eps=8", "how"):
            page.evaluate(GO, [address])
            page.wait_for_selector(f"#page-{address.split('?')[0]}:visible")
        entries = page.evaluate("history.length")
        page.evaluate(GO, ["robustness?norm=linf", "judge", "how-the-attack"])
        page.wait_for_function("document.activeElement.innerText === 'The attack'")
        settled(page, "how", "#how-the-attack")
        assert page.evaluate("history.length") == entries + 3


def test_nonsense_is_ignored_with_a_sentence(chromium, server):
    first = next(iter(NONSENSE))
    with opened(chromium, server, first) as page:
        for nonsense, says in NONSENSE.items():
            if nonsense != first:
                page.evaluate("address => { location.hash = address; }", nonsense)
            page.wait_for_selector(".notice:not([hidden])")
            assert page.inner_text(".notice p").startswith("Left out of this link: "), nonsense
            assert says in page.inner_text(".notice p")
            at(page, "#duel")
            shows(page, "recorded", "4")
            assert page.locator("img[src=x], .notice script").count() == 0
            page.get_by_label("Close this note").click()
            page.wait_for_selector(".notice", state="hidden")


def test_other_pages_their_headings_and_controls_have_addresses(chromium, server):
    with opened(chromium, server, "#judge") as page:
        page.wait_for_selector("#judge canvas", state="visible")
        page.evaluate("location.hash = '#how-the-attack'")
        page.wait_for_function("document.activeElement?.textContent === 'The attack'")
        page.evaluate("location.hash = '#robustness?norm=l2'")
        page.wait_for_selector("#robust-norm input[value=l2]:checked")
        page.wait_for_function("document.querySelector('#robust-tiles').innerText.includes('l2')")
        page.get_by_label("l∞", exact=True).first.check()
        at(page, "#robustness")
        ship = "#classifier?recorded=ship-03-at-l2-lpa-r-lpa"
        page.evaluate(f"location.hash = '{ship}&picture=cat-01&bounds=own&bounda=0.2&more=1'")
        page.wait_for_function(
            "document.querySelector('#fool-status')?.innerText.startsWith('Done: a recorded example')"
        )
        page.wait_for_function("document.querySelector('#fool-bound-0 input')?.value === '0.2'")
        assert (
            page.input_value("#fool-recorded input").startswith("ship")
            and page.input_value("#fool-steps input") == "40"
        )
        assert page.locator("#fool-samples .thumbnail-item.selected .caption-label").inner_text() == "cat"
        page.wait_for_function("document.querySelector('#fool-changed').innerText === 'Settings changed – press Run.'")
        b.enter(page, "#fool-steps", 8)
        at(page, f"{ship}&picture=cat-01&bounds=own&bounda=0.2&steps=8&more=1")
        page.evaluate(f"location.hash = '{ship}&step=3'")
        page.wait_for_function("document.querySelector('#fool-viewer .rv-step').textContent === 'step 3 of 40'")
        page.wait_for_function("document.querySelector('#fool-steps input').value === '40'")
        assert page.inner_text("#fool-changed") == "" and page.input_value("#fool-bounds input").startswith(
            "comparable"
        )
        at(page, f"{ship}&step=3")
        page.evaluate("location.hash = '#inspect?pair=example'")
        page.wait_for_function("document.querySelector('#pair-status')?.innerText.startsWith('Done: measured')")
        at(page, "#inspect?pair=example")
        page.evaluate("location.hash = '#gallery?entry=coffee-away-l2-3'")
        shows(page, "recorded", "3")
        at(page, "#duel?picture=coffee&norm=l2&eps=3")


def test_controls_are_left_out_for_a_lesson(chromium, server):
    with opened(chromium, server, "#duel?eps=4&hide=controls,tabs,numbers") as page:
        page.wait_for_selector("#run")
        page.wait_for_selector("#eps", state="hidden")
        assert not page.is_visible("#page-duel-button")
        assert not page.is_visible("#viewer .rv-numbers")
        page.press("#viewer [data-scrubber]", "Home")
        at(page, "#duel?step=0&hide=controls,tabs,numbers")
    with opened(chromium, server, "?embed#duel?hide=seed") as page:
        page.wait_for_selector("#eps")  # the page is there: until then everything counts as hidden
        page.wait_for_selector("#seed", state="hidden")
        assert not page.is_visible("h1") and not page.is_visible("#page-duel-button")


def test_spaces_is_told(chromium, server):
    """As there: the app in a frame, on another host, with what Spaces add to its address."""
    app = "https://someone-app.hf.space/"
    outside = f"""<script>window.told = []; addEventListener("message", ({{ data }}) => data?.hash && told.push(data));</script>
        <iframe allow="clipboard-write" src="{app}?__sign=secret&__theme=light&lesson=2" style="width: 1200px; height: 700px"></iframe>"""

    def serve(route):
        address = route.request.url.replace(app, server.url)
        headers = {**route.request.headers, "x-forwarded-host": "someone-app.hf.space", "x-forwarded-proto": "https"}
        if "/heartbeat/" in address or "/queue/" in address:  # streams, which a route cannot pass on
            return route.abort()
        route.fulfill(response=route.fetch(url=address, headers=headers))

    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(b.PATIENCE)
    try:
        context.route("https://huggingface.co/**", lambda route: route.fulfill(content_type="text/html", body=outside))
        context.route(f"{app}**", serve)
        page = context.new_page()
        page.goto("https://huggingface.co/spaces/someone/app")
        inside = page.frame_locator("iframe")
        inside.locator("#viewer .rv-columns canvas").first.wait_for()
        inside.locator("#viewer [data-scrubber]").press("Home")
        page.wait_for_function("told.length > 0")
        assert page.evaluate("told.at(-1)") == {"queryString": "lesson=2", "hash": "#duel?step=0"}
    finally:
        context.unroute_all(behavior="ignoreErrors")
        context.close()


def test_the_keyboard(chromium, server):
    with opened(chromium, server, "", width=1280, height=720) as page:
        b.ready(page)
        box = page.locator("#run").bounding_box()
        assert box["y"] + box["height"] < 720  # without scrolling
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to Run"
        stops = 1
        while not page.evaluate("document.activeElement.id === 'run'"):
            page.keyboard.press("Tab")
            stops += 1
            assert stops <= 15
        page.evaluate("document.activeElement.blur()")
        page.focus(".skip")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "run"
        page.keyboard.press("?")
        page.wait_for_selector("#keys-dialog", state="visible")
        page.keyboard.press("Escape")
        page.focus("#samples .thumbnail-item.selected")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        at(page, "#duel?picture=chelsea")
        b.enter(page, "#steps", 40)
        page.fill("#steps input[type=number]", "2")
        b.watch(page)
        page.keyboard.press("Control+Enter")
        assert re.match(r"Done: 2 steps", b.wait_for_status(page, "Done"))
        page.click("#norm .help")
        assert "l∞" in page.inner_text(".help-box:popover-open")
        page.keyboard.press("Escape")
        assert page.locator(".help-box:popover-open").count() == 0
