"""What bad and hostile input does: `python tests/measure/measure_abuse.py` starts the app and prints Markdown tables.

    python tests/measure/measure_abuse.py [inputs] [calls] [visitor] [--calls 10000] [--seed 0] [--runs 5] [--pause 0.5]

inputs   bad values and files through the library, the page and the endpoint: each must be refused in a sentence
calls    random calls of all events of the page, valid and not: answers of 500 and above, tracebacks in the server's log
visitor  how long a visitor's run takes alone, and while eight abusers work; the memory of the server and its decoders

All of it is bounded in count and time, and goes to this machine alone. Nothing else should run meanwhile.
"""

# ruff: noqa: E402

import argparse
import asyncio
import io
import json
import math
import random
import secrets
import statistics
import struct
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "support")]

import browser as b
import httpx
import numpy as np
from measure_visitors import Page, Visitor, photograph
from PIL import Image

from rlpips import paths

# ---- hostile files


def repeated_scans(side=7000, count=400):
    """A progressive JPEG of few bytes whose last scan comes again and again."""
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "JPEG", quality=1, progressive=True)
    data = file.getvalue()
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def picture(kind, size, mode="RGB", **options):
    """A picture of one colour: large, and of few bytes."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def lying_zip(megabytes=300, declared=1000):
    """A trace whose JSON says that it has 1000 bytes, and unpacks to much more."""
    packer, block = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(1_000_000)
    data = b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])
    name = b"trace.json"
    sizes = (0, len(data), declared, len(name))
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, *sizes, 0) + name
    central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes, 0, 0, 0, 0, 0, 0) + name
    return local + data + central + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local + data), 0)


def nested_json(count=700_000):
    """A trace whose JSON takes hundreds of times as much memory as bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trace.json", "[" + "{}," * count + "{}]")
    return file.getvalue()


def bad_files():
    """{name: bytes} of files that are no picture, damaged ones, and ones made to take long or much memory."""
    noise = np.random.default_rng(0)
    good = {
        kind: picture(kind, (60, 44), **options)
        for kind, options in (
            ("PNG", {}), ("JPEG", {}), ("WEBP", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}),
        )
    }  # fmt: skip
    files = {
        "empty.png": b"", "text.png": b"no picture", "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "page.pdf": b"%PDF-1.7 nothing", "program.exe": b"MZ" + bytes(200), "noise.png": noise.bytes(5000),
        "photo.heic": b"\0\0\0\x18ftypheic" + bytes(50), "narrow.png": picture("PNG", (5000, 40)),
        "small.png": picture("PNG", (31, 200)), "one.gif": picture("GIF", (1, 1)),
        "scans.jpg": repeated_scans(), "bomb.webp": picture("WEBP", (16000, 8000), lossless=True),
        "bomb.png": picture("PNG", (30000, 20000), "1"), "bomb.gif": picture("GIF", (20000, 20000), "L"),
        "bomb.bmp.zip": nested_json(1000), "script.png": b"#!/bin/sh\nexit\n", "page.html": b"<script>alert(1)</script>",
        "archive.zip": lying_zip(3), "dots.png": b"../../etc/passwd",
    }  # fmt: skip
    for kind, data in good.items():
        ending = kind.lower()
        for share in (0.02, 0.2, 0.5):
            files[f"cut-{share}.{ending}"] = data[: int(len(data) * share)]
        files[f"head.{ending}"] = data[:12] + noise.bytes(2000)
        files[f"zeros.{ending}"] = data[:8] + bytes(2000)
    return files


# ---- inputs


