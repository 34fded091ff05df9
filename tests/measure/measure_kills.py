"""What a kill leaves of each file that the project writes: `python tests/measure/measure_kills.py` prints a table.

    python tests/measure/measure_kills.py [card] [heads] [classifier] [checkpoint] [trace] [questions]
                                          [report] [download] [--kills 200] [--seed 0]

Without a name all are measured, in about five minutes. A child process writes two contents in turn and is killed
(SIGKILL) at a random moment within two writes. Then the project's own reader reads the file, which should hold one of the
two. After one more write, no other file should be left beside it. The report of the study is written by the same code as
that of the evaluation.

Of two files that belong together, a kill between them leaves one that is newer: "not yet a pair". The weights' reader
should refuse them in a sentence, because the card has another digest; anything else counts as unreadable.

Only on POSIX, because the child is a fork.
"""

import argparse
import hashlib
import http.server
import itertools
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import safetensors.torch
import torch

from rlpips import paths
from rlpips.classifiers.models import small_resnet
from rlpips.evaluate.report import Report
from rlpips.quiz import archive
from rlpips.traces.trace import Trace
from rlpips.training.checkpoint import TrainingState
from rlpips.training.classifiers import pack
from rlpips.zoo import cards, catalog, classifier_cards, weights

CHARACTERS = 8_000_000  # of a card or a report, so that its writing takes a while
NUMBERS = 2_000_000  # of heads, a checkpoint or a download


@dataclass
class Case:
    """`write(n)` writes content 0 or 1. `read()` returns the contents that the files hold, one number for each; an
    exception where they are unreadable. `files` are the names that may be in the folder."""

    write: Callable[[int], object]
    read: Callable[[], list[int]]
    files: set[str]


def card(folder):
    paths.WEIGHTS = folder
    contents = [{"text": letter * CHARACTERS} for letter in "ab"]
    return Case(
        lambda n: cards.store("lpips", "alex", results=contents[n]),
        lambda: [contents.index(cards.read("lpips")["results"])],
        {"lpips_alex.json"},
    )


def heads(folder):
    paths.WEIGHTS = folder
    file = folder / catalog.card("lpips").heads["alex"].file
    contents = [safetensors.torch.save({"0": torch.full((NUMBERS,), float(n))}) for n in range(2)]

    def load(digest):
        entry = replace(catalog.card("lpips"), heads={"alex": catalog.WeightsFile(file.name, digest)})
        catalog.CATALOG["lpips"] = entry
        (head,) = weights.load_heads("lpips", "alex")
        return [[0.0], [1.0]].index(head.unique().tolist())

    return pair(file, contents, load)


def classifier(folder):
    paths.WEIGHTS = folder
    file, networks = folder / classifier_cards.CLASSIFIERS["undefended"].file, []
    for n in range(2):
        torch.manual_seed(n)
        networks.append(small_resnet("undefended"))
    contents = [pack(network) for network in networks]
    states = [digests_of(safetensors.torch.load(raw)) for raw in contents]

    def load(digest):
        classifier_cards.CLASSIFIERS["undefended"] = replace(classifier_cards.CLASSIFIERS["undefended"], sha256=digest)
        return states.index(digests_of(weights.load_classifier("undefended")))

    return pair(file, contents, load)


def digests_of(state):
    return {name: hashlib.sha256(value.float().numpy().tobytes()).hexdigest() for name, value in state.items()}


def pair(file, contents, load):
    """Weights with their card. `load(digest)` returns which weights they are; WeightsError for another digest."""
    digests = [hashlib.sha256(raw).hexdigest() for raw in contents]
    limits = [letter * 1_000_000 for letter in "ab"]

    def write(n):
        cards.write(file, contents[n], {"limits": limits[n]})

    def read():
        value = json.loads(file.with_suffix(".json").read_text("utf-8"))
        card = digests.index(value["sha256"])
        assert value == {"file": file.name, "sha256": digests[card], "limits": limits[card]}
        try:
            return [load(digests[card]), card]
        except weights.WeightsError:  # the sentence; the other weights have to be whole
            return [load(digests[1 - card]), card]

    return Case(write, read, {file.name, file.with_suffix(".json").name})


def checkpoint(folder):
    def state(n):
        return TrainingState({}, torch.optim.SGD([torch.zeros(1)]), {"memory": torch.full((NUMBERS,), float(n))})

    def read():
        training = state(-1)
        assert training.resume(folder / "state", "this training")
        return [[[0.0], [1.0]].index(training.tensors["memory"].unique().tolist())]

    return Case(lambda n: state(n).save(folder / "state", "this training"), read, {"state"})


