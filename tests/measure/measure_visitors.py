"""Many visitors at once: `python tests/measure/measure_visitors.py` starts the app and prints a Markdown table.

    python tests/measure/measure_visitors.py [crowd] [--visitors 50] [--within 5] [--pictures own|seeds|same] [--steps 20]
                                     [--through page|client]
    python tests/measure/measure_visitors.py memory [--runs 200] [--through page|client]
    python tests/measure/measure_visitors.py steady [--minutes 10] [--every 5] [--through page|client]

Through the page: a visitor uses the protocol of the page (the request of Run, the stream of messages, the pictures that they
name). Through the client: a script calls the public endpoint with Gradio's client library; all scripts together are one
process, which takes much of a small machine. Nothing else should run meanwhile.

memory: the server's memory after runs of 5 steps on 64 pixels, by one visitor, and by a new visitor for each.
steady: a new visitor with a picture of their own every few seconds; how long their runs take, and the server's memory.
"""

# ruff: noqa: E402

import argparse
import asyncio
import io
import json
import secrets
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b
import httpx
import numpy as np
from gradio_client import Client, handle_file
from gradio_client.utils import apply_diff
from PIL import Image

from rlpips import paths

ROUNDS = 5  # of each measurement with two visitors
LONG = 200  # steps of an attack that is still running when the measurement ends
POINTS = (1, 10, 50, 100, 200, 400)  # runs after which memory is read
LOOK_S = 0.03  # how often a script looks for new messages
MANY = 5  # visitors ahead; with so many the mean time of a duel predicts the wait


class Page:
    """The page as the browser knows it: the event of Run, its fields and their values."""

    def __init__(self, config):
        names = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
        values = {each["id"]: each["props"].get("value") for each in config["components"]}
        self.run = next(each for each in config["dependencies"] if each["backend_fn"] and _clicks(each, names, "run"))
        self._fields = [(names[field], values[field]) for field in self.run["inputs"]]

    def request(self, session, changes):
        names = {name for name, _ in self._fields}
        assert changes.keys() <= names, changes.keys() - names
        _, *data = (changes.get(name, value) for name, value in self._fields)
        return {
            "data": [0, *data],  # the first is the place of the selected thumbnail, which the page's script finds
            "fn_index": self.run["id"],
            "session_hash": session,
            "trigger_id": self.run["targets"][0][0],
        }


def _clicks(event, names, button):
    return any(names.get(target) == button and kind == "click" for target, kind in event["targets"])


class Session:
    """`statuses` holds (seconds since Run, status) of every message."""

    def __init__(self):
        self.statuses, self.pressed = [], None

    def when(self, *beginnings):
        """Seconds from Run until the status first began with one of these."""
        return next(seconds for seconds, status in self.statuses if status.startswith(beginnings))


