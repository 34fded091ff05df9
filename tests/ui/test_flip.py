"""FLIP for the page: in a process of its own, and a sentence where it says nothing."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rlpips.metrics import eye
from rlpips.traces.schema import Eye
from rlpips.ui.runtime import flip

installed = pytest.mark.skipif(
    not eye.is_installed(), reason="needs flip-evaluator, which some machines have no build of"
)


def trace(height=40, width=56, lanes=2):
    """As much of a trace as is asked about."""
    pictures = np.random.default_rng(0).integers(0, 256, (1 + lanes, height, width, 3), np.uint8)
    return SimpleNamespace(reference=pictures[0], adversarial=pictures[1:])


@pytest.fixture
def there(monkeypatch):
    monkeypatch.setattr(eye, "is_installed", lambda: True)


def test_without_the_package_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(eye, "is_installed", lambda: False)
    assert list(flip.look(trace())) == [eye.MISSING]


def test_large_pictures_are_left_out_in_a_sentence(there):
    assert list(flip.look(trace(513, 512, lanes=1))) == [flip.TOO_LARGE]


def test_a_process_that_fails_is_a_sentence_and_the_next_has_its_turn(there, monkeypatch, caplog):
    monkeypatch.setattr(flip, "sys", SimpleNamespace(executable="/nothing/here"))
    assert list(flip.look(trace())) == [flip.FAILED]
    program = "import sys; sys.stdin.buffer.readline()"
    monkeypatch.setattr(flip.subprocess, "Popen", started := Started(program))
    assert list(flip.look(trace())) == [flip.FAILED]
    assert started.processes[0].returncode is not None and "FLIP was not measured" in caplog.text


class Started:
    """subprocess.Popen with another program; remembers what it started."""

    def __init__(self, program, popen=flip.subprocess.Popen):
        self.program, self.popen, self.processes = program, popen, []

    def __call__(self, command, **settings):
        self.processes.append(self.popen([sys.executable, "-c", self.program], **settings))
        return self.processes[-1]


# Answers as the process does, without the package.
ANSWERS = """
import json, math, sys
import numpy as np
for line in sys.stdin.buffer:
    shape = json.loads(line)["shape"]
    x, y = (np.frombuffer(sys.stdin.buffer.read(math.prod(shape)), np.uint8).reshape(shape) for _ in range(2))
    errors = np.abs(x.astype(np.float32) - y).mean(-1) / 255
    answer = {"distance": float(errors.mean()), "shape": errors.shape}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\\n" + errors.tobytes())
    sys.stdout.buffer.flush()
"""


def test_the_answers_of_the_process_come_back(there, monkeypatch):
    monkeypatch.setattr(flip.subprocess, "Popen", started := Started(ANSWERS))
    asked = trace()
    *waiting, said = flip.look(asked)
    assert set(waiting) == {None} and isinstance(said, Eye) and said.maps.shape == (2, 40, 56)
    difference = np.abs(asked.reference.astype(np.float32) - asked.adversarial) / 255
    np.testing.assert_allclose(said.distance, difference.mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(said.maps, difference.mean(-1), rtol=1e-5)
    assert started.processes[0].returncode is not None


def test_closed_early_it_ends_the_process_and_leaves_its_turn(there, monkeypatch):
    monkeypatch.setattr(flip.subprocess, "Popen", started := Started(ANSWERS))
    looks = flip.look(trace(48, 50))
    assert next(looks) is None
    waiting = flip.look(trace(48, 51))
    assert next(waiting) is None and len(started.processes) == 1  # one at a time
    looks.close()
    assert started.processes[0].returncode is not None
    *_, said = waiting
    assert isinstance(said, Eye)


@installed
def test_the_process_measures_as_the_function_does():
    asked = trace(lanes=1)
    *_, said = flip.look(asked)
    distance, errors = eye.flip(asked.reference, asked.adversarial[0])
    assert said.distance[0] == pytest.approx(distance, rel=1e-5)
    np.testing.assert_allclose(said.maps[0], errors, rtol=1e-5)