def trace(folder):
    whole = [Trace.load(file) for file in sorted(paths.PRECOMPUTED_CLASSIFIER.glob("*.zip"))[:2]]
    pictures = [each.adversarial.tolist() for each in whole]
    return Case(
        lambda n: whole[n].save(folder / "a.zip"),
        lambda: [pictures.index(Trace.load(folder / "a.zip").adversarial.tolist())],
        {"a.zip"},
    )


def questions(folder):
    answered, digests = archive.read(paths.QUESTIONS)
    contents = [answered[:2], answered[2:4]]

    def read():
        found, _ = archive.read(folder / "a.zip")
        same = [all(np.array_equal(a[0].pictures, b[0].pictures) for a, b in zip(found, each)) for each in contents]
        return [same.index(True)]

    return Case(lambda n: archive.write(folder / "a.zip", contents[n], digests), read, {"a.zip"})


def report(folder):
    texts = [letter * CHARACTERS for letter in "ab"]
    reports = [Report("results", {"text": text}, [text]) for text in texts]

    def read():
        results = json.loads((folder / "results.json").read_text("utf-8"))
        markdown = (folder / "results.md").read_text("utf-8")
        return [[each.results for each in reports].index(results), [each.text for each in reports].index(markdown)]

    return Case(lambda n: reports[n].store(folder), read, {"results.json", "results.md"})


def download(folder):
    """A file of weights from a server on this machine. Before each download the file is deleted."""
    torch.save({"features.0.weight": torch.ones(NUMBERS)}, source := folder.with_name("source"))
    name = f"squeeze-{hashlib.sha256(source.read_bytes()).hexdigest()[:8]}.pth"
    catalog.TRUNKS["squeeze"] = replace(catalog.TRUNKS["squeeze"], torchvision=name)
    os.environ.pop("RLPIPS_WEIGHTS_DIR", None)
    folder = folder / "checkpoints"
    folder.mkdir()
    torch.hub.set_dir(folder.parent)
    serve(source.read_bytes())

    def write(n):
        (folder / name).unlink(missing_ok=True)
        weights.load_trunk("squeeze", progress=lambda *_: None)

    def read():
        if (folder / name).exists():
            assert weights.load_trunk("squeeze")["features.0.weight"].eq(1).all()
        return [0]

    return Case(write, read, {"checkpoints", name})


def serve(data):
    """From now on the project's downloads come from a server on this machine, which sends these bytes."""

    class Sends(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(OSError):  # the child was killed
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sends)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://127.0.0.1:{server.server_port}/"
    urllib.request.urlopen = lambda _, timeout: opener.open(url, timeout=timeout)


def measure(make, folder, kills, seed):
    """A row of the table: what `kills` kills left."""
    draw, case = random.Random(seed), make(folder)
    seconds = []
    for n in (0, 1, 0, 1):
        began = time.monotonic()
        case.write(n)
        seconds.append(time.monotonic() - began)
    duration = statistics.median(seconds)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    count = dict.fromkeys(("unreadable", "not yet a pair", "left by the kill", "left a write later"), 0)
    for _ in range(kills):
        kill_while_writing(case.write, draw.uniform(0, 2 * duration))
        count["left by the kill"] += left(folder, case)
        try:
            count["not yet a pair"] += len(set(case.read())) > 1
        except Exception:  # whatever it is, the file is not what was written
            count["unreadable"] += 1
            for path in folder.rglob("*"):
                if path.is_file():
                    path.unlink()
        case.write(1)
        count["left a write later"] += left(folder, case)
    return [make.__name__, f"{size / 1e6:.1f} MB", f"{1e3 * duration:.0f} ms", kills, *count.values()]


def kill_while_writing(write, seconds):
    """Fork a child that writes again and again, and kill it after these seconds."""
    ready, started = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(started, b".")
            for n in itertools.count():
                write(n % 2)
        finally:
            os._exit(1)
    os.read(ready, 1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(ready)
    os.close(started)
    assert os.WIFSIGNALED(status), "the child could not write"


def left(folder, case):
    """Whether there are other files than the case's."""
    return any(path.name not in case.files for path in folder.rglob("*"))


CASES = {each.__name__: each for each in (card, heads, classifier, checkpoint, trace, questions, report, download)}


def main():
    parser = argparse.ArgumentParser(description="What a kill leaves of every file that the project writes.")
    parser.add_argument("names", nargs="*", choices=[*CASES, []], metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # a fork has only the thread that forked
    print("| file | size | one write | kills | unreadable | not yet a pair | left by the kill | left a write later |")
    print("|---|" + "---:|" * 7)
    for name in options.names or CASES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "files"
            folder.mkdir()
            print("|", " | ".join(map(str, measure(CASES[name], folder, options.kills, options.seed))), "|", flush=True)


if __name__ == "__main__":
    main()