def bad_calls():
    """(what, call) of calls of the library that must be refused."""
    import torch

    import rlpips

    grey = np.full((40, 52, 3), 128, np.uint8)
    x = torch.rand(2, 3, 40, 52)
    metric = rlpips.load_metric("lpips")
    for name, values in {
        "eps": (0, -1, math.nan, math.inf, 1.5, "4/255", None, [0.1], True), "steps": (0, -3, 2.5, "ten", None, math.nan),
        "step_size": (0, -0.1, math.nan, "big"), "norm": ("l1", None, 2, "L2"), "objective": ("up", None, 1),
        "seed": (-1, 0.5, "zero", None), "restarts": (0, -1, 1.5, "two"), "backbone": ("resnet", None, 3),
        "metrics": ((), ("nonsense",), (1, 2), ("lpips", "lpips"), None), "device": ("tpu", "cuda:99", "mps", 5),
        "precision": ("float8", 16), "candidate": ("nowhere.png", x[0, :2], 5),
    }.items():  # fmt: skip
        for value in values:
            yield f"attack {name}={value!r:.40}", lambda name=name, value=value: rlpips.attack(grey, **{name: value})
    for what, source in {
        "text": "no such file.png", "folder": str(paths.ROOT), "number": 7, "nothing": None, "a list": [1, 2], "bytes": b"no",
        "2 channels": grey[..., :2], "4 channels": np.zeros((40, 40, 4)), "int64": grey.astype(np.int64), "empty": grey[:0],
        "above 1": x[0] * 255, "below 0": x[0] * 2 - 1, "NaN": x[0] * math.nan, "int tensor": (x[0] * 255).int(),
        "small": x[0, :, :20], "5 dimensions": x[None, None], "objects": np.full((40, 40), None),
        "complex": np.zeros((40, 40, 3), complex), "infinite": np.full((40, 40, 3), math.inf),
    }.items():  # fmt: skip
        yield f"attack {what}", lambda source=source: rlpips.attack(source, steps=1)
    for what, pair in {
        "sizes": (x, x[..., :40]), "batches": (x, x[:1].repeat(3, 1, 1, 1)), "above 1": (x, x * 255), "no batch": (x[0], x[0]),
        "2 channels": (x[:, :2], x[:, :2]), "bytes": (x, (x * 255).to(torch.uint8)), "texts": ("a", "b"), "NaN": (x, x * math.nan),
        "small": (x[..., :20], x[..., :20]), "empty": (x[:0], x[:0]),
    }.items():  # fmt: skip
        for method in ("__call__", "per_layer", "distance_map"):
            yield f"{method} {what}", lambda method=method, pair=pair: getattr(metric, method)(*pair)
    for name in ("", "LPIPS", "rlpips", "../lpips", None, 3, ["lpips"], "lpips\0"):
        yield f"load_metric {name!r}", lambda name=name: rlpips.load_metric(name)
    for name, data in {
        "empty.zip": b"", "text.zip": b"no trace", "lying.zip": lying_zip(), "nested.zip": nested_json(), "picture.zip": picture("PNG", (40, 40)),
    }.items():  # fmt: skip
        yield f"Trace.load {name}", lambda name=name, data=data: rlpips.Trace.load(_file(name, data))


def _file(name, data, folder=None):
    path = Path(folder or tempfile.mkdtemp()) / name
    path.write_bytes(data)
    return path


def _is_sentence(text):
    return len(text) > 15 and "\n" not in text and text.rstrip().endswith((".", ")")) and "Error" not in text


def library_rows():
    """Rows on the library; a fault is an error of another class, no error, or no sentence."""
    from rlpips.data import images

    calls = [*bad_calls()]
    with tempfile.TemporaryDirectory() as folder:
        for name, data in bad_files().items():
            path = _file(name, data, folder)
            calls += [(f"{name} path", lambda path=path: images.read_picture(path))]
            calls += [(f"{name} bytes", lambda data=data: images.read_picture(data))]
        faults, slowest = [], 0.0
        for what, call in calls:
            begun = time.monotonic()
            try:
                call()
                faults.append(f"{what}: accepted")
            except ValueError as error:
                if not _is_sentence(str(error)):
                    faults.append(f"{what}: {error!r:.200}")
            except Exception as error:
                faults.append(f"{what}: {error!r:.200}")
            slowest = max(slowest, time.monotonic() - begun)
    yield "bad inputs to the library: tried, not refused in a sentence", f"{len(calls)}, {len(faults)}"
    yield "slowest refusal", f"{slowest:.1f} s"
    yield from (("fault", fault) for fault in faults)