class Visitor(Session):
    """A session in a page."""

    def __init__(self, client, page):
        super().__init__()
        self.client, self.page = client, page
        self.session = secrets.token_hex(8)
        self.event, self._seen = None, set()

    async def with_picture(self, data):
        """The changes of a request for a picture of their own, PNG bytes."""
        return {"upload": await self._upload("own.png", data)}

    async def run(self, **changes):
        """Press Run and stay until the end; fetch the pictures as the page does."""
        fetching = []
        async with aclosing(self.messages(**changes)) as messages:
            async for _, content in messages:
                fetching += [asyncio.create_task(self._fetch(url)) for url in self._new_pictures(content)]
        await asyncio.gather(*fetching)

    async def messages(self, **changes):
        """Press Run; yields (status, viewer message) of each message. Closing this is closing the tab."""
        self.statuses, self.pressed = [], time.monotonic()
        answer = await self.client.post("gradio_api/queue/join", json=self.page.request(self.session, changes))
        answer.raise_for_status()
        self.event = answer.json()["event_id"]
        values, query = None, {"session_hash": self.session}
        async with self.client.stream("GET", "gradio_api/queue/data", params=query) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line[6:]) if line.startswith("data: ") else {"msg": None}
                if message["msg"] in ("process_generating", "process_completed"):
                    if not message["success"]:
                        raise RuntimeError(message["output"])
                    if message["msg"] == "process_generating":
                        data = message["output"]["data"]
                        values = [apply_diff(*each) for each in zip(values, data)] if values else data
                        self.statuses.append((time.monotonic() - self.pressed, values[1]))
                        yield values[1], values[0]
                if message["msg"] == "process_completed":
                    return

    async def stop(self):
        """Press Stop: what the browser sends then."""
        cancel = {"session_hash": self.session, "fn_index": self.page.run["id"], "event_id": self.event}
        (await self.client.post("gradio_api/cancel", json=cancel)).raise_for_status()

    async def _upload(self, name, data):
        """The value of the file field after an upload."""
        answer = await self.client.post("gradio_api/upload", files={"files": (name, data, "image/png")})
        answer.raise_for_status()
        return [{"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}]

    def _new_pictures(self, content):
        urls = {url for url in _urls(content) if not url.startswith("data:") and not url.endswith(".zip")} - self._seen
        self._seen |= urls
        return urls

    async def _fetch(self, url):
        (await self.client.get(url)).raise_for_status()


class Script(Session):
    """A session of Gradio's client library; its files are in `folder`."""

    def __init__(self, url, folder):
        super().__init__()
        self._client = Client(url, verbose=False, download_files=folder)
        self._folder, self._job, self._stopped = folder, None, False

    async def with_picture(self, data):
        path = Path(self._folder) / f"{secrets.token_hex(8)}.png"
        path.write_bytes(data)
        return {"picture": path}

    async def run(self, **changes):
        async for _ in self.messages(**changes):
            pass

    async def messages(self, picture=paths.SAMPLES / "astronaut.png", **changes):
        """Call the endpoint; yields (status, (trace, pictures)) of each message."""
        self.statuses, self.pressed = [], time.monotonic()
        self._job = self._client.submit(handle_file(str(picture)), api_name="/attack", **changes)
        done = False
        while not done:  # iterating over a job would block it: it sleeps with its lock
            done = self._job.done()
            for output in self._job.outputs()[len(self.statuses) :]:
                self.statuses.append((time.monotonic() - self.pressed, output[0]))
                yield output[0], output[1:]
            await asyncio.sleep(LOOK_S)
        if not self._stopped:
            self._job.result()  # raises its error

    async def stop(self):
        self._stopped = True
        await asyncio.to_thread(self._job.cancel)


def _urls(value):
    if isinstance(value, dict):
        if value.get("url"):
            yield value["url"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _urls(each)


def photograph(seed, height=208, width=256):
    """A picture of slopes and texture, another one for every seed, as PNG bytes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40
    a, c = rng.uniform(0.3, 1.5, (2, 3))
    waves = np.stack([np.sin(a[i] * x + i) + np.cos(c[i] * y + seed) for i in range(3)], -1)
    file = io.BytesIO()
    pixels = np.clip(127 + 50 * waves + 8 * rng.standard_normal(waves.shape), 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def memory(pid):
    """(resident megabytes now, their maximum so far)."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return [int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM")]


async def crowd(visit, visitors, within, pictures, steps):
    """All press Run, one after the other, `within` so many seconds; returns the visitors and the errors."""
    everyone = [visit() for _ in range(visitors)]
    requests = []
    for n, visitor in enumerate(everyone):
        changes = {"same": {}, "seeds": {"seed": 1000 + n}}.get(pictures)
        requests.append({"steps": steps, **(await visitor.with_picture(photograph(n)) if changes is None else changes)})

    async def come(n):
        await asyncio.sleep(n * within / visitors)
        await everyone[n].run(**requests[n])

    ends = await asyncio.gather(*map(come, range(visitors)), return_exceptions=True)
    return everyone, [end for end in ends if end]


async def time_to_free(visit, leave):
    """Seconds from when a visitor leaves in the middle of an attack until the next one has the device."""
    first, second = visit(), visit()
    running, turn = asyncio.Event(), asyncio.Event()

    async def attacked():
        async with aclosing(first.messages(steps=LONG, seed=secrets.randbelow(2**31))) as messages:
            async for status, _ in messages:
                if status.startswith("Running: step"):
                    running.set()
                if turn.is_set():
                    break

    async def waited():
        async with aclosing(second.messages(steps=LONG, seed=secrets.randbelow(2**31))) as messages:
            async for status, _ in messages:
                if status.startswith(("Running…", "Running: step")):
                    return time.monotonic()

    one = asyncio.create_task(attacked())
    await running.wait()
    two = asyncio.create_task(waited())
    await asyncio.sleep(1.2)
    assert second.statuses and "1st in the queue" in second.statuses[-1][1], second.statuses
    begun = time.monotonic()
    await leave(first, one)
    seconds = await two - begun
    turn.set()
    await asyncio.gather(one, return_exceptions=True)
    return seconds


async def close(visitor, task):
    """The connection ends, as when a tab is closed."""
    task.cancel()


async def stop(visitor, task):
    await visitor.stop()


def table(everyone, errors, seconds):
    """Rows on a crowd."""
    done = [v for v in everyone if v.statuses and v.statuses[-1][1].startswith("Done")]
    refused = [v for v in everyone if v.statuses and v.statuses[-1][1].startswith("Refused")]
    yield "visitors, done, refused, errors", f"{len(everyone)}, {len(done)}, {len(refused)}, {len(errors)}"
    for what, of in (
        ("first message", lambda v: v.statuses[0][0]),
        ("first step, or the whole duel", lambda v: v.when("Running: step", "Running: comparing", "Done")),
        ("done", lambda v: v.statuses[-1][0]),
    ):
        times = sorted(map(of, done))
        tenths = statistics.quantiles(times, n=10, method="inclusive")
        yield (
            f"{what}: median, 90 % within, the last",
            " / ".join(f"{t:.1f} s" for t in (tenths[4], tenths[8], times[-1])),
        )
    yield "duels a minute", f"{60 * len(done) / seconds:.0f}"
    arrival = sorted(done, key=lambda v: v.pressed)
    begun = [v.pressed + v.when("Running: step", "Running: comparing", "Done") for v in arrival]
    ends = sorted(v.pressed + v.statuses[-1][0] for v in done)
    overtaken = sum(early > late for n, early in enumerate(begun) for late in begun[n + 1 :])
    yield "pairs of visitors of whom the later one began first", f"{overtaken} of {len(done) * (len(done) - 1) // 2}"
    service = (ends[-1] - min(v.pressed for v in done)) / len(done)
    ahead = [sum(end > v.pressed for end in ends[:n]) for n, v in enumerate(arrival)]
    waits = [(begun[n] - v.pressed) / (service * ahead[n]) for n, v in enumerate(arrival) if ahead[n] >= MANY]
    if waits:
        text = f"{min(waits):.2f} to {max(waits):.2f}"
        yield f"the wait of those with {MANY} or more ahead, over as many times the mean time of a duel", text
    waiting = [v for v in done if any("in the queue" in status for _, status in v.statuses)]
    yield "waited and saw their place", f"{len(waiting)} of {sum(each > 0 for each in ahead)}"


async def measure_crowd(server, visit, options):
    """Rows on a crowd, and on leaving."""
    await visit().run(steps=5)  # the network is loaded from here on
    before, _ = memory(server.pid)
    begun = time.monotonic()
    everyone, errors = await crowd(visit, options.visitors, options.within, options.pictures, options.steps)
    rows = [*table(everyone, errors, time.monotonic() - begun)]
    await asyncio.sleep(2)
    after, most = memory(server.pid)
    rows.append(("server's memory before, after, at most", f"{before:.0f} / {after:.0f} / {most:.0f} MB"))
    departures = {"Stop is pressed": stop, "a connection is closed": close}
    for what, leave in departures.items() if options.through == "page" else [("a job is cancelled", stop)]:
        times = [await time_to_free(visit, leave) for _ in range(ROUNDS)]
        text = f"{1000 * statistics.median(times):.0f} / {1000 * max(times):.0f} ms"
        rows.append((f"{what}, until the next one has the device: median, longest of {ROUNDS}", text))
    for error in errors[:5]:
        print(f"error: {error!r}")
    return rows


async def measure_memory(server, visit, options):
    """Rows on the memory of the server."""
    points, rows, seed = [count for count in POINTS if count <= options.runs], [], 0
    for whose in ("one visitor", "a new visitor each"):
        visitor, megabytes = visit(), []
        picture = await visitor.with_picture(photograph(1, 64, 64))
        for count in range(1, points[-1] + 1):
            visitor, seed = visitor if whose == "one visitor" else visit(), seed + 1
            await visitor.run(**picture, steps=5, seed=seed)
            assert visitor.statuses[-1][1].startswith("Done"), visitor.statuses[-1]
            if count in points:
                megabytes.append(f"{memory(server.pid)[0]:.0f}")
        rows.append((f"MB of the server after {', '.join(map(str, points))} runs by {whose}", ", ".join(megabytes)))
    return rows


async def measure_steady(server, visit, options):
    """Rows on a steady load."""
    await visit().run(steps=5)
    megabytes, seconds, ends, coming = [], [], [], []

    async def come(n):
        visitor = visit()
        changes = await visitor.with_picture(photograph(n))
        await visitor.run(steps=options.steps, **changes)
        seconds.append(visitor.statuses[-1][0])
        ends.append(visitor.statuses[-1][1].split(":")[0])

    begun = time.monotonic()
    while (now := time.monotonic() - begun) < 60 * options.minutes:
        if now >= 60 * len(megabytes):
            megabytes.append(f"{memory(server.pid)[0]:.0f}")
        coming.append(asyncio.create_task(come(len(coming))))
        await asyncio.sleep(options.every)
    errors = [end for end in await asyncio.gather(*coming, return_exceptions=True) if end]
    tenths = statistics.quantiles(seconds, n=10)
    return [
        ("minutes, visitors, done, errors", f"{options.minutes}, {len(coming)}, {ends.count('Done')}, {len(errors)}"),
        ("done: median, 90 % within, the last", f"{tenths[4]:.1f} / {tenths[8]:.1f} / {max(seconds):.1f} s"),
        ("MB of the server at the beginning of each minute", ", ".join(megabytes)),
        ("MB after, at most", " / ".join(f"{each:.0f}" for each in memory(server.pid))),
    ]


async def measure(server, options, folder):
    """Print the measurement that the options name."""
    what = {"crowd": measure_crowd, "memory": measure_memory, "steady": measure_steady}[options.what]
    # The server lets go of a connection that is idle for 5 s. A browser that uses it just then asks again; httpx does not.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=server.url, timeout=600, limits=limits, trust_env=False) as client:
        page = Page((await client.get("config")).raise_for_status().json())
        visitors = {"page": lambda: Visitor(client, page), "client": lambda: Script(server.url, folder)}
        rows = await what(server, visitors[options.through], options)
    rows.append(("tracebacks in the server's log", str(server.log.read_text("utf-8").count("Traceback"))))
    print("| | measured |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in rows), sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("crowd", "memory", "steady"), nargs="?", default="crowd")
    parser.add_argument("--through", choices=("page", "client"), default="page")
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--within", type=float, default=5, help="seconds in which they come")
    parser.add_argument("--pictures", choices=("own", "seeds", "same"), default="own")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=200, help="for memory")
    parser.add_argument("--minutes", type=float, default=10, help="for steady")
    parser.add_argument("--every", type=float, default=5, help="seconds from one visitor to the next, for steady")
    options = parser.parse_args()
    if options.visitors < 2 or options.runs < 1:
        parser.error(f"there must be at least 2 visitors and 1 run; got {options.visitors} and {options.runs}")
    with tempfile.TemporaryDirectory() as folder, b.serve(Path(folder)) as server:
        asyncio.run(measure(server, options, folder))


if __name__ == "__main__":
    main()