async def page_rows(client, page, log):
    """Rows on the same files through Run, and on bad values of its controls."""
    faults, silent, count, slowest = [], [], 0, 0.0

    async def attempt(what, **changes):
        nonlocal count, slowest
        visitor, begun = Visitor(client, page), time.monotonic()
        count += 1
        try:
            await visitor.run(**changes)
            last = visitor.statuses[-1][1]
            if not last.startswith("Refused: ") or last.startswith("Refused: something failed"):
                faults.append(f"{what}: {last:.200}")
        except RuntimeError as error:
            if error.args[0].get("error") is None:  # Gradio's own refusal of a value that no control sends
                silent.append(what)
        slowest = max(slowest, time.monotonic() - begun)

    for name, data in bad_files().items():
        answer = await client.post("gradio_api/upload", files={"files": (name, data)})
        if answer.status_code == 200:
            await attempt(
                name, upload=[{"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}]
            )
        else:
            count += 1
            faults += [] if answer.status_code in (400, 413, 507) else [f"{name}: {answer.status_code}"]
    for field, values in {
        "eps": (0, -1, 99, None, "four", [1]), "steps": (0, 1e9, None, "ten"), "seed": (-1, None, "x", 1e30),
        "norm": ("l1", None, 3), "objective": ("up", None), "metric-0": ("nonsense", None, "rlpips-linf", 5),
        "backbone": ("resnet", None), "restarts": (0, 99, None), "step-size": (-1, "x", 9e9), "size": (1, None, "big", 10**9),
        "precision": ("float8", None), "candidate": ("nobody", None, "mine"), "upload": ([7], [{}], "x"),
    }.items():  # fmt: skip
        for value in values:
            await attempt(f"{field}={value!r}", **{field: value})
    yield "bad inputs to the page: tried, not refused in a sentence", f"{count}, {len(faults)}"
    yield "of them refused by Gradio without a sentence: of a type that no control sends", str(len(silent))
    yield "slowest answer", f"{slowest:.1f} s"
    yield "tracebacks of ours in the server's log", str(len(ours(log)))
    for fault in faults:
        yield "fault", fault


def ours(log):
    """The tracebacks of a log that end in this project's code."""
    blocks = log.read_text("utf-8", "replace").split("Traceback (most recent call last):")[1:]
    last = ([line for line in block.splitlines() if line.startswith('  File "')] for block in blocks)
    return [lines[-1] for lines in last if lines and f'"{paths.ROOT}' in lines[-1]]


# ---- calls


def junk(random):
    """A value that a control may be sent."""
    values = (
        None, True, 0, -1, 1, 7, 1e308, 10**30, "", "x", "lpips", "\ud800", "<script>", "../../etc/passwd", [], [1], [[]], {}, {"path": "/etc/passwd"},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": None}, {"url": "http://127.0.0.1:9/x"}, "a" * 10_000,
        [{"path": "x", "meta": {"_type": "gradio.FileData"}}] * 3, {"index": 1, "value": 2}, [0] * 1000, "linf", "alex", "away", 256, 0.5,
    )  # fmt: skip
    return random.choice(values)


async def drain(client, session):
    """Take the answers of a session until all its events have one, as a browser does."""
    with suppress(httpx.HTTPError, TimeoutError):
        query = {"session_hash": session}
        async with asyncio.timeout(60), client.stream("GET", "gradio_api/queue/data", params=query) as stream:
            async for line in stream.aiter_lines():
                if '"close_stream"' in line:
                    return


async def call_rows(client, config, count, seed, log):
    """Rows on random calls. Every hundredth is a valid run of one step, which must be done."""
    random_, page = random.Random(seed), Page(config)
    events = [each for each in config["dependencies"] if each["backend_fn"]]
    statuses, valid, failed, crashed = Counter(), 0, [], 0
    session, begun = secrets.token_hex(5), time.monotonic()

    for number in range(count):
        if number % 100 == 99:
            await drain(client, session)
            session, visitor = secrets.token_hex(5), Visitor(client, page)
            valid += 1
            try:
                await visitor.run(steps=5, seed=number)
                if not visitor.statuses[-1][1].startswith("Done"):
                    failed.append(visitor.statuses[-1][1])
            except (httpx.HTTPError, RuntimeError) as error:
                failed.append(repr(error)[:200])
        event = random_.choice(events)
        size = len(event["inputs"]) if random_.random() < 0.9 else random_.randrange(30)
        body = {
            "data": [junk(random_) for _ in range(size)], "fn_index": event["id"] if random_.random() < 0.97 else random_.choice((-1, 10**6)),
            "session_hash": session, "trigger_id": random_.choice([None, 1, -5, "x"]), "event_data": random_.choice(
                [None, {}, {"index": junk(random_), "value": junk(random_)}, {"choice": junk(random_), "id": junk(random_)}, [], "x"]
            ),
        }  # fmt: skip
        head = {"content-type": "application/json", "connection": "close"}  # after an answer of 500 it is closed
        status = (await client.post("gradio_api/queue/join", content=json.dumps(body), headers=head)).status_code
        statuses[status] += 1
        if status >= 500 and body["fn_index"] == event["id"]:  # others ask for an event that does not exist
            crashed += 1
            failed.append(f"{status}: {json.dumps(body):.300}")
    await drain(client, session)
    yield "random calls, seconds", f"{count}, {time.monotonic() - begun:.0f}"
    yield "answers", ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
    yield "answers of 500 and above to calls of events that exist", str(crashed)
    yield "valid runs among them, not done", f"{valid}, {len(failed)}"
    text = log.read_text("utf-8", "replace")
    yield "tracebacks in the server's log, of ours", f"{text.count('Traceback')}, {len(ours(log))}"
    for fault in failed[:5]:
        yield "not done", fault
    for line in sorted(set(ours(log)))[:10]:
        yield "traceback", line


# ---- an honest visitor


class Memory(threading.Thread):
    """Watches how much memory a server and its child processes hold together."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid, self.most, self.working = pid, 0.0, True

    def run(self):
        while self.working:
            with suppress(OSError):
                children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
                for task in Path(f"/proc/{self._pid}/task").iterdir():
                    children += (task / "children").read_text().split()
                self.most = max(self.most, sum(map(_resident, {str(self._pid), *children})))
            time.sleep(0.05)


def _resident(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)


class Abusers:
    """Eight who do one kind of abuse each, again and again, each after the answer to the last and a pause."""

    def __init__(self, client, page, config, pause):
        self.client, self.page, self.config, self.pause = client, page, config, pause
        self.counts = Counter()
        files = bad_files()
        self.kinds = {
            "pictures of many scans": lambda: self.run_file("scans.jpg", files["scans.jpg"]),
            "pictures of many pixels": lambda: self.run_file("bomb.webp", files["bomb.webp"]),
            "large pictures that are valid": lambda: self.run_file("large.png", large),
            "zips that lie": lambda: self.open_trace(lying),
            "JSON that unpacks": lambda: self.open_trace(nested),
            "bodies of 600 MB": self.body,
            "a hundred runs of one page": self.runs,
            "uploads that fill the disk": self.fill,
        }
        large = picture("PNG", (6000, 4000))
        lying, nested = lying_zip(), nested_json()

    async def work(self, kind):
        while True:
            with suppress(httpx.HTTPError, RuntimeError):
                await self.kinds[kind]()
            self.counts[kind] += 1
            await asyncio.sleep(self.pause)

    async def run_file(self, name, data):
        answer = await self.client.post("gradio_api/upload", files={"files": (name, data)})
        if answer.status_code == 200:
            value = [{"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}]
            await Visitor(self.client, self.page).run(upload=value, steps=5, seed=random.randrange(10**6))

    async def open_trace(self, data):
        answer = await self.client.post("gradio_api/upload", files={"files": ("a.zip", data)})
        if answer.status_code == 200:
            names = {each["id"]: each["props"].get("elem_id") for each in self.config["components"]}
            events = self.config["dependencies"]
            event = next(
                each for each in events if any(names.get(target) == "saved-trace" for target, _ in each["targets"])
            )
            value = {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}
            session = secrets.token_hex(5)
            body = {
                "data": [value],
                "fn_index": event["id"],
                "session_hash": session,
                "trigger_id": event["targets"][0][0],
            }
            await self.client.post("gradio_api/queue/join", json=body)
            await drain(self.client, session)

    async def body(self):
        async def chunks():
            for _ in range(600):
                yield bytes(2**20)

        await self.client.post("gradio_api/queue/join", content=chunks())

    async def runs(self):
        session = secrets.token_hex(5)
        for seed in range(100):
            body = self.page.request(session, {"steps": 20, "seed": seed + random.randrange(10**6)})
            await self.client.post("gradio_api/queue/join", json=body)
        await drain(self.client, session)

    async def fill(self):
        await self.client.post("gradio_api/upload", files={"files": ("a.png", secrets.token_bytes(30_000_000))})


async def visitor_rows(client, page, config, server, runs, pause):
    """Rows on a visitor's run, alone and among abusers."""

    async def times():
        seconds, ends = [], []
        for _ in range(runs):
            visitor, begun = Visitor(client, page), time.monotonic()
            changes = await visitor.with_picture(photograph(random.randrange(10**6)))
            await visitor.run(steps=40, seed=1, **changes)
            seconds.append(time.monotonic() - begun)
            ends.append(visitor.statuses[-1][1][:60])
        return seconds, ends

    await times()
    alone, _ = await times()
    memory = Memory(server.pid)
    memory.start()
    abusers = Abusers(client, page, config, pause)
    tasks = [asyncio.create_task(abusers.work(kind)) for kind in abusers.kinds]
    await asyncio.sleep(5)
    among, ends = await times()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    memory.working = False
    one, other = statistics.median(alone), statistics.median(among)
    yield f"a run of 40 steps, upload included: alone, among abusers (median of {runs})", f"{one:.1f} s, {other:.1f} s"
    yield "times as long; the longest", f"{other / one:.1f}; {max(among) / one:.1f}"
    yield (
        "how the visitor's runs ended",
        ", ".join(f"{number} × {end}" for end, number in Counter(end.split(":")[0] for end in ends).items()),
    )
    yield "most memory of the server and its decoders", f"{memory.most:.0f} MB"
    for kind in abusers.kinds:
        yield f"abuse: {kind}", f"{abusers.counts[kind]} times"
    yield "tracebacks of ours in the server's log", str(len(ours(server.log)))


# ----


async def measure(what, options, server, title):
    """Print what the server shows."""
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)  # see measure_visitors
    async with httpx.AsyncClient(base_url=server.url, timeout=600, limits=limits, trust_env=False) as client:
        config = (await client.get("config")).raise_for_status().json()
        page = Page(config)
        await Visitor(client, page).run(steps=5)  # the network is loaded from here on
        rows = {
            "inputs": lambda: page_rows(client, page, server.log),
            "calls": lambda: call_rows(client, config, options.calls, options.seed, server.log),
            "visitor": lambda: visitor_rows(client, page, config, server, options.runs, options.pause),
        }[what]()
        show(title, [row async for row in rows])


def show(title, rows):
    print(
        f"| {title} | measured |",
        "| --- | --- |",
        *(f"| {what} | {value} |" for what, value in rows),
        "",
        sep="\n",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=("inputs", "calls", "visitor"))
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5, help="of the visitor, alone and among abusers")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between the deeds of an abuser")
    options = parser.parse_args()
    bounds = {"calls": {"RLPIPS_DEADLINE_S": "3", "RLPIPS_MAX_STEPS": "5"}}  # so that valid calls end soon
    for what in options.what or ("inputs", "calls", "visitor"):
        if what == "inputs":
            show("library", list(library_rows()))
        with tempfile.TemporaryDirectory() as folder, b.serve(Path(folder), **bounds.get(what, {})) as server:
            asyncio.run(measure(what, options, server, what))


if __name__ == "__main__":
    main()
